-- Persons who are no more, for clients that follow the list of people by `updated_since`: an undone run had made them.
CREATE TABLE removed_person (
  tenant_id uuid NOT NULL REFERENCES tenant,
  person_id uuid NOT NULL,
  removed_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, person_id)
);
CREATE INDEX removed_person_at ON removed_person (tenant_id, removed_at, person_id);
SELECT secure_tenant_table('removed_person', 'SELECT, INSERT, UPDATE');
