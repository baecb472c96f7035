"""Effects of single requests that wait for an admin: too many of one kind from one source, or the last administrator's.

The client is told that it is done, and reads back what it said; what was in force stays in force, by a `hold`, until
somebody approves or rejects the run that collects what waits (`changes.holding`).

Counting is one look at a small index. Of requests at the very same moment each may count without the others, so that
a few more than the threshold may pass; once the run is open, nothing passes any more.
"""

# ruff: noqa: S608 - constants of the code; every value is a bound parameter

from collections.abc import Collection, Mapping
from typing import Any, Final
from uuid import UUID

from stoa.changes.holding import close_if_empty, codes_of, collect, collecting
from stoa.changes.model import Reason, Run
from stoa.db.transactions import Row, TenantTx
from stoa.kernel.ids import PersonId, RunId, SourceId, new_id
from stoa.people import guard_rules as rules
from stoa.people.guard_rules import CODE_OF, DEFAULTS, TARGET_OF, Guard
from stoa.people.guard_rules import GuardKind as GuardKind
from stoa.people.identity_locks import lock_admins
from stoa.people.model import Record

# What the state in force of a record follows from.
STATE: Final = ("present", "asserted_active", "active", "hire_date", "termination_date")

# $1 tenant, $2 source, $3 kind, $4 target, $5 the time, $6..$10 the default guard. Nearest first: of the source, of the
# tenant, the default. What was approved is not counted again.
_GUARD: Final = """
WITH guard AS MATERIALIZED (
  SELECT g.enabled, g.absolute, g.percent, g.floor, g.window_minutes FROM (
    SELECT enabled, absolute, percent, floor, window_minutes, 0 AS place FROM guard_threshold
    WHERE tenant_id = $1 AND kind = $3 AND source_id = $2
    UNION ALL SELECT enabled, absolute, percent, floor, window_minutes, 1 FROM guard_threshold
    WHERE tenant_id = $1 AND kind = $3 AND source_id IS NULL
    UNION ALL SELECT $6::boolean, $7::integer, $8::double precision, $9::integer, $10::integer, 2) AS g
  ORDER BY g.place LIMIT 1
), begin AS MATERIALIZED (
  SELECT greatest($5::timestamptz - guard.window_minutes * interval '1 minute', (SELECT max(r.decided_at) FROM run r
    WHERE r.tenant_id = $1 AND r.source_id = $2 AND r.target = $4 AND r.kind = 'scim_hold'
      AND r.state IN ('approved', 'applying', 'applied', 'undone'))) AS at FROM guard
), waiting AS MATERIALIZED (
  SELECT r.reasons FROM run r
  WHERE r.tenant_id = $1 AND r.source_id = $2 AND r.target = $4 AND r.kind = 'scim_hold' AND r.state = 'held'
)
SELECT guard.*, (SELECT reasons FROM waiting) AS reasons, """

# $11 the persons. No more are counted than it takes to tell.
_DEACTIVATIONS: Final = f"""{_GUARD}
  (SELECT count(*) FROM (SELECT FROM change c WHERE c.tenant_id = $1 AND c.source_id = $2 AND c.action = 'deactivate'
     AND c.state = 'applied' AND c.at > (SELECT at FROM begin)
     LIMIT CASE WHEN (SELECT enabled FROM guard) THEN (SELECT absolute FROM guard) + 1 ELSE 0 END) AS counted)
    AS passed,
  EXISTS (SELECT FROM person_role h WHERE h.tenant_id = $1 AND h.person_id = ANY ($11) AND h.role = 'admin') AS admin
FROM guard"""

# $11 the scope.
_PASSED: Final = f"""{_GUARD} coalesce(sum(p.n), 0)::bigint AS passed,
  coalesce(sum(p.n) FILTER (WHERE p.scope = $11), 0)::bigint AS passed_here
FROM guard LEFT JOIN guard_passed p ON p.tenant_id = $1 AND p.source_id = $2 AND p.kind = $3
  AND p.at > (SELECT at FROM begin)
GROUP BY guard.enabled, guard.absolute, guard.percent, guard.floor, guard.window_minutes"""

_NOTE_PASSED: Final = """
WITH old AS (
  DELETE FROM guard_passed
  WHERE tenant_id = $1 AND source_id = $2 AND kind = $3 AND at < $7::timestamptz - interval '1 day')
INSERT INTO guard_passed (tenant_id, passed_id, source_id, kind, scope, n, at) VALUES ($1, $4, $2, $3, $5, $6, $7)"""


