"""A piece of knowledge belongs to a domain, and shows how far it is on its way into a vector store."""

from db.migrations.online import foreign_key, one_by_one

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    one_by_one("""
        ALTER TABLE knowledge
            ADD COLUMN IF NOT EXISTS domain_id uuid,
            ADD COLUMN IF NOT EXISTS openai_file_id text,
            ADD COLUMN IF NOT EXISTS included_in_default boolean DEFAULT false,
            ADD COLUMN IF NOT EXISTS processing_status text DEFAULT 'pending',
            ADD COLUMN IF NOT EXISTS vector_store_id text
    """)
    foreign_key("knowledge", "domain_id", "domains (id) ON DELETE SET NULL")


def downgrade() -> None:
    one_by_one("""
        ALTER TABLE knowledge
            DROP COLUMN IF EXISTS domain_id,
            DROP COLUMN IF EXISTS openai_file_id,
            DROP COLUMN IF EXISTS included_in_default,
            DROP COLUMN IF EXISTS processing_status,
            DROP COLUMN IF EXISTS vector_store_id
    """)
