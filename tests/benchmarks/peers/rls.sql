-- Row level security for PostGraphile: the gateway's rules about who may see what, as policies.
--
-- They are made as those who know advise: what depends on the request alone stands in a subselect, so that PostgreSQL
-- works it out once in a statement, and other tables are looked up past their own policies.
-- Neither the owner of the tables nor a superuser meets any of this, so the gateway does not.

CREATE ROLE visitor NOLOGIN;
CREATE ROLE postgraphile LOGIN BYPASSRLS IN ROLE visitor;
ALTER ROLE postgraphile SET jit = off;
ALTER ROLE postgraphile SET timezone = 'UTC';

-- What is not granted is not part of PostGraphile's graph.
GRANT SELECT (id, full_name, created_at) ON user_profiles TO visitor;
GRANT SELECT (
    id, creator_id, domain_id, name, bio, category, base_price, is_published, is_active, total_sessions, average_rating,
    created_at, memory_type, system_prompt, temperature, max_tokens
) ON clones TO visitor;
GRANT SELECT (id, domain_name) ON domains TO visitor;
GRANT SELECT (id, name, domain) ON experts TO visitor;
GRANT SELECT (id, assistant_id, expert_name, memory_type, owner_id, created_at) ON assistants TO visitor;
GRANT SELECT (id, name, domain, document_link, openai_file_id, owner_id, deleted_at) ON documents TO visitor;
GRANT SELECT (id, vector_id, domain_name, owner, file_ids, owner_id, created_at) ON vector_stores TO visitor;
GRANT SELECT (id, user_id, clone_id, status, start_time, transcript_shared_at) ON sessions TO visitor;
GRANT SELECT (id, session_id, sender_type, content, tokens_used, created_at) ON messages TO visitor;

CREATE SCHEMA peers;
GRANT USAGE ON SCHEMA peers TO visitor;

CREATE FUNCTION peers.viewer_id() RETURNS uuid LANGUAGE sql STABLE
    RETURN nullif(current_setting('jwt.claims.sub', true), '')::uuid;

CREATE FUNCTION peers.own_clones() RETURNS uuid[] LANGUAGE sql STABLE SECURITY DEFINER
    RETURN ARRAY(SELECT id FROM clones WHERE creator_id = peers.viewer_id());

CREATE FUNCTION peers.own_assistants() RETURNS text[] LANGUAGE sql STABLE SECURITY DEFINER
    RETURN ARRAY(SELECT rag_assistant_id FROM clones WHERE creator_id = peers.viewer_id());

CREATE FUNCTION peers.own_stores() RETURNS text[] LANGUAGE sql STABLE SECURITY DEFINER
    RETURN ARRAY(SELECT vector_store_id FROM clones WHERE creator_id = peers.viewer_id());

CREATE FUNCTION peers.held_documents() RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER
BEGIN ATOMIC
    SELECT document_id FROM store_files WHERE vector_store_id IN (
        SELECT id FROM vector_stores WHERE owner_id = peers.viewer_id()
        UNION ALL
        SELECT id FROM vector_stores WHERE vector_id = ANY (peers.own_stores())
    );
END;

ALTER TABLE clones ENABLE ROW LEVEL SECURITY;
CREATE POLICY visible ON clones FOR SELECT TO visitor
    USING (is_published AND is_active OR creator_id = (SELECT peers.viewer_id()));

ALTER TABLE sessions ENABLE ROW LEVEL SECURITY;
CREATE POLICY visible ON sessions FOR SELECT TO visitor
    USING (user_id = (SELECT peers.viewer_id()) OR clone_id = ANY ((SELECT peers.own_clones())::uuid[]));

ALTER TABLE messages ENABLE ROW LEVEL SECURITY;
CREATE POLICY visible ON messages FOR SELECT TO visitor
    USING ((SELECT true FROM sessions WHERE sessions.id = session_id));

ALTER TABLE user_profiles ENABLE ROW LEVEL SECURITY;
CREATE POLICY visible ON user_profiles FOR SELECT TO visitor
    USING (
        id = (SELECT peers.viewer_id())
        OR (SELECT true FROM clones WHERE creator_id = user_profiles.id AND is_published AND is_active LIMIT 1)
        OR (
            SELECT true FROM sessions
            WHERE user_id = user_profiles.id AND clone_id = ANY ((SELECT peers.own_clones())::uuid[]) LIMIT 1
        )
    );

ALTER TABLE assistants ENABLE ROW LEVEL SECURITY;
CREATE POLICY visible ON assistants FOR SELECT TO visitor
    USING (
        owner_id = (SELECT peers.viewer_id()) OR assistant_id = ANY ((SELECT peers.own_assistants())::text[])
    );

ALTER TABLE vector_stores ENABLE ROW LEVEL SECURITY;
CREATE POLICY visible ON vector_stores FOR SELECT TO visitor
    USING (owner_id = (SELECT peers.viewer_id()) OR vector_id = ANY ((SELECT peers.own_stores())::text[]));

ALTER TABLE documents ENABLE ROW LEVEL SECURITY;
CREATE POLICY visible ON documents FOR SELECT TO visitor
    USING (owner_id IS NULL AND deleted_at IS NULL OR owner_id = (SELECT peers.viewer_id()));