async def weigh(
    tx: TenantTx, source_id: SourceId, kind: GuardKind, n: int, population: int, *, scope: UUID | None = None
) -> RunId | None:
    """The open held run for which an effect must wait, made with its alert if needed; None to let the effect pass,
    which is counted then.

    n: how many memberships end, or are given, by this one request. population: of which they are a part before it, such
    as the members of the group. scope: what the population is of, such as the group's id (default: the whole source):
    a share is taken of what passed there.

    People who lose access go through `hold_deactivation`, which writes the plan too.
    """
    if n <= 0:
        return None
    scope = scope or source_id
    row = await _look(tx, _PASSED, source_id, kind, scope)
    row, open_run = await _open_run(tx, row, _PASSED, source_id, kind, scope)
    if open_run is not None:
        return open_run
    guard, passed_here = _guard_of(row), row["passed_here"] + n
    # What passed before is gone from the population by now, where memberships end.
    whole = population + row["passed_here"] if kind is GuardKind.EMPTY_GROUP and population else population
    share_trips = rules.too_many(guard, min(passed_here, guard.absolute), whole)
    if share_trips or rules.too_many(guard, row["passed"] + n, 0):
        told = passed_here if share_trips else row["passed"] + n
        return await _collected(tx, source_id, kind, guard, told, whole if share_trips else 0)
    if guard.enabled:
        await tx.execute(_NOTE_PASSED, tx.tenant_id, source_id, kind, new_id(), scope, n, tx.now)
    return None


async def guard_last_admin(
    tx: TenantTx, source_id: SourceId, kind: GuardKind, person_ids: Collection[PersonId]
) -> RunId | None:
    """The held run for which a loss of the role admin, or of an admin's access, must wait, if nobody would be left who
    has both; None to let it pass. Somebody of whom the same waits already is not left.

    kind: what takes it away. person_ids: from whom, by one request.
    """
    if not person_ids or not await _anybody_is_admin(tx, person_ids):
        return None
    # Of two admins who are taken away at the same moment, one stays.
    await lock_admins(tx)
    if await tx.fetchval(_ADMINS_LEFT, tx.tenant_id, list(person_ids)):
        return None
    source = await _source_name(tx, source_id)
    return await collect(tx, source_id, TARGET_OF[kind], rules.last_admin(source), _LAST_TITLE % source)


