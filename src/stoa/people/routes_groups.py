"""Groups over the public API: read here; the source that pushes them changes them."""

# ruff: noqa: S608 - made of constants; every value is a bound parameter

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from msgspec import Meta

from stoa.api.lists import ListAsk, ListQuery, Page, RowsQuery, Tombstone, page, read_list
from stoa.api.operations import Answer, Call, Operation
from stoa.api.tables import MOMENT, Table, rows_of
from stoa.api.tenants import ID
from stoa.db.transactions import Row, TenantTx
from stoa.kernel.cursors import BadCursor, id_mark, text_mark
from stoa.kernel.filters import Attribute, AttrType, Catalogue, Column, Cost, Exists, FilterError, Operator
from stoa.kernel.ids import parse_id
from stoa.kernel.problems import NotFound
from stoa.people.queries import NAME
from stoa.people.redirects import redirected

_MANY: Final = "/v1/groups"
_ONE: Final = f"{_MANY}/{{group_id}}"
_TIME: Final = Meta(tz=True)


class GroupSource(msgspec.Struct, frozen=True):
    """Who has the group."""

    id: UUID
    name: str


class GroupShown(msgspec.Struct, frozen=True):
    """A group of a source, which alone changes it."""

    id: Annotated[UUID, Meta(description="Over SCIM, the group's id too.")]
    display_name: Annotated[str, Meta(description="Unique among the groups of the source.")]
    source: GroupSource
    external_id: Annotated[str | None, Meta(description="The id that the SCIM client gave.")]
    member_count: Annotated[int, Meta(description="How many members the source names.")]
    version: Annotated[int, Meta(description="Goes up with each change, of the members too; the ETag.")]
    created_at: Annotated[datetime, _TIME]
    updated_at: Annotated[datetime, _TIME]


class GroupMember(msgspec.Struct, frozen=True):
    """Somebody in a group."""

    id: Annotated[UUID, Meta(description="The source's record of the person; over SCIM, the user's id.")]
    person_id: UUID
    name: str | None
    active: Annotated[bool, Meta(description="Whether the person may use anything.")]
    in_force: Annotated[
        bool,
        Meta(
            description="Whether the membership counts. False, or true of one that the source has ended, while an "
            "admin must approve the change."
        ),
    ]
    asserted: Annotated[bool, Meta(description="Whether the source says so.")]
    since: Annotated[datetime, _TIME]


_CATALOGUE: Final = Catalogue(
    (
        Attribute("id", AttrType.UUID, cost=Cost.INDEXED),
        Attribute("display_name", cost=Cost.INDEXED),
        Attribute("external_id", case_exact=True),
        Attribute("source"),
        Attribute("source_id", AttrType.UUID, cost=Cost.INDEXED),
        Attribute("member_count", AttrType.INTEGER),
        Attribute("member", AttrType.UUID, multi_valued=True, operators=frozenset({Operator.EQ, Operator.NE})),
        Attribute("updated_at", AttrType.DATETIME, cost=Cost.INDEXED),
    )
)
_SELECT: Final = """
SELECT g.group_id AS id, g.display_name, g.display_name_key, g.source_id, s.name AS source_name, g.scim_external_id,
  g.present, g.member_count, g.version, g.created_at, g.updated_at
FROM person_group g JOIN source s ON s.tenant_id = $1 AND s.source_id = g.source_id WHERE g.tenant_id = $1"""
_TABLE: Final = Table(
    select=_SELECT,
    key="g.group_id",
    binding={
        "id": Column("g.group_id"),
        "display_name": Column("g.display_name", "g.display_name_key"),
        "external_id": Column("g.scim_external_id"),
        "source": Column("s.name", "s.name_key"),
        "source_id": Column("g.source_id"),
        "member_count": Column("g.member_count"),
        "member": Exists(
            "group_member m JOIN source_record r ON r.tenant_id = $1 AND r.resource_id = m.resource_id",
            {"value": Column("r.person_id")},
            on="m.tenant_id = $1 AND m.group_id = g.group_id AND m.asserted",
        ),
        "updated_at": Column("g.updated_at"),
    },
    sorts={"display_name": ("g.display_name_key", text_mark), "updated_at": ("g.updated_at", MOMENT)},
)
_MEMBERS: Final = Catalogue(
    (
        Attribute("id", AttrType.UUID, cost=Cost.INDEXED),
        Attribute("person_id", AttrType.UUID),
        Attribute("active", AttrType.BOOLEAN),
        Attribute("in_force", AttrType.BOOLEAN),
        Attribute("asserted", AttrType.BOOLEAN),
    )
)
# By the primary key of memberships, whatever the size of the group.
_MEMBERS_TABLE: Final = Table(
    select=f"""SELECT m.resource_id AS id, m.resource_id::text AS id_key, r.person_id,
       {NAME} AS name, p.active, m.in_force, m.asserted, m.since
    FROM group_member m JOIN source_record r ON r.tenant_id = $1 AND r.resource_id = m.resource_id
    JOIN person p ON p.tenant_id = $1 AND p.person_id = r.person_id
    WHERE m.tenant_id = $1 AND m.group_id = $2""",
    key="m.resource_id",
    binding={
        "id": Column("m.resource_id"),
        "person_id": Column("r.person_id"),
        "active": Column("p.active"),
        "in_force": Column("m.in_force"),
        "asserted": Column("m.asserted"),
    },
    sorts={"id": ("m.resource_id", id_mark)},
)


