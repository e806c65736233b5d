"""A person can let the creator of a clone read a session's messages."""

from db.migrations.online import one_by_one

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    one_by_one("ALTER TABLE sessions ADD COLUMN IF NOT EXISTS transcript_shared_at timestamptz")


def downgrade() -> None:
    one_by_one("ALTER TABLE sessions DROP COLUMN IF EXISTS transcript_shared_at")
