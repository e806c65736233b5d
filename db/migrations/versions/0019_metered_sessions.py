"""Sessions know up to when they are paid for, and why they ended."""

from db.migrations.online import build_indexes, drop_indexes, one_by_one

revision = "0019"
down_revision = "0018"

COLUMNS = {
    "last_active_at": "timestamptz",
    "metered_until": "timestamptz",
    "billable_seconds": "numeric NOT NULL DEFAULT 0",
    "time_cost": "numeric NOT NULL DEFAULT 0",
    "end_reason": "text",
}
OURS = "last_active_at IS NOT NULL AND status <> 'ended'"
INDEXES = {
    # Only among the sessions that the gateway opened: what old programs leave open is their business.
    "idx_sessions_open": f"sessions (user_id, clone_id) WHERE {OURS}",
    "idx_sessions_metered": "sessions (metered_until, last_active_at)"
    " WHERE last_active_at IS NOT NULL AND (metered_until IS NOT NULL OR status <> 'ended')",
}


def upgrade() -> None:
    added = ", ".join(f"ADD COLUMN IF NOT EXISTS {name} {kind}" for name, kind in COLUMNS.items())
    one_by_one(f"ALTER TABLE sessions {added}")
    build_indexes(INDEXES, unique={"idx_sessions_open"})


def downgrade() -> None:
    drop_indexes(INDEXES)
    dropped = ", ".join(f"DROP COLUMN IF EXISTS {name}" for name in COLUMNS)
    one_by_one(f"ALTER TABLE sessions {dropped}")
