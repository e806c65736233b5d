"""What tests about texts share: a gateway that keeps files, and mutations with what they give."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.conftest import execute, fresh_database
from tests.serving import Answer, Gateway, serving

AI_EDUCATION = "domain_019a48f1d6807bcc8a89fc32022f1bae"
"""A domain of Maya's."""
MAYAS = "clone_019d47d78580733e8c814fd095704e36"
"""A clone of Maya's with a vector store."""
MAYAS_DRAFT = "clone_01a0e1e0c8007177be63515062abd113"
JONAS_DRAFT = "clone_01a0e70724007317a050e89072ba8e85"

MARKDOWN = b"# Recall\n\nAsk before you tell.\n"
PDF = b"%PDF-1.7\n1 0 obj\n"
DOCX = b"PK\x03\x04\x14\0\0\0\x08\0" + b"\0" * 16 + b"\x11\0\0\0word/document.xml" + b"\0" * 40
HTML = b"<!DOCTYPE html><title>Recall</title><p>Ask before you tell."
PNG = b"\x89PNG\r\n\x1a\n\0\0\0"

ERRORS = "userErrors { __typename code message path ... on InUse { obstacles { what count } } }"
SHOWN = {
    "document": "id name includedInDefault documentLink originalUrl sizeBytes mediaType deletedAt owner { fullName }",
    "knowledge": """id title description tags contentType contentPreview fileName fileSizeBytes fileType fileUrl
        originalUrl processingStatus includedInDefault deletedAt domain { name } clone { id }""",
    "qaPair": "id question answer source quality isActive clone { id }",
    "domain": "id name",
    "expert": "id name",
}
OPERATION = "operation { id kind status clone { id } document { id } domain { id } expert { id } }"


@contextmanager
def library(server_url: str, template: str, folder: Path, **settings: Any) -> Iterator[Gateway]:
    """A gateway over demo data that may be changed, which keeps files in a folder."""
    chosen = {"storage_url": folder.as_uri(), "points_capacity": 100_000_000, **settings}
    with fresh_database(server_url, template) as url, serving(url, chosen) as gateway:
        yield gateway


def send(gateway: Gateway, mutation: str, as_: str | dict[str, str] | None = "maya", **given: Any) -> Answer:
    """The answer to a mutation. A value of bytes is a file, given as (name, content)."""
    entity = next(each for each in SHOWN if each.lower() in mutation.lower())
    extra = "deletedId " if mutation.startswith("delete") else ""
    if extra or mutation.removeprefix("add").removeprefix("update") in ("Knowledge", "QaPair"):
        extra += OPERATION
    if mutation.startswith("add"):
        given.setdefault("idempotencyKey", str(uuid4()))
    query = f"""mutation($input: {mutation[0].upper()}{mutation[1:]}Input!) {{
        done: {mutation}(input: $input) {{ row: {entity} {{ {SHOWN[entity]} }} {extra} {ERRORS} }} }}"""
    files: dict[str, Any] = {}
    places: dict[str, list[str]] = {}

    def without_files(value: Any, path: str) -> Any:
        if isinstance(value, tuple):
            name = str(len(files))
            files[name], places[name] = value, [path]
            return None
        if isinstance(value, dict):
            return {key: without_files(each, f"{path}.{key}") for key, each in value.items()}
        return value

    body = {"query": query, "variables": {"input": without_files(given, "variables.input")}}
    headers = as_ if isinstance(as_, dict) else gateway.headers(as_)
    if not files:
        return Answer(gateway.client.post("/graphql", json=body, headers=headers), [])
    form = {"operations": json.dumps(body), "map": json.dumps(places)}
    headers = {**headers, "graphql-require-preflight": "1"}
    return Answer(gateway.client.post("/graphql", data=form, files=files, headers=headers), [])


def done(gateway: Gateway, mutation: str, as_: str | dict[str, str] | None = "maya", **given: Any) -> Any:
    """What came of a mutation that was not refused."""
    payload = send(gateway, mutation, as_, **given).data["done"]
    assert payload.pop("userErrors") == []
    return payload


def refused(gateway: Gateway, mutation: str, as_: str | dict[str, str] | None = "maya", **given: Any) -> Any:
    """The only user error of a mutation."""
    payload = send(gateway, mutation, as_, **given).data["done"]
    assert payload["row"] is None
    (error,) = payload["userErrors"]
    return error


def kept(folder: Path) -> set[Path]:
    """The files in a folder."""
    return {path for path in folder.rglob("*") if path.is_file()}


def rows(gateway: Gateway, statement: str, *arguments: Any) -> list[Any]:
    """The rows of a statement: what another program does, or sees."""
    return asyncio.run(execute(gateway.database_url, statement, *arguments))


def open_operations(gateway: Gateway) -> list[tuple[str, str]]:
    """The kind and the subject of what is to be done at the provider."""
    found = rows(gateway, "SELECT kind, subject FROM operations WHERE ended_at IS NULL ORDER BY created_at")
    return [tuple(each) for each in found]


def end_operations(gateway: Gateway) -> None:
    """Have everything at the provider done, as far as the database knows."""
    rows(gateway, "UPDATE operations SET ended_at = now()")
