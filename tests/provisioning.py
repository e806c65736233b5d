"""What tests of provisioning do again and again: make clones, wait for operations, count what is at the provider."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from graphql import get_named_type

from resolvers.provisioning import account
from resolvers.provisioning import provision as provision_turn
from resolvers.provisioning import provisioning as duty
from schema.graph import core_schema
from tests.conftest import fresh_database
from tests.graph import input_fields
from tests.library import send
from tests.money import findings, sql
from tests.provider_fake import FakeProvider
from tests.serving import Gateway, serving

OPERATION = """
    query($id: ID!) { operation(id: $id) {
        id kind status progress attempts endedAt error { code message retryable }
        steps(first: 100) { nodes { kind title status error document { id } knowledge { id } } }
        vectorStore { id vectorId } assistant { id assistantId }
    } }
"""
REMOTE = """
    SELECT kind, remote_id FROM remote_objects
    WHERE provider = 'openai' AND state <> 'gone' AND remote_id IS NOT NULL AND op_key NOT LIKE 'adopted:%'
"""
REFERRED = """
    SELECT 'store' AS kind, vector_id AS remote_id FROM vector_stores WHERE provider = 'openai'
    UNION SELECT 'file', unnest(ARRAY[file_id, incoming_file_id]) FROM store_files
        JOIN vector_stores ON vector_stores.id = vector_store_id WHERE provider = 'openai'
"""
SEARCH = """
    query($in: SearchScopeInput!, $text: String!, $first: Int! = 10) {
        searchKnowledge(in: $in, query: $text, first: $first) {
            score passage fileName document { id name } knowledge { id title }
    } }
"""
LONGEST_WAIT = 60


@contextmanager
def provisioning(
    server_url: str, template: str, folder: Path, fake: FakeProvider, **settings: Any
) -> Iterator[Gateway]:
    """A gateway with a worker, over demo data of its own, whose provider is a fake of OpenAI's."""
    with fake.running() as base_url, fresh_database(server_url, template) as url:
        given = {
            "worker": True,
            "openai_api_key": fake.key,
            "openai_base_url": base_url,
            "storage_url": folder.as_uri(),
            "provider_timeout": 5,
            "points_capacity": 100_000_000,
            **settings,
        }
        with serving(url, given) as gateway:
            yield gateway


