-- The lease queue and its schedules (docs/architecture.md, section 4). stoa_platform finds and leases the next job; its arguments are read by the
-- tenant's own transaction.
CREATE TABLE job (
  tenant_id uuid NOT NULL,
  job_id uuid NOT NULL,
  kind text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  args jsonb NOT NULL,
  due_at timestamptz NOT NULL,
  wanted bigint NOT NULL DEFAULT 1,
  seen bigint NOT NULL DEFAULT 0,
  -- The earliest moment asked for since the claim: when the job comes back after its handler has ended.
  again_at timestamptz,
  lease_until timestamptz,
  lease_epoch bigint NOT NULL DEFAULT 0,
  attempts integer NOT NULL DEFAULT 0,
  dead_at timestamptz,
  last_error text,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, job_id),
  UNIQUE (tenant_id, kind, key)
);
CREATE INDEX job_due ON job (tenant_id, due_at) WHERE dead_at IS NULL;
SELECT secure_tenant_table('job');
GRANT SELECT (tenant_id, job_id, kind, key, due_at, wanted, seen, again_at, lease_until, lease_epoch, attempts, dead_at)
  ON job TO stoa_platform;
GRANT UPDATE (seen, lease_until, lease_epoch, attempts) ON job TO stoa_platform;
CREATE POLICY platform_rows ON job FOR SELECT TO stoa_platform USING (true);
CREATE POLICY platform_claims ON job FOR UPDATE TO stoa_platform USING (true) WITH CHECK (true);

CREATE TABLE schedule (
  tenant_id uuid NOT NULL,
  schedule_id uuid NOT NULL,
  kind text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  args jsonb NOT NULL,
  cron text NOT NULL,
  time_zone text NOT NULL,
  next_at timestamptz NOT NULL,
  paused_reason text,
  PRIMARY KEY (tenant_id, schedule_id),
  UNIQUE (tenant_id, kind, key)
);
CREATE INDEX schedule_due ON schedule (tenant_id, next_at) WHERE paused_reason IS NULL;
SELECT secure_tenant_table('schedule');
GRANT SELECT (tenant_id, schedule_id, next_at, paused_reason) ON schedule TO stoa_platform;
CREATE POLICY platform_rows ON schedule FOR SELECT TO stoa_platform USING (true);
