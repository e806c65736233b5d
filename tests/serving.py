"""A gateway that really serves, in a thread of the tests, and a client that asks it over HTTP."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import httpx2
from opentelemetry.trace import TracerProvider
from starlette.applications import Starlette

from db import demo
from db.engine import Database
from gateway.app import create_app
from gateway.explorer import Explorer
from gateway.process import listen
from gateway.server import Server
from gateway.settings import Settings
from gateway.tokens import Tokens
from resolvers.provisioning.provider import Provider

CAST = {person.key: person for person in demo.CAST}
ACCEPT = "application/graphql-response+json, application/json;q=0.9"


@dataclass(frozen=True)
class Answer:
    """What came back, and the statements that it took."""

    response: httpx2.Response
    statements: list[str]

    @cached_property
    def body(self) -> Any:
        return self.response.json()

    @property
    def data(self) -> Any:
        """The data of an answer without errors."""
        assert "errors" not in self.body, self.body["errors"]
        return self.body["data"]

    @property
    def errors(self) -> list[Any]:
        errors: list[Any] = self.body.get("errors", [])
        return errors

    @property
    def codes(self) -> list[str]:
        return [error["extensions"]["code"] for error in self.errors]


@dataclass
class Gateway:
    """A gateway over one database."""

    url: str
    database_url: str
    tokens: Tokens
    statements: list[str] = field(default_factory=list)
    app: Starlette | None = None

    @cached_property
    def client(self) -> httpx2.Client:
        return httpx2.Client(base_url=self.url, headers={"accept": ACCEPT}, timeout=60, trust_env=False)

    def token(self, person: str) -> str:
        return self.tokens.sign(CAST[person].id)

    def headers(self, person: str | None) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token(person)}"} if person else {}

    def ask(self, query: str, /, *, as_: str | None = None, **variables: Any) -> Answer:
        """The answer to an operation that a person of the cast sends; nobody's, unless told."""
        self.statements.clear()
        response = self.client.post(
            "/graphql", json={"query": query, "variables": variables}, headers=self.headers(as_)
        )
        return Answer(response, list(self.statements))


@contextmanager
def serving(
    database_url: str,
    settings: dict[str, Any] | None = None,
    tracer_provider: TracerProvider | None = None,
    provider: Provider | None = None,
    **options: Any,
) -> Iterator[Gateway]:
    """A gateway over this database, for as long as the block. options: those of the database.

    Nothing happens by itself unless the settings say so: most tests share what they look at.
    """
    chosen = Settings.read(**({"worker": False, "plan_after": 1} | (settings or {})))
    tokens = Tokens("a secret for the tests, long enough", chosen)
    gateway = Gateway("", database_url, tokens)

    def record(statement: str, arguments: Sequence[Any]) -> None:
        if "has_clones" not in statement:  # whoever sends a token is looked up first
            gateway.statements.append(statement)

    database = Database(database_url, on_statement=record, **options)
    app = create_app(
        database, tokens, Explorer.of_demo(tokens), chosen, tracer_provider=tracer_provider, provider=provider
    )
    gateway.app = app
    listener = listen("127.0.0.1", 0)
    ready = threading.Event()
    server = Server(app, chosen, ready.set)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not ready.wait(0.1):
        assert thread.is_alive(), "it could not start"
    gateway.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        yield gateway
    finally:
        gateway.client.close()
        server.should_exit = True
        thread.join()
