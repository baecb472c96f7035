-- What needs a person's attention, once per cause, with an owner.
CREATE TABLE alert (
  tenant_id uuid NOT NULL REFERENCES tenant,
  alert_id uuid NOT NULL,
  kind text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  severity text NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
  title text NOT NULL,
  detail text NOT NULL,
  hint text NOT NULL,
  owner_email text,
  state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'acknowledged', 'resolved')),
  occurrences integer NOT NULL DEFAULT 1,
  first_at timestamptz NOT NULL,
  last_at timestamptz NOT NULL,
  mailed_at timestamptz,
  resolved_at timestamptz,
  run_id uuid,
  PRIMARY KEY (tenant_id, alert_id)
);
CREATE UNIQUE INDEX alert_once ON alert (tenant_id, kind, key) WHERE state <> 'resolved';
CREATE INDEX alert_recent ON alert (tenant_id, last_at DESC);
SELECT secure_tenant_table('alert', 'SELECT, INSERT, UPDATE');
