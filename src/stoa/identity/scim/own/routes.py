"""A tenant's own extensions of SCIM users, over the public API."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec

from stoa.api.lists import ListQuery, Page, page, read_list
from stoa.api.operations import Answer, Call, Operation
from stoa.api.tables import MOMENT, Table, rows_of
from stoa.api.tenants import ID
from stoa.db.transactions import Row
from stoa.identity.scim.own.model import OwnAttribute
from stoa.identity.scim.own.queries import attributes_of, own_schema
from stoa.kernel.cursors import BadCursor, text_mark
from stoa.kernel.filters import Attribute, AttrType, Catalogue, Column, FilterError
from stoa.kernel.ids import parse_id
from stoa.kernel.problems import NotFound

_When = Annotated[datetime, msgspec.Meta(tz=True)]


class SchemaAttributeShown(msgspec.Struct, frozen=True):
    """An attribute of an extension (RFC 7643, section 7)."""

    name: str
    type: Annotated[str, msgspec.Meta(description="`string`, `boolean`, `integer`, `decimal`, `dateTime` and so on.")]
    description: str
    multi_valued: bool
    required: bool
    case_exact: bool
    canonical: Annotated[list[str], msgspec.Meta(description="Suggested values; others are accepted too.")]
    mutability: Annotated[str, msgspec.Meta(description="`readWrite`, `immutable` or `writeOnly`.")]
    sub_attributes: Annotated[list[dict[str, Any]], msgspec.Meta(description="The parts of a complex one, like this.")]


class ScimSchemaShown(msgspec.Struct, frozen=True):
    """An extension of SCIM users that the tenant described."""

    id: UUID
    urn: str
    name: str
    description: str
    attributes: list[SchemaAttributeShown]
    retired_at: Annotated[_When | None, msgspec.Meta(description="Since when it is not offered; null while it is.")]
    created_at: _When
    updated_at: _When


_CATALOGUE: Final = Catalogue(
    (
        Attribute("id", AttrType.UUID),
        Attribute("urn", case_exact=True),
        Attribute("name", case_exact=True),
        Attribute("retired_at", AttrType.DATETIME),
        Attribute("created_at", AttrType.DATETIME),
        Attribute("updated_at", AttrType.DATETIME),
    )
)
# A tenant has few of them: whatever the order and filter, all are read.
_TABLE: Final = Table(
    select="""SELECT s.schema_id AS id, s.urn, s.name, s.description, s.attributes::text AS attributes, s.retired_at,
      s.made_at AS created_at, s.changed_at AS updated_at FROM scim_schema s WHERE s.tenant_id = $1""",
    key="s.schema_id",
    binding={
        "id": Column("s.schema_id"),
        "urn": Column("s.urn"),
        "name": Column("s.name"),
        "retired_at": Column("s.retired_at"),
        "created_at": Column("s.made_at"),
        "updated_at": Column("s.changed_at"),
    },
    sorts={
        "created_at": ("s.made_at", MOMENT),
        "updated_at": ("s.changed_at", MOMENT),
        "urn": ("s.urn", text_mark),
    },
)


def operations() -> tuple[Operation, ...]:
    """The list, and one of it."""
    return (
        Operation(
            id="listScimSchemas", method="GET", path="/v1/scim-schemas", tag="Connections",
            summary="List the tenant's own SCIM schemas",
            description="Extensions of SCIM users that the tenant described, retired ones too. They are made and "
            "changed in the console.",
            scope="connections:read", handler=_list, query=ListQuery, answers={200: Page[ScimSchemaShown]},
            problems=(BadCursor, FilterError),
        ),
        Operation(
            id="getScimSchema", method="GET", path="/v1/scim-schemas/{schema_id}", tag="Connections",
            summary="Get one of the tenant's own SCIM schemas", scope="connections:read", handler=_get,
            path_params={"schema_id": ID}, answers={200: ScimSchemaShown}, problems=(NotFound,),
        ),
    )  # fmt: skip


async def _list(call: Call[ListQuery, None]) -> Answer:
    ask = read_list(call, _CATALOGUE, tuple(_TABLE.sorts), default="created_at")
    rows, after = await rows_of(call.tx, _TABLE, ask)
    return page(call, ask, [_shown(row) for row in rows], after)


async def _get(call: Call[Any, None]) -> Answer:
    schema_id = parse_id(call.path["schema_id"])
    found = None if schema_id is None else await own_schema(call.tx, schema_id)
    if found is None:
        raise NotFound("There is no such schema.", hint="The list of schemas shows those there are.")
    shown = ScimSchemaShown(
        found.schema_id,
        found.urn,
        found.name,
        found.description,
        [_attribute(one) for one in found.attributes],
        found.retired_at,
        found.made_at,
        found.changed_at,
    )
    return Answer(content=shown)


def _shown(row: Row) -> ScimSchemaShown:
    return ScimSchemaShown(
        row["id"],
        row["urn"],
        row["name"],
        row["description"],
        [_attribute(one) for one in attributes_of(row["attributes"])],
        row["retired_at"],
        row["created_at"],
        row["updated_at"],
    )


def _attribute(attribute: OwnAttribute) -> SchemaAttributeShown:
    return SchemaAttributeShown(**msgspec.to_builtins(attribute))
