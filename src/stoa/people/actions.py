"""One record at a time, as SCIM and the console change people: resolve, write, journal, settle, emit, in the caller's
transaction.

`bulk` does the same for many at once; a property test holds the two together.
"""

# ruff: noqa: S608 - identifiers come from `columns`, which is code; every value is a bound parameter

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from stoa.changes.model import Action
from stoa.db.errors import UniqueViolation
from stoa.db.transactions import Row, TenantTx
from stoa.kernel.ids import PersonId, ResourceId, RunId, SourceId, new_id
from stoa.people import guarding, journal, queries
from stoa.people.columns import RECORD_COLUMNS, RECORD_VALUES
from stoa.people.dates import is_dated, replace_due_changes, tenant_today
from stoa.people.decisions import end_decision, note_refusal
from stoa.people.fields import KEYED, key_of, to_json
from stoa.people.groups_actions import end_memberships
from stoa.people.matching import CreateNew, LinkTo, Refuse
from stoa.people.model import Asserted, Changed, Provisioned, Record, Refused, Unchanged
from stoa.people.recognising import identifiers_of, recognise
from stoa.people.recompute import LOCKED, becoming, new_person, settle
from stoa.people.rules import Linked, describe, in_force

# Whoever reads the refusal in the other system learns from it where it is worked off.
WHERE_DECIDED: Final = "An admin of the tenant says who it is, in the console of Stoa under People, “Who is it?”."
_TWO_USERS: Final = "The user name belongs to one user and the external id to another. Correct the one that is wrong."


async def provision(
    tx: TenantTx, source_id: SourceId, asserted: Asserted, *, by_own_id: bool = False
) -> Provisioned | Refused:
    """Makes a record of a source (SCIM's POST), of a new person or of one whom the resolver recognises.

    A record that the source has already, but which is inactive or gone, is revived under its old id. A name that is in
    use is refused.

    by_own_id: two ids of the client's are two users, whatever their names; a user name alone revives nobody who has
        another id.
    """
    user_name = asserted.values.get("user_name")
    names = key_of(user_name), asserted.scim_external_id
    locking = identifiers_of(asserted).all_keys
    named = await queries.records_named(tx, source_id, *names, locking=locking)
    if by_own_id:
        others = [record for record in named if _has_another_id(record, asserted)]
        if any(record.present for record in others):
            people = tuple({record.person_id for record in others if record.present})
            return Refused("user_name_taken", "Another user with this user name exists already. Correct it.", people)
        named = [record for record in named if record not in others]
    if named:
        taken = _taken(named, asserted)
        if taken is not None:
            return taken
        if by_own_id and asserted.scim_external_id is None:
            asserted = replace(asserted, scim_external_id=named[0].scim_external_id)
        revived = await assert_record(tx, named[0], asserted)
        if isinstance(revived, Refused):
            return revived
        written = revived.written if isinstance(revived, Changed) else None
        return Provisioned(revived.record, "same_name_in_source", revived=True, written=written)
    verdict = await recognise(tx, source_id, asserted, locked=True)
    if isinstance(verdict, Refuse):
        named = await queries.records_named(tx, source_id, *names)
        if (taken := _taken(named, asserted)) is not None:
            # The same request came twice at one moment: there is nothing to decide.
            return taken
        await note_refusal(tx, source_id, asserted, verdict)
        return Refused(verdict.rule, f"{verdict.detail} {WHERE_DECIDED}", verdict.candidates)
    made = await make_record(tx, source_id, asserted, verdict)
    if made is not None:
        await end_decision(tx, verdict)
        return made
    # Another request of the same moment was first; nothing was written here.
    named = await queries.records_named(tx, source_id, *names)
    return _taken(named, asserted) or Refused("user_name_taken", "Another request has just made a user of this name.")


def _has_another_id(record: Record, asserted: Asserted) -> bool:
    """Whether the client has given this record another id than the one that it speaks of."""
    ids = {record.scim_external_id, asserted.scim_external_id} - {None}
    return len(ids) > 1


def _taken(named: list[Record], asserted: Asserted) -> Refused | None:
    """Refuses a name that an active record bears, or names that belong to two different records."""
    present = [record for record in named if record.present]
    people = tuple({record.person_id for record in present or named})
    if len(present) > 1:
        return Refused("ambiguous_name", _TWO_USERS, people)
    if present and present[0].asserted_active:
        name = key_of(asserted.values.get("user_name"))
        by_name = name is not None and key_of(present[0].values.get("user_name")) == name
        what = "user name" if by_name else "external id"
        detail = f"An active user with this {what} exists already. Correct it, or deactivate the other one."
        return Refused(f"{what.replace(' ', '_')}_taken", detail, people)
    return None


