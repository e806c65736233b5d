"""The audits of graphql-http, which follow an older draft of GraphQL over HTTP than its edition of September 2026."""

import json

from tests.clients import needs_node, run
from tests.serving import Gateway

AUDITS = 61
REQUIREMENTS = {"MUST", "SHOULD", "MAY"}

# Sentences of the edition that ask for something else than an audit.
MALFORMED = "If the request is not a well-formed GraphQL-over-HTTP request, status code 422 SHOULD be used."
COERCION = (
    "If the variable values cannot be coerced to match the operation's variable definitions, status code 422 SHOULD be"
    " used."
)

CONTRADICTED = {
    "423L MAY use 400 status code on missing {query} parameter": MALFORMED,
    "LKJ0 MAY use 400 status code on object {query} parameter": MALFORMED,
    "LKJ1 MAY use 400 status code on number {query} parameter": MALFORMED,
    "LKJ2 MAY use 400 status code on boolean {query} parameter": MALFORMED,
    "LKJ3 MAY use 400 status code on array {query} parameter": MALFORMED,
    "6C00 MAY use 400 status code on object {operationName} parameter": MALFORMED,
    "6C01 MAY use 400 status code on number {operationName} parameter": MALFORMED,
    "6C02 MAY use 400 status code on boolean {operationName} parameter": MALFORMED,
    "6C03 MAY use 400 status code on array {operationName} parameter": MALFORMED,
    "4760 MAY use 400 status code on string {variables} parameter": MALFORMED,
    "4761 MAY use 400 status code on number {variables} parameter": MALFORMED,
    "4762 MAY use 400 status code on boolean {variables} parameter": MALFORMED,
    "4763 MAY use 400 status code on array {variables} parameter": MALFORMED,
    "58B0 MAY use 400 status code on string {extensions} parameter": MALFORMED,
    "58B1 MAY use 400 status code on number {extensions} parameter": MALFORMED,
    "58B2 MAY use 400 status code on boolean {extensions} parameter": MALFORMED,
    "58B3 MAY use 400 status code on array {extensions} parameter": MALFORMED,
    "3E3A MAY use 400 status code if parameters are invalid": MALFORMED,
    "86EE SHOULD use a status code of 400 on variable coercion failure"
    " when accepting application/graphql-response+json": COERCION,
}
"""The audits that the edition contradicts, and the sentence with which it does."""


@needs_node
def test_every_audit_is_passed_but_those_that_the_edition_contradicts(gateway: Gateway) -> None:
    audits = json.loads(run("audit.mjs", gateway))

    assert len(audits) == AUDITS
    assert {audit["name"].split()[0] for audit in audits} == REQUIREMENTS
    failed = {f"{audit['id']} {audit['name']}": audit for audit in audits if audit["status"] != "ok"}
    unexpected = {name: audit["reason"] for name, audit in failed.items() if name not in CONTRADICTED}
    assert not unexpected
    passed_after_all = CONTRADICTED.keys() - failed.keys()
    assert not passed_after_all
    for name in CONTRADICTED:
        assert failed[name]["answered"] == [422, "application/graphql-response+json"]
