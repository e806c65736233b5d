"""What the local provider holds: the files with their passages, and the stores with their files."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from datetime import datetime

import db
from db.demo.batch import Batch, Connection
from db.demo.chance import remote_id, stable_id
from db.demo.content import story_clones, subjects
from db.passages import grams, passages

PROVIDER = "local"
INSTANCE = "clonegraph"

KEEP_TEXTS = """
    CREATE TEMPORARY TABLE demo_passages ON COMMIT DROP AS
    SELECT ''::text AS sha256, position, heading, passage, grams FROM local_chunks WITH NO DATA
"""
FILL_FILES = """
    INSERT INTO local_chunks (file_id, position, heading, passage, grams)
    SELECT remote_id, position, heading, passage, grams FROM remote_objects JOIN demo_passages USING (sha256)
    ORDER BY remote_id, position
"""


def file_id_of(*name: object) -> str:
    """The id of the file for something."""
    return remote_id("file-local-", *name)


def sha256_of(text: str) -> str:
    """What tells a text from any other."""
    return hashlib.sha256(text.encode()).hexdigest()


def add_file(batch: Batch, file_id: str, source: str, name: str, text: str, at: datetime) -> None:  # noqa: PLR0917
    """Add a file. source: what it is made of, such as `document:` and an id. name: its title and its ending."""
    sha256 = sha256_of(text)
    name = _add_object(batch, file_id, f"{source}:{sha256}", name, at, sha256)
    batch.add(db.LocalFile, id=file_id, name=name, size_bytes=len(text.encode()), error=None, created_at=at)


def add_store(batch: Batch, store_id: str, owner: str, title: str, files: Sequence[str], at: datetime) -> None:  # noqa: PLR0917
    """Add a store with its files, by their ids. owner: whose it is, such as `domain:` and an id."""
    name = _add_object(batch, store_id, f"{owner}:store", title, at)
    tags = {"instance": INSTANCE, "name": name, "owner": f"{owner}:store"}
    batch.add(db.LocalStore, id=store_id, title=title, tags=tags, created_at=at)
    for file_id in files:
        batch.add(db.LocalStoreFile, store_id=store_id, file_id=file_id, created_at=at)


def _add_object(  # noqa: PLR0917
    batch: Batch, id_: str, op_key: str, title: str, at: datetime, sha256: str | None = None
) -> str:
    """Add what the gateway knows of a file, which has a hash, or a store. Returns what it is called there."""
    key = stable_id(at, "remote object", id_)
    name = f"{INSTANCE}.{key.hex}.{re.sub(r'[^A-Za-z0-9.]+', '-', title).strip('-')}"
    batch.add(
        db.RemoteObject,
        id=key,
        provider=PROVIDER,
        kind="file" if sha256 else "store",
        op_key=op_key,
        name=name,
        remote_id=id_,
        state="live",
        sha256=sha256,
        created_at=at,
        updated_at=at,
    )
    return name


async def fill_files(connection: Connection) -> int:
    """Put their passages into the files that are there, and return how many.

    Many files have the same text. Its passages are written once, and multiplied by the database.
    """
    await connection.execute(KEEP_TEXTS)
    await connection.copy_records_to_table("demo_passages", records=_rows())
    return int((await connection.execute(FILL_FILES)).rpartition(" ")[2])


def _rows() -> Iterator[tuple[str, int, str, str, list[float]]]:
    for text, title in dict(_texts()).items():
        for position, passage in enumerate(passages(text, title)):
            letters = grams(f"{passage.heading}\n{passage.text}")
            yield sha256_of(text), position, passage.heading, passage.text, letters


def _texts() -> Iterator[tuple[str, str]]:
    """Every text that a file can hold, with its title."""
    for subject in subjects().values():
        for text in subject.texts.values():
            yield text.markdown, text.title
        for cited in subject.passages:
            yield cited.passage.words, cited.passage.heading
    for clone in story_clones():
        for note in clone.notes:
            yield note.text, note.title
