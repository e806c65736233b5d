"""Whatever the graph joins, filters or sorts RAG rows by has an index."""

from db.migrations.online import build_indexes, by_column, drop_indexes

revision = "0014"
down_revision = "0013"

# The CloneAI analysis has these names for indexes without the id. They are dropped where an operator has made them.
WIDENED = {
    "idx_documents_domain": "documents (domain, id)",
    "idx_vector_stores_owner": "vector_stores (owner, id)",
    "idx_assistants_expert": "assistants (expert_name, id)",
}
INDEXES = {
    **WIDENED,
    "idx_domains_name": "domains (domain_name, id)",
    **by_column(
        {
            "experts": "name domain",
            "documents": "name included_in_default openai_file_id",
            "vector_stores": "vector_id domain_name expert_name created_at",
            "assistants": "assistant_id memory_type vector_id created_at",
        }
    ),
}


def upgrade() -> None:
    drop_indexes(WIDENED)
    build_indexes(INDEXES)


def downgrade() -> None:
    drop_indexes(INDEXES)
