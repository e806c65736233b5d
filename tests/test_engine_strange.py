"""What a database can hold though nobody expects it: a plan makes of it what graphql-core does, or leaves it to it."""

import asyncio
from collections.abc import Iterator

import pytest

from db import MemoryUsage
from gateway.engine import connections
from gateway.engine.way import Way
from tests.conftest import execute, fresh_database
from tests.engines import Engines, engines

VALUES = {
    "no text where text must be": ("name", "name = NULL", Way.ANOMALY),
    "no list where a list must be": ("expertiseAreas", "expertise_areas = NULL", Way.ANOMALY),
    "an item of a list that is not there": ("expertiseAreas", "expertise_areas = ARRAY['law', NULL]", Way.ANOMALY),
    "a list without items": ("openaiFileIds", "openai_file_ids = '{}'", Way.PLAN),
    "a number too large for an Int": ("totalRatings", "total_ratings = 3000000000", Way.ANOMALY),
    "a number that is none": ("temperature", "temperature = 'NaN'", Way.ANOMALY),
    "a number without an end": ("temperature", "temperature = '-Infinity'", Way.ANOMALY),
    "a large number": ("temperature", "temperature = 1e300", Way.PLAN),
    "a decimal that is none": ("basePrice", "base_price = 'NaN'", Way.PLAN),
    "a large decimal": ("basePrice", "base_price = 1e30", Way.PLAN),
    "a small decimal": ("totalEarnings", "total_earnings = 1e-20", Way.PLAN),
    "a time after all others": ("publishedAt", "published_at = 'infinity'", Way.ANOMALY),
    "a time of long ago": ("publishedAt", "published_at = '0001-01-01 00:00:00.5+00'", Way.PLAN),
    "a word that is in no vocabulary": ("memoryType", "memory_type = 'elephant'", Way.PLAN),
    "text without words": ("memoryType", "memory_type = ''", Way.PLAN),
    "text of all kinds": ("bio", "bio = E'\"\\\\\\n\\u2028</script>\\U0001F9A5'", Way.PLAN),
    "json that is text": ("personalityTraits", "personality_traits = '\"shy\"'", Way.PLAN),
    "json that is null": ("personalityTraits", "personality_traits = 'null'", Way.PLAN),
    "json of numbers": (
        "communicationStyle",
        'communication_style = \'[1.0, 1e3, 12345678901234567890, {"b": 0.10, "a": []}]\'',
        Way.PLAN,
    ),
}
"""A field, what is done to the column of one clone, and how the field is answered then."""
STRANGE = [
    "ALTER TABLE clones DISABLE TRIGGER ALL",
    "ALTER TABLE clones ALTER name DROP NOT NULL, ALTER expertise_areas DROP NOT NULL, ALTER total_ratings TYPE bigint",
    *(
        f"UPDATE clones SET {change} WHERE id = (SELECT id FROM clones ORDER BY id OFFSET {number} LIMIT 1)"
        for number, (_, change, _) in enumerate(VALUES.values())
    ),
    "ALTER TABLE user_profiles ALTER full_name DROP NOT NULL",
    "UPDATE user_profiles SET full_name = NULL WHERE email = 'maya@example.com'",
    "UPDATE sessions SET status = 'dreaming' WHERE id IN (SELECT id FROM sessions ORDER BY id LIMIT 3)",
    "ALTER TABLE documents ALTER domain DROP NOT NULL",
    "UPDATE documents SET domain = NULL, size_bytes = 4611686018427387905 WHERE name LIKE 'A%'",
    "ALTER TABLE domains DISABLE TRIGGER ALL, ALTER domain_name DROP NOT NULL",
    "UPDATE domains SET domain_name = NULL WHERE domain_name = (SELECT min(domain_name) FROM domains)",
    f"UPDATE {MemoryUsage.__tablename__} SET {MemoryUsage.day.expression.name} = 'infinity'",
]


@pytest.fixture(scope="module")
def both(server_url: str, template: str) -> Iterator[Engines]:
    with fresh_database(server_url, template) as url:
        for statement in STRANGE:
            asyncio.run(execute(url, statement))
        with engines(url) as both:
            yield both


