"""Applying a batch of planned changes of groups: what an undo takes back, and what was held and is approved.

Order of locks, here as in `groups_actions`: groups, records, persons. What a join compares comes out of a MATERIALIZED
part first: under row-level security an expression keeps an index from being used.
"""

# ruff: noqa: S608 - constants of the code; every value is a bound parameter

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from stoa.changes.holding import close_if_empty
from stoa.changes.model import RunKind
from stoa.changes.target import Batch
from stoa.db.transactions import Row, TenantTx
from stoa.kernel.fold import fold
from stoa.kernel.ids import PersonId, RunId
from stoa.people.columns import BATCH
from stoa.people.groups_journal import AWAITED
from stoa.people.roles import settle_roles

# The planned changes of a batch: $1 tenant, $2 run, $3 and $4 first and last ord. Each is of a group itself (own), of a
# membership (member), or of somebody who is not here yet (awaited); the group's id takes 36 places of the subject.
_PLANNED: Final = f"""
WITH planned AS MATERIALIZED (
  SELECT c.ord, c.action, c.subject, c.source_id, c.resource_id, c.person_id, c.before, c.after,
    strpos(c.subject, '/') = 0 AS own, substr(c.subject, 38, {len(AWAITED)}) = '{AWAITED}' AS awaited,
    strpos(c.subject, '/') > 0 AND substr(c.subject, 38, {len(AWAITED)}) <> '{AWAITED}' AS member,
    substr(c.subject, {38 + len(AWAITED)}) AS key, split_part(c.subject, '/', 1)::uuid AS group_id
  FROM change c WHERE {BATCH}
)"""
_CONFLICT: Final = f"""
UPDATE change c SET state = 'conflict', note = coalesce(c.note, '{{}}') || jsonb_build_object('code', x.code)
FROM x WHERE {BATCH} AND c.ord = x.ord"""

_GROUPS: Final = f"""{_PLANNED}
SELECT g.group_id FROM person_group g WHERE g.tenant_id = $1
AND g.group_id = ANY(ARRAY(SELECT DISTINCT group_id FROM planned)) ORDER BY g.group_id FOR UPDATE"""
_RECORDS: Final = f"""{_PLANNED}
SELECT r.resource_id FROM source_record r WHERE r.tenant_id = $1
AND r.resource_id = ANY(ARRAY(SELECT DISTINCT resource_id FROM planned WHERE member)) ORDER BY 1 FOR KEY SHARE"""
_MEMBER: Final = "m.tenant_id = $1 AND m.group_id = p.group_id AND m.resource_id = p.resource_id"

# ------------------------------------------------------------------ held and approved

_NOT_HELD: Final = f"""{_PLANNED}, x AS (
  SELECT p.ord, 'changed_since' AS code FROM planned p
  WHERE p.own OR NOT EXISTS (SELECT FROM group_member m WHERE {_MEMBER} AND m.held_run = $2)
){_CONFLICT}"""
_LET_IN: Final = f"""{_PLANNED}
UPDATE group_member m SET in_force = true, held_run = NULL FROM planned p
WHERE p.action = 'create' AND {_MEMBER} AND m.held_run = $2"""
_LET_GO: Final = f"""{_PLANNED}
DELETE FROM group_member m USING planned p WHERE p.action = 'remove' AND {_MEMBER} AND m.held_run = $2"""

# ------------------------------------------------------------------ undone

_DOC: Final = """jsonb_build_object('display_name', g.display_name, 'scim_external_id', g.scim_external_id,
    'raw', g.raw, 'present', g.present)"""
