"""The words that search reads have an index."""

from db.migrations.online import build_indexes, drop_indexes

revision = "0015"
down_revision = "0014"

SEARCHED = {
    "clones": "coalesce(name, '') || ' ' || coalesce(category, '') || ' ' || coalesce(bio, '')",
    "experts": "coalesce(name, '') || ' ' || coalesce(domain, '')",
    "documents": "coalesce(name, '')",
    "knowledge": "coalesce(title, '') || ' ' || coalesce(content_preview, '')",
}
INDEXES = {
    f"idx_{table}_search": f"{table} USING gin (to_tsvector('english'::regconfig, {words}))"
    for table, words in SEARCHED.items()
}


def upgrade() -> None:
    build_indexes(INDEXES)


def downgrade() -> None:
    drop_indexes(INDEXES)
