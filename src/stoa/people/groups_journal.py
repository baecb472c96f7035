"""Journal rows of groups: one run for each clock hour (UTC) of a source, beside that of its people, so that the two can
be undone apart.

A group's own change has the group's id as its subject, and is about no person. A membership has `group/record`, and is
about the record's person. A member who is not here yet has `group/awaited:name`, and is about nobody.
"""

# ruff: noqa: S608 - constants of the code; every value is a bound parameter

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid5

from stoa.changes.model import Action, RunKind
from stoa.db.transactions import Row, TenantTx
from stoa.events.actions import emit_batch
from stoa.kernel.ids import RunId, SourceId
from stoa.people.effects import WRITTEN
from stoa.people.groups_model import Group

TARGET: Final = "group"
# Between the group and the name, in the subject of a member who is not here yet.
AWAITED: Final = "awaited:"


@dataclass(frozen=True, slots=True)
class OwnEntry:
    """A change of the group itself. before is None for one that was never there."""

    action: Action
    reason: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MemberEntry:
    """One record that comes into a group, or goes out of it."""

    resource_id: UUID
    person_id: UUID
    comes: bool


@dataclass(frozen=True, slots=True)
class AwaitedEntry:
    """A member who is not here yet, and is awaited from now on, or no longer.

    Attributes:
        key: by which the name is compared; value: the name as it was sent.
        reason: why it is awaited no longer.
    """

    key: str
    value: str
    comes: bool
    reason: str = "member_awaited"


def window_of(tx: TenantTx, source_id: SourceId) -> RunId:
    """The id of the run of this source's present hour: the same in every process, so that nobody has to ask for it."""
    return RunId(uuid5(source_id, f"groups {tx.now:%Y-%m-%dT%H}Z"))


def named(group: Group) -> dict[str, Any]:
    """What a membership's row says: of which group it is, and what that was called at the time."""
    return {"group_id": str(group.group_id), "display_name": group.display_name}


# A reader of the event log passes over the rows of an entry that come before its page.
_AT_ONCE: Final = 5_000
_OPEN: Final = """
WITH hour AS (
  INSERT INTO run (tenant_id, run_id, kind, state, target, source_id, actor, created_at, planned_at)
  VALUES ($1, $2, $3, 'applied', $4, $5, $6, $7, $7) ON CONFLICT DO NOTHING)
SELECT pg_advisory_xact_lock($8::bigint)"""

_OWN: Final = """
INSERT INTO change (tenant_id, run_id, action, reason, subject, source_id, resource_id, before, after, state, at)
VALUES ($1, $2, $3, $4, $5::uuid::text, $6, $5, $7, $8, 'applied', $9) RETURNING ord"""

_MEMBERS: Final = f"""
WITH told AS (
  INSERT INTO change
    (tenant_id, run_id, action, reason, subject, source_id, resource_id, person_id, before, after, state, at)
  SELECT $1, $2, CASE WHEN x.comes THEN 'create' ELSE 'remove' END,
    CASE WHEN x.comes THEN 'member_added' ELSE 'member_removed' END, $3::uuid || '/' || x.resource_id, $4,
    x.resource_id, x.person_id, CASE WHEN x.comes THEN NULL ELSE $5::jsonb END,
    CASE WHEN x.comes THEN $5::jsonb END, $6, $7
  FROM unnest($8::uuid[], $9::uuid[], $10::boolean[]) WITH ORDINALITY AS x (resource_id, person_id, comes, place)
  ORDER BY x.place RETURNING ord)
{WRITTEN}"""

_AWAITED: Final = f"""
WITH told AS (
  INSERT INTO change (tenant_id, run_id, action, reason, subject, source_id, resource_id, before, after, state, at)
  SELECT $1, $2, CASE WHEN x.comes THEN 'create' ELSE 'remove' END, x.reason,
    $3::uuid || '/{AWAITED}' || x.key, $4, $3, CASE WHEN NOT x.comes THEN d.doc END,
    CASE WHEN x.comes THEN d.doc END, 'applied', $6
  FROM unnest($7::text[], $8::text[], $9::boolean[], $10::text[])
    WITH ORDINALITY AS x (key, value, comes, reason, place)
  CROSS JOIN LATERAL (SELECT $5::jsonb || jsonb_build_object('awaited', x.value) AS doc) AS d
  ORDER BY x.place RETURNING ord)
{WRITTEN}"""


async def open_window(tx: TenantTx, source_id: SourceId) -> RunId:
    """The run of this hour, made if it is not there yet. One that is there is neither read nor locked.

    Waits for whoever else writes journal rows of this source's groups, and has others wait until the end of the
    transaction: an entry of the event log stands for all rows of a run between two, so no other transaction may have
    one of its own among them. Whoever comes here holds the groups that it changes, and not yet a person.
    """
    run_id = window_of(tx, source_id)
    number = int.from_bytes(uuid5(source_id, "groups").bytes[:8], "big", signed=True)
    await tx.execute(
        _OPEN, tx.tenant_id, run_id, RunKind.SCIM_WINDOW, TARGET, source_id, tx.origin.actor, tx.now, number
    )
    return run_id


async def write_own(tx: TenantTx, run_id: RunId, group: Group, entry: OwnEntry) -> int:
    """Writes the row of a group's own change with its event, and gives its place."""
    ord_: int = await tx.fetchval(
        _OWN,
        *(tx.tenant_id, run_id, entry.action, entry.reason, group.group_id, group.source_id, entry.before, entry.after),
        tx.now,
    )
    emit_batch(tx, run_id=run_id, ord_from=ord_, ord_to=ord_, n=1)
    return ord_


async def write_members(
    tx: TenantTx, run_id: RunId, group: Group, entries: Sequence[MemberEntry], *, waiting: bool = False
) -> int:
    """Writes the rows of memberships with their events, in their order, and gives the place of the first.

    waiting: they are asserted and not in force before another run is approved, which tells of them then.
    """
    places: list[int] = []
    for start in range(0, len(entries), _AT_ONCE):
        part = entries[start : start + _AT_ONCE]
        row = await _write_part(tx, run_id, group, part, "applied")
        places.append(row["first"])
        if not waiting:
            emit_batch(tx, run_id=run_id, ord_from=row["first"], ord_to=row["last"], n=row["n"])
    return places[0]


async def plan_members(tx: TenantTx, held: RunId, group: Group, entries: Sequence[MemberEntry]) -> None:
    """Writes what memberships will come to as rows of the plan of the run that they wait for."""
    await _write_part(tx, held, group, entries, "planned")


async def _write_part(tx: TenantTx, run_id: RunId, group: Group, part: Sequence[MemberEntry], state: str) -> Row:
    row = await tx.fetchrow(
        _MEMBERS,
        *(tx.tenant_id, run_id, group.group_id, group.source_id, named(group), state, tx.now),
        *([e.resource_id for e in part], [e.person_id for e in part], [e.comes for e in part]),
    )
    assert row is not None
    return row


async def journal_awaited(tx: TenantTx, run_id: RunId, group: Group, entries: Sequence[AwaitedEntry]) -> int:
    """Writes the rows of members who are not here yet with their events, and gives the place of the first."""
    row = await tx.fetchrow(
        _AWAITED,
        *(tx.tenant_id, run_id, group.group_id, group.source_id, named(group), tx.now),
        *([e.key for e in entries], [e.value for e in entries]),
        *([e.comes for e in entries], [e.reason for e in entries]),
    )
    assert row is not None
    emit_batch(tx, run_id=run_id, ord_from=row["first"], ord_to=row["last"], n=row["n"])
    return row["first"]
