-- The three database roles. Run by a superuser, once per cluster and again on each database; idempotent.
-- Passwords are set by whoever runs it: ALTER ROLE loomworks_app PASSWORD '…'.
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'loomworks_owner') THEN
    CREATE ROLE loomworks_owner LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'loomworks_app') THEN
    CREATE ROLE loomworks_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'lw_system') THEN
    CREATE ROLE lw_system NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;
  END IF;
END
$$;

-- The application may become lw_system for one transaction; it does not have its powers otherwise.
GRANT lw_system TO loomworks_app WITH INHERIT FALSE, SET TRUE;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO loomworks_owner;
GRANT USAGE ON SCHEMA public TO loomworks_app, lw_system;
ALTER DEFAULT PRIVILEGES FOR ROLE loomworks_owner IN SCHEMA public
  GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO loomworks_app;
ALTER DEFAULT PRIVILEGES FOR ROLE loomworks_owner IN SCHEMA public
  GRANT USAGE, SELECT ON SEQUENCES TO loomworks_app, lw_system;
