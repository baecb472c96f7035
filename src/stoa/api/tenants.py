"""The tenant itself and its sources, over the public API."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec

from stoa.api.lists import ListQuery, Page, page, read_list
from stoa.api.operations import Answer, Call, Operation, Param
from stoa.api.tables import MOMENT, Table, rows_of
from stoa.kernel.cursors import BadCursor, text_mark
from stoa.kernel.filters import Attribute, AttrType, Catalogue, Column, FilterError
from stoa.kernel.ids import SourceId, parse_id
from stoa.kernel.problems import NotFound
from stoa.tenants import queries

_MOMENT: Final = msgspec.Meta(tz=True)
ID: Final = Param("Its id.", format="uuid", example="018f2f3e-5c7a-7c3a-9d5e-3b1c2a4d5e6f")


class TenantShown(msgspec.Struct, frozen=True):
    """The tenant that the credential belongs to."""

    id: UUID
    slug: Annotated[str, msgspec.Meta(description="Its name in addresses.")]
    name: str
    time_zone: Annotated[str, msgspec.Meta(description="IANA name; schedules and dates of effect follow it.")]
    sandbox: Annotated[bool, msgspec.Meta(description="Whether nothing of it leaves the server.")]
    now: Annotated[datetime, msgspec.Meta(tz=True, description="Its clock, which can be moved in a sandbox.")]
    created_at: Annotated[datetime, _MOMENT]


class SourceShown(msgspec.Struct, frozen=True):
    """Somebody who asserts facts about people. It outlives connections and tokens."""

    id: UUID
    kind: Annotated[str, msgspec.Meta(description="`console`, `idp`, `hris`, `import` or `api`.")]
    name: str
    created_at: Annotated[datetime, _MOMENT]


class Caller(msgspec.Struct, frozen=True):
    """The credential that was shown."""

    id: UUID
    kind: Annotated[str, msgspec.Meta(description="`api_key`, `access_token` or `token`.")]
    name: str
    client_id: UUID | None
    source_id: Annotated[UUID | None, msgspec.Meta(description="In whose name it asserts facts about people.")]
    scopes: list[str]
    version: Annotated[str, msgspec.Meta(description="The version of the API that this request was answered in.")]
    expires_at: Annotated[datetime, _MOMENT] | None


CATALOGUE: Final = Catalogue(
    (
        Attribute("id", AttrType.UUID),
        Attribute("kind", case_exact=True),
        Attribute("name"),
        Attribute("created_at", AttrType.DATETIME),
    )
)
_SOURCES: Final = Table(
    select="SELECT s.source_id AS id, s.kind, s.name, s.name_key, s.created_at FROM source s WHERE s.tenant_id = $1",
    key="s.source_id",
    binding={
        "id": Column("s.source_id"),
        "kind": Column("s.kind"),
        "name": Column("s.name", "s.name_key"),
        "created_at": Column("s.created_at"),
    },
    sorts={"created_at": ("s.created_at", MOMENT), "name": ("s.name_key", text_mark)},
)


def operations() -> tuple[Operation, ...]:
    """The tenant, its sources, and who calls."""
    return (
        Operation(
            id="getCaller", method="GET", path="/v1/me", tag="Tenant", summary="Get the credential that is shown",
            description="What the token of this request is, and what it may do: a first call to try.", scope=None,
            handler=_caller, answers={200: Caller},
        ),
        Operation(
            id="getTenant", method="GET", path="/v1/tenant", tag="Tenant", summary="Get the tenant",
            scope="tenant:read", handler=_tenant, answers={200: TenantShown},
        ),
        Operation(
            id="listSources", method="GET", path="/v1/sources", tag="Sources", summary="List sources",
            description="Where what is known of people comes from. A source is made once and never changes.",
            scope="sources:read", handler=_sources, query=ListQuery, answers={200: Page[SourceShown]},
            problems=(BadCursor, FilterError),
        ),
        Operation(
            id="getSource", method="GET", path="/v1/sources/{source_id}", tag="Sources", summary="Get a source",
            scope="sources:read", handler=_source, path_params={"source_id": ID}, answers={200: SourceShown},
        ),
    )  # fmt: skip


async def _caller(call: Call[Any, None]) -> Answer:
    one = call.credential
    return Answer(
        content=Caller(
            one.credential_id, one.kind, one.name, one.client_id, one.source_id, sorted(one.scopes),
            call.asked.version, one.expires_at,
        )
    )  # fmt: skip


async def _tenant(call: Call[Any, None]) -> Answer:
    one = await queries.tenant(call.tx)
    return Answer(
        content=TenantShown(one.tenant_id, one.slug, one.name, one.time_zone, one.sandbox, call.now, one.created_at)
    )


async def _sources(call: Call[ListQuery, None]) -> Answer:
    ask = read_list(call, CATALOGUE, tuple(_SOURCES.sorts), default="created_at", since="created_at")
    rows, after = await rows_of(call.tx, _SOURCES, ask)
    return page(call, ask, [SourceShown(row["id"], row["kind"], row["name"], row["created_at"]) for row in rows], after)


async def _source(call: Call[Any, None]) -> Answer:
    source_id = parse_id(call.path["source_id"])
    found = None if source_id is None else await queries.source(call.tx, SourceId(source_id))
    if found is None:
        raise NotFound("There is no such source in this tenant.", hint="The list of sources has those that there are.")
    return Answer(content=SourceShown(found.source_id, found.kind, found.name, found.created_at))
