"""What clones earn is written down, entry by entry, whichever program changes it."""

from db.migrations.online import build_indexes, by_column, in_pages, one_by_one, replace_trigger

revision = "0021"
down_revision = "0020"

INDEXES = {
    **by_column({"creator_entries": "creator_id clone_id session_id kind created_at credit_entry_id"}),
    "idx_creator_entries_creator_created": "creator_entries (creator_id, created_at, id)",
    "idx_creator_entries_clone_created": "creator_entries (clone_id, created_at, id)",
    "idx_creator_entries_clone_number": "creator_entries (clone_id, number)",
    "idx_creator_entries_opening": "creator_entries (clone_id) WHERE kind = 'opening'",
}
TRIGGERS = {
    "book_external_of_new": "AFTER INSERT ON clones DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"
    " EXECUTE FUNCTION book_external_earnings()",
    "book_external": "AFTER UPDATE ON clones DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"
    " WHEN (NEW.total_earnings IS DISTINCT FROM OLD.total_earnings) EXECUTE FUNCTION book_external_earnings()",
}


def upgrade() -> None:
    one_by_one(
        """
        CREATE TABLE IF NOT EXISTS creator_entries (
            id uuid DEFAULT gen_random_uuid() NOT NULL,
            number bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
            creator_id uuid,
            clone_id uuid NOT NULL,
            amount numeric NOT NULL,
            kind text NOT NULL,
            session_id uuid,
            credit_entry_id uuid,
            earned_after numeric NOT NULL,
            created_at timestamptz DEFAULT clock_timestamp() NOT NULL,
            CONSTRAINT creator_entries_pkey PRIMARY KEY (id),
            CONSTRAINT creator_entries_amount_check CHECK (amount <> 0)
        )
        """,
        """
        CREATE OR REPLACE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON creator_entries
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
        """,
        # Like book_external, for clones.
        """
        CREATE OR REPLACE FUNCTION book_external_earnings() RETURNS trigger LANGUAGE plpgsql
        SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
        DECLARE
            clone clones;
            earned numeric;
        BEGIN
            SELECT * INTO clone FROM clones WHERE id = NEW.id;
            IF NOT FOUND THEN
                RETURN NULL;
            END IF;
            SELECT earned_after INTO earned FROM creator_entries
                WHERE clone_id = NEW.id ORDER BY number DESC LIMIT 1;
            IF NOT FOUND THEN
                earned := 0;
                IF TG_OP = 'UPDATE' AND OLD.total_earnings <> 0 THEN
                    INSERT INTO creator_entries (creator_id, clone_id, amount, kind, earned_after)
                        VALUES (OLD.creator_id, NEW.id, OLD.total_earnings, 'opening', OLD.total_earnings);
                    earned := OLD.total_earnings;
                END IF;
            END IF;
            IF clone.total_earnings <> earned THEN
                INSERT INTO creator_entries (creator_id, clone_id, amount, kind, earned_after)
                    VALUES (clone.creator_id, NEW.id, clone.total_earnings - earned, 'external', clone.total_earnings);
            END IF;
            RETURN NULL;
        END $$
        """,
    )
    build_indexes(INDEXES, unique={"idx_creator_entries_opening"})
    for name, definition in TRIGGERS.items():
        replace_trigger("clones", name, definition)
    in_pages(
        "clones",
        """
        INSERT INTO creator_entries (creator_id, clone_id, amount, kind, earned_after)
        SELECT creator_id, id, total_earnings, 'opening', total_earnings FROM clones AS clone
        WHERE id = ANY (ids) AND total_earnings <> 0
            AND NOT EXISTS (SELECT FROM creator_entries WHERE clone_id = clone.id)
        ORDER BY id
        """,
    )


def downgrade() -> None:
    one_by_one(
        *(f"DROP TRIGGER IF EXISTS {name} ON clones" for name in TRIGGERS),
        "DROP FUNCTION IF EXISTS book_external_earnings()",
        "DROP TABLE IF EXISTS creator_entries",
    )