def operations() -> tuple[Operation, ...]:
    """Groups and their members, read."""
    shared: Any = {"method": "GET", "tag": "Groups", "scope": "people:read"}
    return (
        Operation(
            id="listGroups", path=_MANY, summary="List groups", handler=_list, query=ListQuery,
            description="Groups that sources push, by name unless another order is asked for. `filter=member eq "
            "\"...\"` with a person's id leaves the groups that they are in. With `updated_since` the order is "
            "`updated_at`, and a group that its source has deleted comes as a tombstone; a change of the members "
            "counts as one of the group.",
            answers={200: Page[GroupShown]}, problems=(BadCursor, FilterError), **shared,
        ),
        Operation(
            id="getGroup", path=_ONE, summary="Get a group", handler=_get, path_params={"group_id": ID},
            answers={200: GroupShown}, **shared,
        ),
        Operation(
            id="listGroupMembers", path=f"{_ONE}/members", summary="List the members of a group", handler=_members,
            description="In the order of their ids. Inactive people stay members; who is deleted at the source is one "
            "no longer.",
            query=RowsQuery, path_params={"group_id": ID}, answers={200: Page[GroupMember]},
            problems=(BadCursor, FilterError), **shared,
        ),
    )  # fmt: skip


async def _list(call: Call[ListQuery, None]) -> Answer:
    ask = read_list(call, _CATALOGUE, tuple(_TABLE.sorts), default="display_name")
    ask = await _redirected(call.tx, ask, "member")
    condition = "" if ask.updated_since is not None else " AND g.present"
    rows, after = await rows_of(call.tx, _TABLE, ask, condition=condition)
    return page(call, ask, [_listed(row) for row in rows], after)


async def _get(call: Call[Any, None]) -> Answer:
    row = await _row(call)
    return Answer(content=_shown(row), etag=str(row["version"]))


async def _members(call: Call[RowsQuery, None]) -> Answer:
    group = await _row(call)
    ask = read_list(call, _MEMBERS, tuple(_MEMBERS_TABLE.sorts), default="id")
    ask = await _redirected(call.tx, ask, "person_id")
    rows, after = await rows_of(call.tx, _MEMBERS_TABLE, ask, group["id"])
    return page(call, ask, [_member(row) for row in rows], after)


async def _redirected(tx: TenantTx, ask: ListAsk, attribute: str) -> ListAsk:
    return ask if ask.where is None else replace(ask, where=await redirected(tx, ask.where, (attribute,)))


async def _row(call: Call[Any, None]) -> Row:
    group_id = parse_id(call.path["group_id"])
    row = None
    if group_id is not None:
        row = await call.tx.fetchrow(f"{_SELECT} AND g.group_id = $2 AND g.present", call.tx.tenant_id, group_id)
    if row is None:
        raise NotFound("There is no such group in this tenant.", hint="The list of groups has those that there are.")
    return row


def _listed(row: Row) -> GroupShown | Tombstone:
    return _shown(row) if row["present"] else Tombstone(row["id"], row["updated_at"])


def _shown(row: Row) -> GroupShown:
    return GroupShown(
        row["id"], row["display_name"], GroupSource(row["source_id"], row["source_name"]), row["scim_external_id"],
        row["member_count"], row["version"], row["created_at"], row["updated_at"],
    )  # fmt: skip


def _member(row: Row) -> GroupMember:
    return GroupMember(
        row["id"], row["person_id"], row["name"], row["active"], row["in_force"], row["asserted"], row["since"]
    )
