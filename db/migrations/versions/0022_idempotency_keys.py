"""Mutations that move money are remembered by the key of whoever sent them."""

from db.migrations.online import one_by_one

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    one_by_one(
        """
        CREATE TABLE IF NOT EXISTS idempotency_keys (
            actor text NOT NULL,
            key uuid NOT NULL,
            request_hash bytea NOT NULL,
            subject uuid NOT NULL,
            created_at timestamptz DEFAULT now() NOT NULL,
            CONSTRAINT idempotency_keys_pkey PRIMARY KEY (actor, key)
        )
        """,
        "CREATE INDEX IF NOT EXISTS idx_idempotency_keys_created ON idempotency_keys (created_at)",
    )


def downgrade() -> None:
    one_by_one("DROP TABLE IF EXISTS idempotency_keys")
