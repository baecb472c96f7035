"""Applying a batch of planned changes, set by set. The same effects as `actions`, which a property test checks.

Order of locks, here as there: identifiers, records, persons. What a join compares must come out of a MATERIALIZED part
first: under row-level security an expression such as `after->>'email_key'` keeps an index from being used.
"""

# ruff: noqa: S608 - identifiers come from `columns`, which is code; every value is a bound parameter

from dataclasses import dataclass

from stoa.changes.model import RunKind
from stoa.changes.target import Batch
from stoa.db.transactions import TenantTx
from stoa.kernel.ids import PersonId
from stoa.people.clashes import CLASHES_OF_KNOWN, CLASHES_OF_MADE, CLASHES_OF_NAMES
from stoa.people.columns import (
    AFTER,
    BATCH,
    LACKS_KEYS,
    PERSON_COLUMNS,
    RECORD_COLUMNS,
    RECORD_OF_CHANGE,
    assigned,
    listed,
)
from stoa.people.dates import tenant_today
from stoa.people.decisions import END_OF_MADE
from stoa.people.effects import WRITTEN, tell_written, telling
from stoa.people.groups_leaving import leave_groups
from stoa.people.identity_locks import lock_all_identifiers
from stoa.people.joins import join_as_fits
from stoa.people.keys import ask_for_keys
from stoa.people.recompute import recompute
from stoa.people.rules_sql import in_force

# Of the changes in a batch: which kinds there are, so that nothing is asked in vain.
_KINDS = f"""
SELECT count(*) FILTER (WHERE c.before IS NULL) AS made, count(*) FILTER (WHERE c.after IS NULL) AS gone,
  count(*) FILTER (WHERE c.before IS NOT NULL AND c.after IS NOT NULL) AS changed,
  coalesce(bool_or(c.subject = c.resource_id::text), false) AS resources,
  coalesce(bool_or({LACKS_KEYS}), false) AS unkeyed
FROM change c WHERE {BATCH}"""

# The persons are those to whom the records are linked by now, whatever the plan saw.
_LOCK = f"""
SELECT r.person_id FROM change c JOIN source_record r ON {RECORD_OF_CHANGE} WHERE {BATCH}
ORDER BY r.external_id FOR UPDATE OF r"""

_INSERT_RECORDS = f"""
INSERT INTO source_record
  (tenant_id, source_id, external_id, resource_id, person_id, last_run, created_at, updated_at,
   {listed(RECORD_COLUMNS)})
SELECT $1, c.source_id, c.subject, c.resource_id, c.person_id, $2, $5, $5, {listed(RECORD_COLUMNS, "x")}
FROM change c CROSS JOIN LATERAL jsonb_populate_record(NULL::source_record, c.after) AS x
WHERE {BATCH} AND c.before IS NULL ORDER BY c.ord"""

# A person of one record: whatever the ranking, that record's word is the effective value.
_INSERT_PERSONS = f"""
WITH made AS (
INSERT INTO person
  (tenant_id, person_id, created_run, created_at, updated_at, access_epoch, manager_id, {listed(PERSON_COLUMNS)})
SELECT DISTINCT ON (c.person_id) $1, c.person_id, $2, $5, $5, $6, nullif(m.person_id, c.person_id),
  {listed(PERSON_COLUMNS, "r")}
FROM change c JOIN source_record r ON {RECORD_OF_CHANGE}
LEFT JOIN source_record m ON m.tenant_id = $1 AND m.source_id = r.source_id AND m.external_id = r.manager_ref
WHERE {BATCH} AND c.before IS NULL
  AND NOT EXISTS (SELECT FROM person p WHERE p.tenant_id = $1 AND p.person_id = c.person_id)
ORDER BY c.person_id, c.ord RETURNING person_id, version, NULL::jsonb AS before,
  CASE WHEN manager_id IS NULL THEN '{{}}' ELSE jsonb_build_object('manager_id', manager_id) END AS after
), {telling("$2", "made")}
{WRITTEN}"""

