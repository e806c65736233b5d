"""Every balance is the sum of its entries, whichever program moves it, and none goes below zero.

Entries get an order of their own, and say who moved the balance and why. A person who is deleted leaves them behind.
"""

from alembic import op

from db.migrations.online import build_indexes, in_pages, one_by_one, replace_trigger

revision = "0020"
down_revision = "0019"

IS_CHANGED = "(NEW.credits_remaining, NEW.total_spent) IS DISTINCT FROM (OLD.credits_remaining, OLD.total_spent)"
IS_NO_NUMBER = "NEW.credits_remaining IN ('NaN', 'Infinity', '-Infinity')"
FALLS_BELOW_ZERO = "NEW.credits_remaining < 0 AND NEW.credits_remaining < OLD.credits_remaining"
IS_MOVED = "NEW.credits_remaining IS DISTINCT FROM OLD.credits_remaining"

TRIGGERS = {
    "guard_balance_of_new": f"AFTER INSERT ON user_profiles FOR EACH ROW"
    f" WHEN (NEW.credits_remaining < 0 OR {IS_NO_NUMBER}) EXECUTE FUNCTION guard_balance()",
    "guard_balance": f"AFTER UPDATE ON user_profiles FOR EACH ROW"
    f" WHEN ({FALLS_BELOW_ZERO} OR {IS_MOVED} AND {IS_NO_NUMBER}) EXECUTE FUNCTION guard_balance()",
    # At the end of the transaction: what was booked by then needs no entry.
    # Whoever comes back under the id of before may have entries, and nothing else.
    "book_external_of_new": "AFTER INSERT ON user_profiles DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"
    " EXECUTE FUNCTION book_external()",
    "book_external": f"AFTER UPDATE ON user_profiles DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"
    f" WHEN ({IS_CHANGED}) EXECUTE FUNCTION book_external()",
}
INDEXES = {
    "idx_credit_entries_user_number": "credit_entries (user_id, number)",
    # A program that reads what was there before we looked at an account could open it a second time.
    "idx_credit_entries_opening": "credit_entries (user_id) WHERE kind = 'opening'",
}
SPENT = "kind IN ('session_charge', 'message_charge', 'refund')"


