"""The database itself keeps updated_at and domains.expert_names right, whichever program writes."""

from alembic import op

from db.migrations.online import one_by_one

revision = "0012"
down_revision = "0011"

TABLES_WITH_UPDATED_AT = (
    "user_profiles",
    "clones",
    "knowledge",
    "sessions",
    "creator_analytics",
    "clone_qa_data",
    "vector_stores",
    "assistants",
    "store_files",
)


def upgrade() -> None:
    op.execute("""
        CREATE OR REPLACE FUNCTION keep_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            NEW.updated_at := now();
            RETURN NEW;
        END $$
    """)
    # The trigger runs with the rights of whoever writes an expert, and old programs may not write domains: hence
    # SECURITY DEFINER. The domain is locked before its experts are read, in a statement of its own: the second
    # statement then sees what a writer that held the lock has committed. NO KEY, because a writer's foreign key
    # already holds a share of the key, and two writers would wait for each other.
    op.execute("""
        CREATE OR REPLACE FUNCTION keep_expert_names() RETURNS trigger LANGUAGE plpgsql
        SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
        BEGIN
            PERFORM FROM domains WHERE domain_name IN (OLD.domain, NEW.domain)
                ORDER BY domain_name FOR NO KEY UPDATE;
            UPDATE domains
                SET expert_names = ARRAY(SELECT name FROM experts WHERE domain = domain_name ORDER BY name)
                WHERE domain_name IN (OLD.domain, NEW.domain);
            RETURN NULL;
        END $$
    """)
    # An old program adds an expert's name by itself, after the trigger did: then it would be there twice.
    op.execute("""
        CREATE OR REPLACE FUNCTION keep_expert_names_distinct() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            NEW.expert_names := ARRAY(
                SELECT name FROM unnest(NEW.expert_names) WITH ORDINALITY AS listed (name, place)
                GROUP BY name ORDER BY min(place)
            );
            RETURN NEW;
        END $$
    """)
    one_by_one(
        *(
            # A writer who names a time of its own keeps it.
            f"""
            CREATE OR REPLACE TRIGGER keep_updated_at BEFORE UPDATE ON {table} FOR EACH ROW
            WHEN (NEW.updated_at IS NOT DISTINCT FROM OLD.updated_at) EXECUTE FUNCTION keep_updated_at()
            """
            for table in TABLES_WITH_UPDATED_AT
        ),
        """
        CREATE OR REPLACE TRIGGER keep_expert_names AFTER INSERT OR DELETE OR UPDATE OF name, domain ON experts
        FOR EACH ROW EXECUTE FUNCTION keep_expert_names()
        """,
        """
        CREATE OR REPLACE TRIGGER keep_expert_names_distinct BEFORE UPDATE OF expert_names ON domains FOR EACH ROW
        WHEN (NEW.expert_names IS NOT NULL) EXECUTE FUNCTION keep_expert_names_distinct()
        """,
    )


def downgrade() -> None:
    one_by_one(
        "DROP TRIGGER IF EXISTS keep_expert_names_distinct ON domains",
        "DROP TRIGGER IF EXISTS keep_expert_names ON experts",
        *(f"DROP TRIGGER IF EXISTS keep_updated_at ON {table}" for table in TABLES_WITH_UPDATED_AT),
        "DROP FUNCTION IF EXISTS keep_expert_names_distinct(), keep_expert_names(), keep_updated_at()",
    )
