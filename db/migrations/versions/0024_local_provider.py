"""The local provider keeps its stores, files and passages in the same database."""

from db.migrations.online import one_by_one

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    one_by_one(
        # Search does without it. Where it comes later, it is found when the gateway starts the next time.
        """
        DO $do$ BEGIN
            CREATE EXTENSION IF NOT EXISTS vector;
        EXCEPTION WHEN insufficient_privilege OR feature_not_supported OR undefined_file OR invalid_schema_name THEN
        END $do$
        """,
        """
        CREATE TABLE IF NOT EXISTS local_files (
            id text NOT NULL,
            name text NOT NULL,
            size_bytes bigint NOT NULL,
            error text,
            created_at timestamptz DEFAULT now() NOT NULL,
            CONSTRAINT local_files_pkey PRIMARY KEY (id)
        )
        """,
        "CREATE INDEX IF NOT EXISTS idx_local_files_created ON local_files (created_at)",
        """
        CREATE TABLE IF NOT EXISTS local_chunks (
            file_id text NOT NULL,
            position integer NOT NULL,
            heading text,
            passage text NOT NULL,
            words tsvector GENERATED ALWAYS AS (
                setweight(to_tsvector('english'::regconfig, coalesce(heading, '')), 'A')
                || setweight(to_tsvector('english'::regconfig, passage), 'D')
            ) STORED NOT NULL,
            grams real[] NOT NULL,
            CONSTRAINT local_chunks_pkey PRIMARY KEY (file_id, position),
            CONSTRAINT local_chunks_file_id_fkey FOREIGN KEY (file_id) REFERENCES local_files (id) ON DELETE CASCADE
        )
        """,
        """
        CREATE TABLE IF NOT EXISTS local_stores (
            id text NOT NULL,
            title text NOT NULL,
            tags jsonb NOT NULL,
            created_at timestamptz DEFAULT now() NOT NULL,
            CONSTRAINT local_stores_pkey PRIMARY KEY (id)
        )
        """,
        "CREATE INDEX IF NOT EXISTS idx_local_stores_created ON local_stores (created_at)",
        """
        CREATE TABLE IF NOT EXISTS local_store_files (
            store_id text NOT NULL,
            file_id text NOT NULL,
            created_at timestamptz DEFAULT now() NOT NULL,
            CONSTRAINT local_store_files_pkey PRIMARY KEY (store_id, file_id),
            CONSTRAINT local_store_files_store_id_fkey FOREIGN KEY (store_id)
                REFERENCES local_stores (id) ON DELETE CASCADE,
            CONSTRAINT local_store_files_file_id_fkey FOREIGN KEY (file_id)
                REFERENCES local_files (id) ON DELETE CASCADE
        )
        """,
        "CREATE INDEX IF NOT EXISTS idx_local_store_files_file ON local_store_files (file_id)",
    )


def downgrade() -> None:
    one_by_one("DROP TABLE IF EXISTS local_store_files, local_stores, local_chunks, local_files")
