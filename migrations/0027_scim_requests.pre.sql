-- The log of SCIM requests, for admins to look at (docs/adr/0023). Written some hundred milliseconds after the answer; the journal is the truth.
CREATE TABLE scim_request (
  tenant_id uuid NOT NULL REFERENCES tenant,
  -- UUIDv7 of the moment at which the request came.
  request_id uuid NOT NULL,
  at timestamptz NOT NULL,
  source_id uuid NOT NULL,
  credential_id uuid,
  -- Who sent it, if that was somebody at the console and not the provider; and the request that was sent once more then.
  actor text,
  replay_of uuid,
  method text COLLATE "C" NOT NULL,
  -- Below the tenant's address. What is no endpoint and no id is left out: clients put names there. The whole stands in `sealed`.
  path text COLLATE "C" NOT NULL,
  status integer NOT NULL,
  duration_us bigint NOT NULL,
  address text,
  user_agent text,
  trace_id text COLLATE "C",
  outcome text COLLATE "C" NOT NULL,
  reason text COLLATE "C" NOT NULL DEFAULT '',
  resource_id uuid,
  person_id uuid,
  -- The change in the journal, which has the difference.
  run_id uuid,
  ord bigint,
  -- Keyed digests of the names that it was about: user name, the client's id, e-mail address.
  name_key bigint,
  external_key bigint,
  email_key bigint,
  -- Path, query and bodies.
  sealed bytea NOT NULL,
  -- Requests of the tenant before this one that were not written down, for there were too many.
  lost integer NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant_id, request_id),
  FOREIGN KEY (tenant_id, source_id) REFERENCES source (tenant_id, source_id),
  CHECK ((run_id IS NULL) = (ord IS NULL)),
  CHECK ((replay_of IS NULL) = (actor IS NULL))
);
-- Sealed bytes cannot be made smaller: trying takes time alone.
ALTER TABLE scim_request ALTER COLUMN sealed SET STORAGE EXTERNAL;
CREATE INDEX scim_request_of ON scim_request (tenant_id, source_id, request_id);
CREATE INDEX scim_request_resource ON scim_request (tenant_id, resource_id, request_id) WHERE resource_id IS NOT NULL;
CREATE INDEX scim_request_name ON scim_request (tenant_id, name_key, request_id) WHERE name_key IS NOT NULL;
CREATE INDEX scim_request_external ON scim_request (tenant_id, external_key, request_id) WHERE external_key IS NOT NULL;
CREATE INDEX scim_request_email ON scim_request (tenant_id, email_key, request_id) WHERE email_key IS NOT NULL;
CREATE INDEX scim_request_replay ON scim_request (tenant_id, replay_of, request_id) WHERE replay_of IS NOT NULL;
SELECT secure_tenant_table('scim_request');

-- What each source sent in each clock hour (UTC): its rhythm, from which silence is told, and the figures of the last day.
CREATE TABLE scim_hour (
  tenant_id uuid NOT NULL,
  source_id uuid NOT NULL,
  hour timestamptz NOT NULL,
  requests bigint NOT NULL,
  -- Those answered 400 or more.
  errors bigint NOT NULL,
  first_at timestamptz NOT NULL,
  last_at timestamptz NOT NULL,
  -- The last one that was answered below 400.
  success_at timestamptz,
  PRIMARY KEY (tenant_id, source_id, hour),
  FOREIGN KEY (tenant_id, source_id) REFERENCES source (tenant_id, source_id)
) WITH (fillfactor = 50);
SELECT secure_tenant_table('scim_hour');

-- How long requests are kept; 14 days where there is no row.
CREATE TABLE scim_log_setting (
  tenant_id uuid NOT NULL REFERENCES tenant,
  kept_days integer NOT NULL CHECK (kept_days BETWEEN 1 AND 90),
  PRIMARY KEY (tenant_id)
);
SELECT secure_tenant_table('scim_log_setting', 'SELECT, INSERT, UPDATE');
