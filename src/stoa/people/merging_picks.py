"""Picks of a merge: what the console's source asserts of the survivor, written in the name of the merge's run."""

# ruff: noqa: S608 - identifiers come from `columns`, which is code; every value is a bound parameter

from collections.abc import Mapping
from typing import Any, Final

from stoa.changes.model import Action
from stoa.db.transactions import TenantTx
from stoa.events.actions import emit_batch
from stoa.kernel.ids import PersonId, ResourceId, RunId, SourceId, new_id
from stoa.people.columns import RECORD_COLUMNS, RECORD_VALUES
from stoa.people.dates import replace_due_changes, tenant_today
from stoa.people.fields import KEYED, Value, key_of, to_json
from stoa.people.merging_model import PICKABLE, BadPick, MergeAsk
from stoa.people.model import Person, Record
from stoa.people.queries import RECORD, record_of
from stoa.people.rules import in_force

PICKED: Final = "picked"
# Of several records of one source the present one with the lowest id is heard first: a pick must be said there.
_STANDING: Final = f"""
SELECT {RECORD} FROM source_record r WHERE r.tenant_id = $1 AND r.source_id = $2 AND r.person_id = ANY($3) AND r.present
ORDER BY r.resource_id LIMIT 1"""
_CHANGE: Final = """
INSERT INTO change
  (tenant_id, run_id, action, reason, subject, source_id, resource_id, person_id, before, after, state, at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'applied', $11) RETURNING ord"""


def picked_values(ask: MergeAsk, survivor: Person, absorbed: Person) -> dict[str, Value]:
    """What the console's source is to say. Raises BadPick."""
    values: dict[str, Value] = {}
    for name, side in ask.picks.items():
        if name not in PICKABLE:
            raise BadPick(
                f"{name[:60]!r} cannot be picked.", hint=f"Fields that can: {', '.join(PICKABLE)}.", field=name[:60]
            )
        value = (survivor if side == "survivor" else absorbed).values[name]
        if value is None:
            raise BadPick(
                f"The {side} has no {name} that could be picked.",
                hint="A pick is a value that one of the two has; nothing cannot be asserted.",
                field=name,
            )
        values[name] = value
    return values


async def standing_record(tx: TenantTx, source_id: SourceId, people: tuple[PersonId, ...]) -> Record | None:
    """The console's record of one of these people in which a pick would be said, if there is one."""
    row = await tx.fetchrow(_STANDING, tx.tenant_id, source_id, list(people))
    return None if row is None else record_of(row)


async def assert_picks(
    tx: TenantTx, run_id: RunId, source_id: SourceId, people: tuple[PersonId, ...], values: Mapping[str, Value]
) -> None:
    """Has the console's source say `values` of people[0], who is to be all of `people`. The records are locked."""
    if not values:
        return
    record = await standing_record(tx, source_id, people)
    if record is None:
        await _make(tx, run_id, source_id, people[0], values)
    else:
        await _change(tx, run_id, record, values)


async def _columns(tx: TenantTx, asserted_active: bool, values: Mapping[str, Value]) -> dict[str, Any]:
    said: dict[str, Any] = {name: values.get(name) for name in RECORD_VALUES}
    return {
        "active": in_force(asserted_active, said, await tenant_today(tx, said)),
        **said,
        **{f"{name}_key": key_of(said[name]) for name in KEYED},
    }


async def _make(
    tx: TenantTx, run_id: RunId, source_id: SourceId, person_id: PersonId, values: Mapping[str, Value]
) -> None:
    fresh = new_id()
    # Not its own id: what is picked as a user name may be that of somebody else in the console's source.
    external_id = f"picks {fresh}"
    columns: dict[str, Any] = {
        "present": True,
        "asserted_active": True,
        "scim_external_id": None,
        "raw": None,
        "row_hash": 0,
        **await _columns(tx, True, values),
    }
    ordered = [columns[name] for name in RECORD_COLUMNS]
    marks = ", ".join(f"${i}" for i in range(8, 8 + len(ordered)))
    await tx.execute(
        f"""INSERT INTO source_record
          (tenant_id, source_id, external_id, resource_id, person_id, last_run, created_at, updated_at,
           {", ".join(RECORD_COLUMNS)})
        VALUES ($1, $2, $3, $4, $5, $6, $7, $7, {marks})""",
        *(tx.tenant_id, source_id, external_id, fresh, person_id, run_id, tx.now, *ordered),
    )
    await replace_due_changes(tx, source_id, external_id, True, columns)
    after = {name: to_json(value) for name, value in columns.items() if value is not None}
    await _note(tx, run_id, Action.LINK, external_id, source_id, ResourceId(fresh), person_id, None, after)


async def _change(tx: TenantTx, run_id: RunId, record: Record, values: Mapping[str, Value]) -> None:
    standing = {"active": record.active, **record.values, **{f"{n}_key": key_of(record.values[n]) for n in KEYED}}
    wanted = await _columns(tx, record.asserted_active, {**record.values, **values})
    changed = [name for name in wanted if wanted[name] != standing[name]]
    if not changed:
        return
    sets = ", ".join(f"{name} = ${i}" for i, name in enumerate(changed, start=6))
    await tx.execute(
        f"""UPDATE source_record SET {sets}, row_hash = 0, last_run = $4, version = version + 1, updated_at = $5
        WHERE tenant_id = $1 AND source_id = $2 AND external_id = $3""",
        *(tx.tenant_id, record.source_id, record.external_id, run_id, tx.now, *(wanted[name] for name in changed)),
    )
    await replace_due_changes(tx, record.source_id, record.external_id, record.asserted_active, wanted)
    before = {name: to_json(standing[name]) for name in changed}
    after = {name: to_json(wanted[name]) for name in changed}
    await _note(
        tx, run_id, Action.UPDATE, record.external_id, record.source_id, record.resource_id, record.person_id, before,
        after,
    )  # fmt: skip


async def _note(
    tx: TenantTx, run_id: RunId, action: Action, subject: str, source_id: SourceId, resource_id: ResourceId,
    person_id: PersonId, before: Mapping[str, Any] | None, after: Mapping[str, Any],
) -> None:  # fmt: skip
    ord_: int = await tx.fetchval(
        _CHANGE,
        *(tx.tenant_id, run_id, action, PICKED, subject, source_id, resource_id, person_id, before, after, tx.now),
    )
    emit_batch(tx, run_id=run_id, ord_from=ord_, ord_to=ord_, n=1)
