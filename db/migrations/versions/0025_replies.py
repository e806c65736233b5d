"""A clone's answer is a row from the moment it is asked for, and what is written of it is told as events."""

from db.migrations.online import CHANGES, build_indexes, by_column, foreign_key, one_by_one

revision = "0025"
down_revision = "0024"

TRIGGERS = [
    f"""
    CREATE OR REPLACE TRIGGER tell_{change} AFTER {change} ON replies
    REFERENCING {rows} TABLE AS changed{" OLD TABLE AS earlier" if change == "update" else ""}
    FOR EACH STATEMENT EXECUTE FUNCTION tell_replies()
    """
    for change, rows in CHANGES.items()
]


def upgrade() -> None:
    one_by_one(
        """
        CREATE TABLE IF NOT EXISTS replies (
            id uuid DEFAULT gen_random_uuid() NOT NULL,
            session_id uuid NOT NULL,
            question_id uuid NOT NULL,
            message_id uuid,
            status text DEFAULT 'pending' NOT NULL,
            content text DEFAULT '' NOT NULL,
            edition integer DEFAULT 0 NOT NULL,
            provider text,
            model text,
            is_generated boolean,
            response_id text,
            error_code text,
            error_message text,
            is_retryable boolean DEFAULT false NOT NULL,
            attempts integer DEFAULT 0 NOT NULL,
            due_at timestamptz DEFAULT now(),
            fence bigint DEFAULT 0 NOT NULL,
            created_at timestamptz DEFAULT now() NOT NULL,
            updated_at timestamptz DEFAULT now() NOT NULL,
            CONSTRAINT replies_pkey PRIMARY KEY (id)
        )
        """,
        """
        CREATE OR REPLACE TRIGGER keep_updated_at BEFORE UPDATE ON replies FOR EACH ROW
        WHEN (NEW.updated_at IS NOT DISTINCT FROM OLD.updated_at) EXECUTE FUNCTION keep_updated_at()
        """,
        # The subject is the session: who waits for an answer knows no more. That a worker is still at it is nothing to
        # tell. As in tell_changes(), no write fails because it cannot be told.
        """
        CREATE OR REPLACE FUNCTION tell_replies() RETURNS trigger LANGUAGE plpgsql
        SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
        BEGIN
            IF TG_OP = 'UPDATE' THEN
                INSERT INTO events (kind, subject)
                SELECT 'reply', changed.session_id FROM changed JOIN earlier USING (id)
                WHERE (changed.status, changed.edition, changed.content, changed.message_id)
                    IS DISTINCT FROM (earlier.status, earlier.edition, earlier.content, earlier.message_id)
                ON CONFLICT DO NOTHING;
            ELSE
                INSERT INTO events (kind, subject) SELECT 'reply', session_id FROM changed ON CONFLICT DO NOTHING;
            END IF;
            IF FOUND THEN
                PERFORM pg_notify('clonegraph_events', '');
            END IF;
            RETURN NULL;
        EXCEPTION WHEN OTHERS THEN
            RAISE WARNING 'a change of % is not told: %', TG_TABLE_NAME, SQLERRM;
            RETURN NULL;
        END $$
        """,
        *TRIGGERS,
    )
    foreign_key("replies", "session_id", "sessions (id) ON DELETE CASCADE")
    foreign_key("replies", "question_id", "messages (id) ON DELETE CASCADE")
    foreign_key("replies", "message_id", "messages (id) ON DELETE SET NULL")
    build_indexes(
        {
            **by_column({"replies": "session_id message_id status created_at"}),
            "idx_replies_question": "replies (question_id)",
            "idx_replies_open": "replies (session_id) WHERE status IN ('pending', 'answering')",
            "idx_replies_due": "replies (due_at) WHERE due_at IS NOT NULL",
            "idx_replies_response": "replies (provider, response_id)",
        },
        unique=("idx_replies_question", "idx_replies_open", "idx_replies_response"),
    )


def downgrade() -> None:
    one_by_one("DROP TABLE IF EXISTS replies", "DROP FUNCTION IF EXISTS tell_replies()")
