"""Search finds the passages that fit in what one's clones and domains have, with what they are from."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.money import service_headers, sql
from tests.provider_fake import Drop, FakeProvider, Status
from tests.provisioning import (
    SEARCH,
    ask,
    done,
    hits,
    new_clone,
    new_document,
    new_domain,
    new_expert,
    provision,
    quick_provisioning,
)
from tests.serving import Answer, Gateway

NOBODYS = "00000000000000000000000000000000"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("storage")


@pytest.fixture(scope="module")
def fake() -> FakeProvider:
    return FakeProvider()


@pytest.fixture(scope="module")
def gateway(server_url: str, template: str, folder: Path, fake: FakeProvider) -> Iterator[Gateway]:
    with quick_provisioning(server_url, template, folder, fake) as running:
        yield running


@pytest.fixture(scope="module")
def mayas(gateway: Gateway) -> dict[str, str]:
    """A clone of Maya's with its domain and expert, each of which has a store with something about tortoises."""
    names = {name: f"{name} {uuid4().hex}" for name in ("Domain's", "Expert's", "Given")}
    domain = new_domain(gateway)
    of_domain = new_document(gateway, domain, names["Domain's"], "Tortoises of the domain are slow.")
    of_expert, given = (
        new_document(gateway, domain, names[name], f"Tortoises {text}.", is_default=False)
        for name, text in (("Expert's", "of the expert"), ("Given", "of a document that was given"))
    )
    expert = new_expert(gateway, domain)
    clone = new_clone(gateway, "Tortoises of the knowledge are slow and green.", "Hares.\n\nSnails.\n\nHares again.")
    ask(gateway, "updateClone", id=clone, domainId=domain)
    ask(gateway, "assignExperts", id=clone, expertIds=[expert])
    done(gateway, "provisionVectorStore", owner={"domain": domain})
    done(gateway, "provisionVectorStore", owner={"expert": expert}, documentIds=[of_expert])
    provision(gateway, clone, documentIds=[given])
    return {
        "clone": clone,
        "domain": domain,
        "of_domain": of_domain,
        "of_expert": of_expert,
        "given": given,
    }


def search(gateway: Gateway, scope: Any, text: str = "tortoises", as_: str | None = "maya", **given: Any) -> Answer:
    return gateway.ask(SEARCH, as_=as_, **{"in": scope, "text": text, **given})


def test_a_clone_finds_in_its_own_store_its_experts_and_its_domains(gateway: Gateway, mayas: dict[str, str]) -> None:
    found = hits(gateway, {"cloneId": mayas["clone"]}, "tortoises")

    documents = {each["document"]["id"] for each in found if each["document"]}
    knowledge = [each["knowledge"]["title"] for each in found if each["knowledge"]]
    assert documents == {mayas["of_domain"], mayas["of_expert"], mayas["given"]}
    assert knowledge == ["Note 0"]
    assert len(found) == 4
    assert all(bool(each["document"]) != bool(each["knowledge"]) for each in found)


def test_a_domain_finds_in_its_default_documents(gateway: Gateway, mayas: dict[str, str]) -> None:
    (found,) = hits(gateway, {"domainId": mayas["domain"]}, "tortoises")

    assert found["passage"] == "Tortoises of the domain are slow."
    assert (found["document"]["id"], found["knowledge"]) == (mayas["of_domain"], None)
    assert found["fileName"].startswith("clonegraph.")


def test_the_best_come_first_and_no_more_than_asked_for(gateway: Gateway, mayas: dict[str, str]) -> None:
    scope = {"cloneId": mayas["clone"]}

    found = hits(gateway, scope, "green slow tortoises")
    best = hits(gateway, scope, "green slow tortoises", first=1)

    assert found[0]["passage"] == "Tortoises of the knowledge are slow and green."
    assert [each["score"] for each in found] == sorted((each["score"] for each in found), reverse=True)
    assert len(found) == 4
    assert best == found[:1]


def test_several_passages_of_one_file_are_several_hits(gateway: Gateway, mayas: dict[str, str]) -> None:
    found = hits(gateway, {"cloneId": mayas["clone"]}, "hares")

    assert sorted(each["passage"] for each in found) == ["Hares again.", "Hares."]
    assert {each["knowledge"]["title"] for each in found} == {"Note 1"}


@pytest.mark.parametrize("text", ["elephants", "…", "🐢", "'; DROP TABLE clones --", "%"])
def test_what_fits_nothing_finds_nothing(gateway: Gateway, mayas: dict[str, str], text: str) -> None:
    assert hits(gateway, {"cloneId": mayas["clone"]}, text) == []


def test_where_there_is_no_store_nothing_is_found_and_nobody_is_asked(gateway: Gateway, fake: FakeProvider) -> None:
    clone = ask(gateway, "createClone", name="Bare")["clone"]["id"]
    before = fake.count("POST /v1/vector_stores/*/search")

    assert hits(gateway, {"cloneId": clone}, "tortoises") == []
    assert hits(gateway, {"domainId": new_domain(gateway)}, "tortoises") == []
    assert fake.count("POST /v1/vector_stores/*/search") == before


def test_citations_by_ids_that_nobody_knows_lead_to_documents_by_their_names(
    gateway: Gateway, fake: FakeProvider, mayas: dict[str, str]
) -> None:
    scope = {"cloneId": mayas["clone"]}
    before = hits(gateway, scope, "tortoises")

    fake.internal_citation_ids = True
    found = hits(gateway, scope, "tortoises")
    fake.internal_citation_ids = False

    assert found == before


