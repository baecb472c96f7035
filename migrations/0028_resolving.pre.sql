-- How a source's people are recognised, and the refusals that an admin works off (docs/guides/matching.md).

-- People who came by of_source are recognised by this when source_id sends them.
CREATE TABLE claim_rule (
  tenant_id uuid NOT NULL,
  source_id uuid NOT NULL,
  of_source uuid NOT NULL,
  matched_by text COLLATE "C" NOT NULL CHECK (matched_by IN ('user_name', 'external_id', 'email')),
  made_by text NOT NULL,
  made_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, source_id, of_source),
  FOREIGN KEY (tenant_id, source_id) REFERENCES source (tenant_id, source_id),
  FOREIGN KEY (tenant_id, of_source) REFERENCES source (tenant_id, source_id),
  CHECK (source_id <> of_source)
);
SELECT secure_tenant_table('claim_rule', 'SELECT, INSERT, UPDATE, DELETE');

-- One row for each subject that a source could not tell: it counts up while the source tries again, an admin's verdict
-- stands until the source's next try uses it, and either ends it (resolved_at). `at` is when it began.
ALTER TABLE decision
  -- What the source calls the subject by, with its kind: id:, name:, employee:, email:. Null for what nobody decides.
  ADD COLUMN subject_key text COLLATE "C",
  ADD COLUMN seen_at timestamptz,
  ADD COLUMN times integer NOT NULL DEFAULT 1,
  -- What the source said: {values, active, scim_external_id, raw}.
  ADD COLUMN asserted jsonb,
  ADD COLUMN verdict text COLLATE "C" CHECK (verdict IN ('person', 'new', 'ignore')),
  ADD COLUMN verdict_person uuid,
  ADD COLUMN verdict_by text,
  ADD COLUMN verdict_at timestamptz,
  ADD COLUMN verdict_note text,
  -- How it ended: the verdict was used, or the source was understood without one.
  ADD COLUMN ended text COLLATE "C" CHECK (ended IN ('used', 'understood')),
  ADD COLUMN version bigint NOT NULL DEFAULT 1,
  ADD CONSTRAINT decision_verdict CHECK ((verdict = 'person') IS TRUE = (verdict_person IS NOT NULL)),
  ADD CONSTRAINT decision_verdict_by CHECK ((verdict IS NULL) = (verdict_by IS NULL));
CREATE UNIQUE INDEX decision_standing ON decision (tenant_id, source_id, subject_key)
  WHERE subject_key IS NOT NULL AND resolved_at IS NULL;
-- The inbox: what waits for somebody, the latest try first.
CREATE INDEX decision_open ON decision (tenant_id, seen_at DESC, decision_id)
  WHERE subject_key IS NOT NULL AND resolved_at IS NULL AND verdict IS NULL;
CREATE INDEX decision_ended ON decision (tenant_id, resolved_at DESC, decision_id)
  WHERE subject_key IS NOT NULL AND resolved_at IS NOT NULL;
CREATE INDEX decision_verdict_person ON decision (tenant_id, verdict_person) WHERE verdict_person IS NOT NULL;
