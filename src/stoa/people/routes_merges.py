"""Merging and splitting people over the public API."""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from stoa.api.lists import ListQuery, Page, page, read_list
from stoa.api.operations import Answer, Call, Operation
from stoa.api.tables import MOMENT, Table, rows_of
from stoa.api.tenants import ID
from stoa.kernel.cursors import BadCursor
from stoa.kernel.filters import Attribute, AttrType, Catalogue, Column, FilterError
from stoa.kernel.ids import PersonId, parse_id
from stoa.kernel.problems import NotFound
from stoa.kernel.references import Reference
from stoa.people.fields import Value
from stoa.people.merging import merge
from stoa.people.merging_model import (
    AlreadyMerged,
    BadPick,
    CannotSplit,
    FieldPreview,
    Identity,
    LastAdminMerged,
    Merge,
    MergeAsk,
    MergeBarred,
    NoSuchMerge,
    Preview,
    Returning,
    SamePerson,
    Side,
)
from stoa.people.merging_preview import preview
from stoa.people.merging_queries import MERGE, merge_by_run, merge_of
from stoa.people.routes import person_id_of
from stoa.people.splitting import split
from stoa.people.splitting_preview import split_preview

_When = Annotated[datetime, Meta(tz=True)]
LONGEST_NOTE: Final = 1000
# Dates and ids as texts.
Plain = str | bool | None


class MergeShown(msgspec.Struct, frozen=True):
    """One person merged into another. It can be split at any time."""

    id: Annotated[UUID, Meta(description="Also that of its run.")]
    state: Literal["merged", "split"]
    survivor_id: UUID
    absorbed_id: Annotated[UUID, Meta(description="From then on an id of the survivor's.")]
    picks: dict[str, Side]
    note: str | None
    made_by: str
    made_at: _When
    split_run: UUID | None
    split_by: str | None
    split_at: _When | None
    updated_at: _When


class MergeInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who is to be merged into whom. A person is named by their id, or as `external:SOURCE:ID`."""

    survivor: Annotated[str, Meta(min_length=1, max_length=2_000)]
    absorbed: Annotated[str, Meta(min_length=1, max_length=2_000)]
    picks: Annotated[
        dict[str, Side],
        Meta(description="Field to whose value is to be in force; others follow the order of sources.", max_length=40),
    ] = msgspec.field(default_factory=dict[str, Side])
    note: Annotated[str, Meta(max_length=LONGEST_NOTE)] = ""
    preview: Annotated[bool, Meta(description="Only tell what would follow.")] = False


class SplitInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a merge is split."""

    preview: Annotated[bool, Meta(description="Only tell what would follow.")] = False


class FieldShown(msgspec.Struct, frozen=True):
    """One field of both people."""

    field: str
    survivor: Plain
    absorbed: Plain
    result: Annotated[Plain, Meta(description="What would be in force of the survivor.")]
    source_id: Annotated[UUID | None, Meta(description="Whose word that would be.")] = None
    picked: Side | None = None
    overruled: Annotated[bool, Meta(description="A source of more authority says something else.")] = False


class IdentityShown(msgspec.Struct, frozen=True):
    """A record of one of the two."""

    id: Annotated[UUID, Meta(description="Of the record; over SCIM, the user's. It never changes.")]
    source_id: UUID
    key: str
    external_id: str | None
    present: bool
    active: bool
    of: Side
    groups: list[str]


class MovingShown(msgspec.Struct, frozen=True):
    """Rows that name the absorbed person."""

    table: str
    column: str
    on_merge: Annotated[str, Meta(description="`move`, `combine` or `keep`.")]
    rows: int


class BothShown(msgspec.Struct, frozen=True):
    """A source that knows both, as two people by its own word."""

    source_id: UUID
    survivor: list[UUID]
    absorbed: list[UUID]


class MergePreview(msgspec.Struct, frozen=True, kw_only=True):
    """What a merge would do."""

    survivor_id: UUID
    absorbed_id: UUID
    fields: list[FieldShown]
    identities: list[IdentityShown]
    moving: list[MovingShown]
    both_here: list[BothShown]
    roles: Annotated[dict[str, list[str]], Meta(description="Of survivor, absorbed and result.")]
    reports: Annotated[int, Meta(description="People whose manager is the absorbed person.")]
    holds: Annotated[int, Meta(description="Values of the absorbed person's records that wait for approval.")]
    barred: Annotated[str | None, Meta(description="Why it would be refused.")]


