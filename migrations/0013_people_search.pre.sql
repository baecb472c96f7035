-- People are found by the beginning of their family name, as by that of their other names. The key of rows that are there already stays null until a
-- worker has folded the name, which SQL cannot do.

ALTER TABLE source_record ADD COLUMN family_name_key text COLLATE "C";
ALTER TABLE person ADD COLUMN family_name_key text COLLATE "C";
ALTER TABLE stage.person_record ADD COLUMN family_name_key text COLLATE "C";

CREATE INDEX person_family_name ON person (tenant_id, family_name_key) WHERE family_name_key IS NOT NULL;
CREATE INDEX person_updated ON person (tenant_id, updated_at, person_id);

INSERT INTO job (tenant_id, job_id, kind, key, args, due_at, created_at)
SELECT t.tenant_id, gen_random_uuid(), 'people.keys', 'all', '{}', t.created_at, t.created_at FROM tenant t
WHERE EXISTS (SELECT FROM source_record r WHERE r.tenant_id = t.tenant_id);
