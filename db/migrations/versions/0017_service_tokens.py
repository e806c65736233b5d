"""Services have tokens of their own."""

from db.migrations.online import one_by_one

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    one_by_one(
        """
        CREATE TABLE IF NOT EXISTS service_tokens (
            id uuid DEFAULT gen_random_uuid() NOT NULL,
            name text NOT NULL,
            token_hash bytea NOT NULL,
            scopes text[] NOT NULL,
            created_at timestamptz DEFAULT now() NOT NULL,
            expires_at timestamptz,
            revoked_at timestamptz,
            last_used_at timestamptz,
            CONSTRAINT service_tokens_pkey PRIMARY KEY (id),
            CONSTRAINT service_tokens_token_hash_key UNIQUE (token_hash),
            CONSTRAINT service_tokens_token_hash_check CHECK (octet_length(token_hash) = 32),
            CONSTRAINT service_tokens_scopes_check CHECK ('read' = ANY (scopes))
        )
        """,
        "CREATE UNIQUE INDEX IF NOT EXISTS idx_service_tokens_name ON service_tokens (name) WHERE revoked_at IS NULL",
    )


def downgrade() -> None:
    one_by_one("DROP TABLE IF EXISTS service_tokens")
