"""How Alembic runs a revision: on the connection that `db.migrate` hands over, each in its own transaction."""

from alembic import context

from db import Base
from db.migrate import OPTIONS

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transaction_per_migration=True,
    **OPTIONS,
)
with context.begin_transaction():
    context.run_migrations()