_UPDATE_RECORDS = f"""
UPDATE source_record r SET {assigned(RECORD_COLUMNS, "x")}, version = r.version + 1, last_run = $2, updated_at = $5
FROM change c JOIN source_record o ON o.tenant_id = $1 AND o.source_id = c.source_id AND o.external_id = c.subject
CROSS JOIN LATERAL jsonb_populate_record(o, {AFTER}) AS x
WHERE {BATCH} AND c.before IS NOT NULL AND c.after IS NOT NULL AND {RECORD_OF_CHANGE}"""
_IT_LEAVES = "c.after->'present' = 'false'"
_IT_STAYS = f"({_IT_LEAVES}) IS NOT TRUE"
_UPDATE_LEAVING = f"{_UPDATE_RECORDS} AND {_IT_LEAVES}"
_UPDATE_STAYING = f"{_UPDATE_RECORDS} AND {_IT_STAYS}"

# Names are unique from row to row of a statement: whoever changes a name lets go of the old one first.
_RELEASE_NAMES = f"""
UPDATE source_record r SET
  user_name_key = CASE WHEN c.after ? 'user_name_key' THEN NULL ELSE r.user_name_key END,
  scim_external_id = CASE WHEN c.after ? 'scim_external_id' THEN NULL ELSE r.scim_external_id END
FROM change c
WHERE {BATCH} AND c.before IS NOT NULL AND c.after ?| ARRAY['user_name_key', 'scim_external_id']
  AND {_IT_STAYS} AND {RECORD_OF_CHANGE}"""

_DELETE_RECORDS = f"""
DELETE FROM source_record r USING change c WHERE {BATCH} AND c.after IS NULL AND {RECORD_OF_CHANGE}"""

_HELD_REPORTS = """
SELECT r.person_id FROM change c
JOIN hold h ON h.tenant_id = $1 AND h.source_id = c.source_id AND h.field = 'manager_ref' AND h.state = 'held'
JOIN source_record r ON r.tenant_id = $1 AND r.resource_id = h.resource_id
WHERE {batch} AND {which} AND h.held_value #>> '{{}}' = c.subject"""

_REPORTS_OF_GONE = f"""
SELECT r.person_id FROM change c
JOIN source_record r ON r.tenant_id = $1 AND r.source_id = c.source_id AND r.manager_ref = c.subject
WHERE {BATCH} AND c.after IS NULL
UNION {_HELD_REPORTS.format(batch=BATCH, which="c.after IS NULL")}"""

_PERSONS_OF_NEW = f"SELECT c.person_id FROM change c WHERE {BATCH} AND c.before IS NULL"

# Persons whose manager is among the new records, and persons of a record that came back to a hold.
_TOUCHED_BY_NEW = f"""
SELECT r.person_id FROM change c
JOIN source_record r ON r.tenant_id = $1 AND r.source_id = c.source_id AND r.manager_ref = c.subject
JOIN person p ON p.tenant_id = $1 AND p.person_id = r.person_id
WHERE {BATCH} AND c.before IS NULL AND p.manager_id IS DISTINCT FROM c.person_id
UNION
SELECT c.person_id FROM change c
JOIN hold h ON h.tenant_id = $1 AND h.resource_id = c.resource_id AND h.state = 'held'
WHERE {BATCH} AND c.before IS NULL
UNION {_HELD_REPORTS.format(batch=BATCH, which="c.before IS NULL")}"""

_FORGET_DUE = f"""
DELETE FROM due_change d USING change c
WHERE {BATCH} AND d.tenant_id = $1 AND d.source_id = c.source_id AND d.external_id = c.subject"""

# `rules.due_changes` in SQL; and today, for a record which an undo left in a state that is not the one in force.
_NOTE_DUE = f"""
INSERT INTO due_change (tenant_id, source_id, external_id, due_on, active)
SELECT DISTINCT $1::uuid, r.source_id, r.external_id, day.due_on, {in_force("r", "day.due_on")}
FROM change c JOIN source_record r ON {RECORD_OF_CHANGE}
CROSS JOIN LATERAL (VALUES
  (CASE WHEN r.asserted_active AND r.hire_date > $5 THEN r.hire_date END),
  (CASE WHEN r.asserted_active AND r.termination_date >= $5 AND r.termination_date < '9999-12-31'
        THEN r.termination_date + 1 END),
  (CASE WHEN r.present AND r.active IS DISTINCT FROM {in_force("r", "$5")} THEN $5 END)) AS day(due_on)
WHERE {BATCH} AND day.due_on IS NOT NULL"""


