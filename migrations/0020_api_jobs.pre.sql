-- Work that clients of the API ask for and do not wait for (stoa.api.background). Kept for seven days after its end.
CREATE TABLE api_job (
  tenant_id uuid NOT NULL REFERENCES tenant,
  api_job_id uuid NOT NULL,
  kind text COLLATE "C" NOT NULL CHECK (length(kind) BETWEEN 1 AND 100),
  state text COLLATE "C" NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
  -- On whose behalf, as the event log has it, and from where.
  actor text COLLATE "C" NOT NULL,
  address text,
  -- In whose name it says what it says.
  source_id uuid,
  total integer NOT NULL CHECK (total > 0),
  done integer NOT NULL DEFAULT 0,
  failed integer NOT NULL DEFAULT 0,
  -- Why it could not go on: a problem document.
  problem jsonb,
  created_at timestamptz NOT NULL,
  started_at timestamptz,
  finished_at timestamptz,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, api_job_id),
  FOREIGN KEY (tenant_id, source_id) REFERENCES source (tenant_id, source_id),
  CHECK (failed <= done AND done <= total),
  CHECK ((finished_at IS NOT NULL) = (state IN ('done', 'failed', 'cancelled'))),
  CHECK (state <> 'done' OR done = total)
);
CREATE INDEX api_job_created ON api_job (tenant_id, created_at, api_job_id);
CREATE INDEX api_job_updated ON api_job (tenant_id, updated_at, api_job_id);
SELECT secure_tenant_table('api_job');

-- What is left to do, some hundred items in a row: a JSON array as the client sent it. A row goes with the work that it stands for.
CREATE TABLE api_job_input (
  tenant_id uuid NOT NULL,
  api_job_id uuid NOT NULL,
  first_item integer NOT NULL,
  items bytea NOT NULL,
  PRIMARY KEY (tenant_id, api_job_id, first_item),
  FOREIGN KEY (tenant_id, api_job_id) REFERENCES api_job (tenant_id, api_job_id)
);
SELECT secure_tenant_table('api_job_input');

CREATE TABLE api_job_result (
  tenant_id uuid NOT NULL,
  api_job_id uuid NOT NULL,
  item integer NOT NULL,
  status smallint NOT NULL,
  result jsonb NOT NULL,
  PRIMARY KEY (tenant_id, api_job_id, item),
  FOREIGN KEY (tenant_id, api_job_id) REFERENCES api_job (tenant_id, api_job_id)
);
SELECT secure_tenant_table('api_job_result');
