-- What became of people: their effective values before and after, as the event log tells of them (docs/adr/0018).
-- Ords come from the sequence of changes, so that an entry's range of ords names rows of both tables.
CREATE TABLE effect (
  tenant_id uuid NOT NULL,
  run_id uuid NOT NULL,
  ord bigint NOT NULL DEFAULT nextval('change_ord_seq'),
  person_id uuid NOT NULL,
  version bigint NOT NULL,
  -- The fields that changed. No `before`: a new person, who is what the record says that made them, and what `after` says besides.
  -- No `after`: a person who is gone, who was `before`.
  before jsonb,
  after jsonb,
  PRIMARY KEY (tenant_id, run_id, ord),
  CHECK (before IS NOT NULL OR after IS NOT NULL)
);
SELECT secure_tenant_table('effect');
