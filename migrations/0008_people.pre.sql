-- People: assertions in, effective values out (docs/architecture.md, section 3). *_key columns are written by kernel.fold alone.

CREATE TABLE person (
  tenant_id uuid NOT NULL REFERENCES tenant,
  person_id uuid NOT NULL,
  active boolean NOT NULL,
  user_name text,
  email text,
  employee_id text,
  display_name text,
  given_name text,
  family_name text,
  phone text,
  title text,
  job_code text,
  department text,
  division text,
  cost_center text,
  organization text,
  location text,
  worker_type text,
  time_zone text,
  locale text,
  hire_date date,
  termination_date date,
  user_name_key text COLLATE "C",
  email_key text COLLATE "C",
  employee_id_key text COLLATE "C",
  display_name_key text COLLATE "C",
  manager_id uuid,
  access_epoch bigint NOT NULL DEFAULT 1,
  merged_into uuid,
  version bigint NOT NULL DEFAULT 1,
  created_run uuid NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, person_id)
) WITH (fillfactor = 50);
CREATE INDEX person_employee_id ON person (tenant_id, employee_id_key) WHERE employee_id_key IS NOT NULL;
CREATE INDEX person_email ON person (tenant_id, email_key) WHERE email_key IS NOT NULL;
CREATE INDEX person_user_name ON person (tenant_id, user_name_key) WHERE user_name_key IS NOT NULL;
CREATE INDEX person_display_name ON person (tenant_id, display_name_key, person_id);
CREATE INDEX person_merged ON person (tenant_id, merged_into) WHERE merged_into IS NOT NULL;
CREATE INDEX person_manager ON person (tenant_id, manager_id) WHERE manager_id IS NOT NULL;
SELECT secure_tenant_table('person');

-- External identity, assertion and SCIM resource in one. external_id is the record's key within its source: the Employee_ID of a report; for SCIM
-- the resource's own id, while the externalId that the client chose, and may change, is scim_external_id.
CREATE TABLE source_record (
  tenant_id uuid NOT NULL,
  source_id uuid NOT NULL,
  external_id text COLLATE "C" NOT NULL CHECK (length(external_id) BETWEEN 1 AND 1000),
  resource_id uuid NOT NULL,
  person_id uuid NOT NULL,
  -- In the source's latest word; false once it left a full report or was deleted over SCIM.
  present boolean NOT NULL,
  -- What the source says of the person's state, and what of it is in force today (hire and termination dates considered).
  asserted_active boolean NOT NULL,
  active boolean NOT NULL,
  user_name text,
  email text,
  employee_id text,
  display_name text,
  given_name text,
  family_name text,
  phone text,
  title text,
  job_code text,
  department text,
  division text,
  cost_center text,
  organization text,
  location text,
  worker_type text,
  time_zone text,
  locale text,
  hire_date date,
  termination_date date,
  manager_ref text COLLATE "C",
  user_name_key text COLLATE "C",
  email_key text COLLATE "C",
  employee_id_key text COLLATE "C",
  display_name_key text COLLATE "C",
  scim_external_id text COLLATE "C",
  raw jsonb,
  -- Keyed digest of the typed values as read; 0 when somebody else touched the record since, so that the next full compare repairs it.
  row_hash bigint NOT NULL DEFAULT 0,
  last_run uuid NOT NULL,
  version bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, source_id, external_id),
  UNIQUE (tenant_id, resource_id),
  FOREIGN KEY (tenant_id, source_id) REFERENCES source (tenant_id, source_id),
  FOREIGN KEY (tenant_id, person_id) REFERENCES person (tenant_id, person_id) DEFERRABLE INITIALLY DEFERRED
) WITH (fillfactor = 50);
CREATE INDEX source_record_person ON source_record (tenant_id, person_id);
CREATE INDEX source_record_manager ON source_record (tenant_id, source_id, manager_ref) WHERE manager_ref IS NOT NULL;
CREATE INDEX source_record_user_name ON source_record (tenant_id, source_id, user_name_key) WHERE user_name_key IS NOT NULL;
-- A user name is one resource's alone. A report's rows, whose key is not their own id, may repeat one: a person who was a
-- contractor and is an employee now stands in it twice.
CREATE UNIQUE INDEX source_record_one_user_name ON source_record (tenant_id, source_id, user_name_key)
  WHERE user_name_key IS NOT NULL AND present AND external_id = resource_id::text;
CREATE UNIQUE INDEX source_record_scim_external_id ON source_record (tenant_id, source_id, scim_external_id)
  WHERE scim_external_id IS NOT NULL AND present;
-- Records that left, for whoever comes back under the same id of the client's.
CREATE INDEX source_record_gone_scim_external_id ON source_record (tenant_id, source_id, scim_external_id)
  WHERE scim_external_id IS NOT NULL AND NOT present;
