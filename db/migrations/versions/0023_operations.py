"""What is done at the AI provider is an operation, and every object there has a row here before it exists."""

from db.migrations.online import build_indexes, by_column, foreign_key, one_by_one, tell_changes, tell_no_changes

revision = "0023"
down_revision = "0022"

COLUMNS = {
    "documents": ("sha256 text", "size_bytes bigint", "media_type text", "original_url text", "deleted_at timestamptz"),
    "knowledge": ("sha256 text", "deleted_at timestamptz"),
    "vector_stores": ("provider text",),
    "store_files": (
        "knowledge_id uuid",
        "clone_id uuid",
        "sha256 text",
        "incoming_file_id text",
        "incoming_sha256 text",
        "removed_at timestamptz",
    ),
    "message_sources": ("knowledge_id uuid",),
}


def upgrade() -> None:
    one_by_one(
        """
        CREATE TABLE IF NOT EXISTS operations (
            id uuid DEFAULT gen_random_uuid() NOT NULL,
            kind text NOT NULL,
            status text DEFAULT 'queued' NOT NULL,
            subject text NOT NULL,
            title text NOT NULL,
            options jsonb DEFAULT '{}' NOT NULL,
            progress double precision DEFAULT 0 NOT NULL,
            error_code text,
            error_message text,
            is_retryable boolean DEFAULT false NOT NULL,
            attempts integer DEFAULT 0 NOT NULL,
            failures integer DEFAULT 0 NOT NULL,
            indexing_since timestamptz,
            actor text NOT NULL,
            requested_by uuid,
            clone_id uuid,
            domain_id uuid,
            expert_id uuid,
            document_id uuid,
            vector_store_id uuid,
            assistant_id uuid,
            is_stale boolean DEFAULT false NOT NULL,
            due_at timestamptz DEFAULT now(),
            leased_until timestamptz,
            fence bigint DEFAULT 0 NOT NULL,
            cancel_requested_at timestamptz,
            started_at timestamptz,
            ended_at timestamptz,
            created_at timestamptz DEFAULT now() NOT NULL,
            updated_at timestamptz DEFAULT now() NOT NULL,
            CONSTRAINT operations_pkey PRIMARY KEY (id)
        )
        """,
        """
        CREATE TABLE IF NOT EXISTS operation_steps (
            id uuid DEFAULT gen_random_uuid() NOT NULL,
            operation_id uuid NOT NULL,
            kind text NOT NULL,
            key text NOT NULL,
            title text NOT NULL,
            status text DEFAULT 'pending' NOT NULL,
            error text,
            document_id uuid,
            knowledge_id uuid,
            created_at timestamptz DEFAULT now() NOT NULL,
            updated_at timestamptz DEFAULT now() NOT NULL,
            CONSTRAINT operation_steps_pkey PRIMARY KEY (id),
            CONSTRAINT operation_steps_operation_id_key UNIQUE (operation_id, key)
        )
        """,
        """
        CREATE TABLE IF NOT EXISTS remote_objects (
            id uuid DEFAULT gen_random_uuid() NOT NULL,
            provider text NOT NULL,
            kind text NOT NULL,
            op_key text NOT NULL,
            name text NOT NULL,
            remote_id text,
            state text DEFAULT 'intended' NOT NULL,
            sha256 text,
            operation_id uuid,
            created_at timestamptz DEFAULT now() NOT NULL,
            updated_at timestamptz DEFAULT now() NOT NULL,
            CONSTRAINT remote_objects_pkey PRIMARY KEY (id),
            CONSTRAINT remote_objects_provider_key UNIQUE (provider, remote_id)
        )
        """,
        """
        CREATE TABLE IF NOT EXISTS provider_accounts (
            provider text NOT NULL,
            tokens double precision DEFAULT 0 NOT NULL,
            counted_at timestamptz DEFAULT now() NOT NULL,
            parked_until timestamptz,
            parked_reason text,
            CONSTRAINT provider_accounts_pkey PRIMARY KEY (provider)
        )
        """,
        *(
            f"ALTER TABLE {table} {', '.join(f'ADD COLUMN IF NOT EXISTS {column}' for column in columns)}"
            for table, columns in COLUMNS.items()
        ),
        *(
            f"""
            CREATE OR REPLACE TRIGGER keep_updated_at BEFORE UPDATE ON {table} FOR EACH ROW
            WHEN (NEW.updated_at IS NOT DISTINCT FROM OLD.updated_at) EXECUTE FUNCTION keep_updated_at()
            """
            for table in ("operations", "operation_steps", "remote_objects")
        ),
    )
    foreign_key("operations", "requested_by", "user_profiles (id) ON DELETE SET NULL")
    foreign_key("operations", "clone_id", "clones (id) ON DELETE SET NULL")
    foreign_key("operations", "domain_id", "domains (id) ON DELETE SET NULL")
    foreign_key("operations", "expert_id", "experts (id) ON DELETE SET NULL")
    foreign_key("operations", "document_id", "documents (id) ON DELETE SET NULL")
    foreign_key("operations", "vector_store_id", "vector_stores (id) ON DELETE SET NULL")
    foreign_key("operations", "assistant_id", "assistants (id) ON DELETE SET NULL")
    foreign_key("operation_steps", "operation_id", "operations (id) ON DELETE CASCADE")
    foreign_key("operation_steps", "document_id", "documents (id) ON DELETE SET NULL")
    foreign_key("operation_steps", "knowledge_id", "knowledge (id) ON DELETE SET NULL")
    foreign_key("remote_objects", "operation_id", "operations (id) ON DELETE SET NULL")
    foreign_key("store_files", "knowledge_id", "knowledge (id) ON DELETE CASCADE")
    foreign_key("store_files", "clone_id", "clones (id) ON DELETE CASCADE")
    foreign_key("message_sources", "knowledge_id", "knowledge (id) ON DELETE SET NULL")
    build_indexes(
        {
            **by_column(
                {
                    "operations": "kind status requested_by clone_id domain_id expert_id document_id vector_store_id"
                    " assistant_id created_at",
                    "operation_steps": "operation_id document_id knowledge_id created_at",
                    "store_files": "knowledge_id clone_id incoming_file_id",
                    "message_sources": "knowledge_id",
                    "remote_objects": "operation_id",
                }
            ),
            "idx_operations_open": "operations (subject) WHERE ended_at IS NULL",
            "idx_operations_due": "operations (due_at) WHERE ended_at IS NULL",
            "idx_remote_objects_wanted": "remote_objects (provider, op_key) WHERE state <> 'gone'",
            "idx_store_files_knowledge": "store_files (vector_store_id, knowledge_id)",
            "idx_store_files_clone": "store_files (vector_store_id, clone_id)",
        },
        unique=(
            "idx_operations_open",
            "idx_remote_objects_wanted",
            "idx_store_files_knowledge",
            "idx_store_files_clone",
        ),
    )
    tell_changes({"operations": "operation"})


def downgrade() -> None:
    tell_no_changes(["operations"])
    one_by_one(
        *(
            f"ALTER TABLE {table} {', '.join(f'DROP COLUMN IF EXISTS {column.split()[0]}' for column in columns)}"
            for table, columns in COLUMNS.items()
        ),
        "DROP TABLE IF EXISTS operation_steps, remote_objects, provider_accounts, operations",
    )