# A group that has members whom the undo leaves in it stays.
_OWN_CHANGED: Final = f"""{_PLANNED}, x AS (
  SELECT p.ord, CASE WHEN g.group_id IS NULL THEN 'group_is_gone' ELSE 'changed_since' END AS code
  FROM planned p LEFT JOIN person_group g ON g.tenant_id = $1 AND g.group_id = p.group_id
  WHERE p.own AND (g.group_id IS NULL OR EXISTS (
    SELECT FROM jsonb_object_keys(p.before) AS k WHERE p.before->k IS DISTINCT FROM {_DOC}->k))
){_CONFLICT}"""
_PEOPLED: Final = f"""{_PLANNED}, x AS (
  SELECT p.ord, 'group_has_members' AS code FROM planned p
  WHERE p.own AND p.action = 'remove' AND EXISTS (
    SELECT FROM group_member m WHERE m.tenant_id = $1 AND m.group_id = p.group_id AND m.asserted
      AND NOT EXISTS (SELECT FROM planned o WHERE o.group_id = m.group_id AND o.resource_id = m.resource_id)
    UNION ALL
    SELECT FROM group_awaited a WHERE a.tenant_id = $1 AND a.group_id = p.group_id
      AND NOT EXISTS (SELECT FROM planned o WHERE o.awaited AND o.group_id = a.group_id AND o.key = a.value_key))
){_CONFLICT}"""
_MEMBERS_CHANGED: Final = f"""{_PLANNED}, x AS (
  SELECT p.ord, CASE WHEN p.action = 'remove' THEN 'membership_is_gone' WHEN m.asserted THEN 'membership_exists'
    WHEN r.present IS NOT TRUE THEN 'record_is_gone' ELSE 'group_is_gone' END AS code
  FROM planned p
  LEFT JOIN group_member m ON {_MEMBER}
  LEFT JOIN source_record r ON r.tenant_id = $1 AND r.resource_id = p.resource_id
  LEFT JOIN person_group g ON g.tenant_id = $1 AND g.group_id = p.group_id
  WHERE p.member AND CASE WHEN p.action = 'remove' THEN m.group_id IS NULL
    ELSE (m.asserted IS TRUE AND m.held_run IS NULL) OR r.present IS NOT TRUE OR g.present IS NOT TRUE END
){_CONFLICT}"""
# What waits in another run, and is undone now, waits there no longer.
_WITHDRAWN: Final = f"""{_PLANNED}, waited AS MATERIALIZED (
  SELECT p.subject, p.source_id, m.held_run FROM planned p JOIN group_member m ON {_MEMBER} AND m.held_run IS NOT NULL
  WHERE p.member
), marked AS (
  UPDATE change w SET state = 'rejected', note = coalesce(w.note, '{{}}') || '{{"code": "withdrawn"}}'
  FROM waited x JOIN run h ON h.tenant_id = $1 AND h.run_id = x.held_run AND h.state = 'held'
  WHERE w.tenant_id = $1 AND w.run_id = x.held_run AND w.source_id = x.source_id AND w.subject = x.subject
    AND w.state = 'planned')
SELECT DISTINCT held_run FROM waited"""
_TAKE_OUT: Final = f"""{_PLANNED}
DELETE FROM group_member m USING planned p WHERE p.member AND p.action = 'remove' AND {_MEMBER}"""
_PUT_BACK: Final = f"""{_PLANNED}
INSERT INTO group_member (tenant_id, group_id, resource_id, asserted, in_force, since)
SELECT $1, p.group_id, p.resource_id, true, true, $5 FROM planned p WHERE p.member AND p.action = 'create'
ON CONFLICT (tenant_id, group_id, resource_id) DO UPDATE SET asserted = true, in_force = true, held_run = NULL"""
_AWAITED_CHANGED: Final = f"""{_PLANNED}, x AS (
  SELECT p.ord, CASE WHEN p.action = 'remove' THEN 'awaited_is_gone' WHEN g.present IS NOT TRUE THEN 'group_is_gone'
    ELSE 'awaited_exists' END AS code
  FROM planned p
  LEFT JOIN group_awaited a ON a.tenant_id = $1 AND a.group_id = p.group_id AND a.value_key = p.key
  LEFT JOIN person_group g ON g.tenant_id = $1 AND g.group_id = p.group_id
  WHERE p.awaited AND CASE WHEN p.action = 'remove' THEN a.group_id IS NULL
    ELSE a.group_id IS NOT NULL OR g.present IS NOT TRUE END
){_CONFLICT}"""
_AWAIT_NO_LONGER: Final = f"""{_PLANNED}
DELETE FROM group_awaited a USING planned p WHERE p.awaited AND p.action = 'remove'
AND a.tenant_id = $1 AND a.group_id = p.group_id AND a.value_key = p.key"""
_AWAIT_AGAIN: Final = f"""{_PLANNED}
INSERT INTO group_awaited (tenant_id, group_id, value_key, value, source_id, since)
SELECT $1, p.group_id, p.key, p.after->>'awaited', p.source_id, $5 FROM planned p
WHERE p.awaited AND p.action = 'create'"""
# Of a run that was rejected ($5), whoever cannot go back waits no longer: the end that was asserted takes effect.
_END_WAITING: Final = f"""
WITH gone AS MATERIALIZED (
  SELECT split_part(c.subject, '/', 1)::uuid AS group_id, c.resource_id FROM change c
  WHERE {BATCH.replace("'planned'", "'conflict'")} AND c.action = 'create' AND strpos(c.subject, '/') > 0
), ended AS (
  DELETE FROM group_member m USING gone
  WHERE m.tenant_id = $1 AND m.group_id = gone.group_id AND m.resource_id = gone.resource_id AND m.held_run = $5
    AND NOT m.asserted RETURNING m.resource_id)
SELECT DISTINCT r.person_id FROM ended JOIN source_record r ON r.tenant_id = $1 AND r.resource_id = ended.resource_id"""
_COUNT: Final = """
UPDATE person_group g SET version = g.version + 1, updated_at = $3, last_run = $4,
  member_count = (SELECT count(*) FROM group_member m
    WHERE m.tenant_id = $1 AND m.group_id = g.group_id AND m.asserted),
  awaited_count = (SELECT count(*) FROM group_awaited a WHERE a.tenant_id = $1 AND a.group_id = g.group_id)
WHERE g.tenant_id = $1 AND g.group_id = ANY($2)"""
_PEOPLE: Final = f"""{_PLANNED}
SELECT DISTINCT r.person_id FROM planned p
JOIN source_record r ON r.tenant_id = $1 AND r.resource_id = p.resource_id WHERE p.member"""
_LEFT: Final = f"SELECT count(*) FROM change c WHERE {BATCH}"


