"""Manifests: the documents of an application, as the tools that build it list them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from db.engine import Database
from gateway.documents import Documents
from gateway.errors import RequestError
from gateway.persisted import PersistedDocuments
from gateway.settings import Settings
from resolvers.trusted_document import LONGEST_ID, IdsTaken, alias_of, bring

APOLLO = "apollo-persisted-query-manifest"
KNOWN = (
    f'It must be a manifest of Apollo\'s ({{"format": "{APOLLO}", "operations": [{{"id", "body"}}]}}),'
    ' or a map of texts by their ids ({"<id>": "query ..."}), as relay-compiler and graphql-codegen write it.'
)


class ManifestError(Exception):
    """Some documents of a manifest cannot be trusted. The message lists all of them."""


class Pushed(NamedTuple):
    """How many documents of a manifest are trusted now, and how many of them were not before."""

    documents: int
    new: int


async def push(database: Database, path: Path, settings: Settings) -> Pushed:
    """Trust the documents of a manifest, all or none. Raises ManifestError."""
    texts = read_manifest(path)
    check_manifest(texts, Documents(settings, PersistedDocuments(settings, database)))
    try:
        return Pushed(len(texts), await bring(database, texts))
    except IdsTaken as error:
        raise ManifestError("\n  ".join([f"{error} Nothing was stored. These are:", *error.ids])) from error


def read_manifest(path: Path) -> dict[str, str]:
    """The texts in a manifest by their ids. Raises ManifestError."""
    try:
        given = orjson.loads(path.read_bytes())
    except OSError as error:
        raise ManifestError(f"{path} cannot be read: {error.strerror}.") from error
    except orjson.JSONDecodeError as error:
        raise ManifestError(f"{path} is not JSON: {error}.") from error
    pairs = _pairs(given)
    if not pairs:
        raise ManifestError(f"{path} has no documents. {KNOWN}")
    texts: dict[str, str] = {}
    for id_, text in pairs:
        if texts.setdefault(id_, text) != text:
            raise ManifestError(f"{path} has two documents with the id {id_}.")
    return texts


def check_manifest(texts: Mapping[str, str], documents: Documents) -> None:
    """Check that each text can be executed here, and that each id can stand for it. Raises ManifestError."""
    mistakes = [f"  {id_}: {mistake}" for id_, text in texts.items() for mistake in _mistakes(id_, text, documents)]
    if mistakes:
        raise ManifestError("\n".join(["These documents cannot be trusted, so nothing was stored:", *mistakes]))


def _pairs(given: Any) -> list[tuple[str, str]]:
    if not isinstance(given, dict):
        raise ManifestError(KNOWN)
    if given.get("format") == APOLLO and isinstance(given.get("operations"), list):
        operations = [each if isinstance(each, dict) else {} for each in given["operations"]]
        pairs: list[Any] = [(each.get("id"), each.get("body")) for each in operations]
    else:
        pairs = list(given.items())
    if not all(isinstance(part, str) for pair in pairs for part in pair):
        raise ManifestError(KNOWN)
    return pairs


def _mistakes(id_: str, text: str, documents: Documents) -> list[str]:
    mistakes = []
    if not 0 < len(id_) <= LONGEST_ID or "\0" in id_:
        mistakes.append(f"an id must have 1 to {LONGEST_ID} characters, none of them NUL")
    if id_.startswith("sha256:") and id_ != alias_of(text):
        mistakes.append(f"the hash of this text is {alias_of(text)}")
    try:
        documents.check(text)
    except RequestError as error:
        for each in error.errors:
            places = ", ".join(f"line {place.line}, column {place.column}" for place in each.locations or ())
            mistakes.append(f"{each.message}{f' ({places})' if places else ''}")
    return mistakes
