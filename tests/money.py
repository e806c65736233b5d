"""Money in the tests: people who talk, pay and earn, at a gateway that really serves.

`act` sends a mutation with a new idempotency key and gives the row that it was done to; `problem` gives the user error
where it is refused. Both take who acts: a person of the cast, the headers of a service, or nobody.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache
from typing import Any, TypeAlias, TypeVar
from uuid import UUID, uuid4

from graphql import GraphQLObjectType, get_named_type

from db import Scope, demo, verify
from db.engine import Database
from gateway.settings import Settings
from resolvers.provisioning.provider import Provider
from resolvers.service_token import issue
from resolvers.settling import Settling
from schema.graph import core_schema
from tests.conftest import execute, fresh_database
from tests.serving import CAST, Answer, Gateway, serving

Given = TypeVar("Given")
Who: TypeAlias = str | Mapping[str, str] | None
"""A person of the cast, the headers of a service, or nobody."""

FIELDS = {
    "Session": """id status sessionType demoMode startTime endTime endReason durationMinutes ratePerMinute totalCost
        timeCost billableSeconds messageCount userRating userFeedback lastActiveAt meteredUntil
        user { id creditsRemaining totalSpent }
        clone { id totalSessions averageRating totalRatings }""",
    "Message": """id senderType content contextUsed costIncrement tokensUsed attachments createdAt
        session { id status totalCost timeCost billableSeconds messageCount user { creditsRemaining } }""",
    "CreditEntry": """id amount kind balanceAfter spentAfter reason idempotencyKey createdAt
        user { id creditsRemaining totalSpent }""",
}
"""What `act` asks for, by the type of the row."""

USER_ERRORS = """userErrors {
    __typename code message path
    ... on InsufficientCredits { required available }
    ... on SessionAlreadyOpen { sessionId }
    ... on WrongSessionStatus { status }
    ... on RefundTooLarge { refundable }
    ... on ReplyInProgress { replyId }
}"""

CLONE = """
    INSERT INTO clones (creator_id, name, base_price, is_published, published_at)
    VALUES ($1, 'Somebody to talk to', $2, true, now()) RETURNING id
"""
AGE = """
    UPDATE sessions SET start_time = start_time - $2::interval, last_active_at = last_active_at - $2::interval,
        metered_until = metered_until - $2::interval
    WHERE id = $1