class StayingShown(msgspec.Struct, frozen=True):
    """A record that stays where it is."""

    key: str
    code: Annotated[str, Meta(description="`linked_since`, `record_is_gone` or `person_is_gone`.")]


class SplitPreview(msgspec.Struct, frozen=True, kw_only=True):
    """What a split would do."""

    survivor_id: UUID
    absorbed_id: UUID
    back: list[IdentityShown]
    staying: list[StayingShown]
    withdrawn: Annotated[list[str], Meta(description="Picks that would be taken back.")]
    kept: Annotated[list[str], Meta(description="Picks that somebody has changed since.")]
    fields: Annotated[
        list[FieldShown],
        Meta(
            description="`survivor` as it is now; `result` of the survivor, `absorbed` of the one split off afterwards."
        ),
    ]


_CHANGED: Final = "coalesce(m.split_at, m.made_at)"
CATALOGUE: Final = Catalogue(
    (
        Attribute("id", AttrType.UUID),
        Attribute("state", case_exact=True),
        Attribute("survivor_id", AttrType.UUID),
        Attribute("absorbed_id", AttrType.UUID),
        Attribute("made_at", AttrType.DATETIME),
        Attribute("updated_at", AttrType.DATETIME),
    )
)
TABLE: Final = Table(
    select=f"SELECT {MERGE}, m.run_id AS id, {_CHANGED} AS updated_at FROM person_merge m WHERE m.tenant_id = $1",  # noqa: S608 - code
    key="m.run_id",
    binding={
        "id": Column("m.run_id"),
        **{name: Column(f"m.{name}") for name in ("state", "survivor_id", "absorbed_id", "made_at")},
        "updated_at": Column(_CHANGED),
    },
    sorts={"made_at": ("m.made_at", MOMENT), "updated_at": (_CHANGED, MOMENT)},
)
_ONE: Final = "/v1/merges/{merge_id}"


def operations(references: Sequence[Reference]) -> tuple[Operation, ...]:
    """Merges and splits. references: of every room, for previews."""
    one: Any = {"tag": "Merges", "path_params": {"merge_id": ID}}
    return (
        Operation(
            id="listMerges", method="GET", path="/v1/merges", tag="Merges", summary="List merges",
            description="The latest first, split ones too.", scope="people:read", handler=_list, query=ListQuery,
            answers={200: Page[MergeShown]}, problems=(BadCursor, FilterError),
        ),
        Operation(
            id="createMerge", method="POST", path="/v1/merges", tag="Merges", summary="Merge two people",
            description="All records of the absorbed person become the survivor's, in one transaction, and the values "
            "in effect follow from all of them. The absorbed id means the survivor from then on, everywhere; ids over "
            "SCIM stay as they are. With `preview` nothing is written: what would follow is answered with status 200. "
            "A merge can be split at any time.",
            scope="people:write", handler=_creating(references), body=MergeInput, idempotency="required",
            body_example={"survivor": "018f2f3e-5c7a-7c3a-9d5e-3b1c2a4d5e6f", "absorbed": "external:Payroll:P-7"},
            answers={200: MergePreview, 201: MergeShown},
            problems=(NotFound, SamePerson, AlreadyMerged, MergeBarred, BadPick, LastAdminMerged),
        ),
        Operation(
            id="getMerge", method="GET", path=_ONE, summary="Get a merge", scope="people:read", handler=_get,
            answers={200: MergeShown}, problems=(NoSuchMerge,), **one,
        ),
        Operation(
            id="splitMerge", method="POST", path=f"{_ONE}/split", summary="Split a merge",
            description="The exact inverse: the records that the merge moved go back, and picks that nobody has "
            "changed since are withdrawn. What came later stays with its record. With `preview` nothing is written: "
            "what would follow is answered with status 200. Else the run that did it is in Location.",
            scope="people:write", handler=_split, body=SplitInput, body_example={"preview": True},
            idempotency="optional", answers={200: SplitPreview, 201: MergeShown}, problems=(NoSuchMerge, CannotSplit),
            **one,
        ),
    )  # fmt: skip


