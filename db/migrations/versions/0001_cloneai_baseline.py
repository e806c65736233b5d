"""The eight CloneAI tables, as a live CloneAI database has them.

On such a database this changes nothing: the tables are there, and become the first shape of the history.
"""

from alembic import op
from sqlalchemy import text

from db.errors import DatabaseError

revision = "0001"
down_revision = None

TABLES = (
    "messages",
    "sessions",
    "knowledge",
    "creator_analytics",
    "memory_usage_stats",
    "clone_qa_data",
    "clones",
    "user_profiles",
)


def upgrade() -> None:
    op.execute("""
        CREATE TABLE IF NOT EXISTS user_profiles (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            email text NOT NULL UNIQUE,
            full_name text NOT NULL,
            role text NOT NULL DEFAULT 'user',
            subscription_tier text NOT NULL DEFAULT 'free',
            credits_remaining numeric NOT NULL DEFAULT 0,
            total_spent numeric NOT NULL DEFAULT 0,
            preferences jsonb NOT NULL DEFAULT '{}',
            timezone text,
            language text,
            avatar_url text,
            created_at timestamptz NOT NULL DEFAULT now(),
            updated_at timestamptz NOT NULL DEFAULT now(),
            last_login timestamptz,
            is_active boolean NOT NULL DEFAULT true,
            is_verified boolean NOT NULL DEFAULT false
        )
    """)
    op.execute("""
        CREATE TABLE IF NOT EXISTS clones (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            creator_id uuid REFERENCES user_profiles (id),
            name text NOT NULL,
            bio text,
            category text,
            expertise_areas text[] NOT NULL DEFAULT '{}',
            base_price numeric NOT NULL DEFAULT 0,
            personality_traits jsonb NOT NULL DEFAULT '{}',
            communication_style jsonb NOT NULL DEFAULT '{}',
            system_prompt text,
            temperature double precision NOT NULL DEFAULT 0.7,
            max_tokens integer NOT NULL DEFAULT 1024,
            is_published boolean NOT NULL DEFAULT false,
            is_active boolean NOT NULL DEFAULT true,
            total_sessions integer NOT NULL DEFAULT 0,
            total_earnings numeric NOT NULL DEFAULT 0,
            average_rating numeric,
            total_ratings integer NOT NULL DEFAULT 0,
            created_at timestamptz NOT NULL DEFAULT now(),
            updated_at timestamptz NOT NULL DEFAULT now(),
            published_at timestamptz
        )
    """)
    op.execute("""
        CREATE TABLE IF NOT EXISTS knowledge (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            clone_id uuid NOT NULL REFERENCES clones (id) ON DELETE CASCADE,
            title text NOT NULL,
            content_type text,
            file_name text,
            file_size_bytes bigint,
            file_type text,
            file_url text,
            content_preview text,
            description text,
            tags text[] NOT NULL DEFAULT '{}',
            metadata jsonb NOT NULL DEFAULT '{}',
            original_url text,
            created_at timestamptz NOT NULL DEFAULT now(),
            updated_at timestamptz NOT NULL DEFAULT now()
        )
    """)
    op.execute("""
        CREATE TABLE IF NOT EXISTS sessions (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            user_id uuid NOT NULL REFERENCES user_profiles (id) ON DELETE CASCADE,
            clone_id uuid NOT NULL REFERENCES clones (id) ON DELETE CASCADE,
            session_type text NOT NULL DEFAULT 'chat',
            status text NOT NULL DEFAULT 'active',
            start_time timestamptz NOT NULL DEFAULT now(),
            end_time timestamptz,
            duration_minutes numeric,
            rate_per_minute numeric,
            total_cost numeric,
            message_count integer NOT NULL DEFAULT 0,
            user_rating smallint,
            user_feedback text,
            demo_mode boolean NOT NULL DEFAULT false,
            session_metadata jsonb NOT NULL DEFAULT '{}',
            created_at timestamptz NOT NULL DEFAULT now(),
            updated_at timestamptz NOT NULL DEFAULT now()
        )
    """)
    op.execute("""
        CREATE TABLE IF NOT EXISTS messages (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            session_id uuid NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
            sender_type text NOT NULL,
            content text NOT NULL,
            context_used text,
            cost_increment numeric,
            tokens_used integer,
            sources jsonb NOT NULL DEFAULT '[]',
            attachments jsonb NOT NULL DEFAULT '[]',
            created_at timestamptz NOT NULL DEFAULT now()
        )
    """)
    op.execute("""
        CREATE TABLE IF NOT EXISTS creator_analytics (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            creator_id uuid NOT NULL REFERENCES user_profiles (id) ON DELETE CASCADE,
            clone_id uuid REFERENCES clones (id) ON DELETE CASCADE,
            date date NOT NULL,
            total_sessions integer NOT NULL DEFAULT 0,
            total_minutes numeric NOT NULL DEFAULT 0,
            total_messages integer NOT NULL DEFAULT 0,
            unique_users integer NOT NULL DEFAULT 0,
            total_revenue numeric NOT NULL DEFAULT 0,
            average_rating numeric,
            new_ratings integer NOT NULL DEFAULT 0,
            created_at timestamptz NOT NULL DEFAULT now(),
            updated_at timestamptz NOT NULL DEFAULT now()
        )
    """)
    op.execute("""
        CREATE TABLE IF NOT EXISTS memory_usage_stats (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            clone_id uuid NOT NULL REFERENCES clones (id) ON DELETE CASCADE,
            date date NOT NULL,
            items integer NOT NULL DEFAULT 0,
            tokens bigint NOT NULL DEFAULT 0,
            bytes bigint NOT NULL DEFAULT 0,
            hits integer NOT NULL DEFAULT 0,
            misses integer NOT NULL DEFAULT 0,
            average_retrieval_ms double precision,
            created_at timestamptz NOT NULL DEFAULT now()
        )
    """)
    op.execute("""
        CREATE TABLE IF NOT EXISTS clone_qa_data (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            clone_id uuid NOT NULL REFERENCES clones (id) ON DELETE CASCADE,
            question text NOT NULL,
            answer text NOT NULL,
            source text,
            quality double precision,
            is_active boolean NOT NULL DEFAULT true,
            created_at timestamptz NOT NULL DEFAULT now(),
            updated_at timestamptz NOT NULL DEFAULT now()
        )
    """)


def downgrade() -> None:
    # Where these tables hold rows they were there before us, and are not ours to drop.
    filled = [table for table in TABLES if op.get_bind().scalar(text(f"SELECT EXISTS (SELECT FROM {table})"))]
    if filled:
        message = f"The CloneAI tables stay, because they hold rows: {', '.join(filled)}. The last step down is 0001."
        raise DatabaseError(message)
    for table in TABLES:
        op.execute(f"DROP TABLE IF EXISTS {table}")