async def make_record(
    tx: TenantTx, source_id: SourceId, asserted: Asserted, verdict: LinkTo | CreateNew, *, key: str | None = None
) -> Provisioned | None:
    """Makes the record of a source's word of somebody whom the resolver has told. None, with nothing written, where the
    source has its key or its names already.

    key: the record's key in its source; else it is the record's own id.
    """
    fresh = new_id()
    resource_id, external_id = ResourceId(fresh), key or str(fresh)
    person_id = verdict.person_id if isinstance(verdict, LinkTo) else PersonId(fresh)
    columns = await columns_of(tx, asserted)
    run_id = journal.window_of(tx, source_id)
    record = _new_record(tx, (source_id, external_id, resource_id, person_id, run_id), columns)
    action = Action.LINK if isinstance(verdict, LinkTo) else Action.CREATE
    after = {name: to_json(value) for name, value in columns.items() if value is not None}
    entry = journal.Entry(action, verdict.rule, external_id, source_id, resource_id, person_id, None, after)
    # The record comes before its person (the foreign key waits for the commit): where the name is taken, nothing else
    # is written.
    if isinstance(verdict, LinkTo):
        if not await tx.execute(record.alone(), tx.tenant_id, *record.params):
            return None
        written = await journal.write(tx, entry, await settle(tx, person_id, run_id))
    else:
        manager = await _manager(tx, source_id, columns["manager_ref"], person_id)
        first = Linked(resource_id, source_id, True, columns["active"], {n: columns[n] for n in RECORD_VALUES}, manager)
        effect, person = new_person(tx, person_id, run_id, first)
        written = await journal.write_if(tx, entry, effect, record, person)
        if written is None:
            return None
    if is_dated(columns):
        await replace_due_changes(tx, source_id, external_id, asserted.active, columns)
    made = fresh_record(tx, source_id, external_id, (resource_id, person_id), columns)
    linked = isinstance(verdict, LinkTo)
    return Provisioned(made, verdict.rule, revived=False, linked=linked, written=written)


def fresh_record(
    tx: TenantTx,
    source_id: SourceId,
    external_id: str,
    ids: tuple[ResourceId, PersonId],
    columns: Mapping[str, Any],
) -> Record:
    """A record that was made just now, with the columns that were written."""
    return Record(
        source_id,
        external_id,
        *ids,
        present=True,
        asserted_active=columns["asserted_active"],
        active=columns["active"],
        values={name: columns[name] for name in RECORD_VALUES},
        scim_external_id=columns["scim_external_id"],
        raw=columns["raw"],
        version=1,
        created_at=tx.now,
        updated_at=tx.now,
    )


async def link_record(
    tx: TenantTx, source_id: SourceId, person_id: PersonId, asserted: Asserted
) -> Provisioned | Refused:
    """Makes a record of a source of a person whom the client named by id, and of whom the source has none."""
    user_name = asserted.values.get("user_name")
    named = await queries.records_named(tx, source_id, key_of(user_name), asserted.scim_external_id)
    people = tuple({record.person_id for record in named if record.present})
    refused = Refused("name_taken", "Another user of this source has the user name or the external id.", people)
    if people:
        return refused
    return await make_record(tx, source_id, asserted, LinkTo(person_id, "linked_by_id")) or refused


def _new_record(tx: TenantTx, ids: tuple[object, ...], columns: Mapping[str, Any]) -> journal.Part:
    """The statement that makes a record, unless its name is taken."""
    marks = ", ".join(f":{i}" for i in range(7, 7 + len(columns)))
    return journal.Part(
        f"""INSERT INTO source_record
          (tenant_id, source_id, external_id, resource_id, person_id, last_run, created_at, updated_at,
           {", ".join(columns)})
        VALUES ($1, :1, :2, :3, :4, :5, :6, :6, {marks}) ON CONFLICT DO NOTHING""",
        (*ids, tx.now, *columns.values()),
    )


async def _manager(tx: TenantTx, source_id: SourceId, manager_ref: str | None, person_id: PersonId) -> PersonId | None:
    if manager_ref is None:
        return None
    found: PersonId | None = await tx.fetchval(
        "SELECT person_id FROM source_record WHERE tenant_id = $1 AND source_id = $2 AND external_id = $3",
        tx.tenant_id,
        source_id,
        manager_ref,
    )
    return None if found == person_id else found


async def columns_of(tx: TenantTx, asserted: Asserted) -> dict[str, Any]:
    """The record's columns, as `asserted` would have them today."""
    values: dict[str, Any] = {name: asserted.values.get(name) for name in RECORD_VALUES}
    columns: dict[str, Any] = {
        "present": True,
        "asserted_active": asserted.active,
        "active": in_force(asserted.active, values, await tenant_today(tx, values)),
        **values,
        **{f"{name}_key": key_of(values[name]) for name in KEYED},
        "scim_external_id": asserted.scim_external_id,
        "raw": asserted.raw,
        "row_hash": 0,
    }
    return {name: columns[name] for name in RECORD_COLUMNS}


