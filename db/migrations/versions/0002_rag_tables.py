"""The five RAG tables come to live beside the CloneAI tables.

They differ from the DDL of the RAG system in what did not work there: an expert's name is unique, so that it can be
referred to, and a domain or expert can be renamed. `array_append` is not created: it shadowed the built-in function
and called itself for ever. Where an operator has applied that DDL already, the tables are brought to this shape.
"""

from alembic import op
from sqlalchemy import inspect

from db.migrations.online import foreign_key

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE IF NOT EXISTS domains (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            domain_name text NOT NULL UNIQUE,
            expert_names text[] DEFAULT '{}'
        )
    """)
    op.execute("""
        CREATE TABLE IF NOT EXISTS experts (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            name text NOT NULL,
            domain text NOT NULL,
            context text NOT NULL
        )
    """)
    if not any(
        unique["column_names"] == ["name"] for unique in inspect(op.get_bind()).get_unique_constraints("experts")
    ):
        op.execute("ALTER TABLE experts ADD CONSTRAINT experts_name_key UNIQUE (name)")
    op.execute("""
        CREATE TABLE IF NOT EXISTS documents (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            name text NOT NULL UNIQUE,
            document_link text NOT NULL,
            created_by text,
            domain text NOT NULL,
            included_in_default boolean NOT NULL DEFAULT false,
            client_name text,
            openai_file_id text
        )
    """)
    op.execute("""
        CREATE TABLE IF NOT EXISTS vector_stores (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            vector_id text NOT NULL UNIQUE,
            domain_name text NOT NULL,
            expert_name text,
            client_name text,
            file_ids text[] DEFAULT '{}',
            batch_ids text[] DEFAULT '{}',
            latest_batch_id text,
            owner text NOT NULL,
            created_at timestamptz DEFAULT now(),
            updated_at timestamptz DEFAULT now()
        )
    """)
    op.execute("""
        CREATE TABLE IF NOT EXISTS assistants (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            assistant_id text NOT NULL UNIQUE,
            expert_name text NOT NULL,
            memory_type text NOT NULL,
            client_name text,
            vector_id text,
            created_at timestamptz DEFAULT now(),
            updated_at timestamptz DEFAULT now()
        )
    """)
    op.execute("DROP FUNCTION IF EXISTS array_append(anyarray, anyelement)")
    op.execute("""
        CREATE OR REPLACE FUNCTION array_concat(arr1 anyarray, arr2 anyarray) RETURNS anyarray
        LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT arr1 || arr2'
    """)
    domain = "domains (domain_name) ON DELETE CASCADE ON UPDATE CASCADE"
    foreign_key("experts", "domain", domain, instead_of="fk_domain")
    foreign_key("documents", "domain", domain, instead_of="fk_domain")
    foreign_key("vector_stores", "domain_name", domain, instead_of="fk_domain")
    foreign_key(
        "assistants", "expert_name", "experts (name) ON DELETE CASCADE ON UPDATE CASCADE", instead_of="fk_expert"
    )


def downgrade() -> None:
    op.execute("DROP FUNCTION IF EXISTS array_concat(anyarray, anyarray)")
    op.execute("DROP TABLE IF EXISTS assistants, vector_stores, documents, experts, domains")
