"""What a merge would do, and what a split would, before anybody says so. Nothing is written or locked here.

The values that would be in force come from the same pure function that the merge itself ends in.
"""

# ruff: noqa: S608 - identifiers are declared in code; every value is a bound parameter

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from stoa.db.transactions import TenantTx
from stoa.kernel.ids import PersonId, ResourceId, SourceId
from stoa.kernel.references import OnMerge, Reference
from stoa.people.authority import authority
from stoa.people.dates import tenant_today
from stoa.people.fields import PERSON_FIELDS, Value
from stoa.people.groups_queries import groups_of
from stoa.people.merging import barred, both
from stoa.people.merging_model import BothHere, FieldPreview, Identity, MergeAsk, Moving, Preview, Side
from stoa.people.merging_picks import picked_values, standing_record
from stoa.people.merging_queries import console_source
from stoa.people.model import Person
from stoa.people.recompute import linked_records
from stoa.people.rules import Effective, Linked, Ranking, effective, in_force, in_order

_IDENTITIES: Final = """
SELECT r.resource_id, r.source_id, r.external_id, r.scim_external_id, r.present, r.active, r.person_id
FROM source_record r WHERE r.tenant_id = $1 AND r.person_id = ANY($2)
ORDER BY r.present DESC, r.created_at, r.resource_id"""
_ROLES: Final = """
SELECT h.person_id, h.role FROM person_role h WHERE h.tenant_id = $1 AND h.person_id = ANY($2) ORDER BY h.role"""
_REPORTS: Final = "SELECT count(*) FROM person WHERE tenant_id = $1 AND manager_id = $2"
_HOLDS: Final = """
SELECT count(*) FROM hold h JOIN source_record r ON r.tenant_id = $1 AND r.resource_id = h.resource_id
WHERE h.tenant_id = $1 AND r.person_id = $2 AND h.state = 'held'"""
_IS_ARRAY: Final = """
SELECT atttypid = 'uuid[]'::regtype FROM pg_attribute
WHERE attrelid = $1::text::regclass AND attname = $2 AND NOT attisdropped"""


async def preview(tx: TenantTx, ask: MergeAsk, references: Sequence[Reference]) -> Preview:
    """What merging the two would do.

    references: of every room, to say what becomes of the rows that name the absorbed person.

    Raises:
        NotFound, SamePerson, AlreadyMerged, BadPick.
    """
    survivor, absorbed = await both(tx, ask)
    pair = (survivor.person_id, absorbed.person_id)
    picks = picked_values(ask, survivor, absorbed)
    ranking = (await authority(tx)).ranking
    records = await _joined(tx, pair)
    if picks:
        records = await _with_picks(tx, pair, records, picks)
    found = effective(records, ranking)
    identities = await _identities(tx, pair)
    return Preview(
        *pair,
        fields=[_field(name, survivor, absorbed, found, records, ranking, ask.picks) for name in PERSON_FIELDS],
        access=FieldPreview("active", survivor.active, absorbed.active, found.active),
        manager=FieldPreview("manager_id", survivor.manager_id, absorbed.manager_id, found.manager_id),
        identities=identities,
        moving=[await _moving(tx, one, absorbed.person_id) for one in references],
        both_here=_both_here(identities),
        roles=await _roles(tx, pair),
        reports=await tx.fetchval(_REPORTS, tx.tenant_id, absorbed.person_id),
        holds=await tx.fetchval(_HOLDS, tx.tenant_id, absorbed.person_id),
        barred=await barred(tx, pair),
    )


async def _joined(tx: TenantTx, pair: tuple[PersonId, PersonId]) -> list[Linked]:
    """All records of both as those of one person, who is not their own manager."""
    records = [one for person_id in pair for one in await linked_records(tx, person_id)]
    return [replace(one, manager=None) if one.manager in pair else one for one in records]


async def _with_picks(
    tx: TenantTx, pair: tuple[PersonId, PersonId], records: Sequence[Linked], picks: Mapping[str, Value]
) -> list[Linked]:
    source_id = await console_source(tx)
    standing = await standing_record(tx, source_id, pair)
    values = {**({} if standing is None else standing.values), **picks}
    # A date that is picked may have come.
    today = await tenant_today(tx, values)
    active = in_force(True if standing is None else standing.asserted_active, values, today)
    if standing is None:
        # The highest id there is: of two records of one source the older one is heard first.
        made = Linked(ResourceId(UUID(int=2**128 - 1)), source_id, present=True, active=active, values=values)
        return [*records, made]
    return [
        replace(one, active=active, values=values) if one.resource_id == standing.resource_id else one
        for one in records
    ]


def _field(
    name: str, survivor: Person, absorbed: Person, found: Effective, records: Iterable[Linked], ranking: Ranking,
    picks: Mapping[str, Side],
) -> FieldPreview:  # fmt: skip
    result = found.values[name]
    said = (one for one in in_order(records, ranking.get(name, ())) if (one.held.get(name, one.values.get(name))))
    strongest = next(said, None)
    picked = picks.get(name)
    wanted = {"survivor": survivor, "absorbed": absorbed}[picked].values[name] if picked else result
    return FieldPreview(
        name,
        survivor.values[name],
        absorbed.values[name],
        result,
        None if strongest is None else strongest.source_id,
        picked,
        overruled=wanted != result,
    )


async def _identities(tx: TenantTx, pair: tuple[PersonId, PersonId]) -> list[Identity]:
    rows = await tx.fetch(_IDENTITIES, tx.tenant_id, list(pair))
    groups = await groups_of(tx, [row["resource_id"] for row in rows])
    return [
        Identity(
            ResourceId(row["resource_id"]),
            SourceId(row["source_id"]),
            row["external_id"],
            row["scim_external_id"],
            row["present"],
            row["active"],
            "survivor" if row["person_id"] == pair[0] else "absorbed",
            [name for _, name in groups.get(ResourceId(row["resource_id"]), ())],
        )
        for row in rows
    ]


def _both_here(identities: Iterable[Identity]) -> list[BothHere]:
    sides: dict[SourceId, dict[Side, list[ResourceId]]] = {}
    for one in identities:
        if one.present:
            sides.setdefault(one.source_id, {"survivor": [], "absorbed": []})[one.whose].append(one.resource_id)
    return [
        BothHere(source_id, side["survivor"], side["absorbed"])
        for source_id, side in sides.items()
        if side["survivor"] and side["absorbed"]
    ]


async def _roles(tx: TenantTx, pair: tuple[PersonId, PersonId]) -> dict[str, Sequence[str]]:
    rows = await tx.fetch(_ROLES, tx.tenant_id, list(pair))
    roles: dict[str, Sequence[str]] = {
        side: [row["role"] for row in rows if row["person_id"] == person_id]
        for side, person_id in zip(("survivor", "absorbed"), pair, strict=True)
    }
    # Roles follow from the groups of all records, which are one person's then.
    return {**roles, "result": sorted({row["role"] for row in rows})}


async def _moving(tx: TenantTx, reference: Reference, absorbed: PersonId) -> Moving:
    rows = 0
    if reference.on_merge is not OnMerge.KEEP:
        many = await tx.fetchval(_IS_ARRAY, reference.table, reference.column)
        is_it = f"$2 = ANY({reference.column})" if many else f"{reference.column} = $2"
        rows = await tx.fetchval(
            f"SELECT count(*) FROM {reference.table} WHERE tenant_id = $1 AND {is_it}", tx.tenant_id, absorbed
        )
    return Moving(reference.table, reference.column, reference.on_merge, rows)