@contextmanager
def quick_provisioning(
    server_url: str, template: str, folder: Path, fake: FakeProvider, **settings: Any
) -> Iterator[Gateway]:
    """The same, with a worker that does not rest for long. At the end, what is at the provider is what is known."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duty, "FIRST_PAUSE", 0.05)
        patch.setattr(duty, "LONGEST_PAUSE", 0.2)
        patch.setattr(duty.Provisioning, "pause", 0.05)
        patch.setattr(provision_turn, "FIRST_LOOK", 0.05)
        patch.setattr(provision_turn, "LAST_LOOK", 0.1)
        patch.setattr(account, "ACTS_PER_SECOND", 1000.0)
        with provisioning(server_url, template, folder, fake, **settings) as gateway:
            yield gateway
            fake.heal()
            release(fake)
            quiet(gateway)
            assert fake.live() == kept(gateway) == referred(gateway)
            assert findings(gateway.database_url) == []


def new_clone(gateway: Gateway, *texts: str, name: str = "Recall", as_: str = "maya") -> str:
    """The id of a clone with a domain, an expert, and these texts as its knowledge."""
    domain = gateway.ask('{ domains(where: {name: {eq: "AI education"}}) { nodes { id experts { nodes { id } } } } }')
    (found,) = domain.data["domains"]["nodes"]
    clone: str = ask(gateway, "createClone", as_, name=name, domainId=found["id"])["clone"]["id"]
    ask(gateway, "assignExperts", as_, id=clone, expertIds=[found["experts"]["nodes"][0]["id"]])
    for number, text in enumerate(texts):
        know(gateway, clone, f"Note {number}", text, as_=as_)
    return clone


def know(gateway: Gateway, clone: str, title: str, text: str, as_: str = "maya") -> Any:
    """What came of giving a clone something to know."""
    return ask(gateway, "addKnowledge", as_, cloneId=clone, title=title, content={"text": text})


def new_domain(gateway: Gateway, *titles: str, as_: str = "maya", is_default: bool = True) -> str:
    """The id of a domain with documents of these titles, each a text about its title."""
    domain: str = ask(gateway, "createDomain", as_, name=f"Domain {uuid4()}")["domain"]["id"]
    for title in titles:
        new_document(gateway, domain, title, as_=as_, is_default=is_default)
    return domain


def new_document(
    gateway: Gateway, domain: str, title: str, text: str | None = None, *, as_: str = "maya", is_default: bool = True
) -> str:
    """The id of a document with this text; unless told, one about its title."""
    file = (f"{title}.md", (text or f"# {title}\n\nAll about {title}.").encode())
    given = {"domainId": domain, "name": title, "includedInDefault": is_default, "file": file}
    id_: str = send(gateway, "uploadDocument", as_, **given).data["done"]["row"]["id"]
    return id_


def new_expert(gateway: Gateway, domain: str, context: str = "You speak for the experts.", as_: str = "maya") -> str:
    """The id of an expert of a domain."""
    given = {"domainId": domain, "name": f"Expert {uuid4()}", "context": context}
    id_: str = ask(gateway, "createExpert", as_, **given)["expert"]["id"]
    return id_


def ask(gateway: Gateway, mutation: str, as_: str | None = "maya", **values: Any) -> Any:
    """The payload of a mutation, with the ids of what it leads to. An idempotency key is made if it wants one."""
    query, wants_key = document(mutation)
    given = {**({"idempotencyKey": str(uuid4())} if wants_key else {}), **values}
    return gateway.ask(query, as_=as_, input=given).data["done"]


@cache
def document(mutation: str) -> tuple[str, bool]:
    """A mutation, and whether its input has an idempotency key."""
    assert core_schema.mutation_type
    field = core_schema.mutation_type.fields[mutation]
    payload: Any = get_named_type(field.type)
    own = " ".join(f"{name} {{ id }}" for name in payload.fields if name not in ("userErrors", "deletedId"))
    if not field.args:
        return f"mutation {{ done: {mutation} {{ {own} userErrors {{ code message path }} }} }}", False
    type_ = field.args["input"].type
    query = f"""mutation($input: {type_}) {{ done: {mutation}(input: $input) {{
        {own} userErrors {{ code message path }} }} }}"""
    return query, "idempotencyKey" in input_fields(get_named_type(type_).name)


def operation(gateway: Gateway, id_: str, as_: str | None = "grace") -> Any:
    """An operation as it is now."""
    return gateway.ask(OPERATION, as_=as_, id=id_).data["operation"]


def ended(gateway: Gateway, id_: str, as_: str | None = "grace") -> Any:
    """An operation when it has come to its end."""
    deadline = time.monotonic() + LONGEST_WAIT
    while time.monotonic() < deadline:
        found = operation(gateway, id_, as_)
        if found["endedAt"]:
            return found
        time.sleep(0.05)
    raise AssertionError(found)


def provision(gateway: Gateway, clone: str, as_: str = "maya", **values: Any) -> Any:
    """The operation that provisioned a clone, at its end."""
    done = ask(gateway, "provisionClone", as_, cloneId=clone, **values)
    assert done["userErrors"] == []
    return ended(gateway, done["operation"]["id"])


def begin(gateway: Gateway, mutation: str, as_: str | None = "maya", **values: Any) -> str:
    """The id of the operation that a mutation began."""
    done = ask(gateway, mutation, as_, **values)
    assert done["userErrors"] == []
    id_: str = done["operation"]["id"]
    return id_


def done(gateway: Gateway, mutation: str, as_: str | None = "maya", **values: Any) -> Any:
    """The operation that a mutation began, at its end."""
    return ended(gateway, begin(gateway, mutation, as_, **values))


def refused(gateway: Gateway, mutation: str, as_: str | None = "maya", **values: Any) -> tuple[str, list[str]]:
    """The code and the path of the only user error of a mutation."""
    payload = ask(gateway, mutation, as_, **values)
    assert {value for name, value in payload.items() if name != "userErrors"} == {None}
    (error,) = payload["userErrors"]
    return error["code"], error["path"]


def in_the_way(gateway: Gateway, mutation: str, **values: Any) -> str:
    """The id of the operation because of which a mutation is refused."""
    query = document(mutation)[0].replace("code", "code ... on OperationInProgress { operationId }")
    payload = gateway.ask(query, as_="maya", input=values).data["done"]
    (error,) = payload["userErrors"]
    assert (payload["operation"], error["code"]) == (None, "OPERATION_IN_PROGRESS")
    id_: str = error["operationId"]
    return id_


def under_way(gateway: Gateway, fake: FakeProvider, clone: str) -> str:
    """The id of an operation that provisions a clone, and that the provider does not let come to its end."""
    fake.indexing_polls = math.inf
    id_ = begin(gateway, "provisionClone", cloneId=clone)
    until(gateway, id_, lambda found: found["status"] == "INDEXING")
    return id_


def until(gateway: Gateway, id_: str, holds: Callable[[Any], bool]) -> Any:
    """An operation as soon as something holds of it."""
    deadline = time.monotonic() + LONGEST_WAIT
    while not holds(found := operation(gateway, id_)):
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    return found


def errors(found: Any) -> dict[str, str]:
    """Why files of an operation failed, by their titles."""
    return {step["title"]: step["error"] for step in found["steps"]["nodes"] if step["status"] == "FAILED"}


def hits(gateway: Gateway, scope: dict[str, str], text: str, as_: str = "maya", **values: Any) -> list[Any]:
    """What searching finds, the best first."""
    given = {"in": scope, "text": text, **values}
    found: list[Any] = gateway.ask(SEARCH, as_=as_, **given).data["searchKnowledge"]
    return found


def titles(fake: FakeProvider, vector_id: str) -> set[str]:
    """What the files that can be searched in a store are called by people, with their endings."""
    return {name.split(".", 2)[2] for name in fake.held(vector_id)}


def release(fake: FakeProvider) -> None:
    """Let the provider read at once, also what it has begun with."""
    fake.indexing_polls = 0
    for store in list(fake.stores.values()):
        for member in list(store.members.values()):
            member.polls = 0


def kept(gateway: Gateway) -> set[tuple[str, str]]:
    """What is at the provider, as the database knows it."""
    return {(row["kind"], row["remote_id"]) for row in sql(gateway.database_url, REMOTE)}


def referred(gateway: Gateway) -> set[tuple[str, str]]:
    """What is at the provider, as the rows of stores and their files say."""
    return {(row["kind"], row["remote_id"]) for row in sql(gateway.database_url, REFERRED) if row["remote_id"]}


def quiet(gateway: Gateway) -> None:
    """Wait until nothing is being done."""
    deadline = time.monotonic() + LONGEST_WAIT
    while sql(gateway.database_url, "SELECT FROM operations WHERE ended_at IS NULL"):
        assert time.monotonic() < deadline, sql(gateway.database_url, "SELECT * FROM operations WHERE ended_at IS NULL")
        time.sleep(0.05)
