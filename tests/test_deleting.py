"""What is deleted is gone at once, or as soon as the provider has let go of it; what others need stays."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from db import Scope
from gateway.explorer import examples
from tests.library import (
    AI_EDUCATION,
    MARKDOWN,
    MAYAS,
    MAYAS_DRAFT,
    done,
    end_operations,
    kept,
    library,
    open_operations,
    refused,
    rows,
    send,
)
from tests.money import key_of, service_headers
from tests.serving import Gateway

PAIR = {"question": "What if I forget?", "answer": "Then you learn it twice."}
JONAS = "(SELECT id FROM user_profiles WHERE email = 'jonas@example.com')"
CREATED = "mutation($input: Create{0}Input!) {{ done: create{0}(input: $input) {{ row: {1} {{ id name }} }} }}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("storage")


@pytest.fixture(scope="module")
def shared(server_url: str, template: str, folder: Path) -> Iterator[Gateway]:
    with library(server_url, template, folder) as gateway:
        yield gateway


@pytest.fixture
def keeping(shared: Gateway) -> Gateway:
    """A gateway where nothing is on its way to the provider."""
    end_operations(shared)
    return shared


def create(gateway: Gateway, kind: str, **given: Any) -> Any:
    """A new domain or expert of Maya's."""
    given = {"idempotencyKey": str(uuid4()), "name": f"{kind} {uuid4()}", **given}
    return gateway.ask(CREATED.format(kind, kind.lower()), as_="maya", input=given).data["done"]["row"]


def domain(gateway: Gateway) -> Any:
    return create(gateway, "Domain")


def expert(gateway: Gateway, domain_id: str = AI_EDUCATION) -> Any:
    return create(gateway, "Expert", domainId=domain_id, context="Knows it.")


def document(gateway: Gateway, domain_id: str = AI_EDUCATION, as_: str = "maya") -> Any:
    given = {"domainId": domain_id, "name": str(uuid4()), "file": ("notes.md", MARKDOWN)}
    return done(gateway, "uploadDocument", as_, **given)["row"]


def knowledge(gateway: Gateway, clone: str = MAYAS) -> Any:
    row = done(gateway, "addKnowledge", cloneId=clone, title="Notes", content={"text": "Words."})["row"]
    end_operations(gateway)
    return row


def pair(gateway: Gateway) -> Any:
    row = done(gateway, "addQaPair", cloneId=MAYAS, **PAIR)["row"]
    end_operations(gateway)
    return row


def put_into_store(gateway: Gateway, column: str, id_: str) -> None:
    """Have the provider hold something in the store of Maya's clone."""
    rows(
        gateway,
        f"""INSERT INTO store_files (vector_store_id, {column}, file_id, status)
            SELECT store.id, $1::uuid, 'file-' || $1::uuid, 'completed' FROM vector_stores store
            JOIN clones ON vector_store_id = vector_id WHERE clones.id = $2""",
        key_of(id_),
        key_of(MAYAS),
    )


def removals(gateway: Gateway, column: str, id_: str) -> list[bool]:
    found = rows(gateway, f"SELECT removed_at IS NOT NULL FROM store_files WHERE {column} = $1", key_of(id_))
    return [each[0] for each in found]


def node(gateway: Gateway, id_: str, as_: str | None = "maya") -> Any:
    return gateway.ask("query($id: ID!) { node(id: $id) { id } }", as_=as_, id=id_).data["node"]


def obstacles(error: Any) -> dict[str, int]:
    assert (error["code"], error["path"]) == ("IN_USE", ["input", "id"])
    return {each["what"]: each["count"] for each in error["obstacles"]}


@pytest.mark.parametrize(("mutation", "make"), [("deleteDocument", document), ("deleteKnowledge", knowledge)])
def test_what_no_store_holds_is_gone_at_once_with_its_file(
    keeping: Gateway, folder: Path, mutation: str, make: Any
) -> None:
    before = kept(folder)
    row = make(keeping)

    payload = done(keeping, mutation, id=row["id"])

    assert payload == {"row": None, "deletedId": row["id"], "operation": None}
    assert node(keeping, row["id"]) is None
    assert kept(folder) == before
    assert refused(keeping, mutation, id=row["id"])["code"] == "NOT_FOUND"


def test_a_document_that_stores_hold_goes_when_they_have_let_go_of_it(keeping: Gateway, folder: Path) -> None:
    row = document(keeping)
    put_into_store(keeping, "document_id", row["id"])
    before = kept(folder)

    payload = done(keeping, "deleteDocument", id=row["id"])
    again = done(keeping, "deleteDocument", id=row["id"])

    assert payload["row"]["deletedAt"] is not None
    assert payload["row"] == {**row, "deletedAt": payload["row"]["deletedAt"]}
    assert (payload["operation"]["kind"], payload["operation"]["document"]) == ("DELETE", {"id": row["id"]})
    assert payload["deletedId"] == row["id"]
    assert again["operation"]["id"] == payload["operation"]["id"]
    assert again["row"] == payload["row"]
    assert removals(keeping, "document_id", row["id"]) == [True]
    assert kept(folder) == before
    assert open_operations(keeping) == [("delete", f"document:{key_of(row['id'])}")]


