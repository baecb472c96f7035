-- Bearer credentials. Only a digest is kept; stoa_platform may tell which tenant a digest belongs to.
CREATE TABLE credential (
  tenant_id uuid NOT NULL REFERENCES tenant,
  credential_id uuid NOT NULL,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  prefix text NOT NULL,
  token_hash bytea NOT NULL,
  scopes text[] NOT NULL CHECK (cardinality(scopes) > 0),
  source_id uuid,
  created_at timestamptz NOT NULL,
  expires_at timestamptz,
  last_used_at timestamptz,
  revoked_at timestamptz,
  PRIMARY KEY (tenant_id, credential_id),
  UNIQUE (tenant_id, token_hash),
  FOREIGN KEY (tenant_id, source_id) REFERENCES source (tenant_id, source_id)
);
CREATE INDEX credential_token ON credential (token_hash);
SELECT secure_tenant_table('credential', 'SELECT, INSERT, UPDATE');
GRANT SELECT (tenant_id, credential_id, token_hash) ON credential TO stoa_platform;
CREATE POLICY platform_rows ON credential FOR SELECT TO stoa_platform USING (true);
