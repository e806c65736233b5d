"""The command line: `clonegraph`.

Building the graph takes half a second, so only the commands that need it import it.
"""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

import gateway.doctor
from db import demo, migrate, verify
from db.errors import DatabaseError
from gateway import process
from gateway.explorer import Explorer
from gateway.logs import set_up_logging
from gateway.settings import Settings, SettingsError
from resolvers.viewer import find_by_email

out = Console()
complaints = Console(stderr=True)

cli = typer.Typer(
    help="CloneGraph: one GraphQL graph over a marketplace of AI experts and the knowledge behind them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
database_commands = typer.Typer(help="The database: its shape, its demo data, its health.", no_args_is_help=True)
schema_commands = typer.Typer(help="The text of the graph.", no_args_is_help=True)
cli.add_typer(database_commands, name="db")
cli.add_typer(schema_commands, name="schema")

Port = Annotated[int, typer.Option(help="The port to listen on.")]
Host = Annotated[str, typer.Option(help="The address to listen on.")]
DataDir = Annotated[
    Path | None, typer.Option(help="Where the embedded PostgreSQL keeps its data [default: .clonegraph].")
]
Scale = Annotated[demo.Scale, typer.Option(help="How much demo data to load.")]


def main() -> None:
    """Run the command, and say in one sentence what went wrong, if something did."""
    try:
        cli()
    except KeyboardInterrupt:
        sys.exit(130)
    except (SettingsError, DatabaseError, process.PortTaken) as error:
        complaints.print(str(error) or error.__doc__, style="red", markup=False, soft_wrap=True)
        sys.exit(1)


@cli.command("demo")
def run_demo(
    port: Port = 8000, host: Host = "127.0.0.1", data_dir: DataDir = None, scale: Scale = demo.Scale.SMALL
) -> None:
    """Serve a graph full of demo data, with the explorer, and tokens to be anybody in it."""
    from gateway.app import create_app

    process.end_in_order()
    set_up_logging()
    settings = _settings(data_dir)
    listener = process.listen(host, port)
    with process.database_url(settings) as url:
        _say_where(settings)
        _upgrade(url)
        _load_demo(url, scale)
        tokens = process.tokens(settings, demo=True)
        explorer = Explorer.of_demo(tokens)
        app = create_app(process.database(settings, url), tokens, explorer)
        address = f"http://{host}:{listener.getsockname()[1]}/"

        def on_ready() -> None:
            out.print(f"CloneGraph is ready: {address}", style="bold green", soft_wrap=True, highlight=False)
            for person in explorer.people:
                out.print(
                    f"\n[bold]{person.name}[/], {person.role}: {person.about}\n{person.token}",
                    soft_wrap=True,
                    highlight=False,
                )
            out.print("\nCtrl-C stops everything.")

        process.serve(app, listener, on_ready)


@cli.command()
def serve(port: Port = 8000, host: Host = "127.0.0.1", data_dir: DataDir = None) -> None:
    """Serve the graph over the database of DATABASE_URL, or over an embedded one."""
    from gateway.app import create_app

    process.end_in_order()
    set_up_logging()
    settings = _settings(data_dir)
    tokens = process.tokens(settings)
    listener = process.listen(host, port)
    with process.database_url(settings) as url:
        if not settings.database_url:
            _upgrade(url)
        app = create_app(process.database(settings, url), tokens)
        address = f"http://{host}:{listener.getsockname()[1]}/"
        process.serve(app, listener, lambda: out.print(f"CloneGraph is ready: {address}", soft_wrap=True))


@cli.command()
def token(
    email: Annotated[str, typer.Argument(help="The e-mail address of the person.")], data_dir: DataDir = None
) -> None:
    """Print a token for a person, good for 30 days."""
    settings = _settings(data_dir)
    with process.database_url(settings) as url:
        user_id = asyncio.run(_closing(process.database(settings, url), find_by_email, email))
    if user_id is None:
        complaints.print(f"Nobody here has the e-mail address {email}.", style="red", markup=False)
        raise typer.Exit(1)
    print(process.tokens(settings, demo=True).sign(user_id))  # noqa: T201 (just the token, for a shell)


@schema_commands.command("print")
def print_schema() -> None:
    """Print the graph in GraphQL's schema language."""
    from schema.graph import graph

    print(graph.as_str())  # noqa: T201 (for a file or a pipe)


@schema_commands.command("check")
def check_schema(path: Annotated[Path, typer.Argument(help="The kept text.")] = Path("schema.graphql")) -> None:
    """Check that a kept text of the graph is the graph of the code."""
    from schema.graph import graph

    if not path.exists() or path.read_text() != graph.as_str() + "\n":
        complaints.print(f"{path} is not the graph of the code. Run: clonegraph schema print > {path}", markup=False)
        raise typer.Exit(1)
    out.print(f"{path} is the graph of the code.", markup=False)


@database_commands.command()
def upgrade(data_dir: DataDir = None) -> None:
    """Bring the database to the newest shape, revision by revision."""
    settings = _settings(data_dir)
    with process.database_url(settings) as url:
        _say_where(settings)
        _upgrade(url)


@database_commands.command()
def status(data_dir: DataDir = None) -> None:
    """Show which revision the database is at, and what an upgrade would run."""
    with process.database_url(_settings(data_dir)) as url:
        found = asyncio.run(migrate.status(url))
        differences = asyncio.run(migrate.differences(url)) if found.is_current else []
    out.print(f"At {found.current or 'no revision'}; the newest is {found.head}.", highlight=False)
    for revision, title in found.pending:
        out.print(f"  pending: {revision} {title}", highlight=False, markup=False)
    for difference in differences:
        out.print(f"  differs: {difference}", highlight=False, markup=False)
    if found.pending or differences:
        raise typer.Exit(1)


@database_commands.command()
def seed(scale: Scale = demo.Scale.SMALL, data_dir: DataDir = None) -> None:
    """Load the demo data into an empty database."""
    with process.database_url(_settings(data_dir)) as url:
        _upgrade(url)
        _load_demo(url, scale)


@database_commands.command("verify")
def verify_database(data_dir: DataDir = None) -> None:
    """Check that what must hold in the data does: balances, copies, text keys."""
    settings = _settings(data_dir)
    with process.database_url(settings) as url:
        findings = asyncio.run(_closing(process.database(settings, url), verify.findings))
    table = Table("", "Must hold", "Exceptions", box=None)
    for finding in findings:
        mark = "[green]ok[/]" if not finding.exceptions else "[red]no[/]"
        table.add_row(mark, finding.sentence, str(finding.exceptions or ""))
    out.print(table)
    if any(finding.exceptions for finding in findings):
        raise typer.Exit(1)


@cli.command()
def doctor(data_dir: DataDir = None) -> None:
    """Check the settings, the database and the explorer, and say what to do about each trouble."""
    settings = _settings(data_dir)
    with process.database_url(settings) as url:
        symptoms = asyncio.run(_closing(process.database(settings, url), gateway.doctor.examine, settings, url))
    for symptom in symptoms:
        out.print(
            f"[{'green' if symptom.well else 'red'}]{'ok' if symptom.well else 'no'}[/]  {symptom.sentence}",
            soft_wrap=True,
        )
    if not all(symptom.well for symptom in symptoms):
        raise typer.Exit(1)


def _settings(data_dir: Path | None) -> Settings:
    return Settings.read(**({"data_dir": data_dir} if data_dir else {}))


def _say_where(settings: Settings) -> None:
    where = (
        "the database of DATABASE_URL"
        if settings.database_url
        else f"an embedded PostgreSQL, {settings.data_dir.resolve()}"
    )
    out.print(f"Data: {where}", soft_wrap=True, highlight=False, markup=False)


def _upgrade(url: str) -> None:
    with _progress("Migrating") as progress:
        pending = len(asyncio.run(migrate.status(url)).pending)
        task = progress.add_task("", total=pending, visible=bool(pending))
        asyncio.run(migrate.upgrade(url, on_step=lambda title: progress.update(task, advance=1, description=title)))


def _load_demo(url: str, scale: demo.Scale) -> None:
    with _progress("Loading") as progress:
        tasks: dict[str, Any] = {}

        def show(table: str, done: int, total: int) -> None:
            if table not in tasks:
                tasks[table] = progress.add_task(table, total=total)
            progress.update(tasks[table], completed=done)

        asyncio.run(demo.load(url, scale, show))


@contextmanager
def _progress(what: str) -> Iterator[Progress]:
    with Progress(
        TextColumn(f"{what} {{task.description}}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=out,
        transient=True,
        disable=not out.is_terminal,
    ) as progress:
        yield progress


async def _closing(database: Any, work: Any, *arguments: Any) -> Any:
    """What some work with the database gives, with its connections given back afterwards."""
    try:
        return await work(database, *arguments)
    finally:
        await database.close()