@pytest.mark.parametrize("what", VALUES)
def test_a_value_that_nobody_expects_is_told_as_graphql_core_tells_it(both: Engines, what: str) -> None:
    name, _, way = VALUES[what]
    clones = both.ask("{ clones(first: 100, orderBy: { field: ID }) { nodes { id } } }", as_="grace").data["clones"]
    id_ = clones["nodes"][list(VALUES).index(what)]["id"]

    for query in (
        f"query Q($id: ID!) {{ clone(id: $id) {{ {name} }} viewer {{ id }} }}",
        f"query Q($id: ID!) {{ node(id: $id) {{ ... on Clone {{ a: {name} id b: {name} }} }} viewer {{ id }} }}",
        f"query Q($id: ID!) {{ all: clones(where: {{ id: {{ eq: $id }} }}) {{ edges {{ node {{ {name} }} }} }} }}",
        f"query Q($id: ID!) {{ clone(id: $id) {{ sessions {{ nodes {{ of: clone {{ {name} }} id }} }} id }} }}",
    ):
        found = both.ask(query, as_="grace", id=id_)
        assert found.way is way or '"sessions":{"nodes":[]}' in found.answer.response.text


def test_nothing_where_something_must_be_takes_what_holds_it(both: Engines) -> None:
    found = both.ask("{ clones { nodes { id of: creator { n: fullName } creator { id } } } viewer { id } }", as_="maya")

    assert found.way is Way.ANOMALY
    assert set(found.codes) == {"INTERNAL"}
    data = found.answer.body["data"]
    assert {node["of"] is None for node in data["clones"]["nodes"]} == {True, False}
    assert all(node["creator"] for node in data["clones"]["nodes"])
    assert both.ask("{ viewer { fullName } clones { totalCount } }", as_="maya").answer.body["data"]["viewer"] is None


def test_several_things_that_are_not_there_are_told_alike(both: Engines) -> None:
    query = """{ a: clones { nodes { creator { fullName } assistant { expert { owner { name: fullName } } } } }
        b: viewer { ownedDomains { nodes { owner { fullName } } } } }"""

    assert len(both.ask(query, as_="maya").codes) > 1


def test_a_word_that_is_in_no_vocabulary_is_unknown_wherever_it_stands(both: Engines) -> None:
    query = """{ sessions(last: 5, orderBy: { field: ID, direction: DESC }) { nodes { status s: status }
        edges { node { status messages { nodes { session { status } } } } } } }"""

    statuses = [node["status"] for node in both.ask(query, as_="grace").data["sessions"]["nodes"]]

    assert statuses.count("UNKNOWN") == 3


def test_a_list_of_nobody_is_empty(both: Engines) -> None:
    query = """query Q($first: Int = 2, $limit: Int = 2) { documents(first: 100) { nodes { name sizeBytes domain {
        name } experts(first: $first) { nodes { name } edges { cursor node { id } } totalCount count(limit: $limit) {
        value precision } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } __typename } } } }"""

    found = both.ask(query, as_="grace").data["documents"]["nodes"]

    assert {bool(node["experts"]["nodes"]) for node in found} == {True, False}
    assert both.ask(query, as_="grace", first=-1).codes == ["BAD_USER_INPUT"]
    assert both.ask(query, as_="grace", limit=-1).codes == ["BAD_USER_INPUT"]


def test_figures_of_nothing_are_told_as_graphql_core_tells_it(both: Engines) -> None:
    found = both.ask("{ domains(first: 100) { nodes { id health { expertCount } } } viewer { id } }", as_="grace")

    assert found.way is Way.ANOMALY
    assert set(found.codes) == {"INTERNAL"}


def test_a_day_after_all_others_is_told_as_graphql_core_tells_it(both: Engines) -> None:
    both.ask("{ memoryUsage(first: 3) { nodes { day } } }", as_="grace")


def test_more_rows_than_an_int_can_count_are_left_to_graphql_core(
    both: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "LARGEST_INT", 5)

    assert both.ask("{ clones { totalCount } }", as_="grace").way is Way.ANOMALY
    assert both.ask("{ clones(where: { name: { in: [] } }) { totalCount } }", as_="grace").way is Way.PLAN
