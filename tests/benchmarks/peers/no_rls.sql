-- Takes back what rls.sql does, and whatever a run left behind that was broken off.

DROP SCHEMA IF EXISTS peers CASCADE;  -- the policies go with the functions that they call

ALTER TABLE IF EXISTS user_profiles DISABLE ROW LEVEL SECURITY;
ALTER TABLE IF EXISTS clones DISABLE ROW LEVEL SECURITY;
ALTER TABLE IF EXISTS assistants DISABLE ROW LEVEL SECURITY;
ALTER TABLE IF EXISTS documents DISABLE ROW LEVEL SECURITY;
ALTER TABLE IF EXISTS vector_stores DISABLE ROW LEVEL SECURITY;
ALTER TABLE IF EXISTS sessions DISABLE ROW LEVEL SECURITY;
ALTER TABLE IF EXISTS messages DISABLE ROW LEVEL SECURITY;

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'visitor') THEN
        DROP OWNED BY postgraphile, visitor;
        DROP ROLE postgraphile, visitor;
    END IF;
END $$;
