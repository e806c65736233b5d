"""What was only a client's name becomes a person: the rows of the RAG tables can have an owner."""

from db.migrations.online import build_indexes, by_column, foreign_key, one_by_one

revision = "0006"
down_revision = "0005"

TABLES = ("domains", "experts", "documents", "vector_stores", "assistants")


def upgrade() -> None:
    one_by_one(*(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS owner_id uuid" for table in TABLES))
    for table in TABLES:
        foreign_key(table, "owner_id", "user_profiles (id) ON DELETE SET NULL")
    build_indexes(by_column(dict.fromkeys(TABLES, "owner_id")))


def downgrade() -> None:
    one_by_one(*(f"ALTER TABLE {table} DROP COLUMN IF EXISTS owner_id" for table in TABLES))