async def assert_record(tx: TenantTx, record: Record, asserted: Asserted) -> Changed | Unchanged | Refused:
    """Has a record, locked by the caller, say what `asserted` says (SCIM's PUT and PATCH).

    Nothing is written when it says so already.
    """
    wanted = await columns_of(tx, asserted)
    return await _change(tx, record, wanted, None)


async def remove_record(tx: TenantTx, record: Record) -> Changed | Unchanged:
    """Takes a record, locked by the caller, out of its source (SCIM's DELETE).

    History stays, and a later POST revives it under its id.
    """
    gone = {**standing_of(record), "present": False, "asserted_active": False, "active": False}
    changed = await _change(tx, record, gone, (Action.DEACTIVATE, "deleted_in_source"))
    assert not isinstance(changed, Refused)
    if isinstance(changed, Changed) and changed.held is None:
        await end_memberships(tx, record.source_id, [record.resource_id])
    return changed


def standing_of(record: Record) -> dict[str, Any]:
    """The record's columns as they stand."""
    standing: dict[str, Any] = {
        "present": record.present,
        "asserted_active": record.asserted_active,
        "active": record.active,
        **record.values,
        **{f"{name}_key": key_of(record.values[name]) for name in KEYED},
        "scim_external_id": record.scim_external_id,
        "raw": record.raw,
    }
    return standing


async def _change(
    tx: TenantTx, record: Record, wanted: Mapping[str, Any], named: tuple[Action, str] | None
) -> Changed | Unchanged | Refused:
    standing = standing_of(record)
    changed = {name: value for name, value in wanted.items() if name in standing and value != standing[name]}
    if not changed:
        return Unchanged(record)
    action, reason = named or describe(record.active, bool(wanted["active"]), changed)
    person = await _update_record(tx, record, changed)
    if isinstance(person, Refused):
        return person
    if (is_dated(wanted) or is_dated(standing)) and changed.keys() & {
        "asserted_active",
        "hire_date",
        "termination_date",
    }:
        await replace_due_changes(tx, record.source_id, record.external_id, bool(wanted["asserted_active"]), wanted)
    before = {name: to_json(standing[name]) for name in changed}
    after: dict[str, Any] = {name: to_json(value) for name, value in changed.items()}
    entry = journal.Entry(
        action, reason, record.external_id, record.source_id, record.resource_id, record.person_id, before, after
    )
    held: RunId | None = None
    if action is Action.DEACTIVATE and record.active:
        held = await guarding.hold_deactivation(tx, record, reason, before, after)
    elif person["waits"]:
        held = await guarding.follow_up(tx, record, before, after)
    effect, parts = await becoming(tx, record.person_id, person)
    written = await journal.write(tx, entry, effect, *parts)
    return Changed(with_columns(tx, record, wanted), action, reason, written, held)


def with_columns(tx: TenantTx, record: Record, wanted: Mapping[str, Any]) -> Record:
    """The record with the columns that were written just now."""
    return replace(
        record,
        present=wanted["present"],
        asserted_active=wanted["asserted_active"],
        active=wanted["active"],
        values={name: wanted[name] for name in RECORD_VALUES},
        scim_external_id=wanted["scim_external_id"],
        raw=wanted["raw"],
        version=record.version + 1,
        updated_at=tx.now,
    )


# Columns whose values no two present records of a source may share.
UNIQUE = frozenset({"present", "user_name", "user_name_key", "scim_external_id"})


async def _update_record(tx: TenantTx, record: Record, changed: Mapping[str, Any]) -> Row | Refused:
    """Writes the record, and locks the person: gives their row, which has the columns `recompute.LOCKED`, and as
    `waits` whether an earlier word on their access is held.
    """
    sets = ", ".join(f"{name} = ${i}" for i, name in enumerate(changed, start=8))
    sql = f"""WITH said AS (
          UPDATE source_record SET {sets}, row_hash = 0, last_run = $4, version = version + 1, updated_at = $5
          WHERE tenant_id = $1 AND source_id = $2 AND external_id = $3)
        SELECT {LOCKED}, EXISTS (
          SELECT FROM hold WHERE tenant_id = $1 AND resource_id = $7 AND field = 'active' AND state = 'held') AS waits
        FROM person WHERE tenant_id = $1 AND person_id = $6 FOR UPDATE"""
    run_id = journal.window_of(tx, record.source_id)
    names = (tx.tenant_id, record.source_id, record.external_id, run_id, tx.now, record.person_id, record.resource_id)
    try:
        if changed.keys() & UNIQUE:
            async with tx.savepoint():
                person = await tx.fetchrow(sql, *names, *changed.values())
        else:
            person = await tx.fetchrow(sql, *names, *changed.values())
    except UniqueViolation as error:
        what = "external id" if error.constraint_name == "source_record_scim_external_id" else "user name"
        return Refused(f"{what.replace(' ', '_')}_taken", f"Another user has this {what}.", (record.person_id,))
    assert person is not None
    return person
