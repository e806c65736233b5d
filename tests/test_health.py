import asyncio
import json
from collections.abc import Iterator
from typing import Any

import db
from db.statement import Statement
from loaders.health import health_statement
from tests.conftest import execute
from tests.serving import Gateway

SEED = """
SELECT
    d.domain_name,
    COUNT(DISTINCT e.id) as expert_count,
    COUNT(DISTINCT doc.id) as document_count,
    COUNT(DISTINCT vs.id) as vector_store_count,
    COUNT(DISTINCT a.id) as assistant_count
FROM domains d
LEFT JOIN experts e ON d.domain_name = e.domain
LEFT JOIN documents doc ON d.domain_name = doc.domain
LEFT JOIN vector_stores vs ON d.domain_name = vs.domain_name
LEFT JOIN assistants a ON e.name = a.expert_name
GROUP BY d.domain_name
"""
FIGURES = "expertCount documentCount vectorStoreCount assistantCount"


def test_the_health_of_domains_is_what_the_monitoring_query_counts(gateway: Gateway) -> None:
    counted = asyncio.run(execute(gateway.database_url, SEED))

    rows = gateway.ask(f"{{ domainHealth {{ domain {{ name }} {FIGURES} }} }}", as_="grace").data["domainHealth"]

    assert len(rows) > 0
    assert {(row["domain"]["name"], *(row[figure] for figure in FIGURES.split())) for row in rows} == {
        tuple(row) for row in counted
    }


def test_the_health_of_one_domain_is_that_of_the_list(gateway: Gateway) -> None:
    rows = gateway.ask(f"{{ domainHealth {{ domain {{ id }} {FIGURES} }} }}", as_="grace").data["domainHealth"]
    one = gateway.ask(
        f"query Q($id: ID!) {{ domainHealth(domain: $id) {{ domain {{ id }} {FIGURES} }}"
        f" domain(id: $id) {{ health {{ {FIGURES} }} }} }}",
        as_="grace",
        id=rows[1]["domain"]["id"],
    ).data

    assert one["domainHealth"] == [rows[1]]
    assert one["domain"]["health"] == {figure: rows[1][figure] for figure in FIGURES.split()}


def test_the_health_of_an_unknown_domain_is_an_empty_list(gateway: Gateway) -> None:
    answer = gateway.ask(f'{{ domainHealth(domain: "domain_{"0" * 32}") {{ expertCount }} }}')

    assert answer.data == {"domainHealth": []}


def test_the_health_of_all_domains_of_a_page_takes_one_statement(gateway: Gateway) -> None:
    answer = gateway.ask(f"{{ domains {{ nodes {{ name health {{ {FIGURES} }} }} }} }}", as_="grace")

    assert answer.data
    assert len(answer.statements) == 2


def test_only_selected_figures_are_counted(gateway: Gateway) -> None:
    answer = gateway.ask("{ domainHealth { expertCount } }", as_="grace")

    assert answer.data
    assert "documents" not in answer.statements[0]


def test_health_counts_only_what_the_viewer_can_see(gateway: Gateway) -> None:
    for row in gateway.ask("{ domainHealth { documentCount vectorStoreCount } }").data["domainHealth"]:
        assert row == {"documentCount": 0, "vectorStoreCount": 0}


def test_a_failed_document_and_a_store_that_lacks_one_are_told(own_gateway: Gateway) -> None:
    query = "{ domainHealth { domain { name } failedDocumentCount staleVectorStoreCount } }"
    before = {row["domain"]["name"]: row for row in own_gateway.ask(query, as_="grace").data["domainHealth"]}
    changed = asyncio.run(
        execute(
            own_gateway.database_url,
            """UPDATE store_files SET status = 'failed' WHERE id = (
                SELECT f.id FROM store_files f JOIN documents d ON d.id = f.document_id
                JOIN vector_stores v ON v.id = f.vector_store_id
                WHERE f.status = 'completed' AND d.included_in_default AND v.owner = 'domain'
                AND v.domain_name = d.domain
                AND NOT EXISTS (SELECT FROM store_files g WHERE g.document_id = d.id AND g.status = 'failed')
                AND NOT EXISTS (SELECT FROM store_files g WHERE g.vector_store_id = v.id AND g.status <> 'completed')
                LIMIT 1)
            RETURNING (SELECT domain FROM documents WHERE id = document_id)""",
        )
    )[0][0]

    after = {row["domain"]["name"]: row for row in own_gateway.ask(query, as_="grace").data["domainHealth"]}

    assert after[changed]["failedDocumentCount"] == before[changed]["failedDocumentCount"] + 1
    assert after[changed]["staleVectorStoreCount"] == before[changed]["staleVectorStoreCount"] + 1


def test_the_cost_of_health_is_the_sum_of_the_families_and_not_their_product(own_gateway: Gateway) -> None:
    families = {"experts": 40, "documents": 50, "vector_stores": 30, "assistants": 40}
    asyncio.run(execute(own_gateway.database_url, "INSERT INTO domains (domain_name) VALUES ('Big')"))
    for statement in (
        "INSERT INTO experts (name, domain, context) SELECT 'e' || n, 'Big', '' FROM generate_series(1, $1) n",
        "INSERT INTO documents (name, domain, document_link) SELECT 'd' || n, 'Big', '' FROM generate_series(1, $1) n",
        """INSERT INTO vector_stores (vector_id, domain_name, owner)
            SELECT 'v' || n, 'Big', 'client' FROM generate_series(1, $1) n""",
        """INSERT INTO assistants (assistant_id, expert_name, memory_type)
            SELECT 'a' || n, 'e' || n, 'expert' FROM generate_series(1, $1) n""",
    ):
        number = families[statement.split()[2]]
        asyncio.run(execute(own_gateway.database_url, statement, number))
    health = sql_of(health_statement(tuple(FIGURES_OF_SEED), db.ViewerKind.ADMIN, some=False))

    explained = asyncio.run(execute(own_gateway.database_url, f"EXPLAIN (ANALYZE, FORMAT JSON) {health}"))
    monitoring = asyncio.run(execute(own_gateway.database_url, f"EXPLAIN (ANALYZE, FORMAT JSON) {SEED}"))

    assert most_rows(explained) < 1000
    assert most_rows(monitoring) > 40 * 50 * 30


FIGURES_OF_SEED = ["expert_count", "document_count", "vector_store_count", "assistant_count"]


def sql_of(statement: Statement) -> str:
    """A statement with its constants in place."""
    text = statement.text
    for number, name in reversed(list(enumerate(statement.parameters, start=1))):
        text = text.replace(f"${number}", str(statement.constants[name]))
    return text


def most_rows(explained: list[Any]) -> float:
    """The most rows that any step of a plan has made."""

    def steps(plan: dict[str, Any]) -> Iterator[float]:
        yield plan["Actual Rows"] * plan["Actual Loops"]
        for step in plan.get("Plans", ()):
            yield from steps(step)

    return max(steps(json.loads(explained[0][0])[0]["Plan"]))