async def hold_deactivation(
    tx: TenantTx, record: Record, reason: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> RunId | None:
    """Holds the effect of a deactivation if it must wait: the person's access stays. Gives the run that it waits for,
    or None if it passes.

    To be called before the person is settled, and before the change is written down.

    record: as it was before, locked. reason, before, after: as of the change in the journal.
    """
    kind = GuardKind.DEACTIVATE
    asked = (_DEACTIVATIONS, record.source_id, kind, [record.person_id])
    row = await _look(tx, *asked)
    run_id = await guard_last_admin(tx, record.source_id, kind, [record.person_id]) if row["admin"] else None
    if run_id is None:
        row, run_id = await _open_run(tx, row, *asked)
    if run_id is None:
        guard, n = _guard_of(row), row["passed"] + 1
        population = await _population(tx, record.source_id, guard) if rules.needs_population(guard, n) else 0
        if rules.too_many(guard, n, population):
            run_id = await _collected(tx, record.source_id, kind, guard, n, population)
    if run_id is not None:
        await _hold(tx, record, run_id, reason, before, after)
    return run_id


async def deactivations_pass(tx: TenantTx, source_id: SourceId, person_ids: Collection[PersonId]) -> bool:
    """Whether the deactivations of all these persons pass, be they one request or several. None of them is counted
    yet, and where this says no, each has to be asked about by itself (`hold_deactivation`).
    """
    kind = GuardKind.DEACTIVATE
    row = await _look(tx, _DEACTIVATIONS, source_id, kind, list(person_ids))
    if row["admin"] or CODE_OF[kind] in codes_of(row["reasons"] or []):
        return False
    guard, n = _guard_of(row), row["passed"] + len(person_ids)
    population = await _population(tx, source_id, guard) if rules.needs_population(guard, n) else 0
    return not rules.too_many(guard, n, population)


async def _look(tx: TenantTx, sql: str, source_id: SourceId, kind: GuardKind, about: UUID | list[PersonId]) -> Row:
    row = await tx.fetchrow(sql, *_key(tx, source_id, kind), about)
    assert row is not None
    return row


async def _open_run(
    tx: TenantTx, row: Row, sql: str, source_id: SourceId, kind: GuardKind, about: UUID | list[PersonId]
) -> tuple[Row, RunId | None]:
    """The open run that collects this kind, if the look `row` saw one: it stays open until the end of the transaction.
    If somebody has decided upon it meanwhile, another look, which comes after the decision.
    """
    while CODE_OF[kind] in codes_of(row["reasons"] or []):
        there = await collecting(tx, source_id, TARGET_OF[kind])
        if there is not None and CODE_OF[kind] in there.codes:
            return row, there.run_id
        row = await _look(tx, sql, source_id, kind, about)
    return row, None


def _key(tx: TenantTx, source_id: SourceId, kind: GuardKind) -> tuple[object, ...]:
    default = DEFAULTS[kind]
    return (
        *(tx.tenant_id, source_id, kind, TARGET_OF[kind], tx.now, default.enabled, default.absolute),
        *(float(default.percent), default.floor, default.window_minutes),
    )


def _guard_of(row: Row) -> Guard:
    return Guard(row["enabled"], row["absolute"], row["percent"], row["floor"], row["window_minutes"])


_TITLES: Final[Mapping[GuardKind, str]] = {
    GuardKind.DEACTIVATE: "%s deactivates unusually many people",
    GuardKind.EMPTY_GROUP: "%s empties groups",
    GuardKind.GRANT_ROLE: "%s gives a role to unusually many people",
}
_LAST_TITLE: Final = "%s would shut out the last administrator"


async def _collected(
    tx: TenantTx, source_id: SourceId, kind: GuardKind, guard: Guard, n: int, population: int
) -> RunId:
    source = await _source_name(tx, source_id)
    told: Reason = rules.over_threshold(kind, guard, n, population, source)
    return await collect(tx, source_id, TARGET_OF[kind], told, _TITLES[kind] % source)


async def _source_name(tx: TenantTx, source_id: SourceId) -> str:
    return await tx.fetchval("SELECT name FROM source WHERE tenant_id = $1 AND source_id = $2", tx.tenant_id, source_id)


async def _population(tx: TenantTx, source_id: SourceId, guard: Guard) -> int:
    """Records of the source, as far as it takes to tell: of more than that, the number alone decides."""
    most = int(100 * (guard.absolute + 1) / guard.percent) + 1 if guard.percent > 0 else 1
    return await tx.fetchval(
        """SELECT count(*) FROM (SELECT FROM source_record WHERE tenant_id = $1 AND source_id = $2 AND present LIMIT $3)
        AS counted""",
        *(tx.tenant_id, source_id, most),
    )


# Whose access, or every membership that makes them an admin, waits to be taken away, is not left: what waits may be
# approved at once.
_ADMINS_LEFT: Final = """
SELECT EXISTS (
  SELECT FROM person_role h JOIN person p ON p.tenant_id = $1 AND p.person_id = h.person_id
  CROSS JOIN LATERAL (SELECT bool_or(m.asserted) AS stays FROM source_record r
    JOIN group_member m ON m.tenant_id = $1 AND m.resource_id = r.resource_id AND m.in_force
    JOIN role_rule u ON u.tenant_id = $1 AND u.group_id = m.group_id AND u.role = 'admin'
    WHERE r.tenant_id = $1 AND r.person_id = h.person_id) AS by_groups
  WHERE h.tenant_id = $1 AND h.role = 'admin' AND p.active AND h.person_id <> ALL ($2)
    AND by_groups.stays IS NOT FALSE
    AND NOT EXISTS (SELECT FROM source_record r
      JOIN hold o ON o.tenant_id = $1 AND o.resource_id = r.resource_id AND o.field = 'active' AND o.state = 'held'
      WHERE r.tenant_id = $1 AND r.person_id = h.person_id))"""


async def _anybody_is_admin(tx: TenantTx, person_ids: Collection[PersonId]) -> bool:
    return await tx.fetchval(
        """SELECT EXISTS (SELECT FROM person_role h JOIN person p ON p.tenant_id = $1 AND p.person_id = h.person_id
        WHERE h.tenant_id = $1 AND h.role = 'admin' AND p.active AND h.person_id = ANY ($2))""",
        *(tx.tenant_id, list(person_ids)),
    )


# $2 the run, $3 whether it is about memberships. Whose record or access it takes is not left, nor who is an admin by
# memberships alone that it ends.
_LEFT_BY_PLAN: Final = """
WITH ending AS MATERIALIZED (
  SELECT c.resource_id, split_part(c.subject, '/', 1)::uuid AS group_id FROM change c
  WHERE $3 AND c.tenant_id = $1 AND c.run_id = $2 AND c.state = 'planned' AND c.action = 'remove'
    AND strpos(c.subject, '/') > 0
)
SELECT bool_or(by_groups.stays IS NOT FALSE AND ($3 OR NOT EXISTS (SELECT FROM change c
    WHERE c.tenant_id = $1 AND c.person_id = h.person_id AND c.run_id = $2 AND c.state = 'planned'
      AND c.action IN ('deactivate', 'remove'))))
FROM person_role h JOIN person p ON p.tenant_id = $1 AND p.person_id = h.person_id
CROSS JOIN LATERAL (SELECT bool_or(e.group_id IS NULL) AS stays FROM source_record r
  JOIN group_member m ON m.tenant_id = $1 AND m.resource_id = r.resource_id AND m.in_force
  JOIN role_rule u ON u.tenant_id = $1 AND u.group_id = m.group_id AND u.role = 'admin'
  LEFT JOIN ending e ON e.group_id = m.group_id AND e.resource_id = m.resource_id
  WHERE r.tenant_id = $1 AND r.person_id = h.person_id) AS by_groups
WHERE h.tenant_id = $1 AND h.role = 'admin' AND p.active"""


async def shuts_everybody_out(tx: TenantTx, run: Run) -> bool:
    """Whether a run's plan takes a record, access, or what makes them one from every active person with the role
    admin. Where there is none, nobody is shut out.
    """
    of_groups = run.target == TARGET_OF[GuardKind.EMPTY_GROUP]
    return await tx.fetchval(_LEFT_BY_PLAN, tx.tenant_id, run.run_id, of_groups) is False


# ------------------------------------------------------------------ holds

# A hold that an undo has made pointless, and its row of a plan, give way. The row has what a rejection puts back.
_HOLD: Final = """
WITH earlier AS (
  UPDATE change c SET state = 'rejected', note = coalesce(c.note, '{}') || '{"code": "superseded"}'
  FROM hold h WHERE h.tenant_id = $1 AND h.resource_id = $3 AND h.field = 'active' AND h.state = 'held'
    AND c.tenant_id = $1 AND c.run_id = h.run_id AND c.source_id = $5 AND c.subject = $7 AND c.state = 'planned'
), held AS (
  INSERT INTO hold (tenant_id, hold_id, resource_id, person_id, source_id, field, held_value, run_id, state, made_at)
  VALUES ($1, $2, $3, $4, $5, 'active', 'true', $6, 'held', $8)
  ON CONFLICT (tenant_id, resource_id, field) WHERE state = 'held'
    DO UPDATE SET run_id = excluded.run_id, made_at = excluded.made_at)
INSERT INTO change
  (tenant_id, run_id, action, reason, subject, source_id, resource_id, person_id, before, after, state, at)
VALUES ($1, $6, 'deactivate', $9, $7, $5, $3, $4, $10, $11, 'planned', $8)"""


async def _hold(
    tx: TenantTx, record: Record, run_id: RunId, reason: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> None:
    await tx.execute(
        _HOLD,
        *(tx.tenant_id, new_id(), record.resource_id, record.person_id, record.source_id, run_id, record.external_id),
        *(tx.now, reason, _state_of(before), _state_of(after)),
    )


def _state_of(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: document[name] for name in STATE if name in document}


async def follow_up(tx: TenantTx, record: Record, before: Mapping[str, Any], after: Mapping[str, Any]) -> RunId | None:
    """What a further word on an inactive record means for a hold upon it: reactivated, the hold ends; otherwise its row
    in the plan has what a rejection puts back. Gives the run that the word waits for then, if it does.

    record: as it was before, locked. before, after: as of the change in the journal.
    """
    if record.active or not any(name in after for name in STATE):
        return None
    key = (tx.tenant_id, record.resource_id, record.source_id, record.external_id)
    if after.get("active") is not True:
        return await tx.fetchval(_EXTEND, *key, _state_of(before), _state_of(after))
    run_id = await tx.fetchval(_WITHDRAW, *key, tx.now)
    if run_id is not None:
        await close_if_empty(tx, run_id)
    return None


_EXTEND: Final = """
UPDATE change c SET before = $5::jsonb || c.before, after = c.after || $6::jsonb
FROM hold h WHERE h.tenant_id = $1 AND h.resource_id = $2 AND h.field = 'active' AND h.state = 'held'
  AND c.tenant_id = $1 AND c.run_id = h.run_id AND c.source_id = $3 AND c.subject = $4 AND c.state = 'planned'
RETURNING c.run_id"""
_WITHDRAW: Final = """
WITH ended AS (
  UPDATE hold SET state = 'withdrawn', decided_at = $5
  WHERE tenant_id = $1 AND resource_id = $2 AND field = 'active' AND state = 'held' RETURNING run_id
), marked AS (
  UPDATE change c SET state = 'rejected', note = coalesce(c.note, '{}') || '{"code": "withdrawn"}'
  FROM ended WHERE c.tenant_id = $1 AND c.run_id = ended.run_id AND c.source_id = $3 AND c.subject = $4
    AND c.state = 'planned')
SELECT run_id FROM ended"""
