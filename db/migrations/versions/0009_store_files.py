"""Each document in each vector store has a row of its own, which says how far the provider is with it."""

from alembic import op

from db.migrations.online import build_indexes, by_column, foreign_key

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE IF NOT EXISTS store_files (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            vector_store_id uuid NOT NULL,
            document_id uuid,
            file_id text,
            batch_id text,
            status text NOT NULL DEFAULT 'pending',
            error text,
            size_bytes bigint,
            created_at timestamptz NOT NULL DEFAULT now(),
            updated_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT store_files_vector_store_id_key UNIQUE (vector_store_id, document_id)
        )
    """)
    foreign_key("store_files", "vector_store_id", "vector_stores (id) ON DELETE CASCADE")
    foreign_key("store_files", "document_id", "documents (id) ON DELETE CASCADE")
    build_indexes(by_column({"store_files": "vector_store_id document_id file_id status created_at"}))


def downgrade() -> None:
    op.execute("DROP TABLE IF EXISTS store_files")
