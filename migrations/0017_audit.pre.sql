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
