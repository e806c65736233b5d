"""How an assistant is configured is kept version by version; one of them is in force."""

from alembic import op

from db.migrations.online import build_indexes, by_column, foreign_key, one_by_one

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE IF NOT EXISTS assistant_configs (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            assistant_id uuid NOT NULL,
            version integer NOT NULL,
            model text NOT NULL,
            instructions text NOT NULL,
            vector_store_ids text[] NOT NULL DEFAULT '{}',
            temperature double precision,
            max_output_tokens integer,
            created_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT assistant_configs_assistant_id_key UNIQUE (assistant_id, version)
        )
    """)
    one_by_one("ALTER TABLE assistants ADD COLUMN IF NOT EXISTS config_id uuid")
    foreign_key("assistant_configs", "assistant_id", "assistants (id) ON DELETE CASCADE")
    foreign_key("assistants", "config_id", "assistant_configs (id) ON DELETE SET NULL")
    build_indexes(by_column({"assistant_configs": "assistant_id version created_at", "assistants": "config_id"}))


def downgrade() -> None:
    one_by_one("ALTER TABLE assistants DROP COLUMN IF EXISTS config_id", "DROP TABLE IF EXISTS assistant_configs")
