"""The explorer: GraphiQL, built from npm in this folder, and what it is told at the start."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from db import demo
from gateway.auth import Tokens

HERE = Path(__file__).parent
BUILT = HERE / "dist"
EXAMPLES = HERE / "examples"

NOT_BUILT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>CloneGraph</title>
<body style="font-family: system-ui; max-width: 40rem; margin: 4rem auto">
<h1>The explorer was not built</h1>
<p>The graph itself answers at <code>/graphql</code>. To get the explorer, run <code>make explorer</code>
(it needs Node 20 and npm), or install CloneGraph from its wheel, which has it.</p>
</body></html>"""


@dataclass(frozen=True)
class Example:
    """An operation to begin with, from a file that starts with comments: `# name: ...`, `# description: ...`."""

    name: str
    description: str
    query: str
    variables: dict[str, Any] | None = None
    as_: str | None = None

    @classmethod
    def read(cls, path: Path) -> "Example":
        """The example in a file."""
        head: dict[str, str] = {}
        lines = path.read_text().splitlines()
        while lines and lines[0].startswith("# "):
            key, _, value = lines.pop(0)[2:].partition(": ")
            head[key] = value
        return cls(
            name=head["name"],
            description=head["description"],
            query="\n".join(lines).strip() + "\n",
            variables=orjson.loads(head["variables"]) if "variables" in head else None,
            as_=head.get("as"),
        )

    def to_json(self) -> dict[str, Any]:
        """The example as the page wants it."""
        return {key.rstrip("_"): value for key, value in asdict(self).items()}


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

    def routes(self) -> list[BaseRoute]:
        """Where it is served."""
        return [
            Route("/", self.page),
            Route("/explorer/config.json", self.configuration),
            Mount("/explorer/assets", StaticFiles(directory=BUILT / "assets", check_dir=False)),
        ]

    async def page(self, request: Request) -> Response:
        """The page."""
        index = BUILT / "index.html"
        return FileResponse(index, headers={"Cache-Control": "no-cache"}) if index.exists() else HTMLResponse(NOT_BUILT)

    async def configuration(self, request: Request) -> Response:
        """What the page is told at the start."""
        content = {
            "title": "CloneGraph",
            "endpoint": "/graphql",
            "demo": bool(self.people),
            "examples": [example.to_json() for example in examples()],
            "people": [asdict(person) for person in self.people],
        }
        return Response(orjson.dumps(content), media_type="application/json", headers={"Cache-Control": "no-store"})


def examples() -> list[Example]:
    """The example operations, in the order of their files."""
    return [Example.read(path) for path in sorted(EXAMPLES.glob("*.graphql"))]
