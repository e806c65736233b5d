"""Changes of sessions and clones are events, whichever program makes them."""

from db.migrations.online import one_by_one, tell_changes, tell_no_changes

revision = "0016"
down_revision = "0015"

KINDS = {"sessions": "session", "clones": "clone"}


def upgrade() -> None:
    one_by_one(
        """
        CREATE TABLE IF NOT EXISTS events (
            transaction_id xid8 DEFAULT pg_current_xact_id() NOT NULL,
            kind text NOT NULL,
            subject uuid NOT NULL,
            created_at timestamptz DEFAULT now() NOT NULL,
            CONSTRAINT events_pkey PRIMARY KEY (transaction_id, kind, subject)
        )
        """,
        "CREATE INDEX IF NOT EXISTS idx_events_subject ON events (subject, transaction_id)",
        # It runs with the rights of whoever writes a session, and old programs have none on events: hence SECURITY
        # DEFINER. A change must not fail because it cannot be told: hence the exception.
        """
        CREATE OR REPLACE FUNCTION tell_changes() RETURNS trigger LANGUAGE plpgsql
        SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
        BEGIN
            INSERT INTO events (kind, subject) SELECT TG_ARGV[0], id FROM changed ON CONFLICT DO NOTHING;
            IF FOUND THEN
                PERFORM pg_notify('clonegraph_events', '');
            END IF;
            RETURN NULL;
        EXCEPTION WHEN OTHERS THEN
            RAISE WARNING 'a change of % is not told: %', TG_TABLE_NAME, SQLERRM;
            RETURN NULL;
        END $$
        """,
    )
    tell_changes(KINDS)


def downgrade() -> None:
    tell_no_changes(KINDS)
    one_by_one("DROP FUNCTION IF EXISTS tell_changes()", "DROP TABLE IF EXISTS events")
