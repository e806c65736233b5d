"""${message}."""

from alembic import op

revision = "${up_revision}"
down_revision = "${down_revision}"


def upgrade() -> None:
    ${upgrades or "op.execute()"}


def downgrade() -> None:
    ${downgrades or "op.execute()"}
