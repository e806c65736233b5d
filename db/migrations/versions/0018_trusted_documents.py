"""Documents can be trusted."""

from db.migrations.online import one_by_one

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    one_by_one("""
        CREATE TABLE IF NOT EXISTS trusted_documents (
            id text NOT NULL,
            text text NOT NULL,
            created_at timestamptz DEFAULT now() NOT NULL,
            CONSTRAINT trusted_documents_pkey PRIMARY KEY (id)
        )
    """)


def downgrade() -> None:
    one_by_one("DROP TABLE IF EXISTS trusted_documents")
