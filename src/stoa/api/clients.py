"""API clients over the public API, without anything that opens."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec

from stoa.access import clients_queries
from stoa.access.clients_model import Client, NoClient
from stoa.api.lists import ListQuery, Page, Tombstone, page, read_list
from stoa.api.operations import Answer, Call, Operation
from stoa.api.tables import MOMENT, Table, rows_of
from stoa.api.tenants import ID
from stoa.db.transactions import Row
from stoa.kernel.cursors import BadCursor, text_mark
from stoa.kernel.filters import Attribute, AttrType, Catalogue, Column, FilterError
from stoa.kernel.ids import ClientId, parse_id

_When = Annotated[datetime, msgspec.Meta(tz=True)]


class ClientShown(msgspec.Struct, frozen=True):
    """An integration that the tenant lets in."""

    id: UUID
    name: str
    scopes: list[str]
    source_id: Annotated[UUID | None, msgspec.Meta(description="In whose name it asserts facts about people.")]
    version: Annotated[str | None, msgspec.Meta(description="The version of the API that it is pinned to.")]
    allowed_addresses: Annotated[list[str], msgspec.Meta(description="Networks it may call from; empty for anywhere.")]
    per_minute: Annotated[int | None, msgspec.Meta(description="Requests a minute; null for what every client may.")]
    last_used_at: _When | None
    disabled_at: _When | None
    created_at: _When
    updated_at: _When


_CATALOGUE: Final = Catalogue(
    (
        Attribute("id", AttrType.UUID),
        Attribute("name"),
        Attribute("created_at", AttrType.DATETIME),
        Attribute("updated_at", AttrType.DATETIME),
        Attribute("last_used_at", AttrType.DATETIME),
        Attribute("disabled_at", AttrType.DATETIME),
    )
)
_MOMENTS: Final = ("created_at", "updated_at", "last_used_at", "disabled_at")
_TABLE: Final = Table(
    select="SELECT a.client_id AS id, a.name, a.name_key, a.scopes, a.source_id, a.version, a.allowed_addresses, "
    "a.per_minute, a.last_used_at, a.disabled_at, a.deleted_at, a.created_at, a.updated_at FROM api_client a "
    "WHERE a.tenant_id = $1",
    key="a.client_id",
    binding={
        "id": Column("a.client_id"),
        "name": Column("a.name", "a.name_key"),
        **{name: Column(f"a.{name}") for name in _MOMENTS},
    },
    sorts={
        "name": ("a.name_key", text_mark),
        "created_at": ("a.created_at", MOMENT),
        "updated_at": ("a.updated_at", MOMENT),
    },
)


def operations() -> tuple[Operation, ...]:
    """Clients are made and changed in the console, by somebody who is signed in."""
    return (
        Operation(
            id="listClients", method="GET", path="/v1/clients", tag="Clients", summary="List API clients",
            scope="clients:read", handler=_list, query=ListQuery, answers={200: Page[ClientShown]},
            problems=(BadCursor, FilterError),
        ),
        Operation(
            id="getClient", method="GET", path="/v1/clients/{client_id}", tag="Clients", summary="Get an API client",
            scope="clients:read", handler=_get, path_params={"client_id": ID}, answers={200: ClientShown},
            problems=(NoClient,),
        ),
    )  # fmt: skip


async def _list(call: Call[ListQuery, None]) -> Answer:
    ask = read_list(call, _CATALOGUE, tuple(_TABLE.sorts), default="name")
    there = "" if ask.updated_since is not None else " AND a.deleted_at IS NULL"
    rows, after = await rows_of(call.tx, _TABLE, ask, condition=there)
    return page(call, ask, [_row(row) for row in rows], after)


async def _get(call: Call[Any, None]) -> Answer:
    client_id = parse_id(call.path["client_id"])
    if client_id is None:
        raise NoClient("There is no such API client.", hint="The list of clients has those that there are.")
    return Answer(content=_shown(await clients_queries.client(call.tx, ClientId(client_id))))


def _row(row: Row) -> ClientShown | Tombstone:
    if row["deleted_at"] is not None:
        return Tombstone(row["id"], row["deleted_at"])
    return ClientShown(**{name: row[name] for name in ClientShown.__struct_fields__})


def _shown(one: Client) -> ClientShown:
    return ClientShown(
        one.client_id, one.name, sorted(one.scopes), one.source_id, one.version, list(one.allowed_addresses),
        one.per_minute, one.used_at, one.disabled_at, one.created_at, one.updated_at,
    )  # fmt: skip
