"""A clone works in a domain, answers through an assistant and knows a vector store."""

from db.migrations.online import foreign_key, one_by_one

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    one_by_one("""
        ALTER TABLE clones
            ADD COLUMN IF NOT EXISTS domain_id uuid,
            ADD COLUMN IF NOT EXISTS rag_assistant_id text,
            ADD COLUMN IF NOT EXISTS vector_store_id text,
            ADD COLUMN IF NOT EXISTS expert_context text,
            ADD COLUMN IF NOT EXISTS memory_type text DEFAULT 'expert',
            ADD COLUMN IF NOT EXISTS openai_file_ids text[] DEFAULT '{}'
    """)
    foreign_key("clones", "domain_id", "domains (id) ON DELETE SET NULL", instead_of="fk_clones_domain")


def downgrade() -> None:
    one_by_one("""
        ALTER TABLE clones
            DROP COLUMN IF EXISTS domain_id,
            DROP COLUMN IF EXISTS rag_assistant_id,
            DROP COLUMN IF EXISTS vector_store_id,
            DROP COLUMN IF EXISTS expert_context,
            DROP COLUMN IF EXISTS memory_type,
            DROP COLUMN IF EXISTS openai_file_ids
    """)