def test_a_shared_document_that_is_found_twice_is_one_document(gateway: Gateway) -> None:
    domain = new_domain(gateway)
    document = new_document(gateway, domain, f"Both {uuid4().hex}", "Newts are wet.")
    clone = new_clone(gateway)
    ask(gateway, "updateClone", id=clone, domainId=domain)
    done(gateway, "provisionVectorStore", owner={"domain": domain})
    provision(gateway, clone, documentIds=[document])

    found = hits(gateway, {"cloneId": clone}, "newts")

    assert [(each["passage"], each["document"]["id"]) for each in found] == [("Newts are wet.", document)]


@pytest.mark.parametrize("person", ["aiko", "jonas"])
@pytest.mark.parametrize("kind", ["clone", "domain"])
def test_nobody_searches_in_what_others_have_also_when_it_is_published(
    gateway: Gateway, mayas: dict[str, str], kind: str, person: str
) -> None:
    sql(gateway.database_url, "UPDATE clones SET is_published = true, published_at = now() WHERE name = 'Recall'")

    answers = [search(gateway, {f"{kind}Id": id_}, as_=person) for id_ in (mayas[kind], f"{kind}_{NOBODYS}")]

    message = f"There is no {kind} with this id that you may search."
    assert [(answer.codes, answer.errors[0]["message"]) for answer in answers] == [(["BAD_USER_INPUT"], message)] * 2


def test_who_has_not_signed_in_cannot_search(gateway: Gateway, mayas: dict[str, str]) -> None:
    assert search(gateway, {"cloneId": mayas["clone"]}, as_=None).codes == ["FORBIDDEN"]


def test_admins_and_services_search_in_everything(gateway: Gateway, mayas: dict[str, str]) -> None:
    variables = {"in": {"cloneId": mayas["clone"]}, "text": "tortoises"}
    headers = [gateway.headers("grace"), service_headers(gateway.database_url)]

    answers = [
        gateway.client.post("/graphql", json={"query": SEARCH, "variables": variables}, headers=each).json()
        for each in headers
    ]

    assert [len(answer["data"]["searchKnowledge"]) for answer in answers] == [4, 4]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"text": ""}, "`query`: This must not be empty."),
        ({"text": " \n"}, "`query`: This must not be empty."),
        ({"text": "nul\0"}, "`query`: This must not have the character NUL in it."),
        ({"text": "x" * 2_001}, "`query`: This may have 2000 characters at most, and has 2001."),
        ({"first": 0}, "`first` must be from 1 to 50."),
        ({"first": 51}, "`first` must be from 1 to 50."),
        ({"first": -1}, "`first` must be from 1 to 50."),
    ],
    ids=["empty", "blank", "nul", "long", "none", "too many", "less than none"],
)
def test_what_cannot_be_searched_for_is_told(
    gateway: Gateway, mayas: dict[str, str], given: dict[str, Any], message: str
) -> None:
    answer = search(gateway, {"cloneId": mayas["clone"]}, **given)

    assert (answer.codes, answer.errors[0]["message"]) == (["BAD_USER_INPUT"], message)


@pytest.mark.parametrize(
    "scope",
    [
        {},
        {"cloneId": None},
        {"cloneId": f"clone_{NOBODYS}", "domainId": f"domain_{NOBODYS}"},
        {"cloneId": f"domain_{NOBODYS}"},
        {"domainId": "nonsense"},
    ],
    ids=["none", "null", "two", "of another kind", "nonsense"],
)
def test_one_searches_in_exactly_one_thing_of_its_kind(gateway: Gateway, scope: dict[str, Any]) -> None:
    assert search(gateway, scope).codes == ["BAD_USER_INPUT"]


def test_the_longest_question_and_the_most_hits_are_answered(gateway: Gateway, mayas: dict[str, str]) -> None:
    assert hits(gateway, {"cloneId": mayas["clone"]}, "tortoises " * 200, first=50)


@pytest.mark.parametrize("how", [Drop(), Status(500), Status(401), Status(400)], ids=str)
def test_a_provider_that_does_not_answer_is_told_and_later_it_works(
    gateway: Gateway, fake: FakeProvider, mayas: dict[str, str], how: Any
) -> None:
    scope = {"domainId": mayas["domain"]}
    fake.fail("POST /v1/vector_stores/*/search", how)

    answer = search(gateway, scope)

    assert answer.codes == ["UNAVAILABLE"]
    assert len(hits(gateway, scope, "tortoises")) == 1


def test_while_the_provider_wants_to_be_left_alone_it_is(
    gateway: Gateway, fake: FakeProvider, mayas: dict[str, str]
) -> None:
    scope, searches = {"domainId": mayas["domain"]}, "POST /v1/vector_stores/*/search"
    before = fake.count(searches)
    fake.fail(searches, Status(429, "rate_limit_exceeded", retry_after=600))

    answers = [search(gateway, scope) for _ in range(2)]
    asked = fake.count(searches) - before
    sql(gateway.database_url, "UPDATE provider_accounts SET parked_until = NULL")

    assert [answer.codes for answer in answers] == [["UNAVAILABLE"]] * 2
    assert answers[1].errors[0]["extensions"]["retryable"]
    assert asked == 1
    assert len(hits(gateway, scope, "tortoises")) == 1
