"""One group at a time, as SCIM changes them: the group, its members, the journal and the roles that follow, in the
caller's transaction.

Order of locks: the group, its new members' records, the journal's hour, persons.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Final

from stoa.changes.model import Action
from stoa.db.errors import UniqueViolation
from stoa.db.transactions import TenantTx
from stoa.kernel.fold import fold
from stoa.kernel.ids import GroupId, ResourceId, RunId, SourceId, new_id
from stoa.people import groups_journal as journal
from stoa.people import groups_queries as queries
from stoa.people.groups_journal import OwnEntry
from stoa.people.groups_members import Turn, forget_waiting, turn_of, write_turn
from stoa.people.groups_model import (
    Delta,
    Group,
    GroupAsserted,
    GroupChanged,
    GroupMade,
    GroupOutcome,
    GroupUnchanged,
    Memberships,
    Replaced,
    UnknownMembers,
)
from stoa.people.model import Refused, Written
from stoa.people.roles import settle_roles

NAME_TAKEN: Final = "group_name_taken"
EXTERNAL_ID_TAKEN: Final = "group_external_id_taken"
_NOBODY: Final = Turn()


async def make_group(
    tx: TenantTx,
    source_id: SourceId,
    asserted: GroupAsserted,
    members: Replaced | None = None,
    *,
    awaits: bool = False,
) -> GroupMade | UnknownMembers | Refused:
    """Makes a group of a source (SCIM's POST). One that was deleted, and had the same client's id or name, comes back
    under its old id; a name or an id that a present group bears is refused.

    awaits: whether members who are not here yet are awaited; else they are unknown.
    """
    key = fold(asserted.display_name)
    named = await queries.groups_named(tx, source_id, key, asserted.scim_external_id)
    if named and named[0].present:
        return _taken(named[0], key)
    entry = OwnEntry(Action.CREATE, "new_group", None, {"present": True, **_document(asserted)})
    group = _fresh(tx, source_id, asserted)
    if named:
        entry = replace(entry, reason="group_returned", before={"present": False, **_document_of(named[0])})
        group = _with(tx, named[0], asserted)
    turn = await turn_of(tx, group, members or Replaced(frozenset()), awaits=awaits)
    if isinstance(turn, UnknownMembers):
        return turn
    await (_update if named else _insert)(tx, group)
    written, group = await _write(tx, group, entry, turn)
    return GroupMade(group, bool(named), written, turn.held_ending or turn.held_new)


async def change_group(
    tx: TenantTx,
    group: Group,
    asserted: GroupAsserted | None,
    members: Memberships | None,
    *,
    awaits: bool = False,
) -> GroupOutcome:
    """Has a group, locked by the caller, say what `asserted` says and have these members (SCIM's PUT and PATCH). None
    leaves the one or the other alone.

    Nothing is written when it is so already, or when one of the members is unknown.

    awaits: as `make_group` has it.
    """
    turn = _NOBODY if members is None else await turn_of(tx, group, members, awaits=awaits)
    if isinstance(turn, UnknownMembers):
        return turn
    entry: OwnEntry | None = None
    now = group
    if asserted is not None:
        changed = _changed(group, asserted)
        if changed:
            before = {name: _document_of(group)[name] for name in changed}
            reason = "group_renamed" if "display_name" in changed else "changed"
            entry = OwnEntry(Action.UPDATE, reason, before, changed)
            now = _with(tx, group, asserted)
    if entry is None and turn.empty:
        return GroupUnchanged(group)
    if entry is not None:
        refused = await _update_or_refuse(tx, now)
        if refused is not None:
            return refused
    written, now = await _write(tx, now, entry, turn)
    reason = entry.reason if entry is not None else turn.reason
    added, removed = len(turn.new) + len(turn.back), len(turn.ending) + len(turn.unmade)
    return GroupChanged(now, reason, written, added, removed, turn.held_ending or turn.held_new)


async def remove_group(tx: TenantTx, group: Group) -> GroupChanged:
    """Takes a group, locked by the caller, out of its source with all its memberships (SCIM's DELETE). History stays,
    and a later POST revives it under its id.
    """
    turn = await turn_of(tx, group, Replaced(frozenset()))
    assert not isinstance(turn, UnknownMembers)
    gone = replace(group, present=False)
    await _update(tx, gone)
    before = {"display_name": group.display_name, "present": True}
    entry = OwnEntry(Action.REMOVE, "group_deleted", before, before | {"present": False})
    written, gone = await _write(tx, gone, entry, turn)
    removed = len(turn.ending) + len(turn.unmade)
    return GroupChanged(gone, entry.reason, written, 0, removed, turn.held_ending)


async def end_memberships(tx: TenantTx, source_id: SourceId, resource_ids: Collection[ResourceId]) -> None:
    """Takes records that leave their source out of all its groups. Inactive ones are not meant: they stay members.

    Nothing of it waits: who has no record has no access either, which is guarded for itself, and while that waits
    nobody calls this.
    """
    rows = await tx.fetch(_GROUPS_OF, tx.tenant_id, list(resource_ids), source_id)
    for row in rows:
        group = await queries.group_for_change(tx, source_id, row["group_id"])
        assert group is not None
        await forget_waiting(tx, group, resource_ids)
        turn = await turn_of(tx, group, Delta(remove=frozenset(resource_ids)), weighed=False)
        assert not isinstance(turn, UnknownMembers)
        if not turn.empty:
            await _write(tx, group, None, turn)


_GROUPS_OF: Final = """
SELECT DISTINCT m.group_id FROM group_member m JOIN person_group g ON g.tenant_id = $1 AND g.group_id = m.group_id
WHERE m.tenant_id = $1 AND m.resource_id = ANY($2) AND g.source_id = $3 ORDER BY m.group_id"""


# ------------------------------------------------------------------ the group itself


def _document(asserted: GroupAsserted) -> dict[str, Any]:
    return {
        "display_name": asserted.display_name,
        "scim_external_id": asserted.scim_external_id,
        "raw": asserted.raw,
    }


def _document_of(group: Group) -> dict[str, Any]:
    return _document(GroupAsserted(group.display_name, group.scim_external_id, group.raw))


def _changed(group: Group, asserted: GroupAsserted) -> dict[str, Any]:
    standing: Mapping[str, Any] = _document_of(group)
    return {name: value for name, value in _document(asserted).items() if value != standing[name]}


def _with(tx: TenantTx, group: Group, asserted: GroupAsserted) -> Group:
    return replace(group, present=True, updated_at=tx.now, **_document(asserted))


def _taken(group: Group, key: str) -> Refused:
    if fold(group.display_name) == key:
        return Refused(NAME_TAKEN, "Another group of this source has this name.")
    return Refused(EXTERNAL_ID_TAKEN, "Another group of this source has this external id.")


_INSERT: Final = """
INSERT INTO person_group (tenant_id, group_id, source_id, display_name, display_name_key, scim_external_id, raw,
  present, version, last_run, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, true, 0, $8, $9, $9)"""
_UPDATE: Final = """
UPDATE person_group SET display_name = $3, display_name_key = $4, scim_external_id = $5, raw = $6, present = $7
WHERE tenant_id = $1 AND group_id = $2"""
_COUNT: Final = """
UPDATE person_group SET member_count = member_count + $3, awaited_count = awaited_count + $7, version = version + $4,
  last_run = $5, updated_at = $6
WHERE tenant_id = $1 AND group_id = $2 RETURNING member_count, awaited_count, version"""


def _fresh(tx: TenantTx, source_id: SourceId, asserted: GroupAsserted) -> Group:
    return Group(
        GroupId(new_id()), source_id, asserted.display_name, asserted.scim_external_id, asserted.raw, present=True,
        member_count=0, version=0, created_at=tx.now, updated_at=tx.now,
    )  # fmt: skip


async def _insert(tx: TenantTx, group: Group) -> None:
    """Writes a fresh group. Raises UniqueViolation when another request of the same moment was first."""
    key, run_id = fold(group.display_name), journal.window_of(tx, group.source_id)
    await tx.execute(
        _INSERT,
        *(tx.tenant_id, group.group_id, group.source_id, group.display_name, key, group.scim_external_id, group.raw),
        *(run_id, tx.now),
    )


async def _update(tx: TenantTx, group: Group) -> None:
    key = fold(group.display_name)
    await tx.execute(
        _UPDATE,
        *(tx.tenant_id, group.group_id, group.display_name, key, group.scim_external_id, group.raw, group.present),
    )


async def _update_or_refuse(tx: TenantTx, group: Group) -> Refused | None:
    try:
        async with tx.savepoint():
            await _update(tx, group)
    except UniqueViolation as error:
        if error.constraint_name == "person_group_name":
            return Refused(NAME_TAKEN, "Another group of this source has this name.")
        return Refused(EXTERNAL_ID_TAKEN, "Another group of this source has this external id.")
    return None


# ------------------------------------------------------------------ with its members


async def _write(tx: TenantTx, group: Group, own: OwnEntry | None, turn: Turn) -> tuple[Written, Group]:
    """Memberships, figures of the group, the journal with its events, and roles. The group's own columns stand
    already.
    """
    if not turn.empty:
        await write_turn(tx, group, turn)
    run_id = await journal.open_window(tx, group.source_id)
    growth = turn.growth, 1, run_id, tx.now, turn.awaited_growth
    row = await tx.fetchrow(_COUNT, tx.tenant_id, group.group_id, *growth)
    assert row is not None
    first = await _journal(tx, run_id, group, own, turn)
    people = turn.people()
    if people:
        await settle_roles(tx, people, run_id)
    return Written(run_id, first), replace(group, **dict(row.items()), updated_at=tx.now)


async def _journal(tx: TenantTx, run_id: RunId, group: Group, own: OwnEntry | None, turn: Turn) -> int:
    """Writes the rows so that, undone from the last to the first, each finds what it needs: a group that is made comes
    before its members, and one that goes comes after them. Gives the place of the group's own, or else of the first.
    """
    places: list[int] = []
    ends = own is not None and own.action is Action.REMOVE
    if own is not None and not ends:
        places.append(await journal.write_own(tx, run_id, group, own))
    if turn.told:
        places.append(await journal.write_members(tx, run_id, group, turn.told))
    if turn.awaiting:
        places.append(await journal.journal_awaited(tx, run_id, group, turn.awaiting))
    if turn.waiting:
        places.append(await journal.write_members(tx, run_id, group, turn.waiting, waiting=True))
        for held, comes in ((turn.held_ending, False), (turn.held_new, True)):
            if held is not None:
                await journal.plan_members(tx, held, group, [one for one in turn.waiting if one.comes is comes])
    if own is not None and ends:
        places = [await journal.write_own(tx, run_id, group, own), *places]
    return places[0]
