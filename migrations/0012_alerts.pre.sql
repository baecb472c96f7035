-- Alerts that people take on, hand over, mute and resolve, and that can be listed, searched and sorted (stoa.alerts).

ALTER TABLE alert DROP CONSTRAINT alert_state_check;
ALTER TABLE alert
  ADD CONSTRAINT alert_state_check CHECK (state IN ('open', 'acknowledged', 'muted', 'resolved')),
  ADD COLUMN acknowledged_at timestamptz,
  -- The actor, as in the event log: operator:<id>, job:<kind>.
  ADD COLUMN acknowledged_by text,
  ADD COLUMN muted_until timestamptz,
  ADD COLUMN muted_reason text,
  -- How many mails were asked for since it was opened; mailed_at is NULL while the last of them is still to be sent.
  ADD COLUMN mails integer NOT NULL DEFAULT 1,
  -- What people order by: 1 info, 2 warning, 3 critical.
  ADD COLUMN urgency smallint GENERATED ALWAYS AS (CASE severity WHEN 'critical' THEN 3 WHEN 'warning' THEN 2 ELSE 1 END) STORED,
  -- As kernel.fold writes them; NULL in rows of an older version, which are then compared as they are.
  ADD COLUMN owner_key text COLLATE "C",
  ADD COLUMN search_key text COLLATE "C",
  ADD CONSTRAINT alert_muted CHECK (state <> 'muted' OR (muted_until IS NOT NULL AND length(muted_reason) BETWEEN 3 AND 500));

CREATE INDEX alert_by_last ON alert (tenant_id, last_at, alert_id);
CREATE INDEX alert_by_first ON alert (tenant_id, first_at, alert_id);
CREATE INDEX alert_by_urgency ON alert (tenant_id, urgency, last_at, alert_id);
-- What is not resolved is little among much, and is what the page shows first.
CREATE INDEX alert_current ON alert (tenant_id, last_at, alert_id) WHERE state <> 'resolved';

-- Who did what to an alert, and when.
CREATE TABLE alert_note (
  tenant_id uuid NOT NULL,
  alert_id uuid NOT NULL,
  note_id uuid NOT NULL,
  at timestamptz NOT NULL,
  actor text NOT NULL,
  what text NOT NULL
    CHECK (what IN ('opened', 'escalated', 'acknowledged', 'assigned', 'muted', 'unmuted', 'mute_ended', 'resolved')),
  -- The reason that was given, the new owner's address, or the severity.
  text text NOT NULL DEFAULT '',
  PRIMARY KEY (tenant_id, alert_id, note_id),
  FOREIGN KEY (tenant_id, alert_id) REFERENCES alert (tenant_id, alert_id)
);
SELECT secure_tenant_table('alert_note', 'SELECT, INSERT');

-- Credentials that are there already are looked at too, when they come near their end.
DO $$
DECLARE
  there bigint;
  touched bigint;
BEGIN
  SELECT count(*) INTO there FROM credential WHERE expires_at IS NOT NULL AND revoked_at IS NULL;
  INSERT INTO job (tenant_id, job_id, kind, key, args, due_at, created_at)
  SELECT tenant_id, gen_random_uuid(), 'access.expiry', credential_id::text, '{}', created_at, created_at FROM credential
  WHERE expires_at IS NOT NULL AND revoked_at IS NULL;
  GET DIAGNOSTICS touched = ROW_COUNT;
  IF touched <> there THEN RAISE EXCEPTION 'job: % instead of % were asked for', touched, there; END IF;
END $$;