def test_knowledge_that_the_store_holds_is_hidden_at_once_and_goes_later(keeping: Gateway, folder: Path) -> None:
    row = knowledge(keeping)
    put_into_store(keeping, "knowledge_id", row["id"])
    before = kept(folder)
    seen = node(keeping, row["id"], as_="aiko")

    payload = done(keeping, "deleteKnowledge", id=row["id"])

    assert seen == {"id": row["id"]}
    assert node(keeping, row["id"], as_="aiko") is None
    assert payload["row"]["deletedAt"] is not None
    assert (payload["operation"]["kind"], payload["operation"]["clone"]) == ("SYNC", {"id": MAYAS})
    assert removals(keeping, "knowledge_id", row["id"]) == [True]
    assert kept(folder) == before


def test_knowledge_of_a_clone_whose_store_is_gone_goes_at_once(keeping: Gateway) -> None:
    row = knowledge(keeping, MAYAS_DRAFT)
    rows(keeping, "UPDATE knowledge SET openai_file_id = 'file-old' WHERE id = $1", key_of(row["id"]))

    assert done(keeping, "deleteKnowledge", id=row["id"])["row"] is None


def test_a_shared_document_that_is_deleted_is_hidden_from_all_but_admins(keeping: Gateway) -> None:
    row = document(keeping)
    put_into_store(keeping, "document_id", row["id"])
    rows(keeping, "UPDATE documents SET owner_id = NULL WHERE id = $1", key_of(row["id"]))
    seen = node(keeping, row["id"], as_="jonas")

    done(keeping, "deleteDocument", "grace", id=row["id"])

    assert seen == {"id": row["id"]}
    assert node(keeping, row["id"], as_="jonas") is None
    assert node(keeping, row["id"], as_="grace") == {"id": row["id"]}


def test_the_file_of_another_program_is_not_ours_to_delete(keeping: Gateway, folder: Path) -> None:
    path = folder / "documents" / "library" / "shared.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(MARKDOWN)
    row = document(keeping)
    link = "UPDATE documents SET document_link = 'storage://documents/library/shared.md' WHERE id = $1"
    rows(keeping, link, key_of(row["id"]))

    done(keeping, "deleteDocument", id=row["id"])

    assert path.exists()


def test_a_pair_is_gone_at_once_and_the_sheet_of_the_clone_follows(keeping: Gateway) -> None:
    row = pair(keeping)

    payload = done(keeping, "deleteQaPair", id=row["id"])

    assert (payload["row"], payload["deletedId"]) == (None, row["id"])
    assert (payload["operation"]["kind"], payload["operation"]["clone"]) == ("SYNC", {"id": MAYAS})
    assert refused(keeping, "deleteQaPair", id=row["id"])["code"] == "NOT_FOUND"


def test_a_domain_goes_with_its_owners_experts_documents_and_files(keeping: Gateway, folder: Path) -> None:
    mine, before = domain(keeping), kept(folder)
    inside = [expert(keeping, mine["id"]), document(keeping, mine["id"])]

    payload = done(keeping, "deleteDomain", id=mine["id"])

    assert payload == {"row": None, "deletedId": mine["id"], "operation": None}
    assert [node(keeping, each["id"]) for each in inside] == [None, None]
    assert kept(folder) == before


def test_a_domain_that_others_need_stays_and_tells_what_is_in_the_way(keeping: Gateway) -> None:
    mine = domain(keeping)
    key = key_of(mine["id"])
    theirs = document(keeping, mine["id"], as_="jonas")
    voice = expert(keeping, mine["id"])
    clone, talked = (
        rows(keeping, f"INSERT INTO clones (creator_id, name, domain_id) VALUES ({who}, 'x', $1) RETURNING id", key)[0][
            0
        ]
        for who in (JONAS, JONAS.replace("jonas", "maya"))
    )
    rows(keeping, "INSERT INTO clone_experts VALUES ($1, $2)", clone, voice["name"])
    rows(
        keeping,
        f"""INSERT INTO sessions (user_id, clone_id, session_type, status, start_time, rate_per_minute)
            VALUES ({JONAS}, $1, 'chat', 'active', now(), 0)""",
        talked,
    )

    error = refused(keeping, "deleteDomain", id=mine["id"])

    assert error["__typename"] == "InUse"
    assert obstacles(error) == {
        "clones of others": 1,
        "sessions that are open": 1,
        "documents of others": 1,
        "clones of others with its experts": 1,
    }
    assert "documents of others: 1" in error["message"]
    assert node(keeping, theirs["id"], as_="jonas")
    assert node(keeping, mine["id"])