"""


@contextmanager
def bank(server_url: str, template: str, *, ai: Provider | None = None, **settings: Any) -> Iterator[Gateway]:
    """A gateway over demo data that may be changed. At the end, all that must hold of money is looked at."""
    with fresh_database(server_url, template) as url:
        asyncio.run(demo.go_on(url))
        with serving(url, settings={"points_capacity": 100_000_000, **settings}, provider=ai) as gateway:
            yield gateway
        assert findings(url) == []


def send(gateway: Gateway, mutation: str, as_: Who = None, *, key: UUID | str | None = None, **values: Any) -> Answer:
    """The answer to a mutation. key: the idempotency key, a new one unless told. values: the rest of the input."""
    headers = gateway.headers(as_) if as_ is None or isinstance(as_, str) else as_
    given = {**values, "idempotencyKey": str(key or uuid4())}
    body = {"query": document(mutation), "variables": {"input": given}}
    return Answer(gateway.client.post("/graphql", json=body, headers=headers), [])


def act(gateway: Gateway, mutation: str, as_: Who = None, **values: Any) -> Any:
    """The row that a mutation was done to, with its FIELDS."""
    done = send(gateway, mutation, as_, **values).data["done"]
    assert done["userErrors"] == []
    return done["row"]


def problems(gateway: Gateway, mutation: str, as_: Who = None, **values: Any) -> list[Any]:
    """The user errors of a mutation that was refused."""
    done = send(gateway, mutation, as_, **values).data["done"]
    assert done["row"] is None
    assert done["userErrors"]
    return list(done["userErrors"])


def problem(gateway: Gateway, mutation: str, as_: Who = None, **values: Any) -> Any:
    """The only user error of a mutation that was refused."""
    (only,) = problems(gateway, mutation, as_, **values)
    return only


@cache
def document(mutation: str) -> str:
    """A mutation that asks for the fields of its row, and for everything about user errors."""
    assert core_schema.mutation_type
    definition = core_schema.mutation_type.fields[mutation]
    payload = get_named_type(definition.type)
    assert isinstance(payload, GraphQLObjectType)
    name = next(name for name in payload.fields if name != "userErrors")
    fields = FIELDS[get_named_type(payload.fields[name].type).name]
    return f"""mutation($input: {definition.args["input"].type}) {{
        done: {mutation}(input: $input) {{ row: {name} {{ {fields} }} {USER_ERRORS} }} }}"""


def user(person: str) -> str:
    """The id of a person of the cast, as the graph gives it."""
    return f"user_{CAST[person].id.hex}"


def key_of(id_: str) -> UUID:
    """The key in the database of an id of the graph."""
    return UUID(id_.rpartition("_")[2])


def new_clone(gateway: Gateway, price: str = "6", creator: str = "maya") -> str:
    """The id of a new clone that everybody can talk to. At 6 credits a minute, a second costs a tenth."""
    rows = sql(gateway.database_url, CLONE, CAST[creator].id, Decimal(price))
    return f"clone_{rows[0]['id'].hex}"


def start(gateway: Gateway, person: str = "aiko", clone: str | None = None, **values: Any) -> str:
    """The id of a new session, with a new clone unless told."""
    session: str = act(gateway, "startSession", person, cloneId=clone or new_clone(gateway), **values)["id"]
    return session


def ask(gateway: Gateway, session: str, as_: Who = "aiko", **values: Any) -> Any:
    """A question, recorded by whoever asks."""
    return act(gateway, "recordMessage", as_, sessionId=session, **{"senderType": "USER", "content": "Why?"} | values)


def answer(gateway: Gateway, session: str, cost: str = "1", as_: Who = "grace", **values: Any) -> Any:
    """An answer of this cost, recorded by an admin unless told."""
    given = {"senderType": "AI", "content": "Because.", "cost": cost} | values
    return act(gateway, "recordMessage", as_, sessionId=session, **given)


def session_of(gateway: Gateway, session: str, as_: str = "grace") -> Any:
    """A session as it is now."""
    query = f"query($id: ID!) {{ session(id: $id) {{ {FIELDS['Session']} }} }}"
    return gateway.ask(query, as_=as_, id=session).data["session"]


def pass_time(database_url: str, session: str, seconds: float) -> None:
    """Let a session be older, by so many seconds in which nothing happened."""
    sql(database_url, AGE, key_of(session), timedelta(seconds=seconds))


def time_cost(session: Any) -> Decimal:
    """What the time of a session must cost, by its seconds and its rate."""
    return rounded(Decimal(session["billableSeconds"]) * Decimal(session["ratePerMinute"]) / 60)


def rounded(amount: Decimal) -> Decimal:
    """An amount to four places, half to even."""
    return amount.quantize(Decimal("0.0001"), ROUND_HALF_EVEN)


def grant(gateway: Gateway, person: str, amount: Decimal | str | int) -> None:
    """Give a person credits."""
    act(gateway, "topUpCredits", "grace", userId=user(person), amount=str(amount))


def balance(gateway: Gateway, person: str) -> Decimal:
    """What a person has."""
    return Decimal(gateway.ask("{ viewer { creditsRemaining } }", as_=person).data["viewer"]["creditsRemaining"])


def set_balance(gateway: Gateway, person: str, wanted: Decimal | str | int) -> None:
    """Make a balance this, by an adjustment."""
    change = Decimal(wanted) - balance(gateway, person)
    if change:
        act(gateway, "adjustCredits", "grace", userId=user(person), amount=f"{change:f}", reason="For a test.")


def service_headers(database_url: str, *scopes: Scope) -> dict[str, str]:
    """The headers of a new service that may do this, beside reading."""
    token = asyncio.run(_with_database(database_url, lambda database: issue(database, str(uuid4()), scopes, None)))
    return {"authorization": f"Bearer {token}"}


def work(database_url: str, **settings: Any) -> None:
    """Do once what the worker of a gateway with these settings does on and on."""
    terms = Settings.read(**settings).terms
    asyncio.run(_with_database(database_url, lambda database: Settling(database, terms).work()))


def findings(database_url: str) -> list[str]:
    """What must hold of the data and does not, as sentences."""
    found = asyncio.run(_with_database(database_url, verify.findings))
    return [each.sentence for each in found if each.is_wrong]


def sql(database_url: str, statement: str, *arguments: Any) -> list[Any]:
    """The rows of a statement: what another program does, or sees."""
    return asyncio.run(execute(database_url, statement, *arguments))


async def _with_database(url: str, use: Callable[[Database], Awaitable[Given]]) -> Given:
    database = Database(url)
    try:
        return await use(database)
    finally:
        await database.close()