@dataclass(frozen=True, slots=True)
class _Key:
    tx: TenantTx
    batch: Batch

    async def execute(self, sql: str, *params: object) -> int:
        batch = self.batch
        return await self.tx.execute(sql, self.tx.tenant_id, batch.run.run_id, batch.first, batch.last, *params)

    async def write_effects(self, sql: str, *params: object) -> int:
        """Runs a statement that ends in WRITTEN, and gives how many effects it wrote."""
        batch = self.batch
        written = await self.tx.fetchrow(sql, self.tx.tenant_id, batch.run.run_id, batch.first, batch.last, *params)
        assert written is not None
        tell_written(self.tx, batch.run.run_id, written)
        return written["n"]

    async def persons(self, sql: str, *params: object) -> list[PersonId]:
        batch = self.batch
        rows = await self.tx.fetch(sql, self.tx.tenant_id, batch.run.run_id, batch.first, batch.last, *params)
        return [row["person_id"] for row in rows]


async def apply_batch(tx: TenantTx, batch: Batch) -> int:
    """Applies the planned changes of a batch and gives how many took effect. The others become conflicts.

    Records that are new come last: whether their person exists is asked of what the others leave.
    """
    on = _Key(tx, batch)
    await join_as_fits(tx, batch.run.source_id, batch.last - batch.first)
    await lock_all_identifiers(tx)
    touched = await on.persons(_LOCK)
    kinds = await tx.fetchrow(_KINDS, tx.tenant_id, batch.run.run_id, batch.first, batch.last)
    assert kinds is not None
    if kinds["unkeyed"]:
        await ask_for_keys(tx)
    taken = 0
    if kinds["changed"] or kinds["gone"]:
        await on.execute(CLASHES_OF_KNOWN)
    # Who cannot move keeps a name, which may stop the next one in turn.
    while kinds["resources"] and await on.execute(CLASHES_OF_NAMES):
        pass
    if kinds["gone"] or kinds["changed"]:
        await leave_groups(tx, batch)
    if kinds["gone"]:
        taken += await on.execute(_DELETE_RECORDS)
        # Whoever had a deleted record for a manager is found by the record's key, which needs no record.
        touched += await on.persons(_REPORTS_OF_GONE)
    if kinds["changed"]:
        taken += await _update(on, resources=kinds["resources"])
    await recompute(tx, touched, batch.run.run_id)
    if kinds["made"]:
        await on.execute(CLASHES_OF_MADE)
        taken += await _insert(on)
    await on.execute(_FORGET_DUE)
    await on.execute(_NOTE_DUE, await tenant_today(tx))
    return taken


async def _update(on: _Key, *, resources: bool) -> int:
    if not resources:
        return await on.execute(_UPDATE_RECORDS, on.tx.now)
    left = await on.execute(_UPDATE_LEAVING, on.tx.now)
    await on.execute(_RELEASE_NAMES)
    return left + await on.execute(_UPDATE_STAYING, on.tx.now)


async def _insert(on: _Key) -> int:
    taken = await on.execute(_INSERT_RECORDS, on.tx.now)
    await on.execute(END_OF_MADE, on.tx.now)
    made = await on.write_effects(_INSERT_PERSONS, on.tx.now, _first_epoch(on.tx, on.batch))
    touched = await on.persons(_TOUCHED_BY_NEW)
    if made < taken:
        touched += await on.persons(_PERSONS_OF_NEW)
    await recompute(on.tx, touched, on.batch.run.run_id)
    return taken


def _first_epoch(tx: TenantTx, batch: Batch) -> int:
    # A person who comes back under the same id must not let sessions live that ended when the person was taken away.
    return int(tx.now.timestamp()) if batch.run.kind is RunKind.ROLLBACK else 1