async def _list(call: Call[ListQuery, None]) -> Answer:
    ask = read_list(call, CATALOGUE, tuple(TABLE.sorts), default="-made_at")
    rows, after = await rows_of(call.tx, TABLE, ask)
    return page(call, ask, [_shown(merge_of(row)) for row in rows], after)


async def _get(call: Call[Any, None]) -> Answer:
    return Answer(content=_shown(await merge_by_run(call.tx, _merge_id(call))))


def _creating(references: Sequence[Reference]) -> Callable[[Call[Any, MergeInput]], Any]:
    async def create(call: Call[Any, MergeInput]) -> Answer:
        body = call.body
        people = [PersonId(await person_id_of(call.tx, name)) for name in (body.survivor, body.absorbed)]
        ask = MergeAsk(people[0], people[1], body.picks, body.note.strip() or None)
        if body.preview:
            return Answer(content=preview_shown(await preview(call.tx, ask, references)))
        done = (await merge(call.tx, ask, references)).merge
        return Answer(201, _shown(done), headers=(("location", call.url(f"/v1/merges/{done.run_id}")),))

    return create


async def _split(call: Call[Any, SplitInput]) -> Answer:
    merge_id = _merge_id(call)
    if call.body.preview:
        return Answer(content=_returning(await split_preview(call.tx, merge_id)))
    found = await merge_by_run(call.tx, merge_id)
    done = await split(call.tx, found.run_id)
    return Answer(201, _shown(done.merge), headers=(("location", call.url(f"/v1/runs/{done.run_id}")),))


def _merge_id(call: Call[Any, Any]) -> UUID:
    found = parse_id(call.path["merge_id"])
    if found is None:
        raise NoSuchMerge("There is no such merge in this tenant.", hint="The list of merges has those that there are.")
    return found


def _shown(one: Merge) -> MergeShown:
    return MergeShown(
        one.run_id, one.state, one.survivor_id, one.absorbed_id, dict(one.picks), one.note, one.made_by, one.made_at,
        one.split_run, one.split_by, one.split_at, one.split_at or one.made_at,
    )  # fmt: skip


def preview_shown(found: Preview) -> MergePreview:
    """What a merge would do, as the API shows it."""
    return MergePreview(
        survivor_id=found.survivor_id,
        absorbed_id=found.absorbed_id,
        fields=[_field(one) for one in (found.access, *found.fields, found.manager)],
        identities=[_identity(one) for one in found.identities],
        moving=[MovingShown(one.table, one.column, one.on_merge.value, one.rows) for one in found.moving],
        both_here=[BothShown(one.source_id, list(one.survivor), list(one.absorbed)) for one in found.both_here],
        roles={side: list(roles) for side, roles in found.roles.items()},
        reports=found.reports,
        holds=found.holds,
        barred=found.barred,
    )


def _returning(found: Returning) -> SplitPreview:
    return SplitPreview(
        survivor_id=found.survivor_id,
        absorbed_id=found.merge.absorbed_id,
        back=[_identity(one) for one in found.back],
        staying=[StayingShown(key, code) for _, key, code in found.staying],
        withdrawn=list(found.withdrawn),
        kept=list(found.kept),
        fields=[_field(one) for one in found.fields],
    )


def _field(one: FieldPreview) -> FieldShown:
    survivor, absorbed, result = (_plain(value) for value in (one.survivor, one.absorbed, one.result))
    return FieldShown(one.name, survivor, absorbed, result, one.source_id, one.picked, one.overruled)


def _plain(value: Value | UUID) -> Plain:
    if isinstance(value, UUID):
        return str(value)
    return value.isoformat() if isinstance(value, date) else value


def _identity(one: Identity) -> IdentityShown:
    return IdentityShown(
        one.resource_id, one.source_id, one.external_id, one.scim_external_id, one.present, one.active, one.whose,
        list(one.groups),
    )  # fmt: skip
