-- Rows of a feed that could not be accepted, with every reason; good rows are never blocked by them.
CREATE TABLE quarantine (
  tenant_id uuid NOT NULL,
  run_id uuid NOT NULL,
  row_no bigint NOT NULL,
  external_id text COLLATE "C",
  -- [{"code", "column", "detail"}]
  reasons jsonb NOT NULL,
  raw jsonb NOT NULL,
  PRIMARY KEY (tenant_id, run_id, row_no),
  FOREIGN KEY (tenant_id, run_id) REFERENCES run (tenant_id, run_id)
);
SELECT secure_tenant_table('quarantine');

-- How old each source's word is, and what its last accepted report looked like (for drift and for skipping the same bytes).
CREATE TABLE freshness (
  tenant_id uuid NOT NULL,
  connection_id uuid NOT NULL,
  source_id uuid NOT NULL,
  last_attempt_at timestamptz NOT NULL,
  last_success_at timestamptz,
  last_run uuid,
  input_digest bytea,
  mapping_version integer,
  authority_version integer,
  -- {"columns": {"Work_Email": {"filled": 0.98}}, "rows": 1200, "records": [1200, "<xor>"]}
  profile jsonb NOT NULL DEFAULT '{}',
  PRIMARY KEY (tenant_id, connection_id),
  FOREIGN KEY (tenant_id, connection_id) REFERENCES connection (tenant_id, connection_id)
);
SELECT secure_tenant_table('freshness', 'SELECT, INSERT, UPDATE');
