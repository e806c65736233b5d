"""The table of who may see what, told a second time in SQL, and held against what the graph shows."""

import asyncio
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select

from db import Viewer
from db.engine import Database
from db.statement import compiled
from loaders.columns import visible
from resolvers.viewer import find_viewers
from tests.conftest import execute
from tests.graph import CONNECTIONS, EDGES, ENTITIES, Edge, relation_of, row_of
from tests.serving import CAST, Gateway

ROLES = {
    "anonymous": None,
    "user": "aiko",
    "new user": "noor",
    "creator": "maya",
    "other creator": "jonas",
    "admin": "grace",
}
"""Somebody for each column of the table."""
CREATORS = ("creator", "other creator")

PUBLIC_CLONE = "clones.is_published AND clones.is_active"
OWN_CLONES = "SELECT id FROM clones WHERE creator_id = $1"
OWN_STORES = f"""SELECT v.id FROM vector_stores v WHERE v.owner_id = $1
    OR EXISTS (SELECT FROM clones WHERE clones.vector_store_id = v.vector_id AND clones.id IN ({OWN_CLONES}))"""
OWN_ASSISTANTS = f"""SELECT a.id FROM assistants a WHERE a.owner_id = $1
    OR EXISTS (SELECT FROM clones WHERE clones.rag_assistant_id = a.assistant_id AND clones.id IN ({OWN_CLONES}))"""
OWN_SESSIONS = "SELECT id FROM sessions WHERE user_id = $1"
SERVED_SESSIONS = f"SELECT id FROM sessions WHERE clone_id IN ({OWN_CLONES})"
SHARED_SESSIONS = f"{SERVED_SESSIONS} AND transcript_shared_at IS NOT NULL"


@dataclass(frozen=True)
class Rule:
    """For a type: which rows exist, on which of them the private fields can be read, by role, as SQL conditions.

    A role that is not named sees no row, and never reads a private field. An admin sees and reads everything.
    """

    anonymous: str = "false"
    user: str = "false"
    creator: str = "false"
    private: tuple[str, ...] = ()
    private_to_user: str | None = None
    private_to_creator: str | None = None

    def visible(self, role: str) -> str:
        return {"anonymous": self.anonymous, "user": self.user, "new user": self.user, "admin": "true"}.get(
            role, self.creator
        )

    def readable(self, role: str) -> str | None:
        """None where the role may never read a private field."""
        return {
            "anonymous": None, "user": self.private_to_user, "new user": self.private_to_user, "admin": "true",
        }.get(role, self.private_to_creator)  # fmt: skip


OF_OWN_CLONE = f"clone_id IN ({OWN_CLONES})"
STRANGERS = f"id IN (SELECT creator_id FROM clones WHERE {PUBLIC_CLONE})"

OWN_OPERATION = f"(requested_by = $1 OR clone_id IN ({OWN_CLONES}))"