CREATE INDEX source_record_email ON source_record (tenant_id, source_id, email_key) WHERE email_key IS NOT NULL;
SELECT secure_tenant_table('source_record');

-- Which source wins which field; a version is never edited. For `active` every listed source counts and the strictest word wins.
CREATE TABLE authority_version (
  tenant_id uuid NOT NULL REFERENCES tenant,
  version integer NOT NULL,
  made_by text NOT NULL,
  made_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, version)
);
SELECT secure_tenant_table('authority_version', 'SELECT, INSERT');
CREATE TABLE authority (
  tenant_id uuid NOT NULL,
  version integer NOT NULL,
  field text COLLATE "C" NOT NULL,
  ranked_sources uuid[] NOT NULL,
  PRIMARY KEY (tenant_id, version, field),
  FOREIGN KEY (tenant_id, version) REFERENCES authority_version (tenant_id, version)
);
SELECT secure_tenant_table('authority', 'SELECT, INSERT');

-- An assertion whose effect waits for approval: while held, the earlier value stays in force.
CREATE TABLE hold (
  tenant_id uuid NOT NULL,
  hold_id uuid NOT NULL,
  resource_id uuid NOT NULL,
  person_id uuid NOT NULL,
  source_id uuid NOT NULL,
  field text COLLATE "C" NOT NULL,
  held_value jsonb NOT NULL,
  run_id uuid NOT NULL,
  state text NOT NULL CHECK (state IN ('held', 'released', 'rejected')),
  made_at timestamptz NOT NULL,
  decided_at timestamptz,
  PRIMARY KEY (tenant_id, hold_id)
);
CREATE UNIQUE INDEX hold_in_force ON hold (tenant_id, resource_id, field) WHERE state = 'held';
CREATE INDEX hold_person ON hold (tenant_id, person_id) WHERE state = 'held';
SELECT secure_tenant_table('hold', 'SELECT, INSERT, UPDATE');

-- Effective-dated assertions: at due_at the record's state in force becomes `active`.
CREATE TABLE due_change (
  tenant_id uuid NOT NULL,
  source_id uuid NOT NULL,
  external_id text COLLATE "C" NOT NULL,
  due_on date NOT NULL,
  active boolean NOT NULL,
  PRIMARY KEY (tenant_id, source_id, external_id, due_on)
);
CREATE INDEX due_change_next ON due_change (tenant_id, source_id, due_on);
SELECT secure_tenant_table('due_change');

-- The resolver's refusals and the guards' words, for an admin to read. What was linked or created, and by which rule, is the reason of its change.
CREATE TABLE decision (
  tenant_id uuid NOT NULL,
  decision_id uuid NOT NULL,
  at timestamptz NOT NULL,
  run_id uuid,
  source_id uuid NOT NULL,
  subject text NOT NULL,
  outcome text NOT NULL CHECK (outcome IN ('refused', 'held', 'merged', 'split')),
  rule text NOT NULL,
  detail text NOT NULL,
  candidates uuid[] NOT NULL DEFAULT '{}',
  resolved_at timestamptz,
  PRIMARY KEY (tenant_id, decision_id)
);
CREATE INDEX decision_recent ON decision (tenant_id, at DESC);
SELECT secure_tenant_table('decision', 'SELECT, INSERT, UPDATE');

-- The delta of one run while it is being planned. No row-level security: COPY needs that; every statement names tenant_id and run_id.
CREATE TABLE stage.person_record (
  tenant_id uuid NOT NULL,
  run_id uuid NOT NULL,
  external_id text COLLATE "C" NOT NULL,
  row_hash bigint NOT NULL,
  asserted_active boolean NOT NULL,
  user_name text,
  email text,
  employee_id text,
  display_name text,
  given_name text,
  family_name text,
  phone text,
  title text,
  job_code text,
  department text,
  division text,
  cost_center text,
  organization text,
  location text,
  worker_type text,
  time_zone text,
  locale text,
  hire_date date,
  termination_date date,
  manager_ref text COLLATE "C",
  user_name_key text COLLATE "C",
  email_key text COLLATE "C",
  employee_id_key text COLLATE "C",
  display_name_key text COLLATE "C",
  -- The resolver's word on a new record; for one that is known, resource_id and person_id are not set and action is 'update'.
  resource_id uuid,
  person_id uuid,
  action text NOT NULL,
  reason text NOT NULL,
  -- How many managers stand above it in the same delta: managers are applied before their reports.
  depth integer NOT NULL,
  PRIMARY KEY (tenant_id, run_id, external_id)
);
-- External ids whose record left the report.
CREATE TABLE stage.person_gone (
  tenant_id uuid NOT NULL,
  run_id uuid NOT NULL,
  external_id text COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant_id, run_id, external_id)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON stage.person_record, stage.person_gone TO stoa_sync;
