-- What the checks of a SCIM connection found, run by run; the latest of each source are kept.
CREATE TABLE scim_conformance (
  tenant_id uuid NOT NULL,
  source_id uuid NOT NULL,
  conformance_id uuid NOT NULL,
  at timestamptz NOT NULL,
  actor text NOT NULL,
  -- Whether the checks that write ran too.
  wrote boolean NOT NULL,
  passed integer NOT NULL,
  failed integer NOT NULL,
  skipped integer NOT NULL,
  -- One object for each check: what was sent, expected and came, without anybody's values.
  results jsonb NOT NULL,
  PRIMARY KEY (tenant_id, source_id, conformance_id),
  FOREIGN KEY (tenant_id, source_id) REFERENCES source (tenant_id, source_id)
);
SELECT secure_tenant_table('scim_conformance', 'SELECT, INSERT, DELETE');
