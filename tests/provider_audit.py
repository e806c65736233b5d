"""The audit of a provider: what is there, held against what the database says."""

from collections import Counter

from tests.money import findings, sql
from tests.provider_fake import FakeProvider

KNOWN = """
    SELECT kind, remote_id, name, state FROM remote_objects
    WHERE provider = 'openai' AND state <> 'gone' AND op_key NOT LIKE 'adopted:%'
"""
STORES = "SELECT vector_id FROM vector_stores WHERE provider = 'openai'"
HELD = """
    SELECT vector_id, file_id FROM (
        SELECT vector_store_id, unnest(ARRAY[file_id, incoming_file_id]) AS file_id FROM store_files
    ) AS file JOIN vector_stores AS store ON store.id = vector_store_id
    WHERE provider = 'openai' AND file_id IS NOT NULL
"""
OPEN = "SELECT id, kind, status FROM operations WHERE ended_at IS NULL"


def differences(fake: FakeProvider, database_url: str) -> list[str]:
    """In what the two differ when all operations have ended, as sentences. The first word says what it is."""
    known = sql(database_url, KNOWN)
    ids = {row["remote_id"] for row in known}
    there = {file.id: file.name for file in fake.files.values()}
    there |= {store.id: store.metadata["name"] for store in fake.stores.values()}
    held = {(row["vector_id"], row["file_id"]) for row in sql(database_url, HELD)}
    used = {row["vector_id"] for row in sql(database_url, STORES)} | {file_id for _, file_id in held}
    members = {(store.id, file_id) for store in fake.stores.values() for file_id in store.members}
    times = Counter(there.values())
    return [
        *(f"orphan: {id_} is at the provider only, as {name}" for id_, name in there.items() if id_ not in ids),
        *(f"duplicate: {name} is at the provider {times[name]} times" for name in times if times[name] > 1),
        *(f"duplicate: {file_id} was put into {store_id} twice" for store_id, file_id in fake.attached_twice()),
        *(f"missing: {id_} is not at the provider" for id_ in (ids | used) - {None} - there.keys()),
        *(f"unfinished: {row['name']} is {row['state']}" for row in known if row["state"] == "deleting"),
        *(f"unused: {id_} is known, and nothing refers to it" for id_ in ids - {None} - used),
        *(f"unknown: {id_} is referred to, and not known" for id_ in used - ids),
        *(f"stray: {file_id} is in {store_id} at one of the two only" for store_id, file_id in members ^ held),
        *(f"open: operation {row['id']}, {row['kind']}, is {row['status']}" for row in sql(database_url, OPEN)),
        *(f"wrong: {sentence}" for sentence in findings(database_url)),
    ]
