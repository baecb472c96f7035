"""Memberships of one group, which the caller has locked: what of a request is new, what may be too much, and the rows.

A membership is what the source asserts and what is in force. The two are one, unless a guard has the effect wait for an
admin (`held_run`); then the source's word is answered, and the other word counts.
"""

# ruff: noqa: S608 - the text is code; every value is a bound parameter

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from stoa.changes.holding import close_if_empty
from stoa.db.transactions import Row, TenantTx
from stoa.kernel.ids import PersonId, ResourceId, RunId, SourceId
from stoa.people.groups_awaited import sorted_out, write_awaited
from stoa.people.groups_journal import AwaitedEntry, MemberEntry
from stoa.people.groups_model import Group, Memberships, UnknownMembers
from stoa.people.guarding import GuardKind, guard_last_admin, weigh

_STANDING: Final = """
SELECT m.resource_id, m.asserted, m.in_force, r.person_id FROM group_member m
JOIN source_record r ON r.tenant_id = $1 AND r.resource_id = m.resource_id
WHERE m.tenant_id = $1 AND m.group_id = $2 ORDER BY m.resource_id"""
# Each by its whole key: of a group that has just been filled, PostgreSQL believes that it has few members, and would
# read them all.
_SOME: Final = """
SELECT m.resource_id, m.asserted, m.in_force, r.person_id FROM unnest($3::uuid[]) AS a (id)
CROSS JOIN LATERAL (SELECT o.resource_id, o.asserted, o.in_force FROM group_member o
  WHERE o.tenant_id = $1 AND o.group_id = $2 AND o.resource_id = a.id LIMIT 1) AS m
CROSS JOIN LATERAL (SELECT p.person_id FROM source_record p
  WHERE p.tenant_id = $1 AND p.resource_id = a.id LIMIT 1) AS r"""

# In the order of the ids. Whoever deletes a user has locked it: one of the two comes first.
_KNOWN: Final = """
SELECT r.resource_id, r.person_id FROM unnest($2::uuid[]) AS a (id)
CROSS JOIN LATERAL (SELECT p.resource_id, p.person_id FROM source_record p
  WHERE p.tenant_id = $1 AND p.resource_id = a.id AND p.source_id = $3 AND p.present
  LIMIT 1 FOR KEY SHARE OF p) AS r"""

_GIVES: Final = "SELECT EXISTS (SELECT FROM role_rule u WHERE u.tenant_id = $1 AND u.group_id = $2)"


@dataclass(frozen=True, slots=True)
class Turn:
    """What becomes of a group's memberships.

    Attributes:
        new: records that were not in it; back: those whose end had been asserted, and waited; they stay in force.
        ending: members in force that go; unmade: members that had not come into force, and go.
        awaiting: members who are not here yet, and who are awaited from now on, or no longer.
        gives: whether the group gives a role, so that it matters to its members.
        held_new, held_ending: the run that the one or the other waits for.
    """

    new: tuple[MemberEntry, ...] = ()
    back: tuple[MemberEntry, ...] = ()
    ending: tuple[MemberEntry, ...] = ()
    unmade: tuple[MemberEntry, ...] = ()
    awaiting: tuple[AwaitedEntry, ...] = ()
    gives: bool = False
    held_new: RunId | None = None
    held_ending: RunId | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing changes."""
        return not (self.moves or self.awaiting)

    @property
    def moves(self) -> bool:
        """Whether anybody who is here comes or goes."""
        return bool(self.new or self.back or self.ending or self.unmade)

    @property
    def growth(self) -> int:
        """By how much the number of members rises, in the source's word."""
        return len(self.new) + len(self.back) - len(self.ending) - len(self.unmade)

    @property
    def awaited_growth(self) -> int:
        """By how much the number of those who are awaited rises."""
        return sum(1 if entry.comes else -1 for entry in self.awaiting)

    @property
    def reason(self) -> str:
        """What happens, in the word of the journal: the most telling of it."""
        if self.new or self.back:
            return "member_added"
        if self.ending or self.unmade:
            return "member_removed"
        return self.awaiting[0].reason if self.awaiting else ""

    @property
    def told(self) -> tuple[MemberEntry, ...]:
        """Memberships that change at once."""
        new = () if self.held_new else self.new
        return (*self.unmade, *(() if self.held_ending else self.ending), *self.back, *new)

    @property
    def waiting(self) -> tuple[MemberEntry, ...]:
        """Memberships whose change waits."""
        return (*(self.ending if self.held_ending else ()), *(self.new if self.held_new else ()))

    def people(self) -> set[PersonId]:
        """Whose roles may follow."""
        return {PersonId(entry.person_id) for entry in self.told} if self.gives else set()


