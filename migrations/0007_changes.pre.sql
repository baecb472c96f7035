-- Runs and their changes: the plan row and the journal row are one row (docs/architecture.md, section 3).
CREATE TABLE run (
  tenant_id uuid NOT NULL REFERENCES tenant,
  run_id uuid NOT NULL,
  kind text NOT NULL CHECK (kind IN ('sync', 'scim_window', 'due', 'merge', 'import', 'bulk', 'rollback', 'recompute')),
  state text NOT NULL CHECK (state IN ('queued', 'planning', 'planned', 'held', 'approved', 'rejected', 'applying', 'applied',
                                       'undone', 'stale', 'errored')),
  target text COLLATE "C" NOT NULL,
  source_id uuid NOT NULL,
  connection_id uuid,
  of_run uuid,
  plan_only boolean NOT NULL DEFAULT false,
  actor text NOT NULL,
  input_digest bytea,
  mapping_version integer,
  authority_version integer,
  lease_epoch bigint NOT NULL DEFAULT 0,
  -- Why it is held, errored, stale or empty: [{"code", "detail", "hint", ...}].
  reasons jsonb NOT NULL DEFAULT '[]',
  -- {"create": 12, "update": 3, ...} of the plan, and figures such as rows read and quarantined.
  counts jsonb NOT NULL DEFAULT '{}',
  figures jsonb NOT NULL DEFAULT '{}',
  applied_through bigint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL,
  planned_at timestamptz,
  decided_at timestamptz,
  decided_by text,
  finished_at timestamptz,
  PRIMARY KEY (tenant_id, run_id),
  FOREIGN KEY (tenant_id, source_id) REFERENCES source (tenant_id, source_id),
  FOREIGN KEY (tenant_id, connection_id) REFERENCES connection (tenant_id, connection_id),
  FOREIGN KEY (tenant_id, of_run) REFERENCES run (tenant_id, run_id),
  CHECK ((kind = 'rollback') = (of_run IS NOT NULL))
);
CREATE INDEX run_recent ON run (tenant_id, created_at DESC, run_id);
CREATE INDEX run_source ON run (tenant_id, source_id, created_at DESC);
CREATE INDEX run_open ON run (tenant_id, source_id, created_at)
  WHERE state IN ('queued', 'planning', 'planned', 'approved', 'applying', 'held');
-- One rollback of a run at a time. An applied one does not bar the next: an hour's window may have got new changes since.
CREATE UNIQUE INDEX run_one_rollback ON run (tenant_id, of_run)
  WHERE kind = 'rollback' AND state NOT IN ('applied', 'rejected', 'errored', 'stale', 'undone');
SELECT secure_tenant_table('run', 'SELECT, INSERT, UPDATE');

-- No cache: within one subject the order of ord is the order of the changes, whichever session made them.
CREATE SEQUENCE change_ord_seq;
GRANT USAGE ON SEQUENCE change_ord_seq TO stoa_app, stoa_sync;
GRANT SELECT ON SEQUENCE change_ord_seq TO stoa_backup;

CREATE TABLE change (
  tenant_id uuid NOT NULL,
  run_id uuid NOT NULL,
  ord bigint NOT NULL DEFAULT nextval('change_ord_seq'),
  action text COLLATE "C" NOT NULL,
  reason text COLLATE "C" NOT NULL,
  subject text COLLATE "C" NOT NULL,
  source_id uuid NOT NULL,
  resource_id uuid NOT NULL,
  person_id uuid NOT NULL,
  before jsonb,
  after jsonb,
  -- 'planned' follows the run: applied once ord <= run.applied_through, rejected or stale with it. The others stand for themselves.
  state text NOT NULL CHECK (state IN ('planned', 'held', 'rejected', 'applied', 'conflict', 'undone')),
  -- Why it is a conflict; for a rollback's row, which change it inverts.
  note jsonb,
  at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, run_id, ord),
  CHECK (before IS NOT NULL OR after IS NOT NULL)
);
CREATE INDEX change_subject ON change (tenant_id, source_id, subject, ord);
CREATE INDEX change_person ON change (tenant_id, person_id, ord);
SELECT secure_tenant_table('change');
