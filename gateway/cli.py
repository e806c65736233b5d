"""The command line: `clonegraph`.

Building the graph takes half a second, so only the commands that need it import it.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text
from starlette.applications import Starlette

import gateway.doctor
from db import Scope, demo, migrate, verify
from db.errors import DatabaseError
from db.grants import grants
from db.storage import Storage, StorageUnavailable
from gateway import process
from gateway.explorer import Explorer
from gateway.logs import set_up_logging
from gateway.settings import AUTO, Settings, SettingsError, reference
from resolvers import service_token, trusted_document
from resolvers.terms import THOUSAND
from resolvers.viewer import find_by_email

FILES_AT_A_TIME = 100
ANSWERS = {
    True: "Clones answer by quoting their documents (the provider `local`); that needs no key.",
    False: "Clones answer with the AI provider of the settings.",
}

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
service_token_commands = typer.Typer(
    help="Tokens of services: analytics tools and back ends, which read what an admin reads.", no_args_is_help=True
)
document_commands = typer.Typer(
    help="Trusted documents: the operations of your own applications, executed by their ids.", no_args_is_help=True
)
cli.add_typer(service_token_commands, name="service-token")
cli.add_typer(document_commands, name="documents")

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
    except (SettingsError, DatabaseError, StorageUnavailable, process.PortTaken, process.WorkerFailed) as error:
        complaints.print(str(error) or error.__doc__, style="red", markup=False, soft_wrap=True)
        sys.exit(1)


@cli.command("demo")
def run_demo(
    port: Port = 8000, host: Host = "127.0.0.1", data_dir: DataDir = None, scale: Scale = demo.Scale.SMALL
) -> None:
    """Serve a graph full of demo data, with the explorer, and tokens to be anybody in it."""
    from gateway.app import create_app

    process.end_in_order()
    settings = _settings(data_dir, development=True, output_token_price=demo.CREDITS_PER_TOKEN * THOUSAND)
    if settings.provider == AUTO:  # what the demo knows is in its own database, whatever keys this machine has
        settings = settings.model_copy(update={"provider": "local"})
    set_up_logging(settings.log_level)
    listener = process.listen(host, port)
    with process.database_url(settings) as url:
        _say_where(settings)
        _upgrade(url)
        _load_demo(url, scale)
        asyncio.run(_keep_files(Storage(settings.storage_place), scale))
        asyncio.run(demo.go_on(url))
        tokens = process.tokens(settings, demo=True)
        explorer = Explorer.of_demo(tokens)
        address = f"http://{host}:{listener.getsockname()[1]}/"

        def on_ready() -> None:
            out.print(f"CloneGraph is ready: {address}", style="bold green", soft_wrap=True, highlight=False)
            for person in explorer.people:
                out.print(
                    f"\n[bold]{person.name}[/], {person.role}: {person.about}\n{person.token}",
                    soft_wrap=True,
                    highlight=False,
                )
            out.print(f"\n{ANSWERS[settings.chosen_provider == 'local']}\nCtrl-C stops everything.", soft_wrap=True)

        def make_app() -> Starlette:
            return create_app(process.database(settings, url), tokens, explorer, settings)

        process.serve(make_app, settings, listener, on_ready)


@cli.command()
def serve(
    port: Port = 8000,
    host: Host = "127.0.0.1",
    workers: Annotated[int, typer.Option(min=1, max=64, help="How many processes answer, one for each core.")] = 1,
    data_dir: DataDir = None,
) -> None:
    """Serve the graph over the database of DATABASE_URL, or over an embedded one."""
    from gateway.app import create_app

    process.end_in_order()
    settings = _settings(data_dir)
    set_up_logging(settings.log_level)
    tokens = process.tokens(settings)
    listener = process.listen(host, port)
    with process.database_url(settings) as url:
        if not settings.database_url:
            _upgrade(url)
        address = f"http://{host}:{listener.getsockname()[1]}/"

        def make_app() -> Starlette:
            return create_app(process.database(settings, url), tokens, settings=settings)

        def on_ready() -> None:
            out.print(f"CloneGraph is ready: {address}", soft_wrap=True)

        process.serve(make_app, settings, listener, on_ready, workers)


@cli.command()
def worker(data_dir: DataDir = None) -> None:
    """Do what happens by itself, beside any number of `serve` with WORKER=false: provision, answer, charge."""
    from gateway.worker import work

    settings = _settings(data_dir)
    set_up_logging(settings.log_level)
    with process.database_url(settings) as url:
        if not asyncio.run(migrate.status(url)).is_current:
            _complain("The database does not have the newest shape. Run: clonegraph db upgrade")
        asyncio.run(work(process.database(settings, url), settings, lambda: out.print("The worker is at work.")))


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
    tokens = process.tokens(settings, demo=settings.jwt_jwks_url is None)
    print(tokens.sign(user_id))  # noqa: T201 (just the token, for a shell)


@service_token_commands.command("create")
def create_service_token(
    name: Annotated[str, typer.Argument(help="What you call the service.")],
    scope: Annotated[list[Scope] | None, typer.Option(help="What it may do beside reading.")] = None,
    days: Annotated[int, typer.Option(min=0, max=36500, help="For how long, in days; 0 for ever.")] = 90,
    data_dir: DataDir = None,
) -> None:
    """Print a token for a service. It is shown this once: only a hash of it is kept."""
    issued = _with_database(data_dir, service_token.issue, name, scope or (), days or None)
    if issued is None:
        _complain(f"{name} has a token. Revoke it first: clonegraph service-token revoke {name}")
    print(issued)  # noqa: T201 (just the token, for a shell)


@service_token_commands.command("list")
def list_service_tokens(data_dir: DataDir = None) -> None:
    """Show the tokens of services, and when each was last used."""
    table = Table("Service", "Scopes", "Created", "Ends", "Revoked", "Last used", box=None)
    for each in _with_database(data_dir, service_token.issued):
        times = (each[key] for key in ("created_at", "expires_at", "revoked_at", "last_used_at"))
        table.add_row(
            Text(each["name"]), " ".join(each["scopes"]), *(f"{time:%Y-%m-%d %H:%M}" if time else "" for time in times)
        )
    out.print(table)


@service_token_commands.command("revoke")
def revoke_service_token(name: Annotated[str, typer.Argument(help="The service.")], data_dir: DataDir = None) -> None:
    """Revoke the token of a service. It is refused within seconds, on open sockets too."""
    if not _with_database(data_dir, service_token.revoke, name):
        _complain(f"{name} has no token. See: clonegraph service-token list")
    out.print(f"The token of {name} is revoked.", markup=False, highlight=False)


@document_commands.command("push")
def push_documents(
    manifest: Annotated[Path, typer.Argument(help="A manifest of Apollo's, relay-compiler's or graphql-codegen's.")],
    data_dir: DataDir = None,
) -> None:
    """Bring the documents of an application. All of them are checked first, and then all are stored, or none."""
    from gateway.manifest import ManifestError, push

    try:
        pushed = _with_database(data_dir, push, manifest, _settings(data_dir))
    except ManifestError as error:
        _complain(str(error))
    out.print(f"{pushed.documents} documents are trusted, {pushed.new} of them new.", highlight=False)


@document_commands.command("list")
def list_documents(data_dir: DataDir = None) -> None:
    """Show the trusted documents."""
    table = Table("Id", "Document", "Since", box=None)
    for each in _with_database(data_dir, trusted_document.brought):
        table.add_row(Text("\n".join(each.ids)), Text(shorten(each.text, 60)), f"{each.created_at:%Y-%m-%d %H:%M}")
    out.print(table)


@document_commands.command("remove")
def remove_document(id_: Annotated[str, typer.Argument(metavar="ID")], data_dir: DataDir = None) -> None:
    """Trust a document no longer. It is refused within a minute."""
    if not _with_database(data_dir, trusted_document.remove, id_):
        _complain(f"There is no trusted document {id_}. See: clonegraph documents list")
    out.print(f"{id_} is trusted no longer.", markup=False, highlight=False)


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


@database_commands.command("grants")
def print_grants(role: Annotated[str, typer.Argument(help="The role that `serve` connects as.")]) -> None:
    """Print the rights that the gateway needs, as SQL for the owner of the tables. It cannot change the ledger."""
    print("\n".join(grants(role)))  # noqa: T201 (for a file or a pipe)


@database_commands.command("verify")
def verify_database(data_dir: DataDir = None) -> None:
    """Check that what must hold in the data does: balances, sessions, earnings, copies, text keys."""
    # Each statement here looks at a whole table.
    findings = _with_database(data_dir, verify.findings, database_statement_timeout=3_600)
    table = Table("", "", "Must hold", "Exceptions", box=None)
    notes = Table("", "", "Worth knowing", "How many", box=None)
    for finding in findings:
        row = finding.check.code, finding.sentence, str(finding.exceptions or "")
        if finding.check.must_hold:
            table.add_row("[red]no[/]" if finding.is_wrong else "[green]ok[/]", *row)
        elif finding.exceptions:
            notes.add_row("  ", *row)
    out.print(table)
    if notes.rows:
        out.print("", notes)
    if any(finding.is_wrong for finding in findings):
        raise typer.Exit(1)


@cli.command()
def doctor(data_dir: DataDir = None) -> None:
    """Check the settings, the database and the explorer, and say what to do about each trouble."""
    settings = _settings(data_dir)
    with process.database_url(settings) as url:
        symptoms = asyncio.run(_closing(process.database(settings, url), gateway.doctor.examine, settings))
    for symptom in symptoms:
        out.print(
            f"[{'green' if symptom.well else 'red'}]{'ok' if symptom.well else 'no'}[/]  {symptom.sentence}",
            soft_wrap=True,
        )
    if not all(symptom.well for symptom in symptoms):
        raise typer.Exit(1)


@cli.command("settings")
def print_settings() -> None:
    """Print what can be set by environment variables, as a page of Markdown."""
    print(reference(), end="")  # noqa: T201 (for a file or a pipe)


def _complain(sentence: str) -> NoReturn:
    complaints.print(sentence, style="red", markup=False, soft_wrap=True)
    raise typer.Exit(1)


def _with_database(data_dir: Path | None, work: Any, *arguments: Any, **given: Any) -> Any:
    """What some work gives with a database of the newest shape. given: settings for the work."""
    settings = _settings(data_dir, **given)
    with process.database_url(settings) as url:
        if not asyncio.run(migrate.status(url)).is_current:
            _complain("The database does not have the newest shape. Run: clonegraph db upgrade")
        return asyncio.run(_closing(process.database(settings, url), work, *arguments))


def _settings(data_dir: Path | None, **given: Any) -> Settings:
    return Settings.read(**({"data_dir": data_dir} if data_dir else {}), **given)


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


async def _keep_files(storage: Storage, scale: demo.Scale) -> None:
    """Put the files of the demo into the storage. If the last one is there, all of them are."""

    async def pieces(content: bytes) -> AsyncIterator[bytes]:
        yield content

    *files, last = demo.files(scale)
    if await storage.exists(last[0]):
        return
    for first in range(0, len(files), FILES_AT_A_TIME):
        some = files[first : first + FILES_AT_A_TIME]
        await asyncio.gather(*(storage.put(key, pieces(content)) for key, content in some))
    await storage.put(last[0], pieces(last[1]))


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
