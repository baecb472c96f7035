"""What each source says of a person, over the public API."""

# ruff: noqa: S608 - identifiers are code; every value is a bound parameter

from datetime import date, datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from msgspec import Meta

from stoa.api.lists import ListQuery, Page, page, read_list
from stoa.api.operations import Answer, Call, Operation
from stoa.api.tables import MOMENT, Table, rows_of
from stoa.db.transactions import Row
from stoa.kernel.cursors import BadCursor, text_mark
from stoa.kernel.filters import Attribute, AttrType, Catalogue, Column, FilterError
from stoa.kernel.problems import NotFound
from stoa.people.columns import RECORD_VALUES, listed
from stoa.people.routes import PERSON, person_id_of, person_row
from stoa.tenants.model import SourceKind

_TIME: Final = Meta(tz=True)


class RecordSource(msgspec.Struct, frozen=True):
    """Who says it."""

    id: UUID
    name: str
    kind: SourceKind


class RecordValues(msgspec.Struct, frozen=True, kw_only=True):
    """What is said, field by field; null where nothing is said."""

    user_name: str | None
    email: str | None
    employee_id: str | None
    display_name: str | None
    given_name: str | None
    family_name: str | None
    phone: str | None
    title: str | None
    job_code: str | None
    department: str | None
    division: str | None
    cost_center: str | None
    organization: str | None
    location: str | None
    worker_type: str | None
    time_zone: str | None
    locale: str | None
    hire_date: date | None
    termination_date: date | None
    manager_ref: Annotated[str | None, Meta(description="The key of the manager's record in the same source.")]


class PersonRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One source's record of a person."""

    id: Annotated[UUID, Meta(description="Of the record; over SCIM, the user's.")]
    source: RecordSource
    key: Annotated[str, Meta(description="The record's key in its source, such as the employee's number in a report.")]
    external_id: Annotated[str | None, Meta(description="The id that the client gave, over this API or SCIM.")]
    present: Annotated[bool, Meta(description="Whether the source still has it.")]
    asserted_active: Annotated[bool, Meta(description="What the source says of the person's state.")]
    active: Annotated[bool, Meta(description="What of that is in force: dates of hire and termination count.")]
    values: RecordValues
    version: int
    created_at: Annotated[datetime, _TIME]
    updated_at: Annotated[datetime, _TIME]


_CATALOGUE: Final = Catalogue(
    (
        Attribute("id", AttrType.UUID),
        Attribute("source"),
        Attribute("key", case_exact=True),
        Attribute("external_id", case_exact=True),
        Attribute("present", AttrType.BOOLEAN),
        Attribute("active", AttrType.BOOLEAN),
        Attribute("updated_at", AttrType.DATETIME),
    )
)
# A person has few records: index source_record_person finds them all, whatever the order and filter.
_TABLE: Final = Table(
    select=f"""SELECT r.resource_id AS id, r.source_id, s.name AS source_name, s.name_key AS source_key, s.kind,
      r.external_id AS key, r.scim_external_id, r.present, r.asserted_active, r.active, {listed(RECORD_VALUES, "r")},
      r.version, r.created_at, r.updated_at
    FROM source_record r JOIN source s ON s.tenant_id = $1 AND s.source_id = r.source_id
    WHERE r.tenant_id = $1 AND r.person_id = $2""",
    key="r.resource_id",
    binding={
        "id": Column("r.resource_id"),
        "source": Column("s.name", "s.name_key"),
        "key": Column("r.external_id"),
        "external_id": Column("r.scim_external_id"),
        "present": Column("r.present"),
        "active": Column("r.active"),
        "updated_at": Column("r.updated_at"),
    },
    sorts={"source": ("s.name_key", text_mark), "updated_at": ("r.updated_at", MOMENT)},
)


def operations() -> tuple[Operation, ...]:
    """The list."""
    return (
        Operation(
            id="listPersonRecords",
            method="GET",
            path="/v1/people/{person}/records",
            tag="People",
            summary="List what each source says of a person",
            description="One record for each source that knows the person, gone ones too. The values in effect are "
            "those of the person.",
            scope="people:read",
            handler=_list,
            query=ListQuery,
            path_params={"person": PERSON},
            answers={200: Page[PersonRecord]},
            problems=(BadCursor, FilterError, NotFound),
        ),
    )


async def _list(call: Call[ListQuery, None]) -> Answer:
    ask = read_list(call, _CATALOGUE, tuple(_TABLE.sorts), default="source")
    person = await person_row(call.tx, await person_id_of(call.tx, call.path["person"]))
    rows, after = await rows_of(call.tx, _TABLE, ask, person["person_id"])
    return page(call, ask, [_shown(row) for row in rows], after)


def _shown(row: Row) -> PersonRecord:
    values: dict[str, Any] = {name: row[name] for name in RECORD_VALUES}
    return PersonRecord(
        id=row["id"],
        source=RecordSource(row["source_id"], row["source_name"], row["kind"]),
        key=row["key"],
        external_id=row["scim_external_id"],
        present=row["present"],
        asserted_active=row["asserted_active"],
        active=row["active"],
        values=RecordValues(**values),
        version=row["version"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
