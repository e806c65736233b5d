"""The explorer: GraphiQL, built from npm in this folder, and what it is told at the start."""

import re
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
from graphql import FieldNode, OperationDefinitionNode, OperationType, parse
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from db import demo
from gateway.settings import Settings
from gateway.tokens import Tokens

HERE = Path(__file__).parent
BUILT = HERE / "dist"
EXAMPLES = HERE / "examples"

NOT_BUILT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light dark"><title>CloneGraph</title>
<h1>The explorer was not built</h1>
<p>The graph itself answers at <code>/graphql</code>, and its text is at <a href="/schema.graphql">/schema.graphql</a>.
<p>To get the explorer, run <code>make explorer</code> (it needs Node 20 and npm) and load this page again, or install
CloneGraph from its wheel, which has it.
</html>"""
"""Nothing is loaded from elsewhere instead: a script of a CDN would hold the tokens of whoever types them in here."""

TOUR = "Tour"
NEW_KEY = "NEW KEY"


@dataclass(frozen=True)
class Example:
    """An operation to begin with.

    group: the heading it stands under. fields: the root fields it asks for.
    """

    name: str
    description: str
    query: str
    group: str
    operation: OperationType
    fields: tuple[str, ...]
    variables_text: str | None = None
    as_: str | None = None

    @classmethod
    def read(cls, text: str, group: str | None = None) -> "Example":
        """The example in a text that starts with comments: `# name: ...`, `# description: ...`.

        Two more may follow: `# as: ...`, the e-mail address of the person it is for, and `# variables: {...}`, in
        which `NEW KEY` stands for an idempotency key.
        """
        head: dict[str, str] = {}
        lines = text.strip().splitlines()
        while lines[0].startswith("# "):
            key, _, value = lines.pop(0)[2:].partition(": ")
            head[key] = value
        query = "\n".join(lines)
        operation = next(each for each in parse(query).definitions if isinstance(each, OperationDefinitionNode))
        return cls(
            name=head["name"],
            description=head["description"],
            query=query + "\n",
            group=group or operation.operation.value.title(),
            operation=operation.operation,
            fields=tuple(
                field.name.value for field in operation.selection_set.selections if isinstance(field, FieldNode)
            ),
            variables_text=head.get("variables"),
            as_=head.get("as"),
        )

    def to_json(self) -> dict[str, Any]:
        """The example as the page wants it."""
        shown = {key.rstrip("_"): value for key, value in asdict(self).items() if key != "variables_text"}
        return {**shown, "variables": self.variables}

    @property
    def variables(self) -> dict[str, Any] | None:
        """The variables, with idempotency keys that nobody has used before."""
        if self.variables_text is None:
            return None
        variables: dict[str, Any] = orjson.loads(re.sub(NEW_KEY, lambda _: str(uuid4()), self.variables_text))
        return variables


@dataclass(frozen=True)
class Person:
    """Somebody that one can be in the demo."""

    name: str
    email: str
    role: str
    about: str
    token: str


@dataclass(frozen=True)
class Explorer:
    """The explorer's page, its files, and its configuration. People are there in the demo only."""

    people: tuple[Person, ...] = ()

    @classmethod
    def of_demo(cls, tokens: Tokens) -> "Explorer":
        """The explorer of the demo, where one can be anybody of the cast who may log in."""
        return cls(
            tuple(Person(each.name, each.email, each.role, each.about, tokens.sign(each.id)) for each in demo.ACTIVE)
        )

    def routes(self, settings: Settings) -> list[BaseRoute]:
        """Where it is served."""
        return [
            Route("/", self.page),
            Route("/explorer/config.json", partial(self.configuration, settings)),
            Mount("/explorer/assets", Assets(directory=BUILT / "assets", check_dir=False)),
        ]

    async def page(self, request: Request) -> Response:
        """The page."""
        index = BUILT / "index.html"
        return FileResponse(index, headers={"Cache-Control": "no-cache"}) if index.exists() else HTMLResponse(NOT_BUILT)

    async def configuration(self, settings: Settings, request: Request) -> Response:
        """What the page is told at the start."""
        content = {
            "title": "CloneGraph",
            "endpoint": "/graphql",
            "development": settings.development,
            "maxCost": settings.max_cost,
            "examples": [example.to_json() for example in examples()],
            "people": [asdict(person) for person in self.people],
        }
        return Response(orjson.dumps(content), media_type="application/json", headers={"Cache-Control": "no-store"})


class Assets(StaticFiles):
    """The files of the page. Their names hold their hashes, so a browser need not ask for them twice."""

    def file_response(self, *arguments: Any, **options: Any) -> Response:
        """A file, to be kept."""
        response = super().file_response(*arguments, **options)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


@cache
def examples() -> tuple[Example, ...]:
    """The example operations: the tour, from files that are numbered, and then those of each type and its fields."""
    found: list[Example] = []
    for path in sorted(EXAMPLES.glob("*.graphql")):
        group = TOUR if path.name[0].isdigit() else None
        texts = re.split(r"^(?=# name: )", path.read_text(), flags=re.MULTILINE)
        found += [Example.read(text, group) for text in texts if text]
    return tuple(sorted(found, key=lambda example: GROUPS.index(example.group)))


GROUPS = [TOUR, *(operation.value.title() for operation in OperationType)]
"""The headings of the examples, in their order."""
