-- Extensions of the SCIM user that a tenant has described itself (docs/adr/0025). What is not described here is kept as it comes.
CREATE TABLE scim_schema (
  tenant_id uuid NOT NULL REFERENCES tenant,
  schema_id uuid NOT NULL,
  urn text COLLATE "C" NOT NULL,
  -- In lower case: URNs of schemas are compared without regard to it.
  urn_key text COLLATE "C" NOT NULL,
  name text NOT NULL,
  description text NOT NULL,
  -- A list of attributes, as stoa.identity.scim.own.model.OwnAttribute has them.
  attributes jsonb NOT NULL,
  -- From then on its values are kept as they come, and it is not offered any more.
  retired_at timestamptz,
  made_at timestamptz NOT NULL,
  changed_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, schema_id),
  UNIQUE (tenant_id, urn_key)
);
SELECT secure_tenant_table('scim_schema', 'SELECT, INSERT, UPDATE');

-- How often they were changed: what a process remembers of them holds while this stays.
CREATE TABLE scim_schema_set (
  tenant_id uuid NOT NULL REFERENCES tenant,
  version bigint NOT NULL,
  PRIMARY KEY (tenant_id)
);
SELECT secure_tenant_table('scim_schema_set', 'SELECT, INSERT, UPDATE');