async def turn_of(
    tx: TenantTx, group: Group, wanted: Memberships, *, weighed: bool = True, awaits: bool = False
) -> Turn | UnknownMembers:
    """What a request makes of the memberships of a group, nothing of it written. Whoever is a member already, or is
    none, is passed over.

    weighed: whether the effect waits where a guard says that it is too much. awaits: whether members who are no users
        of the source are awaited, instead of being told as unknown.
    """
    sides = await sorted_out(tx, group, wanted, awaits=awaits)
    if isinstance(sides, UnknownMembers):
        return sides
    add = sides.add
    if sides.remove is None:
        standing = await tx.fetch(_STANDING, tx.tenant_id, group.group_id)
        remove: Collection[UUID] = {row["resource_id"] for row in standing} - add
    else:
        remove = sides.remove
        standing = await tx.fetch(_SOME, tx.tenant_id, group.group_id, list(add | sides.remove))
    by_id = {row["resource_id"]: row for row in standing}
    known = await _known(tx, group.source_id, [one for one in add if one not in by_id or not by_id[one]["asserted"]])
    unknown = sorted(one for one in add if one not in known and (one not in by_id or not by_id[one]["asserted"]))
    if unknown:
        return await _unknown(tx, group.source_id, unknown)
    turn = Turn(
        new=tuple(MemberEntry(one, known[one], comes=True) for one in sorted(known) if one not in by_id),
        back=tuple(MemberEntry(one, known[one], comes=True) for one in sorted(known) if one in by_id),
        ending=_going(by_id, remove, in_force=True),
        unmade=_going(by_id, remove, in_force=False),
        awaiting=sides.awaiting,
    )
    if not turn.moves:
        return turn
    gives = await tx.fetchval(_GIVES, tx.tenant_id, group.group_id)
    return await _weighed(tx, group, replace(turn, gives=gives)) if weighed else replace(turn, gives=gives)


def _going(by_id: Mapping[UUID, Row], ids: Collection[UUID], *, in_force: bool) -> tuple[MemberEntry, ...]:
    rows = [by_id[one] for one in sorted(ids) if one in by_id]
    return tuple(
        MemberEntry(row["resource_id"], row["person_id"], comes=False)
        for row in rows
        if row["asserted"] and row["in_force"] is in_force
    )


async def _known(tx: TenantTx, source_id: SourceId, ids: Sequence[UUID]) -> dict[UUID, UUID]:
    if not ids:
        return {}
    rows = await tx.fetch(_KNOWN, tx.tenant_id, sorted(ids), source_id)
    return {row["resource_id"]: row["person_id"] for row in rows}


async def _unknown(tx: TenantTx, source_id: SourceId, ids: Sequence[UUID]) -> UnknownMembers:
    rows = await tx.fetch(
        "SELECT group_id FROM person_group WHERE tenant_id = $1 AND group_id = ANY($2) AND source_id = $3",
        *(tx.tenant_id, list(ids), source_id),
    )
    return UnknownMembers(tuple(ids), frozenset(row["group_id"] for row in rows))


# ------------------------------------------------------------------ what is too much


async def _weighed(tx: TenantTx, group: Group, turn: Turn) -> Turn:
    """The turn with what a guard has wait. A change that nothing in force depends on is not weighed."""
    source_id, population = group.source_id, group.member_count
    held_new = held_ending = None
    if turn.gives and turn.new:
        held_new = await weigh(tx, source_id, GuardKind.GRANT_ROLE, len(turn.new), population, scope=group.group_id)
    if turn.ending:
        kind = GuardKind.EMPTY_GROUP
        held_ending = await _last_admins(tx, group, turn) if turn.gives else None
        if held_ending is None:
            held_ending = await weigh(tx, source_id, kind, len(turn.ending), population, scope=group.group_id)
    return replace(turn, held_new=held_new, held_ending=held_ending)


# People who are admins by this group ($2) alone; $3 are the records that go out of it.
_ADMINS_BY_IT: Final = """
SELECT DISTINCT r.person_id FROM source_record r
WHERE r.tenant_id = $1 AND r.resource_id = ANY($3)
  AND EXISTS (SELECT FROM role_rule u WHERE u.tenant_id = $1 AND u.group_id = $2 AND u.role = 'admin')
  AND NOT EXISTS (SELECT FROM source_record o
    JOIN group_member m ON m.tenant_id = $1 AND m.resource_id = o.resource_id AND m.in_force
    JOIN role_rule u ON u.tenant_id = $1 AND u.group_id = m.group_id AND u.role = 'admin'
    WHERE o.tenant_id = $1 AND o.person_id = r.person_id
      AND NOT (m.group_id = $2 AND m.resource_id = ANY($3)))"""


async def _last_admins(tx: TenantTx, group: Group, turn: Turn) -> RunId | None:
    ids = [entry.resource_id for entry in turn.ending]
    rows = await tx.fetch(_ADMINS_BY_IT, tx.tenant_id, group.group_id, ids)
    losing = [PersonId(row["person_id"]) for row in rows]
    return await guard_last_admin(tx, group.source_id, GuardKind.EMPTY_GROUP, losing)


