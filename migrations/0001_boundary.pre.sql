-- The tenant boundary (docs/architecture.md, section 2). Every tenant table is handed to secure_tenant_table() by the migration that makes it.

CREATE SCHEMA stage;
GRANT USAGE ON SCHEMA stage TO stoa_sync;
GRANT USAGE ON SCHEMA public TO stoa_app, stoa_sync, stoa_platform, stoa_backup;

CREATE FUNCTION secure_tenant_table(target regclass, app_verbs text DEFAULT 'SELECT, INSERT, UPDATE, DELETE')
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
  EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', target);
  EXECUTE format(
    'CREATE POLICY tenant_rows ON %s TO stoa_app, stoa_sync '
    'USING (tenant_id = nullif(current_setting(''stoa.tenant'', true), '''')::uuid) '
    'WITH CHECK (tenant_id = nullif(current_setting(''stoa.tenant'', true), '''')::uuid)', target);
  -- Without this a migration's UPDATE under FORCE says UPDATE 0 and raises nothing.
  EXECUTE format('CREATE POLICY owner_rows ON %s TO stoa_owner USING (true) WITH CHECK (true)', target);
  EXECUTE format('CREATE POLICY backup_rows ON %s FOR SELECT TO stoa_backup USING (true)', target);
  EXECUTE format('GRANT %s ON %s TO stoa_app, stoa_sync', app_verbs, target);
  EXECUTE format('GRANT SELECT ON %s TO stoa_backup', target);
END $$;
REVOKE ALL ON FUNCTION secure_tenant_table(regclass, text) FROM PUBLIC;