def test_a_domain_with_a_store_goes_when_the_provider_has_let_go_of_it(keeping: Gateway) -> None:
    mine = domain(keeping)
    store = """INSERT INTO vector_stores (vector_id, domain_name, owner, owner_id)
        SELECT 'vs_' || id, domain_name, 'domain', owner_id FROM domains WHERE id = $1"""
    rows(keeping, store, key_of(mine["id"]))

    payload = done(keeping, "deleteDomain", id=mine["id"])

    assert payload["row"] == mine
    assert payload["deletedId"] == mine["id"]
    assert (payload["operation"]["kind"], payload["operation"]["domain"]) == ("DELETE", {"id": mine["id"]})


def test_an_expert_goes_unless_others_need_it(keeping: Gateway) -> None:
    free, needed = expert(keeping), expert(keeping)
    (clone,) = rows(keeping, f"INSERT INTO clones (creator_id, name) VALUES ({JONAS}, 'x') RETURNING id")[0]
    rows(keeping, "INSERT INTO clone_experts VALUES ($1, $2)", clone, needed["name"])

    payload = done(keeping, "deleteExpert", id=free["id"])
    error = refused(keeping, "deleteExpert", id=needed["id"])

    assert payload == {"row": None, "deletedId": free["id"], "operation": None}
    assert obstacles(error) == {"clones of others": 1}


def test_an_expert_of_ones_own_clones_with_a_store_goes_later(keeping: Gateway) -> None:
    mine = expert(keeping)
    rows(keeping, "INSERT INTO clone_experts VALUES ($1, $2)", key_of(MAYAS), mine["name"])
    store = """INSERT INTO vector_stores (vector_id, domain_name, expert_name, owner, owner_id)
        SELECT 'vs_' || id, domain, name, 'expert', owner_id FROM experts WHERE id = $1"""
    rows(keeping, store, key_of(mine["id"]))

    payload = done(keeping, "deleteExpert", id=mine["id"])

    assert payload["row"] == mine
    assert (payload["operation"]["kind"], payload["operation"]["expert"]) == ("DELETE", {"id": mine["id"]})


DELETIONS = [
    ("deleteDocument", document),
    ("deleteKnowledge", knowledge),
    ("deleteQaPair", pair),
    ("deleteDomain", domain),
    ("deleteExpert", expert),
]


@pytest.mark.parametrize(("mutation", "make"), DELETIONS, ids=[mutation for mutation, _ in DELETIONS])
def test_nobody_deletes_what_belongs_to_others_but_admins(
    keeping: Gateway, folder: Path, mutation: str, make: Any
) -> None:
    row = make(keeping)
    before = kept(folder)
    service = service_headers(keeping.database_url, *Scope)

    others = [refused(keeping, mutation, person, id=row["id"])["code"] for person in ("jonas", "aiko")]
    nobody = [send(keeping, mutation, who, id=row["id"]).codes for who in (None, service)]
    still_there = (node(keeping, row["id"]), kept(folder))
    by_admin = done(keeping, mutation, "grace", id=row["id"])

    assert others == ["NOT_FOUND"] * 2
    assert nobody == [["FORBIDDEN"]] * 2
    assert still_there == ({"id": row["id"]}, before)
    assert by_admin["deletedId"] == row["id"]


@pytest.mark.parametrize(("mutation", "make"), DELETIONS, ids=[mutation for mutation, _ in DELETIONS])
def test_of_two_who_delete_the_same_thing_at_once_one_does(keeping: Gateway, mutation: str, make: Any) -> None:
    row = make(keeping)
    answers: list[Any] = []

    threads = [
        threading.Thread(target=lambda: answers.append(send(keeping, mutation, id=row["id"]).data["done"]))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(str([each["code"] for each in answer["userErrors"]]) for answer in answers) == [
        *["['NOT_FOUND']"] * 3,
        "[]",
    ]


def test_what_is_left_of_a_file_that_cannot_be_deleted_is_written_down(keeping: Gateway, folder: Path) -> None:
    row = document(keeping)
    path = folder / row["documentLink"].removeprefix("storage://")
    path.unlink()
    path.mkdir()

    (path / "in the way").touch()

    with capture_logs() as logged:
        payload = done(keeping, "deleteDocument", id=row["id"])

    (path / "in the way").unlink()
    path.rmdir()
    key = row["documentLink"].removeprefix("storage://")
    assert [line["key"] for line in logged if line["event"] == "file_without_row"] == [key]
    assert payload["deletedId"] == row["id"]
    assert node(keeping, row["id"]) is None


def test_the_example_of_a_domain_shows_what_is_in_the_way(keeping: Gateway) -> None:
    (example,) = (each for each in examples() if each.name == "deleteDomain")

    payload = keeping.ask(example.query, as_="maya", **(example.variables or {})).data["deleteDomain"]

    assert payload["deletedId"] is None
    assert {each["what"] for each in payload["userErrors"][0]["obstacles"]} > {"documents of others"}
