"""Applying a batch of planned changes, set by set. The same effects as `actions`, which a property test checks.

Order of locks, here as there: identifiers, records, persons.
"""

from stoa.changes.target import Batch
from stoa.db.transactions import TenantTx
from stoa.kernel.ids import PersonId
from stoa.people.columns import PERSON_COLUMNS, RECORD_COLUMNS, assigned, listed
from stoa.people.dates import tenant_today
from stoa.people.identity_locks import lock_all_identifiers
from stoa.people.recompute import recompute

# $1 tenant, $2 run, $3 and $4 first and last ord.
_BATCH = "c.tenant_id = $1 AND c.run_id = $2 AND c.ord BETWEEN $3 AND $4 AND c.state = 'planned'"
_RECORD = "r.tenant_id = $1 AND r.source_id = c.source_id AND r.external_id = c.subject"

_LOCK = f"SELECT count(*) FROM (SELECT 1 FROM change c JOIN source_record r ON {_RECORD} WHERE {_BATCH} ORDER BY r.external_id FOR UPDATE OF r) AS x"

# What stands there is no longer what the plan saw.
_CLASHES = f"""
WITH clash AS (
  SELECT c.ord, 'changed_since' AS code, fields.list AS fields
  FROM change c JOIN source_record r ON {_RECORD}
  CROSS JOIN LATERAL (SELECT to_jsonb(r) AS doc) AS now
  CROSS JOIN LATERAL (
    SELECT jsonb_agg(jsonb_build_object('field', f.key, 'expected', f.value, 'now', now.doc->f.key)) AS list
    FROM jsonb_each(c.before) AS f WHERE now.doc->f.key IS DISTINCT FROM f.value) AS fields
  WHERE {_BATCH} AND c.before IS NOT NULL AND fields.list IS NOT NULL
  UNION ALL
  SELECT c.ord, 'record_is_gone', NULL FROM change c
  WHERE {_BATCH} AND c.before IS NOT NULL AND NOT EXISTS (SELECT FROM source_record r WHERE {_RECORD})
  UNION ALL
  SELECT c.ord, 'record_exists', NULL FROM change c
  WHERE {_BATCH} AND c.before IS NULL AND EXISTS (SELECT FROM source_record r WHERE {_RECORD})
  UNION ALL
  SELECT c.ord, 'person_exists_since', NULL FROM change c JOIN person p ON p.tenant_id = $1 AND p.employee_id_key = c.after->>'employee_id_key'
  WHERE {_BATCH} AND c.action = 'create' AND c.before IS NULL AND p.merged_into IS NULL AND p.person_id <> c.person_id
  UNION ALL
  SELECT c.ord, 'person_is_gone', NULL FROM change c
  WHERE {_BATCH} AND c.action = 'link' AND NOT EXISTS (
    SELECT FROM person p WHERE p.tenant_id = $1 AND p.person_id = c.person_id AND p.merged_into IS NULL)
)
UPDATE change c SET state = 'conflict', note = coalesce(c.note, '{{}}') || jsonb_strip_nulls(jsonb_build_object('code', x.code, 'conflicts', x.fields))
FROM (SELECT DISTINCT ON (ord) * FROM clash ORDER BY ord, code) AS x
WHERE c.tenant_id = $1 AND c.run_id = $2 AND c.ord = x.ord"""

_INSERT_RECORDS = f"""
INSERT INTO source_record (tenant_id, source_id, external_id, resource_id, person_id, last_run, created_at, updated_at, {listed(RECORD_COLUMNS)})
SELECT $1, c.source_id, c.subject, c.resource_id, c.person_id, $2, $5, $5, {listed(RECORD_COLUMNS, "x")}
FROM change c CROSS JOIN LATERAL jsonb_populate_record(NULL::source_record, c.after) AS x
WHERE {_BATCH} AND c.before IS NULL ORDER BY c.ord"""

