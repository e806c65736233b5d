"""Changes to tables that other programs are using, made so that none of them fails or waits for long.

Every statement here is a transaction of its own. So a lock is held for one statement only, and two tables are
never locked by us in an order that an old program would deadlock with. The price: a revision that was cut off
is run again from its beginning, so every statement must bear being repeated.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager

from alembic import op
from sqlalchemy import text


def one_by_one(*statements: str) -> None:
    """Run statements, each in a transaction of its own."""
    with op.get_context().autocommit_block():
        for statement in statements:
            op.execute(statement)


def foreign_key(table: str, column: str, references: str, *, instead_of: str | None = None) -> None:
    """Add a foreign key; old rows are checked in a second statement, which locks nobody out.

    instead_of: what the constraint is called where an operator has applied the CloneAI analysis's own DDL.
    """
    name = f"{table}_{column}_fkey"
    changes = [f"DROP CONSTRAINT IF EXISTS {earlier}" for earlier in (name, instead_of) if earlier]
    changes.append(f"ADD CONSTRAINT {name} FOREIGN KEY ({column}) REFERENCES {references} NOT VALID")
    one_by_one(
        f"ALTER TABLE {table} {', '.join(changes)}",
        f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}",
    )


def by_column(columns: Mapping[str, str]) -> dict[str, str]:
    """One index for each column of each table. The id is behind it, since lists are sorted and paged by both."""
    return {
        f"idx_{table}_{column}": f"{table} ({column}, id)" for table in columns for column in columns[table].split()
    }


def build_indexes(indexes: Mapping[str, str], *, unique: Collection[str] = ()) -> None:
    """Build indexes, given by name and by what they are on, while others go on writing."""
    with _patience():
        for name, target in indexes.items():
            if _is_half_built(name):
                op.execute(f"DROP INDEX CONCURRENTLY {name}")
            kind = "UNIQUE INDEX" if name in unique else "INDEX"
            op.execute(f"CREATE {kind} CONCURRENTLY IF NOT EXISTS {name} ON {target}")


def drop_indexes(names: Iterable[str]) -> None:
    """Drop indexes while others go on reading and writing."""
    with _patience():
        for name in names:
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")


def replace_trigger(table: str, name: str, definition: str) -> None:
    """Make a constraint trigger, of which there is no CREATE OR REPLACE."""
    _at_once([[f"DROP TRIGGER IF EXISTS {name} ON {table};", f"CREATE CONSTRAINT TRIGGER {name} {definition};"]])


def in_pages(table: str, statement: str) -> None:
    """Run a statement for a thousand rows at a time, by the array `ids`, which are locked for as long only.

    The statement sees what was committed before they were locked. Cut off, it is run again for all of them.
    """
    one_by_one(f"""
        DO $do$ DECLARE
            ids uuid[] := ARRAY['00000000-0000-0000-0000-000000000000'];
        BEGIN
            LOOP
                ids := ARRAY(
                    SELECT id FROM {table} WHERE id > ids[array_upper(ids, 1)]
                    ORDER BY id LIMIT 1000 FOR NO KEY UPDATE
                );
                EXIT WHEN ids = '{{}}';
                {statement};
                COMMIT;
            END LOOP;
        END $do$
    """)  # noqa: S608 (of our own words)


def tell_changes(tables: Mapping[str, str]) -> None:
    """Write every change of these tables down in `events`, under what the ids of their rows begin with."""
    trigger = """
        CREATE OR REPLACE TRIGGER tell_{change} AFTER {change} ON {table} REFERENCING {rows} TABLE AS changed
        FOR EACH STATEMENT EXECUTE FUNCTION tell_changes('{kind}');
    """
    _at_once(
        [trigger.format(change=change, table=table, rows=rows, kind=kind) for change, rows in CHANGES.items()]
        for table, kind in tables.items()
    )


def tell_no_changes(tables: Iterable[str]) -> None:
    """Write changes of these tables down no longer."""
    _at_once([f"DROP TRIGGER IF EXISTS tell_{change} ON {table};" for change in CHANGES] for table in tables)


CHANGES = {"insert": "NEW", "update": "NEW", "delete": "OLD"}
"""What can happen to a table, and which version of the rows a trigger gets to see."""


def _at_once(several: Iterable[Iterable[str]]) -> None:
    """Run statements on one table as one, so that its lock is waited for once."""
    one_by_one(*(f"DO $do$ BEGIN {' '.join(statements)} END $do$" for statements in several))


@contextmanager
def _patience() -> Iterator[None]:
    """Time for what is done concurrently: it waits until older transactions are over, but nobody waits for it."""
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        try:
            yield
        finally:
            op.execute("RESET lock_timeout")


def _is_half_built(index: str) -> bool:
    """Whether the index is what a build that was cut off leaves behind: IF NOT EXISTS would take it for finished."""
    invalid = text("SELECT NOT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:index)")
    return bool(op.get_bind().scalar(invalid, {"index": index}))
