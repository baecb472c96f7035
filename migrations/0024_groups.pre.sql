-- Groups that a source pushes, who is in them, and what that makes of people (docs/guides/groups.md).
CREATE TABLE person_group (
  tenant_id uuid NOT NULL REFERENCES tenant,
  group_id uuid NOT NULL,
  source_id uuid NOT NULL,
  display_name text NOT NULL,
  display_name_key text COLLATE "C" NOT NULL,
  scim_external_id text COLLATE "C",
  -- The resource as the client set it, without its members.
  raw jsonb,
  -- In the source's latest word; false once it was deleted there.
  present boolean NOT NULL,
  -- Members in the source's word.
  member_count integer NOT NULL DEFAULT 0,
  last_run uuid NOT NULL,
  version bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, group_id),
  FOREIGN KEY (tenant_id, source_id) REFERENCES source (tenant_id, source_id)
) WITH (fillfactor = 50);
CREATE UNIQUE INDEX person_group_name ON person_group (tenant_id, source_id, display_name_key) WHERE present;
CREATE UNIQUE INDEX person_group_external_id ON person_group (tenant_id, source_id, scim_external_id)
  WHERE scim_external_id IS NOT NULL AND present;
CREATE INDEX person_group_source ON person_group (tenant_id, source_id, group_id);
-- One that comes back has its old id.
CREATE INDEX person_group_gone_name ON person_group (tenant_id, source_id, display_name_key) WHERE NOT present;
CREATE INDEX person_group_gone_external_id ON person_group (tenant_id, source_id, scim_external_id)
  WHERE scim_external_id IS NOT NULL AND NOT present;
CREATE INDEX person_group_listed ON person_group (tenant_id, display_name_key, group_id);
CREATE INDEX person_group_updated ON person_group (tenant_id, updated_at, group_id);
SELECT secure_tenant_table('person_group');

-- One record in one group. While a hold stands, the source's word (asserted) and what counts (in_force) differ.
CREATE TABLE group_member (
  tenant_id uuid NOT NULL,
  group_id uuid NOT NULL,
  resource_id uuid NOT NULL,
  asserted boolean NOT NULL,
  in_force boolean NOT NULL,
  held_run uuid,
  since timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, group_id, resource_id),
  FOREIGN KEY (tenant_id, group_id) REFERENCES person_group (tenant_id, group_id) ON DELETE CASCADE,
  FOREIGN KEY (tenant_id, resource_id) REFERENCES source_record (tenant_id, resource_id) ON DELETE CASCADE,
  CHECK (asserted OR in_force)
);
CREATE INDEX group_member_of ON group_member (tenant_id, resource_id, group_id);
CREATE INDEX group_member_held ON group_member (tenant_id, held_run) WHERE held_run IS NOT NULL;
SELECT secure_tenant_table('group_member');

-- Which group gives which role to those who are in it.
CREATE TABLE role_rule (
  tenant_id uuid NOT NULL,
  rule_id uuid NOT NULL,
  group_id uuid NOT NULL,
  role text COLLATE "C" NOT NULL CHECK (role IN ('admin', 'author', 'instructor', 'manager', 'reporter')),
  made_by text NOT NULL,
  made_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, rule_id),
  UNIQUE (tenant_id, group_id, role),
  FOREIGN KEY (tenant_id, group_id) REFERENCES person_group (tenant_id, group_id) ON DELETE CASCADE
);
SELECT secure_tenant_table('role_rule', 'SELECT, INSERT, DELETE');

-- What follows from memberships in force and from rules: a person's roles beside that of a learner, which everybody has.
CREATE TABLE person_role (
  tenant_id uuid NOT NULL,
  person_id uuid NOT NULL,
  role text COLLATE "C" NOT NULL,
  since timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, person_id, role),
  FOREIGN KEY (tenant_id, person_id) REFERENCES person (tenant_id, person_id) ON DELETE CASCADE
);
CREATE INDEX person_role_role ON person_role (tenant_id, role, person_id);
SELECT secure_tenant_table('person_role');

-- A change of a group itself is about no person.
ALTER TABLE change ALTER COLUMN person_id DROP NOT NULL;
