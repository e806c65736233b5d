"""A plan answers as graphql-core does: the same data in the same order, and the same errors, whatever is asked."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.engine.way import Way
from tests.conftest import fresh_database
from tests.engines import Engines, engines
from tests.money import service_headers
from tests.sockets import MAYAS, MAYAS_DRAFT

MAYA = "user_019a0000000070008000000000000001"
NOT_THERE = "clone_00000000000000000000000000000001"
CURSORS = "{ clones(first: 12) { edges { cursor } } }"


@dataclass(frozen=True)
class Case:
    """An operation, the variables that it is sent with one time after the other, and by whom."""

    query: str
    given: Sequence[dict[str, Any]] = ({},)
    as_: str | None = "maya"
    name: str | None = None


@pytest.fixture(scope="module")
def both(server_url: str, template: str) -> Iterator[Engines]:
    with fresh_database(server_url, template) as url, engines(url, headers={"service": service_headers(url)}) as both:
        yield both


NAMES = {
    "an alias at every level": Case(
        """{ everyone: clones(first: 3) { rows: nodes { title: name maker: creator { who: fullName }
            held: sessions(first: 2) { found: nodes { key: id } how: pageInfo { more: hasNextPage end: endCursor }
                all: totalCount few: count(limit: 1) { n: value how: precision }
                places: edges { at: cursor row: node { key: id } } } } kind: __typename }
            me: viewer { who: fullName } }"""
    ),
    "an alias that is the name of another field": Case(
        """{ users: clones(first: 3) { nodes: edges { cursor: node { id: name name: id } node: cursor }
            edges: nodes { domain: creator { name: fullName } creator: domain { fullName: name } }
            count: totalCount totalCount: count { precision: value value: precision } } }"""
    ),
    "one field under several aliases": Case(
        """{ a: clones(first: 1) { nodes { name } } b: clones(last: 1) { nodes { name } } clones(first: 2) {
            nodes { name a: name b: name x: sessions(first: 1) { nodes { id } } y: sessions(last: 1) { nodes { id } } }
            z: nodes { id } pageInfo { hasNextPage } p: pageInfo { endCursor } } }"""
    ),
}

MERGED = {
    "a field that several nodes select": Case(
        """{ clones(first: 3) { nodes { name } } clones(first: 3) { nodes { domain { name } } totalCount } ...F }
        fragment F on Query { clones(first: 3) { nodes { domain { owner { fullName } id } bio } pageInfo { hasNextPage }
            nodes { creator { id } } } }"""
    ),
    "keys that stand where they stand first": Case(
        """{ viewer { id } clones(first: 2) { totalCount nodes { name } } viewer { fullName } clones(first: 2) {
            nodes { id domain { id } name } totalCount } viewer { uuid id clones { totalCount } } }"""
    ),
    "nodes and edges with other selections each": Case(
        """{ sessions(first: 4) { nodes { id clone { name } } edges { cursor } others: nodes { user { fullName } }
            edges { node { status } } rows: edges { node { clone { id domain { name } } } }
            edges { node { clone { name } messages(first: 2) { nodes { id } } } cursor } } }"""
    ),
    "a row that several parents share": Case(
        """{ clones(first: 20) { nodes { name domain { name owner { fullName } } domain { id } creator { fullName }
            maker: creator { id domains: ownedDomains { nodes { owner { id } } } } } } }"""
    ),
    "an object of leaves that several nodes select": Case(
        """{ clones(first: 2) { pageInfo { hasNextPage } count(limit: 3) { value } pageInfo { startCursor
            hasNextPage } count(limit: 3) { __typename precision } } }"""
    ),
    "lists of objects that several nodes select": Case(
        """{ vectorStores(first: 9) { nodes { batches { batchId } batches { isLatest batchId } all: batches {
            __typename } } } domainHealth { domain { name } } domainHealth { expertCount domain { id } } }"""
    ),
}

FRAGMENTS = {
    "a fragment that is used twice": Case(
        """{ clones(first: 2) { nodes { ...F creator { clones(first: 2) { nodes { ...F } } } ...F } } viewer {
            clones(first: 1) { nodes { ...F } } } } fragment F on Clone { name domain { ...D } }
        fragment D on Domain { name owner { fullName } }"""
    ),
    "fragments within fragments": Case(
        """{ ...A } fragment A on Query { viewer { ...B } ... { ... on Query { ...C } } } fragment B on User { ...D id }
        fragment C on Query { clones(first: 2) { ...E } } fragment D on Node { ... on User { fullName } id }
        fragment E on CloneConnection { nodes { ... on Node { ... on Clone { name } __typename } } ...G }
        fragment G on CloneConnection { pageInfo { ...H } edges { ...I } } fragment H on PageInfo { hasNextPage }
        fragment I on CloneEdge { cursor ... on CloneEdge { node { ...J } } } fragment J on Clone { bio }"""
    ),
    "a fragment on an interface": Case(
        """{ clones(first: 2) { nodes { ...N name ... on Node { key: id } } } viewer { ...N fullName } }
        fragment N on Node { __typename id }"""
    ),
    "types that do not apply": Case(
        """{ viewer { ... on Node { ... on Clone { name } ... on User { fullName } ...C } } clones(first: 1) { nodes {
            ... on Node { ...U ...C } } } } fragment C on Clone { name domain { name } } fragment U on User { email }"""
    ),
    "nodes of all kinds": Case(
        """query Q($ids: [ID!]!) { nodes(ids: $ids) { id __typename ...Any ... on Domain { clones(first: 2) { nodes {
            name } } } ... on Clone { creator { fullName } } } again: nodes(ids: $ids) { ... on User { fullName } } }
        fragment Any on Node { ... on Clone { name } ... on User { name: fullName } ... on Session { status } }""",
        [
            {"ids": [MAYA, MAYAS, NOT_THERE, MAYAS, MAYAS_DRAFT]},
            {"ids": [MAYAS, MAYA, MAYAS_DRAFT, MAYA]},
            {"ids": []},
            {"ids": [NOT_THERE]},
            {"ids": MAYAS},
        ],
    ),
    "a node of one kind, and then of another": Case(
        """query Q($id: ID!) { node(id: $id) { ... on Clone { name domain { name } } ... on User { name: fullName }
            ... on Node { id } } }""",
        [{"id": MAYAS}, {"id": MAYA}, {"id": NOT_THERE}, {"id": MAYAS_DRAFT}],
    ),
    "a type name everywhere": Case(
        """{ __typename kind: __typename viewer { __typename clones(first: 2) { __typename edges { __typename node {
            __typename domain { __typename health { __typename } } } } nodes { __typename } pageInfo { __typename }
            count { __typename } } } domainHealth { __typename } vectorStores { nodes { batches { __typename } } } }"""
    ),
}

VARIABLES = {
    "a default, a value, and null": Case(
        """query Q($first: Int = 2, $limit: Int! = 3, $search: String) { clones(first: $first, search: $search) {
            nodes { name } count(limit: $limit) { value precision } } }""",
        [
            {},
            {"first": 1},
            {"first": None},
            {"limit": 100},
            {"search": "learning"},
            {"search": None},
            {"search": ""},
            {"first": 1},
        ],
    ),
    "what is absent beside what is null": Case(
        """query Q($where: CloneFilter, $name: StringFilter, $is: Boolean) { a: clones(where: $where) { totalCount }
            b: clones(where: { name: $name, averageRating: { isNull: $is } }) { totalCount nodes { name } } }""",
        [
            {},
            {"is": True},
            {"is": None},
            {"name": None},
            {"name": {"contains": "a"}, "is": False},
            {"name": {}, "where": {}},
            {"where": {"name": {"startsWith": "The"}}},
            {"where": None},
        ],
    ),
    "values within lists and inputs": Case(
        """query Q($id: ID!, $field: CloneOrderField!, $order: [CloneOrder!], $direction: OrderDirection! = DESC) {
            nodes(ids: [$id, "domain_019a48f1d68075f7ae0185861a5ac9f4"]) { id } a: clones(first: 3, orderBy: { field:
            $field, direction: $direction }) { nodes { name } } b: clones(first: 3, orderBy: $order) { nodes { name } }
            c: clones(first: 3, where: { or: [{ name: { eq: "x" } }, { id: { in: [$id] } }] }) { nodes { name } } }""",
        [
            {"id": MAYAS, "field": "NAME"},
            {"id": MAYAS_DRAFT, "field": "BASE_PRICE", "direction": "ASC", "order": {"field": "NAME"}},
            {"id": NOT_THERE, "field": "NAME", "order": [{"field": "AVERAGE_RATING", "nulls": "FIRST"}]},
            {"id": MAYAS, "field": "NAME", "order": []},
        ],
    ),
    "one variable at several places": Case(
        """query Q($n: Int, $yes: Boolean!) { clones(first: $n) { nodes { sessions(first: $n) @include(if: $yes) {
            nodes { id } } name @skip(if: $yes) } } users(last: $n) { nodes { id } } }""",
        [{"n": 2, "yes": True}, {"n": 3, "yes": False}, {"n": 1, "yes": True}, {"yes": False}],
    ),
    "values of other kinds than they stand for": Case(
        """query Q($price: DecimalFilter, $id: ID!, $score: Float) { clones(where: { basePrice: $price }) { totalCount }
            clone(id: $id) { name } qaPairs(where: { quality: { gte: $score } }) { totalCount } }""",
        [
            {"price": {"gte": 2}, "id": MAYAS, "score": 1},
            {"price": {"gte": "2"}, "id": MAYAS, "score": 0.5},
            {"price": {"in": 2}, "id": MAYAS},
        ],
        as_="grace",
    ),
    "the same text with other constants": Case("{ clones(first: 2) { nodes { name } } }"),
    "and with others again": Case("{ clones(first: 3) { nodes { name } } }"),
}

YES_NO = [{"a": a, "b": b} for a in (True, False) for b in (True, False)]
DIRECTIVES = {
    "conditions on fields": Case(
        """query Q($a: Boolean!, $b: Boolean! = true) { viewer { id @skip(if: $a) fullName @include(if: $b)
            uuid @skip(if: $a) @include(if: $b) createdAt @include(if: true) role @skip(if: true) } }""",
        [*YES_NO, {"a": True}],
    ),
    "conditions on fragments": Case(
        """query Q($a: Boolean!, $b: Boolean!) { clones(first: 2) { nodes { ...F @include(if: $a) ... @skip(if: $b) {
            bio domain { name } } ... on Clone @include(if: $a) @skip(if: $b) { category } id } } }
        fragment F on Clone { name creator @skip(if: $b) { fullName } }""",
        YES_NO,
    ),
    "a field that is skipped at one place and not at another": Case(
        """query Q($a: Boolean!, $b: Boolean!) { clones(first: 2) { nodes { name @skip(if: $a) name @skip(if: $b)
            domain { id @include(if: $a) } domain @include(if: $b) { name } ...F @skip(if: $a) ...F @skip(if: $b) } } }
        fragment F on Clone { bio }""",
        YES_NO,
    ),
    "everything skipped": Case(
        """query Q($a: Boolean!, $b: Boolean!) { viewer @skip(if: $a) { id } clones(first: 2) @include(if: $b) {
            totalCount } }""",
        YES_NO,
    ),
    "everything skipped below": Case(
        """query Q($a: Boolean!, $b: Boolean!) { viewer { id @include(if: $a) } none: clones(first: 2) { nodes
            @skip(if: true) { id } } clones(first: 2) { nodes { name @include(if: $a) domain { name @include(if: $b) } }
            edges { cursor @include(if: $a) node @include(if: $b) { id } } pageInfo { hasNextPage @skip(if: $a) }
            count { value @include(if: $b) } } node(id: "clone_019d47d78580733e8c814fd095704e36") {
            id @include(if: $a) } }""",
        YES_NO,
    ),
    "parts of a connection skipped": Case(
        """query Q($a: Boolean!, $b: Boolean!) { clones(first: 2) { totalCount @skip(if: $a) nodes @skip(if: $b) { id }
            edges @include(if: $b) { node { domain { name } } cursor } pageInfo @include(if: $a) { endCursor } } }""",
        YES_NO,
    ),
}

LEAVES = {
    "words": Case(
        """{ sessions(first: 20) { nodes { status sessionType endReason messages(first: 3) { nodes { senderType } } } }
            clones { nodes { memoryType } } viewer { role subscriptionTier } operations { nodes { kind status } }
            knowledgeItems { nodes { processingStatus } } vectorStores { nodes { ownerKind } } }""",
        as_="grace",
    ),
    "numbers": Case(
        """{ clones { nodes { basePrice totalEarnings averageRating temperature maxTokens totalSessions } }
            memoryUsage(first: 9) { nodes { items tokens sizeBytes averageRetrievalMs } } operations { nodes {
            progress attempts } } messageSources { nodes { rank score } } creditEntries(first: 50) { nodes { amount
            balanceAfter spentAfter } } documents { nodes { sizeBytes } } }""",
        as_="grace",
    ),
    "days and times": Case(
        """{ memoryUsage(first: 9) { nodes { day createdAt } } creatorAnalytics { nodes { day updatedAt } } sessions {
            nodes { startTime endTime lastActiveAt meteredUntil } } clones { nodes { publishedAt } } }""",
        as_="grace",
    ),
    "json": Case(
        """{ clones { nodes { personalityTraits communicationStyle } } viewer { preferences } messages { nodes {
            sourceNotes attachments } } sessions { nodes { sessionMetadata } } knowledgeItems { nodes {
            details } } }""",
        as_="grace",
    ),
    "lists of leaves": Case(
        """{ clones { nodes { expertiseAreas openaiFileIds } } knowledgeItems { nodes { tags } } vectorStores { nodes {
            fileIds } } assistantConfigs { nodes { vectorStoreIds } } }""",
        as_="grace",
    ),
    "what is computed": Case(
        """{ clones { nodes { id uuid viewerCanEdit viewerCanSeePrivate } } vectorStores { nodes { batches { batchId
            isLatest } } } operations { nodes { title progress error { code message retryable } } } replies { nodes {
            isGenerated isRetryable } } messages(first: 40) { nodes { answer { status } reply { status } } } }""",
        as_="grace",
    ),
}

LISTS = {
    "nothing there": Case(
        """{ viewer { clones { nodes { name } edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage
            startCursor endCursor } totalCount count { value precision } } sessions(last: 3) { nodes { id } pageInfo {
            hasPreviousPage } } } clones(first: 0) { nodes { id } pageInfo { hasNextPage endCursor } totalCount } }""",
        as_="tariq",
    ),
    "everything of a connection, twice": Case(
        """{ sessions(first: 3) { nodes { id } edges { cursor node { status } } pageInfo { hasNextPage hasPreviousPage
            startCursor endCursor } count { value precision } totalCount b: nodes { clone { name } } c: edges { node {
            id } } d: pageInfo { startCursor } e: count(limit: 2) { value precision } f: totalCount g: count(limit: 0) {
            value precision } } other: sessions(first: 3) { nodes { id user { fullName } } totalCount } }""",
        as_="aiko",
    ),
    "a count at, below and above its limit": Case(
        """query Q($n: Int! = 7) { domains { nodes { experts { zero: count(limit: 0) { value precision } one:
            count(limit: 1) { value precision } four: count(limit: 4) { value precision } five: count(limit: 5) { value
            precision } some: count(limit: $n) { value precision } totalCount } } totalCount count(limit: $n) { value
            precision } } }""",
        [{}, {"n": 4}, {"n": 3}],
    ),
    "many levels": Case(
        """{ users(first: 9) { nodes { fullName sessions(first: 3) { nodes { clone { name domain { name
            experts(last: 2) { nodes { name assistants { nodes { config { model assistant { assistantId } } } } }
            totalCount } } }
            messages(last: 2) { edges { cursor node { content sources { nodes { document { name domain { name } } } } }
            } pageInfo { hasPreviousPage startCursor } } } totalCount } } } }""",
        as_="grace",
    ),
    "links in between": Case(
        """{ clones(first: 9) { nodes { experts(first: 2) { nodes { name clones(first: 2) { nodes { name } totalCount }
            } totalCount }
            documents(first: 3) { edges { node { name clones(last: 1) { nodes { id } } } cursor } } } } }""",
    ),
    "search, the best first": Case(
        """{ clones(search: "sleep or learning or feedback", first: 3) { nodes { name } edges { cursor } totalCount
            pageInfo { hasNextPage } } domains { nodes { documents(search: "sleep", last: 2) { nodes { name } } } } }"""
    ),
    "how domains are doing": Case(
        """{ domainHealth { expertCount domain { name owner { fullName } clones { totalCount } } } a: domainHealth(
            domain: "domain_019a48f1d68075f7ae0185861a5ac9f4") { documentCount cloneCount } b: domainHealth(domain:
            "domain_00000000000000000000000000000001") { expertCount } domains { nodes { name health { expertCount
            staleVectorStoreCount domain { id } } h: health { failedDocumentCount } } } }"""
    ),
}

WHO = {
    "nobody": Case("{ viewer { id fullName clones { totalCount } } clones(first: 2) { nodes { name } } }", as_=None),
    "a service": Case("{ viewer { id fullName } users(first: 2) { nodes { email } } }", as_="service"),
    "an admin": Case("{ viewer { fullName role } users { nodes { email creditsRemaining } } }", as_="grace"),
    "the owner, of what is private": Case(
        "{ clones { nodes { name systemPrompt creator { email } } } sessions { nodes { sessionMetadata } } }"
    ),
    "another creator, of what is private": Case(
        "{ clones { nodes { name systemPrompt creator { email } } } sessions { nodes { sessionMetadata } } }",
        as_="jonas",
    ),
    "rows that the viewer cannot see": Case(
        """{ sessions(last: 60) { nodes { clone { name domain { name } knowledge { totalCount } } } } creditEntries(
            first: 80) { nodes { session { clone { name } } creatorEntries { totalCount } } } node(id:
            "clone_01a0e1e0c8007177be63515062abd113") { id } clone(id: "clone_01a0e1e0c8007177be63515062abd113") {
            name } }""",
        as_="aiko",
    ),
}

PAIR = """query Mine { viewer { fullName } } query All($n: Int = 2) { clones(first: $n) { nodes { ...F } } }
    query Few { clones(first: 1) { nodes { ...F } } } fragment F on Clone { name }"""
DOCUMENTS = {f"the operation {name} of several": Case(PAIR, name=name) for name in ("Mine", "All", "Few")}

ALIKE = {**NAMES, **MERGED, **FRAGMENTS, **VARIABLES, **DIRECTIVES, **LEAVES, **LISTS, **WHO, **DOCUMENTS}


@pytest.mark.parametrize("case", ALIKE.values(), ids=ALIKE)
def test_a_plan_answers_as_graphql_core_does(both: Engines, case: Case) -> None:
    for given in case.given:
        assert both.ask(case.query, as_=case.as_, operation_name=case.name, **given).data is not None


@pytest.mark.parametrize("case", ALIKE.values(), ids=ALIKE)
def test_a_plan_answers_others_as_graphql_core_does(both: Engines, case: Case) -> None:
    for person in (None, "aiko", "jonas", "grace", "service", "maya"):
        both.ask(case.query, as_=person, operation_name=case.name, **case.given[0])


def test_the_pages_from_both_ends_are_those_of_graphql_core(both: Engines) -> None:
    query = """query Q($first: Int, $last: Int, $after: String, $before: String) {
        clones(first: $first, last: $last, after: $after, before: $before) {
            nodes { name } edges { cursor node { id } } totalCount
            pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""
    cursors = [edge["cursor"] for edge in both.ask(CURSORS, as_="maya").data["clones"]["edges"]]
    sizes: list[dict[str, Any]] = [{}, {"first": 3}, {"last": 3}, {"first": 0}, {"last": 0}, {"first": 100}]
    ends = [{}, {"after": cursors[3]}, {"before": cursors[8]}, {"after": cursors[3], "before": cursors[8]}]
    ends += [{"after": cursors[8], "before": cursors[3]}]

    pages = [both.ask(query, as_="maya", **size, **end).data["clones"] for size in sizes for end in ends]

    assert len({str(page["nodes"]) for page in pages}) > 10
    assert {(page["pageInfo"]["hasNextPage"], page["pageInfo"]["hasPreviousPage"]) for page in pages} == {
        (True, True),
        (True, False),
        (False, True),
        (False, False),
    }


def test_a_cursor_leads_on_from_its_own_row(both: Engines) -> None:
    query = """query Q($end: String) { clones(first: 3, after: $end, orderBy: { field: AVERAGE_RATING }) {
        edges { cursor node { id } } nodes { id } pageInfo { endCursor hasNextPage } } }"""
    everything = both.ask(query.replace("first: 3", "first: 100"), as_="maya").data["clones"]

    for number, edge in enumerate(everything["edges"]):
        page = both.ask(query, as_="maya", end=edge["cursor"]).data["clones"]
        assert page["nodes"] == everything["nodes"][number + 1 : number + 4]
        assert edge["node"] == everything["nodes"][number]


def test_a_row_that_the_viewer_cannot_see_is_null_and_others_are_there(both: Engines) -> None:
    query = """{ sessions(first: 100) { nodes { clone { name domain { name } } c: clone { sessions(first: 1) { nodes {
        id } } } } } }"""

    for person in ("aiko", "luca"):
        nodes = both.ask(query, as_=person).data["sessions"]["nodes"]
        assert {node["clone"] is None for node in nodes} == {True, False}
        assert all((node["clone"] is None) == (node["c"] is None) for node in nodes)


# What is wrong


@dataclass(frozen=True)
class Wrong:
    """An operation with which something is wrong, and the codes that say so."""

    query: str
    codes: list[str] = field(default_factory=lambda: ["BAD_USER_INPUT"])
    given: dict[str, Any] = field(default_factory=dict)
    as_: str | None = "maya"


FORBIDDEN = "FORBIDDEN"
WRONG = {
    "a page that cannot be": Wrong("{ all: clones(first: -1) { nodes { id } } viewer { id } }"),
    "both ends of a list": Wrong("{ clones(first: 1, last: 1) { nodes { id } } }"),
    "a cursor that is none": Wrong('{ clones(after: "x") { nodes { id } } }'),
    "a page that cannot be, below aliases and lists": Wrong(
        """{ a: users(first: 2) { b: nodes { c: clones { d: nodes { e: sessions(first: 101) { f: nodes {
            id } } } } } } }""",
        as_="grace",
    ),
    "a limit that cannot be": Wrong(
        "{ a: domains(first: 3) { b: edges { c: node { d: experts { e: count(limit: -1) { value } } } } } }"
    ),
    "ids that are none, each where it is asked for": Wrong(
        """{ a: clone(id: "x") { id } b: user(id: "clone_019d47d78580733e8c814fd095704e36") { id } c: node(id: "y") {
            id } viewer { fullName } d: clone(id: "clone_019d47d78580733e8c814fd095704e36") { name } }""",
        ["BAD_USER_INPUT"] * 3,
    ),
    "an id that is none among others": Wrong(
        '{ found: nodes(ids: ["clone_019d47d78580733e8c814fd095704e36", "x"]) { id } }'
    ),
    "too many ids": Wrong("query Q($ids: [ID!]!) { nodes(ids: $ids) { id } }", given={"ids": [MAYAS] * 101}),
    "text that the database cannot hold": Wrong(
        "query Q($s: String) { clones(where: { name: { eq: $s } }) { totalCount } }", given={"s": "a\0"}
    ),
    "what is private, to nobody": Wrong(
        """{ clones(first: 3) { nodes { name secret: systemPrompt creator { mail: email fullName } } } users(first: 2) {
            nodes { email } } }""",
        [FORBIDDEN] * 3,
        as_=None,
    ),
    "what is private, to a user": Wrong(
        "{ sessions(first: 2) { edges { node { clone { totalEarnings name } } } } }", [FORBIDDEN], as_="aiko"
    ),
    "what is private, behind an interface": Wrong(
        """{ a: node(id: "clone_019d47d78580733e8c814fd095704e36") { ... on Clone { name systemPrompt } } nodes(ids: [
            "clone_019d47d78580733e8c814fd095704e36", "user_019a0000000070008000000000000001"]) { ... on User { email }
            ... on Clone { maxTokens } } }""",
        [FORBIDDEN] * 3,
        as_=None,
    ),
    "what is private, and an id that is none": Wrong(
        '{ clones(first: 1) { nodes { systemPrompt } } clone(id: "x") { id } }', [FORBIDDEN, "BAD_USER_INPUT"], as_=None
    ),
    "what only an admin may ask": Wrong("{ providerDrift { kind } }", [FORBIDDEN]),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_an_error_is_told_as_graphql_core_tells_it(both: Engines, wrong: Wrong) -> None:
    for _ in range(2):
        found = both.ask(wrong.query, as_=wrong.as_, **wrong.given)

        assert sorted(found.codes) == sorted(wrong.codes)
        assert found.way in (Way.ANOMALY, Way.GRAPHQL_CORE)


def test_null_where_none_may_be_is_told_as_graphql_core_tells_it(both: Engines) -> None:
    query = "query Q($n: Int = 5) { clones { few: count(limit: $n) { value } } }"

    assert both.ask(query, as_="maya").data["clones"]["few"] == {"value": 5}
    assert both.ask(query, as_="maya", n=None).answer.errors[0]["path"] == ["clones", "few"]


def test_the_path_of_an_error_is_made_of_aliases_and_places(both: Engines) -> None:
    wrong = WRONG["a limit that cannot be"]

    (error,) = both.ask(wrong.query, as_=wrong.as_).answer.errors

    assert error["path"] == ["a", "b", 0, "c", "d", "e"]


def test_what_was_wrong_once_is_right_with_other_variables(both: Engines) -> None:
    query = "query Q($n: Int!) { clones { count(limit: $n) { value } } }"

    codes = [both.ask(query, as_="maya", n=n).codes for n in (-1, 2)]

    assert codes == [["BAD_USER_INPUT"], []]
    assert both.ask(query, as_="maya", n=2).data["clones"]["count"] == {"value": 2}


def test_the_schema_can_be_asked_beside_data(both: Engines) -> None:
    found = both.ask(
        """{ __schema { queryType { name } } clones(first: 1) { nodes { name } } __type(name: "Clone") { kind } }"""
    )

    assert found.way is Way.GRAPHQL_CORE
    assert found.answer.data["clones"]["nodes"]
    assert both.ask("{ __schema { types { name } } }").codes == []
