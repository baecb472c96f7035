-- What a run's page tells beyond its state: how far it is, since when it is being applied, and why somebody decided as they did.
ALTER TABLE run
  ADD COLUMN applying_at timestamptz,
  ADD COLUMN changes_done bigint NOT NULL DEFAULT 0,
  ADD COLUMN decided_note text CHECK (length(decided_note) BETWEEN 1 AND 1000);

-- In an order that a cursor can go through either way.
DROP INDEX run_recent;
CREATE INDEX run_recent ON run (tenant_id, created_at, run_id);
-- What waits for a person, the oldest first; what failed; what undoes a run. Few rows each, however many runs there were.
CREATE INDEX run_waiting ON run (tenant_id, created_at, run_id)
  WHERE state IN ('held', 'planned') AND (state = 'held' OR plan_only);
CREATE INDEX run_failed ON run (tenant_id, created_at, run_id) WHERE state = 'errored';
CREATE INDEX run_of ON run (tenant_id, of_run, created_at) WHERE of_run IS NOT NULL;
