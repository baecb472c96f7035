-- Which tenant a slug or host names: the only way from an address to a tenant. No tenant's data here, so no row-level security.
CREATE TABLE tenant_slug (
  slug text COLLATE "C" PRIMARY KEY CHECK (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
  tenant_id uuid NOT NULL UNIQUE
);
GRANT SELECT ON tenant_slug TO stoa_platform, stoa_backup;
GRANT INSERT ON tenant_slug TO stoa_app;

CREATE TABLE tenant (
  tenant_id uuid PRIMARY KEY,
  slug text COLLATE "C" NOT NULL,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  time_zone text NOT NULL DEFAULT 'UTC',
  sandbox boolean NOT NULL DEFAULT false,
  clock_offset interval NOT NULL DEFAULT '0',
  owner_name text,
  owner_email text,
  created_at timestamptz NOT NULL,
  CHECK (sandbox OR clock_offset = '0')
);
-- For the reader of clock offsets, which each process asks once a second.
CREATE INDEX tenant_sandbox ON tenant (tenant_id) WHERE sandbox;
SELECT secure_tenant_table('tenant', 'SELECT, INSERT, UPDATE');
GRANT SELECT (tenant_id, slug, name, time_zone, sandbox, clock_offset, created_at) ON tenant TO stoa_platform;
CREATE POLICY platform_rows ON tenant FOR SELECT TO stoa_platform USING (true);

-- "Okta", "Workday", "console". Survives reconnects and tokens.
CREATE TABLE source (
  tenant_id uuid NOT NULL REFERENCES tenant,
  source_id uuid NOT NULL,
  kind text NOT NULL CHECK (kind IN ('console', 'idp', 'hris', 'import')),
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  name_key text COLLATE "C" NOT NULL,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, source_id),
  UNIQUE (tenant_id, name_key)
);
SELECT secure_tenant_table('source', 'SELECT, INSERT, UPDATE');

CREATE TABLE connection (
  tenant_id uuid NOT NULL,
  connection_id uuid NOT NULL,
  source_id uuid NOT NULL,
  connector text NOT NULL,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  config jsonb NOT NULL,
  sealed_secret bytea,
  state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused')),
  paused_reason text,
  mapping_version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, connection_id),
  FOREIGN KEY (tenant_id, source_id) REFERENCES source (tenant_id, source_id)
);
CREATE INDEX connection_source ON connection (tenant_id, source_id);
SELECT secure_tenant_table('connection', 'SELECT, INSERT, UPDATE');

-- Domains whose addresses the tenant has proven to be its own; only these let an e-mail address identify a person.
CREATE TABLE domain (
  tenant_id uuid NOT NULL REFERENCES tenant,
  domain text COLLATE "C" NOT NULL,
  proven_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, domain)
);
SELECT secure_tenant_table('domain', 'SELECT, INSERT, DELETE');
