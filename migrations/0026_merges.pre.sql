-- People who were merged into others, and who may be the same person (docs/guides/duplicates.md, docs/adr/0022).

-- One merge: the absorbed person's records went to the survivor. What moved stands in the journal, as changes of the run.
CREATE TABLE person_merge (
  tenant_id uuid NOT NULL,
  run_id uuid NOT NULL,
  survivor_id uuid NOT NULL,
  absorbed_id uuid NOT NULL,
  state text COLLATE "C" NOT NULL CHECK (state IN ('merged', 'split')),
  -- {"email": "absorbed", ...}: whose value was picked for a field.
  picks jsonb NOT NULL DEFAULT '{}',
  -- [["decision", "verdict_person"], ...]: columns of other tables that name the survivor since.
  moved jsonb NOT NULL DEFAULT '[]',
  note text,
  made_by text NOT NULL,
  made_at timestamptz NOT NULL,
  split_run uuid,
  split_by text,
  split_at timestamptz,
  PRIMARY KEY (tenant_id, run_id),
  FOREIGN KEY (tenant_id, run_id) REFERENCES run (tenant_id, run_id)
);
CREATE INDEX person_merge_recent ON person_merge (tenant_id, made_at DESC, run_id DESC);
CREATE INDEX person_merge_survivor ON person_merge (tenant_id, survivor_id, made_at);
CREATE INDEX person_merge_absorbed ON person_merge (tenant_id, absorbed_id, made_at);
-- Nobody is merged into two people at once.
CREATE UNIQUE INDEX person_merge_in_force ON person_merge (tenant_id, absorbed_id) WHERE state = 'merged';
SELECT secure_tenant_table('person_merge', 'SELECT, INSERT, UPDATE');

-- Rows of other tables that a merge had name the survivor, by their primary key without the tenant.
CREATE TABLE person_merge_row (
  tenant_id uuid NOT NULL,
  run_id uuid NOT NULL,
  of_table text COLLATE "C" NOT NULL,
  of_column text COLLATE "C" NOT NULL,
  row_key text COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant_id, run_id, of_table, of_column, row_key),
  FOREIGN KEY (tenant_id, run_id) REFERENCES person_merge (tenant_id, run_id)
);
SELECT secure_tenant_table('person_merge_row', 'SELECT, INSERT, DELETE');

-- Two people who may be one. person_a is the lower id.
CREATE TABLE duplicate_pair (
  tenant_id uuid NOT NULL,
  pair_id uuid NOT NULL,
  person_a uuid NOT NULL,
  person_b uuid NOT NULL,
  -- 0 to 100.
  score integer NOT NULL,
  -- ["email", "name_department", ...]: kinds of duplicates_rules; those that speak against it begin with "not_".
  evidence text[] NOT NULL,
  state text COLLATE "C" NOT NULL CHECK (state IN ('open', 'dismissed', 'merged')),
  -- What it was before the merge that made it 'merged'.
  was text COLLATE "C",
  merge_run uuid,
  found_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  dismissed_at timestamptz,
  dismissed_by text,
  dismissed_reason text,
  -- What spoke for it when it was dismissed; it comes back only for more.
  dismissed_score integer,
  dismissed_evidence text[],
  came_back_at timestamptz,
  PRIMARY KEY (tenant_id, person_a, person_b),
  UNIQUE (tenant_id, pair_id),
  CHECK (person_a < person_b)
);
CREATE INDEX duplicate_pair_b ON duplicate_pair (tenant_id, person_b);
CREATE INDEX duplicate_pair_score ON duplicate_pair (tenant_id, state, score DESC, pair_id DESC);
CREATE INDEX duplicate_pair_updated ON duplicate_pair (tenant_id, state, updated_at DESC, pair_id DESC);
SELECT secure_tenant_table('duplicate_pair');

-- What people are compared by: one row for each thing that two of them might share.
CREATE TABLE duplicate_key (
  tenant_id uuid NOT NULL,
  kind text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  person_id uuid NOT NULL,
  PRIMARY KEY (tenant_id, kind, key, person_id)
);
CREATE INDEX duplicate_key_person ON duplicate_key (tenant_id, person_id);
SELECT secure_tenant_table('duplicate_key');

-- Things that more people share than are compared with one another.
CREATE TABLE duplicate_common (
  tenant_id uuid NOT NULL,
  kind text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  seen_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, kind, key)
);
SELECT secure_tenant_table('duplicate_common');

-- How far the search has come: the event log's number, and the person after whom a pass over everybody goes on.
CREATE TABLE duplicate_search (
  tenant_id uuid PRIMARY KEY REFERENCES tenant,
  cursor bigint NOT NULL DEFAULT 0,
  pass_after uuid,
  pass_began_at timestamptz,
  pass_ended_at timestamptz,
  pass_people bigint NOT NULL DEFAULT 0,
  searched_at timestamptz
);
SELECT secure_tenant_table('duplicate_search', 'SELECT, INSERT, UPDATE');

-- Who is never merged: a person, or whoever has a record of a source.
CREATE TABLE merge_bar (
  tenant_id uuid NOT NULL REFERENCES tenant,
  what text COLLATE "C" NOT NULL CHECK (what IN ('person', 'source')),
  of_id uuid NOT NULL,
  reason text NOT NULL,
  made_by text NOT NULL,
  made_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, what, of_id)
);
SELECT secure_tenant_table('merge_bar', 'SELECT, INSERT, UPDATE, DELETE');

-- Whoever is there already is searched once.
INSERT INTO job (tenant_id, job_id, kind, key, args, due_at, created_at)
SELECT t.tenant_id, gen_random_uuid(), 'people.duplicates', '', '{}', t.created_at, t.created_at FROM tenant t
WHERE EXISTS (SELECT FROM person p WHERE p.tenant_id = t.tenant_id);
