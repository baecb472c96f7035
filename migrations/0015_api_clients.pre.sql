-- Clients of the public API: what an integration is let do, from where, and by which keys and secrets.
CREATE TABLE api_client (
  tenant_id uuid NOT NULL REFERENCES tenant,
  client_id uuid NOT NULL,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  name_key text COLLATE "C" NOT NULL,
  scopes text[] NOT NULL CHECK (cardinality(scopes) > 0),
  -- In whose name it asserts facts about people, if it may.
  source_id uuid,
  -- The version of the API that it was written for, as a date; that of the day when null.
  version text,
  -- CIDR networks that it may call from; anywhere when there is none.
  allowed_addresses text[] NOT NULL DEFAULT '{}',
  -- Public keys by which it signs for itself (RFC 7523), as a JWK set.
  jwks jsonb,
  per_minute integer CHECK (per_minute > 0),
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  last_used_at timestamptz,
  disabled_at timestamptz,
  deleted_at timestamptz,
  PRIMARY KEY (tenant_id, client_id),
  FOREIGN KEY (tenant_id, source_id) REFERENCES source (tenant_id, source_id)
);
CREATE UNIQUE INDEX api_client_name ON api_client (tenant_id, name_key) WHERE deleted_at IS NULL;
-- Two clients never assert facts in one name.
CREATE UNIQUE INDEX api_client_source ON api_client (tenant_id, source_id) WHERE deleted_at IS NULL AND source_id IS NOT NULL;
CREATE INDEX api_client_id ON api_client (client_id);
SELECT secure_tenant_table('api_client', 'SELECT, INSERT, UPDATE');
GRANT SELECT (tenant_id, client_id) ON api_client TO stoa_platform;
CREATE POLICY platform_rows ON api_client FOR SELECT TO stoa_platform USING (true);

ALTER TABLE source DROP CONSTRAINT source_kind_check;
ALTER TABLE source ADD CONSTRAINT source_kind_check CHECK (kind IN ('console', 'idp', 'hris', 'import', 'api'));

ALTER TABLE credential
  ADD COLUMN client_id uuid,
  ADD COLUMN kind text NOT NULL DEFAULT 'token' CHECK (kind IN ('token', 'api_key', 'client_secret')),
  ADD FOREIGN KEY (tenant_id, client_id) REFERENCES api_client (tenant_id, client_id),
  ADD CONSTRAINT credential_of_client CHECK ((kind = 'token') = (client_id IS NULL));
CREATE INDEX credential_client ON credential (tenant_id, client_id, created_at) WHERE client_id IS NOT NULL;

-- What /oauth/token gives for an hour. They come by the hour and go, unlike credentials, whose rows are kept.
CREATE TABLE access_token (
  tenant_id uuid NOT NULL,
  token_id uuid NOT NULL,
  client_id uuid NOT NULL,
  token_hash bytea NOT NULL,
  prefix text NOT NULL,
  scopes text[] NOT NULL CHECK (cardinality(scopes) > 0),
  -- What was shown for it: a secret, or else a signature by the public key of that id. It ends when that does.
  secret_id uuid,
  kid text,
  created_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, token_hash),
  FOREIGN KEY (tenant_id, client_id) REFERENCES api_client (tenant_id, client_id),
  FOREIGN KEY (tenant_id, secret_id) REFERENCES credential (tenant_id, credential_id)
);
CREATE INDEX access_token_hash ON access_token (token_hash);
CREATE INDEX access_token_client ON access_token (tenant_id, client_id, expires_at);
SELECT secure_tenant_table('access_token');
GRANT SELECT (tenant_id, token_hash) ON access_token TO stoa_platform;
CREATE POLICY platform_rows ON access_token FOR SELECT TO stoa_platform USING (true);

-- Signed assertions that were shown, by a digest of their jti, until they expire: each opens once.
CREATE TABLE client_assertion (
  tenant_id uuid NOT NULL,
  client_id uuid NOT NULL,
  jti_hash bytea NOT NULL,
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, client_id, jti_hash),
  FOREIGN KEY (tenant_id, client_id) REFERENCES api_client (tenant_id, client_id)
);
CREATE INDEX client_assertion_expired ON client_assertion (tenant_id, client_id, expires_at);
SELECT secure_tenant_table('client_assertion');