@dataclass(frozen=True, slots=True)
class _Key:
    tx: TenantTx
    batch: Batch

    async def execute(self, sql: str, *params: object) -> int:
        return await self.tx.execute(sql, *self._ids(), *params)

    async def fetch(self, sql: str, *params: object) -> list[Row]:
        return await self.tx.fetch(sql, *self._ids(), *params)

    def _ids(self) -> tuple[object, ...]:
        return self.tx.tenant_id, self.batch.run.run_id, self.batch.first, self.batch.last


async def apply_batch(tx: TenantTx, batch: Batch) -> int:
    """Applies the planned changes of a batch and gives how many took effect. The others become conflicts."""
    on = _Key(tx, batch)
    touched = [row["group_id"] for row in await on.fetch(_GROUPS)]
    await on.fetch(_RECORDS)
    if batch.run.kind is RunKind.SCIM_HOLD:
        await on.execute(_NOT_HELD)
        await on.execute(_LET_IN)
        await on.execute(_LET_GO)
    else:
        await _undo(on, touched)
    people = [PersonId(row["person_id"]) for row in await on.fetch(_PEOPLE)]
    if batch.run.of_run is not None:
        people += [PersonId(row["person_id"]) for row in await on.fetch(_END_WAITING, batch.run.of_run)]
    await settle_roles(tx, people, batch.run.run_id)
    rows = await on.fetch(_LEFT)
    return rows[0]["count"]


async def _undo(on: _Key, touched: Sequence[UUID]) -> None:
    await on.execute(_OWN_CHANGED)
    # Those that go leave their names to others.
    await on.execute(_PEOPLED)
    await _change_groups(on, ends=True)
    await _change_groups(on, ends=False)
    await on.execute(_MEMBERS_CHANGED)
    withdrawn = await on.fetch(_WITHDRAWN)
    await on.execute(_TAKE_OUT)
    await on.execute(_PUT_BACK, on.tx.now)
    await on.execute(_AWAITED_CHANGED)
    await on.execute(_AWAIT_NO_LONGER)
    await on.execute(_AWAIT_AGAIN, on.tx.now)
    for row in withdrawn:
        await close_if_empty(on.tx, RunId(row["held_run"]))
    await on.tx.execute(_COUNT, on.tx.tenant_id, list(touched), on.tx.now, on.batch.run.run_id)