def upgrade() -> None:
    # There are entries before this revision in databases with demo data only.
    op.execute("ALTER TABLE credit_entries DISABLE TRIGGER refuse_change")
    op.execute("""
        ALTER TABLE credit_entries
            ADD COLUMN IF NOT EXISTS number bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
            ADD COLUMN IF NOT EXISTS spent_after numeric,
            ADD COLUMN IF NOT EXISTS actor text,
            ADD COLUMN IF NOT EXISTS reason text,
            ALTER COLUMN created_at SET DEFAULT clock_timestamp(),
            DROP CONSTRAINT IF EXISTS credit_entries_user_id_fkey,
            DROP CONSTRAINT IF EXISTS credit_entries_user_id_key,
            DROP CONSTRAINT IF EXISTS credit_entries_idempotency_key,
            ADD CONSTRAINT credit_entries_idempotency_key UNIQUE (user_id, actor, idempotency_key),
            DROP CONSTRAINT IF EXISTS credit_entries_amount_check,
            ADD CONSTRAINT credit_entries_amount_check CHECK (amount <> 0 OR kind IN ('opening', 'external'))
    """)
    op.execute(f"""
        UPDATE credit_entries SET spent_after = summed.spent FROM (
            SELECT id, coalesce(sum(-amount) FILTER (WHERE {SPENT}) OVER (PARTITION BY user_id ORDER BY number), 0)
                AS spent
            FROM credit_entries
        ) AS summed WHERE summed.id = credit_entries.id AND spent_after IS NULL
    """)
    op.execute("ALTER TABLE credit_entries ALTER COLUMN spent_after SET NOT NULL")
    op.execute("ALTER TABLE credit_entries ENABLE TRIGGER refuse_change")
    build_indexes(INDEXES, unique={"idx_credit_entries_opening"})
    one_by_one(
        """
        CREATE OR REPLACE FUNCTION guard_balance() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'the balance of % cannot be %', NEW.id, NEW.credits_remaining USING
                ERRCODE = 'check_violation', CONSTRAINT = 'user_profiles_balance',
                HINT = 'No change may bring a balance below zero, or further below it.';
        END $$
        """,
        # It runs with the rights of whoever moves a balance, and old programs have none on entries: hence SECURITY
        # DEFINER. A person without any entry was there before the ledger, which then opens with what was there.
        """
        CREATE OR REPLACE FUNCTION book_external() RETURNS trigger LANGUAGE plpgsql
        SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
        DECLARE
            account user_profiles;
            last credit_entries;
        BEGIN
            SELECT * INTO account FROM user_profiles WHERE id = NEW.id;
            IF NOT FOUND THEN
                RETURN NULL;
            END IF;
            SELECT * INTO last FROM credit_entries WHERE user_id = NEW.id ORDER BY number DESC LIMIT 1;
            IF NOT FOUND THEN
                last.balance_after := 0;
                last.spent_after := 0;
                IF TG_OP = 'UPDATE' AND (OLD.credits_remaining <> 0 OR OLD.total_spent <> 0) THEN
                    INSERT INTO credit_entries (user_id, amount, kind, balance_after, spent_after)
                        VALUES (NEW.id, OLD.credits_remaining, 'opening', OLD.credits_remaining, OLD.total_spent);
                    last.balance_after := OLD.credits_remaining;
                    last.spent_after := OLD.total_spent;
                END IF;
            END IF;
            IF account.credits_remaining <> last.balance_after OR account.total_spent <> last.spent_after THEN
                INSERT INTO credit_entries (user_id, amount, kind, balance_after, spent_after)
                    VALUES (NEW.id, account.credits_remaining - last.balance_after, 'external',
                        account.credits_remaining, account.total_spent);
            END IF;
            RETURN NULL;
        END $$
        """,
    )
    for name, definition in TRIGGERS.items():
        replace_trigger("user_profiles", name, definition)
    # Those who have entries from before, and were changed since, have been at an earlier revision meanwhile.
    in_pages(
        "user_profiles",
        """
        INSERT INTO credit_entries (user_id, amount, kind, balance_after, spent_after)
        SELECT account.id, credits_remaining - coalesce(balance_after, 0),
            CASE WHEN balance_after IS NULL THEN 'opening' ELSE 'external' END, credits_remaining, total_spent
        FROM user_profiles AS account LEFT JOIN LATERAL (
            SELECT balance_after, spent_after FROM credit_entries WHERE user_id = account.id
            ORDER BY number DESC LIMIT 1
        ) AS last ON true
        WHERE account.id = ANY (ids)
            AND (credits_remaining <> coalesce(balance_after, 0) OR total_spent <> coalesce(spent_after, 0))
        ORDER BY account.id
        """,
    )


def downgrade() -> None:
    one_by_one(
        *(f"DROP TRIGGER IF EXISTS {name} ON user_profiles" for name in TRIGGERS),
        "DROP FUNCTION IF EXISTS book_external(), guard_balance()",
        *(f"DROP INDEX IF EXISTS {name}" for name in INDEXES),
        """
        DO $do$ BEGIN
            ALTER TABLE credit_entries DISABLE TRIGGER refuse_change;
            -- What the earlier shape has no place for.
            DELETE FROM credit_entries WHERE amount = 0
                OR NOT EXISTS (SELECT FROM user_profiles WHERE user_profiles.id = user_id);
            UPDATE credit_entries SET idempotency_key = NULL WHERE actor IS NOT NULL;
            ALTER TABLE credit_entries ENABLE TRIGGER refuse_change;
        END $do$
        """,
        """
        ALTER TABLE credit_entries
            DROP CONSTRAINT IF EXISTS credit_entries_amount_check,
            ADD CONSTRAINT credit_entries_amount_check CHECK (amount <> 0),
            DROP CONSTRAINT IF EXISTS credit_entries_idempotency_key,
            DROP CONSTRAINT IF EXISTS credit_entries_user_id_key,
            ADD CONSTRAINT credit_entries_user_id_key UNIQUE (user_id, idempotency_key),
            DROP CONSTRAINT IF EXISTS credit_entries_user_id_fkey,
            ADD CONSTRAINT credit_entries_user_id_fkey FOREIGN KEY (user_id) REFERENCES user_profiles (id),
            DROP COLUMN IF EXISTS number,
            DROP COLUMN IF EXISTS spent_after,
            DROP COLUMN IF EXISTS actor,
            DROP COLUMN IF EXISTS reason,
            ALTER COLUMN created_at SET DEFAULT now()
        """,
    )
