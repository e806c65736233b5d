"""Every movement of a balance is written down, and what is written stays."""

from alembic import op

from db.migrations.online import build_indexes, by_column, foreign_key

revision = "0007"
down_revision = "0006"

INDEXES = {
    **by_column({"credit_entries": "user_id kind session_id message_id created_at"}),
    "idx_credit_entries_user_created": "credit_entries (user_id, created_at, id)",
}


def upgrade() -> None:
    op.execute("""
        CREATE TABLE IF NOT EXISTS credit_entries (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            user_id uuid NOT NULL,
            amount numeric NOT NULL CONSTRAINT credit_entries_amount_check CHECK (amount <> 0),
            kind text NOT NULL,
            session_id uuid,
            message_id uuid,
            balance_after numeric NOT NULL,
            idempotency_key uuid,
            created_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT credit_entries_user_id_key UNIQUE (user_id, idempotency_key)
        )
    """)
    op.execute("""
        CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP
                USING ERRCODE = 'restrict_violation', HINT = 'Add an entry that corrects the earlier one.';
        END $$
    """)
    op.execute("""
        CREATE OR REPLACE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON credit_entries
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """)
    foreign_key("credit_entries", "user_id", "user_profiles (id)")
    build_indexes(INDEXES)


def downgrade() -> None:
    op.execute("DROP TABLE IF EXISTS credit_entries")
    op.execute("DROP FUNCTION IF EXISTS refuse_change()")