# ------------------------------------------------------------------ groups themselves

_OWN: Final = f"""{_PLANNED}
SELECT p.ord, p.after, g.group_id, g.source_id, g.display_name, g.scim_external_id, g.raw, g.present
FROM planned p JOIN person_group g ON g.tenant_id = $1 AND g.group_id = p.group_id
WHERE p.own AND (p.action = 'remove') = $5 ORDER BY p.ord"""
_BEARING: Final = """
SELECT g.display_name_key, g.scim_external_id FROM person_group g
WHERE g.tenant_id = $1 AND g.source_id = $2 AND g.present AND g.group_id <> ALL($3)
  AND (g.display_name_key = ANY($4) OR g.scim_external_id = ANY($5))"""
_LEFT_ALONE: Final = """
UPDATE change c SET state = 'conflict', note = coalesce(c.note, '{}') || jsonb_build_object('code', $4::text)
WHERE c.tenant_id = $1 AND c.run_id = $2 AND c.ord = ANY($3)"""
# Names are unique from row to row of a statement: whoever changes a name lets go of the old one first.
_LET_NAMES_GO: Final = """
UPDATE person_group SET display_name_key = group_id::text, scim_external_id = NULL
WHERE tenant_id = $1 AND group_id = ANY($2)"""
_BECOME: Final = """
UPDATE person_group SET display_name = $3, display_name_key = $4, scim_external_id = $5, raw = $6, present = $7
WHERE tenant_id = $1 AND group_id = $2"""


@dataclass(frozen=True, slots=True)
class _Becoming:
    """A group as a change would have it."""

    ord: int
    group_id: UUID
    source_id: UUID
    document: Mapping[str, Any]

    @property
    def key(self) -> str:
        return fold(self.document["display_name"])


async def _change_groups(on: _Key, *, ends: bool) -> None:
    """Changes the groups that stay or come back, or takes away those that go: few, so one by one."""
    becoming = [
        _Becoming(row["ord"], row["group_id"], row["source_id"], {name: row[name] for name in _COLUMNS} | row["after"])
        for row in await on.fetch(_OWN, ends)
    ]
    # Who cannot move keeps a name, which may stop the next one in turn.
    while clashing := await _clashing(on.tx, becoming):
        ords, key = [one.ord for one in clashing], (on.tx.tenant_id, on.batch.run.run_id)
        await on.tx.execute(_LEFT_ALONE, *key, ords, "group_name_taken")
        becoming = [one for one in becoming if one not in clashing]
    await on.tx.execute(_LET_NAMES_GO, on.tx.tenant_id, [one.group_id for one in becoming])
    for one in becoming:
        said = one.document
        await on.tx.execute(
            _BECOME,
            *(on.tx.tenant_id, one.group_id, said["display_name"], one.key, said["scim_external_id"]),
            *(said["raw"], said["present"]),
        )


_COLUMNS: Final = ("display_name", "scim_external_id", "raw", "present")


async def _clashing(tx: TenantTx, becoming: Sequence[_Becoming]) -> list[_Becoming]:
    """Those whose name or client's id another present group bears."""
    there = [one for one in becoming if one.document["present"]]
    if not there:
        return []
    rows = await tx.fetch(
        _BEARING,
        *(tx.tenant_id, there[0].source_id, [one.group_id for one in becoming], [one.key for one in there]),
        [one.document["scim_external_id"] for one in there],
    )
    names, ids = {row["display_name_key"] for row in rows}, {row["scim_external_id"] for row in rows} - {None}
    clashing: list[_Becoming] = []
    for one in there:
        if one.key in names or one.document["scim_external_id"] in ids:
            clashing.append(one)
        else:
            names.add(one.key)
            ids |= {one.document["scim_external_id"]} - {None}
    return clashing
