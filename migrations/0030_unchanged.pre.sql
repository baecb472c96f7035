-- Whether a credential, and its client, are to the letter as they were when a process read them last: asked in the round trip that
-- begins a request's transaction. Functions keep the plans of their statements, which text sent without parameters cannot.
CREATE FUNCTION credential_unchanged(of_tenant uuid, digest bytea, mark xid, of_client uuid, client_mark xid)
RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN EXISTS (SELECT FROM credential c WHERE c.tenant_id = of_tenant AND c.token_hash = digest AND c.xmin = mark)
    AND (of_client IS NULL OR EXISTS (
      SELECT FROM api_client a WHERE a.tenant_id = of_tenant AND a.client_id = of_client AND a.xmin = client_mark));
END $$;
CREATE FUNCTION access_token_unchanged(of_tenant uuid, digest bytea, mark xid, of_client uuid, client_mark xid)
RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN EXISTS (SELECT FROM access_token t WHERE t.tenant_id = of_tenant AND t.token_hash = digest AND t.xmin = mark)
    AND EXISTS (
      SELECT FROM api_client a WHERE a.tenant_id = of_tenant AND a.client_id = of_client AND a.xmin = client_mark);
END $$;
-- Whether the extensions that a tenant has described are those that a process knows.
CREATE FUNCTION scim_schemas_unchanged(of_tenant uuid, known bigint)
RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN NOT EXISTS (SELECT FROM scim_schema_set s WHERE s.tenant_id = of_tenant AND s.version > known);
END $$;
REVOKE ALL ON FUNCTION credential_unchanged, access_token_unchanged, scim_schemas_unchanged FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credential_unchanged, access_token_unchanged, scim_schemas_unchanged TO stoa_app, stoa_sync;
