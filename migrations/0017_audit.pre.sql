-- From where somebody acted: the address of the client whose request it was. Part of the digest of entries that have one.
ALTER TABLE entry ADD COLUMN address text CHECK (length(address) BETWEEN 1 AND 100);

-- With one more argument, which has a default: a process of the version before calls it as it did.
DROP FUNCTION write_entry(uuid, timestamptz, text, text, text, uuid, bigint, bigint, integer, bytea, bytea, jsonb);
CREATE FUNCTION write_entry(
  of_tenant uuid, at timestamptz, actor text, via text, request_id text, run_id uuid, ord_from bigint, ord_to bigint,
  n integer, salt bytea, digest bytea, told jsonb, address text DEFAULT NULL
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  no bigint := nextval('entry_no_seq');
BEGIN
  INSERT INTO entry (tenant_id, entry_no, at, actor, via, request_id, address, run_id, ord_from, ord_to, n, salt, digest)
  VALUES (of_tenant, no, at, actor, via, request_id, address, run_id, ord_from, ord_to, n, salt, digest);
  IF told IS NOT NULL THEN
    INSERT INTO event (tenant_id, entry_no, ord, type, subject, body)
    SELECT of_tenant, no, t.ord - 1, t.one->>0, t.one->>1, t.one->2 FROM jsonb_array_elements(told) WITH ORDINALITY AS t(one, ord);
  END IF;
END $$;
REVOKE ALL ON FUNCTION write_entry FROM PUBLIC;
GRANT EXECUTE ON FUNCTION write_entry TO stoa_app, stoa_sync;

-- What the audit log is filtered by (src/stoa/events/trail.py). Its own order is that of entry_no.
CREATE INDEX entry_actor ON entry (tenant_id, actor, entry_no);
CREATE INDEX entry_at ON entry (tenant_id, at);
CREATE INDEX entry_run ON entry (tenant_id, run_id, ord_from) WHERE run_id IS NOT NULL;
CREATE INDEX event_subject ON event (tenant_id, subject, entry_no);
-- Changes of people are most of a log. What is not one of them is rare enough to be found by its type alone.
CREATE INDEX event_type ON event (tenant_id, type, entry_no) WHERE type < 'person' OR type >= 'persoo';

-- How far the tenant's chain was found as it was written, and the first place where it was not.
CREATE TABLE chain_check (
  tenant_id uuid PRIMARY KEY REFERENCES tenant,
  checked_at timestamptz NOT NULL,
  up_to bigint NOT NULL CHECK (up_to >= 0),
  broken_seq bigint,
  broken_entry_no bigint,
  broken_reason text CHECK (broken_reason IN ('gap', 'chain', 'digest', 'head')),
  CHECK ((broken_seq IS NULL) = (broken_reason IS NULL))
);
SELECT secure_tenant_table('chain_check', 'SELECT, INSERT, UPDATE');
-- As it is for a tenant that is made from now on: daily, not all at once.
INSERT INTO schedule (tenant_id, schedule_id, kind, key, args, cron, time_zone, next_at)
SELECT tenant_id, gen_random_uuid(), 'audit.check', '', '{}', m % 60 || ' ' || 1 + m / 60 || ' * * *', time_zone, now() + m * interval '1 minute'
FROM (SELECT tenant_id, time_zone, abs(hashtext(tenant_id::text)) % 240 AS m FROM tenant) AS existing;

-- The platform's own log: what happens to the operators' accounts, which are of no tenant. Written under the lock of its
-- head, so its numbers have no gaps and its chain is whole with each commit. Nobody who serves may change or delete a line.
CREATE TABLE platform_entry (
  entry_no bigint PRIMARY KEY CHECK (entry_no > 0),
  at timestamptz NOT NULL,
  actor text NOT NULL,
  via text NOT NULL,
  request_id text,
  address text CHECK (length(address) BETWEEN 1 AND 100),
  type text COLLATE "C" NOT NULL,
  subject text COLLATE "C" NOT NULL,
  body jsonb NOT NULL,
  salt bytea NOT NULL,
  digest bytea NOT NULL,
  chain bytea NOT NULL
);
CREATE INDEX platform_entry_actor ON platform_entry (actor, entry_no);
CREATE INDEX platform_entry_subject ON platform_entry (subject, entry_no);
CREATE INDEX platform_entry_type ON platform_entry (type, entry_no);
CREATE INDEX platform_entry_at ON platform_entry (at);
GRANT SELECT, INSERT ON platform_entry TO stoa_platform;
GRANT SELECT ON platform_entry TO stoa_backup;

CREATE TABLE platform_head (
  only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
  next_no bigint NOT NULL DEFAULT 1,
  chain bytea NOT NULL DEFAULT '',
  checked_at timestamptz,
  up_to bigint,
  broken_no bigint,
  broken_reason text CHECK (broken_reason IN ('gap', 'chain', 'digest', 'head'))
);
INSERT INTO platform_head DEFAULT VALUES;
GRANT SELECT, UPDATE ON platform_head TO stoa_platform;
GRANT SELECT ON platform_head TO stoa_backup;