RULES = {
    "Clone": Rule(
        anonymous=PUBLIC_CLONE,
        user=f"{PUBLIC_CLONE} OR creator_id = $1",
        creator=f"{PUBLIC_CLONE} OR creator_id = $1",
        private=(
            "systemPrompt", "temperature", "maxTokens", "totalEarnings", "personalityTraits", "communicationStyle",
            "expertContext", "openaiFileIds",
        ),
        private_to_creator="creator_id = $1",
    ),
    "User": Rule(
        anonymous=STRANGERS,
        user=f"{STRANGERS} OR id = $1",
        creator=f"{STRANGERS} OR id = $1 OR id IN (SELECT user_id FROM sessions WHERE clone_id IN ({OWN_CLONES}))",
        private=(
            "email", "creditsRemaining", "preferences", "lastLogin", "totalSpent", "role", "subscriptionTier",
            "timezone", "language", "isActive", "isVerified",
        ),
        private_to_user="id = $1",
        private_to_creator="id = $1",
    ),
    "Session": Rule(
        user="user_id = $1",
        creator=f"user_id = $1 OR {OF_OWN_CLONE}",
        private=("sessionMetadata",),
        private_to_user="user_id = $1",
        private_to_creator="user_id = $1",
    ),
    "Message": Rule(
        user=f"session_id IN ({OWN_SESSIONS})",
        creator=f"session_id IN ({OWN_SESSIONS}) OR session_id IN ({SERVED_SESSIONS})",
        private=("content", "contextUsed", "sourceNotes", "attachments"),
        private_to_user=f"session_id IN ({OWN_SESSIONS})",
        private_to_creator=f"session_id IN ({OWN_SESSIONS}) OR session_id IN ({SHARED_SESSIONS})",
    ),
    "Reply": Rule(
        user=f"session_id IN ({OWN_SESSIONS})",
        creator=f"session_id IN ({OWN_SESSIONS}) OR session_id IN ({SERVED_SESSIONS})",
        private=("content",),
        private_to_user=f"session_id IN ({OWN_SESSIONS})",
        private_to_creator=f"session_id IN ({OWN_SESSIONS}) OR session_id IN ({SHARED_SESSIONS})",
    ),
    "MessageSource": Rule(
        user=f"message_id IN (SELECT id FROM messages WHERE session_id IN ({OWN_SESSIONS}))",
        creator=f"""message_id IN (SELECT id FROM messages
            WHERE session_id IN ({OWN_SESSIONS}) OR session_id IN ({SERVED_SESSIONS}))""",
        private=("passage",),
        private_to_user=f"message_id IN (SELECT id FROM messages WHERE session_id IN ({OWN_SESSIONS}))",
        private_to_creator=f"""message_id IN (SELECT id FROM messages
            WHERE session_id IN ({OWN_SESSIONS}) OR session_id IN ({SHARED_SESSIONS}))""",
    ),
    "Operation": Rule(user="requested_by = $1", creator=OWN_OPERATION),
    "OperationStep": Rule(
        user="operation_id IN (SELECT id FROM operations WHERE requested_by = $1)",
        creator=f"operation_id IN (SELECT id FROM operations WHERE {OWN_OPERATION})",
    ),
    "Domain": Rule(anonymous="true", user="true", creator="true"),
    "Expert": Rule(
        anonymous="true",
        user="true",
        creator="true",
        private=("context",),
        private_to_creator=f"""owner_id = $1
            OR name IN (SELECT expert_name FROM clone_experts WHERE clone_id IN ({OWN_CLONES}))""",
    ),
    "Document": Rule(
        creator="(owner_id IS NULL AND deleted_at IS NULL) OR owner_id = $1",
        private=("documentLink", "openaiFileId", "createdBy", "clientName", "sha256", "originalUrl"),
        private_to_creator=f"""owner_id = $1
            OR id IN (SELECT document_id FROM store_files WHERE vector_store_id IN ({OWN_STORES}))""",
    ),
    "VectorStore": Rule(creator=f"id IN ({OWN_STORES})"),
    "StoreFile": Rule(creator=f"vector_store_id IN ({OWN_STORES})"),
    "Assistant": Rule(creator=f"id IN ({OWN_ASSISTANTS})"),
    "AssistantConfig": Rule(creator=f"assistant_id IN ({OWN_ASSISTANTS})"),
    "Knowledge": Rule(
        anonymous=f"deleted_at IS NULL AND clone_id IN (SELECT id FROM clones WHERE {PUBLIC_CLONE})",
        user=f"deleted_at IS NULL AND clone_id IN (SELECT id FROM clones WHERE {PUBLIC_CLONE})",
        creator=f"""(deleted_at IS NULL AND clone_id IN (SELECT id FROM clones WHERE {PUBLIC_CLONE}))
            OR {OF_OWN_CLONE}""",
        private=(
            "contentType", "description", "tags", "fileName", "fileSizeBytes", "fileType", "fileUrl", "details",
            "originalUrl", "openaiFileId", "includedInDefault", "processingStatus", "sha256", "deletedAt",
        ),
        private_to_creator=OF_OWN_CLONE,
    ),
    "CreatorAnalytics": Rule(creator="creator_id = $1"),
    "MemoryUsage": Rule(creator=OF_OWN_CLONE),
    "QaPair": Rule(creator=OF_OWN_CLONE),
    "CreditEntry": Rule(
        user="user_id = $1",
        creator=f"user_id = $1 OR session_id IN ({SERVED_SESSIONS})",
        private=("balanceAfter", "spentAfter", "reason", "idempotencyKey"),
        private_to_user="user_id = $1",
        private_to_creator="user_id = $1",
    ),
    "CreatorEntry": Rule(creator="creator_id = $1"),
}  # fmt: skip

CASES = [(entity, role) for entity in RULES for role in ROLES]


async def people(url: str, key: UUID) -> list[Viewer]:
    database = Database(url)
    try:
        return list((await find_viewers(database, [key])).values())
    finally:
        await database.close()


