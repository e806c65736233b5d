"""Whatever the graph joins, filters or sorts CloneAI rows by has an index."""

from db.migrations.online import build_indexes, by_column, drop_indexes

revision = "0013"
down_revision = "0012"

# The CloneAI analysis has these names for indexes without the id. They are dropped where an operator has made them.
WIDENED = {
    "idx_clones_domain": "clones (domain_id, id)",
    "idx_knowledge_domain": "knowledge (domain_id, id)",
    "idx_knowledge_processing": "knowledge (processing_status, id)",
}
INDEXES = {
    **WIDENED,
    **by_column(
        {
            "user_profiles": "full_name role subscription_tier credits_remaining created_at",
            "clones": "creator_id name category base_price is_published total_sessions average_rating created_at"
            " published_at rag_assistant_id vector_store_id",
            "knowledge": "clone_id title content_type created_at vector_store_id",
            "sessions": "user_id clone_id session_type status start_time end_time duration_minutes total_cost"
            " user_rating created_at",
            "messages": "session_id sender_type created_at",
            "creator_analytics": "creator_id clone_id date created_at",
            "memory_usage_stats": "clone_id date created_at",
            "clone_qa_data": "clone_id source quality is_active created_at",
        }
    ),
    "idx_knowledge_clone_type": "knowledge (clone_id, content_type)",
    "idx_sessions_user_start": "sessions (user_id, start_time, id)",
    "idx_sessions_clone_start": "sessions (clone_id, start_time, id)",
    "idx_messages_session_created": "messages (session_id, created_at, id)",
    "idx_creator_analytics_creator_day": "creator_analytics (creator_id, date, id)",
}


def upgrade() -> None:
    drop_indexes(WIDENED)
    build_indexes(INDEXES)


def downgrade() -> None:
    drop_indexes(INDEXES)