# A person of one record: whatever the ranking, that record's word is the effective value.
_INSERT_PERSONS = f"""
INSERT INTO person (tenant_id, person_id, created_run, created_at, updated_at, manager_id, {listed(PERSON_COLUMNS)})
SELECT DISTINCT ON (c.person_id) $1, c.person_id, $2, $5, $5, nullif(m.person_id, c.person_id), {listed(PERSON_COLUMNS, "r")}
FROM change c JOIN source_record r ON {_RECORD}
LEFT JOIN source_record m ON m.tenant_id = $1 AND m.source_id = r.source_id AND m.external_id = r.manager_ref
WHERE {_BATCH} AND c.before IS NULL
  AND NOT EXISTS (SELECT FROM person p WHERE p.tenant_id = $1 AND p.person_id = c.person_id)
ORDER BY c.person_id, c.ord
RETURNING person_id"""

_UPDATE_RECORDS = f"""
UPDATE source_record r SET {assigned(RECORD_COLUMNS, "x")}, version = r.version + 1, last_run = $2, updated_at = $5
FROM change c JOIN source_record o ON o.tenant_id = $1 AND o.source_id = c.source_id AND o.external_id = c.subject
CROSS JOIN LATERAL jsonb_populate_record(o, c.after) AS x
WHERE {_BATCH} AND c.before IS NOT NULL AND c.after IS NOT NULL AND {_RECORD}"""

_DELETE_RECORDS = f"DELETE FROM source_record r USING change c WHERE {_BATCH} AND c.after IS NULL AND {_RECORD}"

# Persons whose effective values may differ now, but for those just made of one record.
_TOUCHED = f"""
SELECT c.person_id FROM change c WHERE {_BATCH} AND NOT (c.before IS NULL AND c.person_id = ANY($5::uuid[]))
UNION
SELECT c.person_id FROM change c WHERE {_BATCH} AND c.before IS NULL GROUP BY c.person_id HAVING count(*) > 1
UNION
SELECT r.person_id FROM change c
JOIN source_record r ON r.tenant_id = $1 AND r.source_id = c.source_id AND r.manager_ref = c.subject
JOIN person p ON p.tenant_id = $1 AND p.person_id = r.person_id
WHERE {_BATCH} AND (c.after IS NULL OR (c.before IS NULL AND p.manager_id IS DISTINCT FROM c.person_id))"""

_FORGET_DUE = f"""
DELETE FROM due_change d USING change c
WHERE {_BATCH} AND d.tenant_id = $1 AND d.source_id = c.source_id AND d.external_id = c.subject"""

_NOTE_DUE = f"""
INSERT INTO due_change (tenant_id, source_id, external_id, due_on, active)
SELECT DISTINCT $1::uuid, r.source_id, r.external_id, day.due_on,
  (r.hire_date IS NULL OR r.hire_date <= day.due_on) AND (r.termination_date IS NULL OR r.termination_date >= day.due_on)
FROM change c JOIN source_record r ON {_RECORD}
CROSS JOIN LATERAL (VALUES (r.hire_date), (CASE WHEN r.termination_date < '9999-12-31' THEN r.termination_date + 1 END)) AS day(due_on)
WHERE {_BATCH} AND r.asserted_active AND day.due_on > $5"""


async def apply_batch(tx: TenantTx, batch: Batch) -> int:
    """Applies the planned changes of a batch and gives how many took effect."""
    key = (tx.tenant_id, batch.run.run_id, batch.first, batch.last)
    await lock_all_identifiers(tx)
    await tx.execute(_LOCK, *key)
    await tx.execute(_CLASHES, *key)
    # Before they go: who had them for a manager is found by the record's key, which needs no record.
    deleted = await tx.execute(_DELETE_RECORDS, *key)
    inserted = await tx.execute(_INSERT_RECORDS, *key, tx.now)
    made: list[PersonId] = []
    if inserted:
        made = [row["person_id"] for row in await tx.fetch(_INSERT_PERSONS, *key, tx.now)]
    updated = await tx.execute(_UPDATE_RECORDS, *key, tx.now)
    await tx.execute(_FORGET_DUE, *key)
    await tx.execute(_NOTE_DUE, *key, await tenant_today(tx, {"hire_date": tx.now.date()}))
    await recompute(tx, [row["person_id"] for row in await tx.fetch(_TOUCHED, *key, made)])
    return deleted + inserted + updated