@cache
def ids_where(database_url: str, entity: str, condition: str, role: str) -> frozenset[str]:
    """The global ids of the rows for which a condition holds, as SQL sees it."""
    person = ROLES[role]
    table = row_of(entity).__tablename__
    statement = f"SELECT id FROM {table} WHERE ({condition}) AND $1::uuid IS NOT DISTINCT FROM $1"
    rows = asyncio.run(execute(database_url, statement, CAST[person].id if person else None))
    return frozenset(f"{PREFIXES[entity]}_{row['id'].hex}" for row in rows)


PREFIXES = {
    entity: "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in entity).lstrip("_")
    for entity in RULES
}


def all_ids(gateway: Gateway, entity: str, role: str) -> set[str]:
    """The ids of all rows that a role meets when it pages through the list."""
    connection = CONNECTIONS[entity]
    query = f"""query Q($after: String) {{ {connection}(first: 100, after: $after) {{
        nodes {{ id }} pageInfo {{ hasNextPage endCursor }} }} }}"""
    found: set[str] = set()
    page: dict[str, Any] = {"hasNextPage": True, "endCursor": None}
    while page["hasNextPage"]:
        answer = gateway.ask(query, as_=ROLES[role], after=page["endCursor"]).data[connection]
        found |= {node["id"] for node in answer["nodes"]}
        page = answer["pageInfo"]
    return found


def test_the_table_has_a_rule_for_every_type() -> None:
    assert sorted(RULES) == ENTITIES


def test_the_table_names_every_private_column() -> None:
    for entity, rule in RULES.items():
        columns = row_of(entity).__mapper__.columns
        private = {name for name, column in columns.items() if column.info.get("private") and not name.endswith("_id")}
        named = {"".join(f"_{c.lower()}" if c.isupper() else c for c in name) for name in rule.private}
        assert private <= named | {"rag_assistant_id", "vector_store_id"}, entity


@pytest.mark.parametrize(("entity", "role"), CASES)
def test_a_list_and_its_count_hold_exactly_the_rows_that_exist_for_a_role(
    gateway: Gateway, entity: str, role: str
) -> None:
    visible = ids_where(gateway.database_url, entity, RULES[entity].visible(role), role)

    assert all_ids(gateway, entity, role) == visible
    connection = CONNECTIONS[entity]
    counted = gateway.ask(f"{{ {connection} {{ totalCount }} }}", as_=ROLES[role]).data[connection]
    assert counted["totalCount"] == len(visible)


@pytest.mark.parametrize(("entity", "role"), CASES)
def test_a_hidden_row_is_null_as_a_node_like_one_that_does_not_exist(gateway: Gateway, entity: str, role: str) -> None:
    visible = ids_where(gateway.database_url, entity, RULES[entity].visible(role), role)
    hidden = ids_where(gateway.database_url, entity, "true", role) - visible
    some = sorted(visible)[:10] + sorted(hidden)[:10]

    answer = gateway.ask("query Q($ids: [ID!]!) { nodes(ids: $ids) { id } }", as_=ROLES[role], ids=some)

    assert answer.data["nodes"] == [{"id": id_} if id_ in visible else None for id_ in some]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("edge", [edge for edge in EDGES if edge.type_name in RULES], ids=str)
def test_an_edge_leads_only_to_rows_that_exist_for_a_role(gateway: Gateway, edge: Edge, role: str) -> None:
    visible = ids_where(gateway.database_url, edge.target, RULES[edge.target].visible(role), role)
    selection = "(first: 100) { totalCount nodes { id } }" if edge.many else "{ id }"
    root = CONNECTIONS[edge.type_name]

    parents = gateway.ask(f"{{ {root}(first: 45) {{ nodes {{ {edge.name} {selection} }} }} }}", as_=ROLES[role]).data[
        root
    ]["nodes"]

    for parent in parents:
        found = parent[edge.name]
        if edge.many:
            assert {node["id"] for node in found["nodes"]} <= visible
            assert found["totalCount"] == len(found["nodes"]) or len(found["nodes"]) == 100
        else:
            assert found is None or found["id"] in visible


