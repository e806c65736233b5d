"""An answer names the passages it was drawn from."""

from alembic import op

from db.migrations.online import build_indexes, by_column, foreign_key

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE IF NOT EXISTS message_sources (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            message_id uuid NOT NULL,
            document_id uuid,
            rank integer NOT NULL,
            score double precision,
            passage text NOT NULL
        )
    """)
    foreign_key("message_sources", "message_id", "messages (id) ON DELETE CASCADE")
    foreign_key("message_sources", "document_id", "documents (id) ON DELETE SET NULL")
    build_indexes(by_column({"message_sources": "message_id document_id rank"}))


def downgrade() -> None:
    op.execute("DROP TABLE IF EXISTS message_sources")
