"""The documents and the experts of a domain are found in the order in which they are listed."""

from db.migrations.online import build_indexes, drop_indexes

revision = "0026"
down_revision = "0025"

INDEXES = {
    "idx_documents_domain_name": "documents (domain, name, id)",
    "idx_experts_domain_name": "experts (domain, name, id)",
}


def upgrade() -> None:
    build_indexes(INDEXES)


def downgrade() -> None:
    drop_indexes(INDEXES)
