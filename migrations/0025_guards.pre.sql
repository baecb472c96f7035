-- What waits for an admin although a client was told that it is done (docs/adr/0021), and undoing a source from a moment on.
ALTER TABLE run DROP CONSTRAINT run_kind_check;
ALTER TABLE run ADD CONSTRAINT run_kind_check
  CHECK (kind IN ('sync', 'scim_window', 'scim_hold', 'due', 'merge', 'import', 'bulk', 'rollback', 'recompute'));
-- Of a rollback that undoes no single run, but what its source did from this moment on.
ALTER TABLE run ADD COLUMN since timestamptz;
ALTER TABLE run DROP CONSTRAINT run_check;
ALTER TABLE run ADD CONSTRAINT run_undoes
  CHECK ((kind = 'rollback') = (of_run IS NOT NULL OR since IS NOT NULL) AND (of_run IS NULL OR since IS NULL));
-- One that collects at a time, whichever process opens it; one that undoes from a moment on at a time.
CREATE UNIQUE INDEX run_one_hold ON run (tenant_id, source_id, target) WHERE kind = 'scim_hold' AND state = 'held';
CREATE UNIQUE INDEX run_one_since ON run (tenant_id, source_id, target)
  WHERE since IS NOT NULL AND state NOT IN ('applied', 'rejected', 'errored', 'stale', 'undone');
-- When an admin last said that what was held is meant: the guard counts from there.
CREATE INDEX run_hold_approved ON run (tenant_id, source_id, target, decided_at)
  WHERE kind = 'scim_hold' AND state IN ('approved', 'applying', 'applied', 'undone');

-- Deactivations as they came, one by one. Rows of a plan are not among them: they stay 'planned'.
CREATE INDEX change_deactivated ON change (tenant_id, source_id, at) WHERE action = 'deactivate' AND state = 'applied';

-- 'withdrawn': the client took back what was held before anybody had decided.
ALTER TABLE hold DROP CONSTRAINT hold_state_check;
ALTER TABLE hold ADD CONSTRAINT hold_state_check CHECK (state IN ('held', 'released', 'rejected', 'withdrawn'));
CREATE INDEX hold_run ON hold (tenant_id, run_id) WHERE state = 'held';

-- From where on effects of single requests wait. Of a source, or, where source_id is NULL, of the whole tenant; without a row the
-- defaults of people.guard_rules.
CREATE TABLE guard_threshold (
  tenant_id uuid NOT NULL REFERENCES tenant,
  threshold_id uuid NOT NULL,
  kind text COLLATE "C" NOT NULL CHECK (kind IN ('deactivate', 'empty_group', 'grant_role')),
  source_id uuid,
  enabled boolean NOT NULL,
  -- Held are more than `floor` within the window, when they are more than `absolute` or more than `percent` of all.
  absolute integer NOT NULL,
  percent double precision NOT NULL,
  floor integer NOT NULL,
  window_minutes integer NOT NULL,
  made_by text NOT NULL,
  made_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, threshold_id),
  UNIQUE NULLS NOT DISTINCT (tenant_id, kind, source_id),
  FOREIGN KEY (tenant_id, source_id) REFERENCES source (tenant_id, source_id)
);
SELECT secure_tenant_table('guard_threshold');

-- Changes of memberships that passed, so that the next are measured together with them. Rows older than a day go with the next.
CREATE TABLE guard_passed (
  tenant_id uuid NOT NULL REFERENCES tenant,
  passed_id uuid NOT NULL,
  source_id uuid NOT NULL,
  kind text COLLATE "C" NOT NULL,
  -- What they are a part of, such as a group; the source itself where that is all.
  scope uuid NOT NULL,
  n integer NOT NULL,
  at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, passed_id),
  FOREIGN KEY (tenant_id, source_id) REFERENCES source (tenant_id, source_id)
);
CREATE INDEX guard_passed_at ON guard_passed (tenant_id, source_id, kind, at);
SELECT secure_tenant_table('guard_passed');