# ------------------------------------------------------------------ writing

_MAKE: Final = """
INSERT INTO group_member (tenant_id, group_id, resource_id, asserted, in_force, held_run, since)
SELECT $1, $2, x.id, true, $5::uuid IS NULL, $5, $4 FROM unnest($3::uuid[]) AS x (id)"""
# Those of a slice, which lie between $4 and $5: each is looked for among as many as a slice has, not a group.
_SLICE: Final = "m.tenant_id = $1 AND m.group_id = $2 AND m.resource_id BETWEEN $4 AND $5 AND m.resource_id = ANY($3)"
_BRING_BACK: Final = f"UPDATE group_member m SET asserted = true, held_run = NULL WHERE {_SLICE}"
_END: Final = f"DELETE FROM group_member m WHERE {_SLICE}"
_END_LATER: Final = f"UPDATE group_member m SET asserted = false, held_run = $6 WHERE {_SLICE}"
_SLICE_SIZE: Final = 1_000


async def write_turn(tx: TenantTx, group: Group, turn: Turn) -> None:
    """Writes the memberships themselves. What had waited, and was taken back, waits no longer."""
    taken_back = _ids((*turn.back, *turn.unmade))
    runs = await _withdraw(tx, group, taken_back) if taken_back else []
    waits = turn.held_ending is not None
    ending = turn.unmade if waits else (*turn.unmade, *turn.ending)
    key = (tx.tenant_id, group.group_id)
    if turn.new:
        await tx.execute(_MAKE, *key, _ids(turn.new), tx.now, turn.held_new)
    if turn.back:
        await _in_slices(tx, group, _BRING_BACK, turn.back)
    if ending:
        await _in_slices(tx, group, _END, ending)
    if waits:
        await _in_slices(tx, group, _END_LATER, turn.ending, turn.held_ending)
    if turn.awaiting:
        await write_awaited(tx, group, turn.awaiting)
    for run_id in runs:
        await close_if_empty(tx, run_id)


async def _in_slices(tx: TenantTx, group: Group, sql: str, entries: Sequence[MemberEntry], *more: object) -> None:
    ids = sorted(_ids(entries))
    for first in range(0, len(ids), _SLICE_SIZE):
        part = ids[first : first + _SLICE_SIZE]
        await tx.execute(sql, tx.tenant_id, group.group_id, part, part[0], part[-1], *more)


def _ids(entries: Sequence[MemberEntry]) -> list[UUID]:
    return [entry.resource_id for entry in entries]


# The rows of the plan that they waited in say that the client took it back. Each membership by its key, and each row by
# its subject: of a run that was planned just now, PostgreSQL believes that it has few rows, and would read them all for
# each.
_WITHDRAW: Final = """
WITH waited AS MATERIALIZED (
  SELECT m.held_run, $2::uuid || '/' || a.id AS subject FROM unnest($3::uuid[]) AS a (id)
  CROSS JOIN LATERAL (SELECT o.held_run FROM group_member o
    WHERE o.tenant_id = $1 AND o.group_id = $2 AND o.resource_id = a.id LIMIT 1) AS m
  WHERE m.held_run IS NOT NULL
), planned AS MATERIALIZED (
  SELECT p.run_id, p.ord FROM waited w
  CROSS JOIN LATERAL (SELECT o.run_id, o.ord, o.state FROM change o
    WHERE o.tenant_id = $1 AND o.source_id = $4 AND o.subject = w.subject OFFSET 0) AS p
  WHERE p.run_id = w.held_run AND p.state = 'planned'
), marked AS (
  UPDATE change c SET state = 'rejected', note = coalesce(c.note, '{}') || '{"code": "withdrawn"}' FROM planned p
  WHERE c.tenant_id = $1 AND c.run_id = p.run_id AND c.ord = p.ord AND c.state = 'planned')
SELECT DISTINCT held_run FROM waited"""


async def _withdraw(tx: TenantTx, group: Group, ids: Sequence[UUID]) -> list[RunId]:
    rows = await tx.fetch(_WITHDRAW, tx.tenant_id, group.group_id, list(ids), group.source_id)
    return [RunId(row["held_run"]) for row in rows]


async def forget_waiting(tx: TenantTx, group: Group, ids: Collection[ResourceId]) -> None:
    """Ends memberships whose end had been asserted, and waited: their records leave the source as a whole."""
    for run_id in await _withdraw(tx, group, list(ids)):
        await tx.execute(
            """DELETE FROM group_member m
            WHERE m.tenant_id = $1 AND m.group_id = $2 AND m.resource_id = ANY($3) AND NOT m.asserted""",
            *(tx.tenant_id, group.group_id, list(ids)),
        )
        await close_if_empty(tx, run_id)