@pytest.mark.parametrize("role", [role for role in ROLES if ROLES[role]])
@pytest.mark.parametrize("edge", [edge for edge in EDGES if relation_of(edge).implied], ids=str)
def test_who_sees_a_row_sees_all_rows_that_are_implied(gateway: Gateway, edge: Edge, role: str) -> None:
    relation, person = relation_of(edge), CAST[ROLES[role] or ""]
    parent, child = row_of(edge.type_name), relation.target
    (viewer,) = asyncio.run(people(gateway.database_url, person.id))
    pairs = select(func.count()).select_from(parent).join(child, relation.matches(parent.__mapper__.columns["id"]))
    statement = compiled(pairs.where(visible(parent, viewer.kind)))
    hidden = compiled(pairs.where(visible(parent, viewer.kind), visible(child, viewer.kind).is_not(True)))

    both, wrongly = (
        asyncio.run(execute(gateway.database_url, each.text, *each.arguments({"viewer_id": person.id})))[0][0]
        for each in (statement, hidden)
    )

    assert both or role not in ("creator", "admin")
    assert wrongly == 0


@pytest.mark.parametrize(
    ("entity", "role", "name"), [(entity, role, name) for entity, role in CASES for name in RULES[entity].private]
)
def test_a_private_field_is_there_exactly_where_the_role_may_read_it(
    gateway: Gateway, entity: str, role: str, name: str
) -> None:
    readable = RULES[entity].readable(role)
    connection = CONNECTIONS[entity]
    answer = gateway.ask(
        f"{{ {connection}(first: 100) {{ nodes {{ id viewerCanSeePrivate {name} }} }} }}", as_=ROLES[role]
    )
    nodes = answer.body["data"][connection]["nodes"]

    if readable is None:
        assert all(node[name] is None for node in nodes)
        assert answer.codes == (["FORBIDDEN"] if nodes else [])
        assert [error["path"] for error in answer.errors] == ([[connection, "nodes", 0, name]] if nodes else [])
        assert not any(node["viewerCanSeePrivate"] for node in nodes)
        return
    column = "".join(f"_{c.lower()}" if c.isupper() else c for c in name)
    stored = row_of(entity).__mapper__.columns[column].name
    own = ids_where(gateway.database_url, entity, readable, role)
    there = ids_where(gateway.database_url, entity, f"({readable}) AND {stored} IS NOT NULL", role)
    assert answer.errors == []
    assert {node["id"] for node in nodes if node[name] is not None} == there & {node["id"] for node in nodes}
    assert {node["id"] for node in nodes if node["viewerCanSeePrivate"]} == own & {node["id"] for node in nodes}


@pytest.mark.parametrize(
    ("edge", "role"),
    [
        pytest.param(edge, role, id=f"{edge}-{role}")
        for edge in EDGES
        for role in ROLES
        if edge.many and edge.type_name in RULES and RULES[edge.target].private and RULES[edge.target].readable(role)
    ],
)
def test_a_private_field_is_the_same_on_an_edge_as_on_the_row_itself(gateway: Gateway, edge: Edge, role: str) -> None:
    fields, root = " ".join(["id", *RULES[edge.target].private]), CONNECTIONS[edge.type_name]
    query = f"{{ {root}(first: 45) {{ nodes {{ {edge.name}(first: 100) {{ nodes {{ {fields} }} }} }} }} }}"

    parents = gateway.ask(query, as_=ROLES[role]).data[root]["nodes"]

    along_the_edge = {node["id"]: node for parent in parents for node in parent[edge.name]["nodes"]}
    some = sorted(along_the_edge, key=lambda id_: id_[::-1])[:100]
    alone = gateway.ask(
        f"query Q($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on {edge.target} {{ {fields} }} }} }}",
        as_=ROLES[role],
        ids=some,
    )
    assert alone.data["nodes"] == [along_the_edge[id_] for id_ in some]


@pytest.mark.parametrize("role", ["anonymous", "user", "other creator"])
def test_a_filter_on_a_private_column_does_not_tell_what_it_holds(gateway: Gateway, role: str) -> None:
    answer = gateway.ask(
        "{ users(where: {role: {eq: CREATOR}}) { nodes { id } }"
        " stranger: users(where: {creditsRemaining: {gte: 0}}) { nodes { id } } }",
        as_=ROLES[role],
    )

    own = ids_where(gateway.database_url, "User", "id = $1", role)
    assert {node["id"] for node in answer.data["stranger"]["nodes"]} <= own
    assert {node["id"] for node in answer.data["users"]["nodes"]} <= own


def test_a_filter_on_an_edge_does_not_tell_of_hidden_rows(gateway: Gateway) -> None:
    found = gateway.ask('{ domains(where: {documents: {name: {contains: "e"}}}) { totalCount } }').data

    assert found["domains"]["totalCount"] == 0
