"""Experts stand behind clones."""

from alembic import op

from db.migrations.online import build_indexes, foreign_key

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE IF NOT EXISTS clone_experts (
            clone_id uuid,
            expert_name text,
            PRIMARY KEY (clone_id, expert_name)
        )
    """)
    foreign_key("clone_experts", "clone_id", "clones (id) ON DELETE CASCADE")
    foreign_key("clone_experts", "expert_name", "experts (name) ON DELETE CASCADE ON UPDATE CASCADE")
    build_indexes({"idx_clone_experts_expert_name": "clone_experts (expert_name)"})


def downgrade() -> None:
    op.execute("DROP TABLE IF EXISTS clone_experts")
