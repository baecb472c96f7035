-- What the operator's board reads: one row per tenant, without personal data, written in the transaction of each change (stoa.tenants.status).
CREATE TABLE tenant_status (
  tenant_id uuid PRIMARY KEY REFERENCES tenant,
  -- Of each phase that was ever connected: {"hris": {"connected": true, "paused": false, "contact_at": "...", "success_at": "...",
  -- "expected_by": "...", "held": 1, "failing": "remote_down"}}; what is false, null or 0 is left out.
  phases jsonb NOT NULL DEFAULT '{}',
  -- What follows from `phases`, for the board to sort and filter by: the states that its phases are in and the worst of them (0 off, 1 ok,
  -- 2 waiting, 3 paused, 5 held, 6 failing), lateness (4) left out, for that comes with the clock: at late_from.
  states text[] NOT NULL DEFAULT '{}',
  worst smallint NOT NULL DEFAULT 0,
  late_from timestamptz,
  -- The last success of that connected phase which has waited longest for one.
  oldest_success_at timestamptz,
  open_alerts integer NOT NULL DEFAULT 0,
  critical_alerts integer NOT NULL DEFAULT 0,
  people bigint NOT NULL DEFAULT 0,
  active_people bigint NOT NULL DEFAULT 0,
  people_at timestamptz,
  updated_at timestamptz NOT NULL
) WITH (fillfactor = 50);
SELECT secure_tenant_table('tenant_status', 'SELECT, INSERT, UPDATE');
GRANT SELECT (tenant_id, phases, states, worst, late_from, oldest_success_at, open_alerts, critical_alerts, people, active_people, people_at,
              updated_at) ON tenant_status TO stoa_platform;
CREATE POLICY platform_rows ON tenant_status FOR SELECT TO stoa_platform USING (true);

-- How each connection stands; its phase's part of the row above is made from these.
ALTER TABLE connection
  ADD COLUMN contact_at timestamptz,
  ADD COLUMN success_at timestamptz,
  ADD COLUMN expected_by timestamptz,
  ADD COLUMN failing text COLLATE "C";

-- The accent colour of a tenant's pages (NULL: Stoa's own), and its name as kernel.fold writes it, to be searched and sorted by.
ALTER TABLE tenant
  ADD COLUMN accent text CHECK (accent ~ '^#[0-9a-f]{6}$'),
  ADD COLUMN name_key text COLLATE "C" NOT NULL DEFAULT '';
CREATE INDEX tenant_name ON tenant (name_key, tenant_id);
GRANT SELECT (accent, name_key) ON tenant TO stoa_platform;

-- Tenants that are there already get their row; a job of each counts what belongs into it, and writes the name's key anew as kernel.fold would.
DO $$
DECLARE
  there bigint;
  touched bigint;
BEGIN
  SELECT count(*) INTO there FROM tenant;
  UPDATE tenant SET name_key = lower(normalize(name, NFKC));
  GET DIAGNOSTICS touched = ROW_COUNT;
  IF touched <> there THEN RAISE EXCEPTION 'tenant: % rows instead of % got a key for their name', touched, there; END IF;
  INSERT INTO tenant_status (tenant_id, updated_at) SELECT tenant_id, created_at FROM tenant;
  GET DIAGNOSTICS touched = ROW_COUNT;
  IF touched <> there THEN RAISE EXCEPTION 'tenant_status: % rows instead of % were made', touched, there; END IF;
  INSERT INTO job (tenant_id, job_id, kind, key, args, due_at, created_at)
  SELECT tenant_id, gen_random_uuid(), 'tenant.recount', 'all', '{}', created_at, created_at FROM tenant;
  GET DIAGNOSTICS touched = ROW_COUNT;
  IF touched <> there THEN RAISE EXCEPTION 'job: % rows instead of % were made', touched, there; END IF;

  SELECT count(*) INTO there FROM freshness;
  UPDATE connection c SET contact_at = f.last_success_at, success_at = f.last_success_at
  FROM freshness f WHERE f.tenant_id = c.tenant_id AND f.connection_id = c.connection_id;
  GET DIAGNOSTICS touched = ROW_COUNT;
  IF touched <> there THEN RAISE EXCEPTION 'connection: % rows instead of % took over their freshness', touched, there; END IF;
END $$;
