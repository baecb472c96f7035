-- The event log (docs/architecture.md, section 4). entry_no is drawn last in the transaction; first_seq is given afterwards by the sequencer.
CREATE SEQUENCE entry_no_seq;
GRANT USAGE ON SEQUENCE entry_no_seq TO stoa_app, stoa_sync;
GRANT SELECT ON SEQUENCE entry_no_seq TO stoa_backup;

CREATE TABLE entry (
  tenant_id uuid NOT NULL,
  entry_no bigint NOT NULL DEFAULT nextval('entry_no_seq'),
  at timestamptz NOT NULL,
  actor text NOT NULL,
  via text NOT NULL,
  request_id text,
  run_id uuid,
  -- A bulk batch: its events are rendered from change rows ord_from..ord_to of run_id when read.
  ord_from bigint,
  ord_to bigint,
  n integer NOT NULL CHECK (n > 0),
  salt bytea NOT NULL,
  digest bytea NOT NULL,
  first_seq bigint,
  chain bytea,
  PRIMARY KEY (tenant_id, entry_no),
  CHECK ((first_seq IS NULL) = (chain IS NULL)),
  CHECK ((ord_from IS NULL) = (ord_to IS NULL) AND (ord_from IS NULL OR run_id IS NOT NULL))
);
CREATE INDEX entry_unnumbered ON entry (tenant_id, entry_no) WHERE first_seq IS NULL;
CREATE UNIQUE INDEX entry_seq ON entry (tenant_id, first_seq) WHERE first_seq IS NOT NULL;
SELECT secure_tenant_table('entry', 'SELECT, INSERT');
GRANT UPDATE (first_seq, chain) ON entry TO stoa_app, stoa_sync;
GRANT SELECT (tenant_id, entry_no, first_seq) ON entry TO stoa_platform;
CREATE POLICY platform_rows ON entry FOR SELECT TO stoa_platform USING (true);

CREATE TABLE event (
  tenant_id uuid NOT NULL,
  entry_no bigint NOT NULL,
  ord integer NOT NULL,
  type text COLLATE "C" NOT NULL,
  subject text COLLATE "C" NOT NULL,
  body jsonb NOT NULL,
  PRIMARY KEY (tenant_id, entry_no, ord)
);
SELECT secure_tenant_table('event', 'SELECT, INSERT');

CREATE TABLE event_head (
  tenant_id uuid PRIMARY KEY,
  next_seq bigint NOT NULL DEFAULT 1,
  chain bytea NOT NULL DEFAULT ''
);
SELECT secure_tenant_table('event_head', 'SELECT, INSERT, UPDATE');

-- One round trip for an entry and its events. Draws entry_no, so it is called last in a transaction. Runs as its caller, under row-level security.
-- told: [[type, subject, body], ...], or NULL for a bulk entry.
CREATE FUNCTION write_entry(
  of_tenant uuid, at timestamptz, actor text, via text, request_id text, run_id uuid, ord_from bigint, ord_to bigint,
  n integer, salt bytea, digest bytea, told jsonb
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  no bigint := nextval('entry_no_seq');
BEGIN
  INSERT INTO entry (tenant_id, entry_no, at, actor, via, request_id, run_id, ord_from, ord_to, n, salt, digest)
  VALUES (of_tenant, no, at, actor, via, request_id, run_id, ord_from, ord_to, n, salt, digest);
  IF told IS NOT NULL THEN
    INSERT INTO event (tenant_id, entry_no, ord, type, subject, body)
    SELECT of_tenant, no, t.ord - 1, t.one->>0, t.one->>1, t.one->2 FROM jsonb_array_elements(told) WITH ORDINALITY AS t(one, ord);
  END IF;
END $$;
REVOKE ALL ON FUNCTION write_entry FROM PUBLIC;
GRANT EXECUTE ON FUNCTION write_entry TO stoa_app, stoa_sync;
