"""Reading tenants, sources, connections and domains."""

from stoa.db.transactions import PlatformTx, Row, TenantTx
from stoa.kernel.fold import fold
from stoa.kernel.ids import ConnectionId, SourceId, TenantId
from stoa.kernel.problems import NotFound
from stoa.tenants.model import Connection, Source, Tenant, TenantListing

_SOURCES = "SELECT source_id, kind, name, created_at FROM source WHERE tenant_id = $1"
# The blob itself is read only to open it.
_CONNECTIONS = """
SELECT connection_id, source_id, connector, name, config, sealed_secret IS NOT NULL AS has_secret, state, paused_reason,
  mapping_version, created_at, contact_at, success_at, expected_by, failing
FROM connection WHERE tenant_id = $1"""


async def tenant_id_of_slug(tx: PlatformTx, slug: str) -> TenantId | None:
    """Which tenant a slug names, or None."""
    return await tx.fetchval("SELECT tenant_id FROM tenant_slug WHERE slug = $1", slug)


async def list_tenants(tx: PlatformTx) -> list[TenantListing]:
    """All tenants, by slug."""
    rows = await tx.fetch(
        """SELECT tenant_id, slug, name, time_zone, sandbox, clock_offset, created_at, accent FROM tenant
           ORDER BY slug"""
    )
    return [TenantListing(**dict(row)) for row in rows]


async def tenant(tx: TenantTx) -> Tenant:
    """The tenant that the transaction is in.

    Raises:
        NotFound: there is none with that id.
    """
    row = await tx.fetchrow(
        """SELECT slug, name, time_zone, sandbox, clock_offset, owner_name, owner_email, created_at, accent
           FROM tenant WHERE tenant_id = $1""",
        tx.tenant_id,
    )
    if row is None:
        raise NotFound("There is no such tenant.")
    return Tenant(tx.tenant_id, **dict(row))


async def sources(tx: TenantTx) -> list[Source]:
    """The tenant's sources, oldest first."""
    rows = await tx.fetch(_SOURCES + " ORDER BY created_at, source_id", tx.tenant_id)
    return [_source(row) for row in rows]


async def source(tx: TenantTx, source_id: SourceId) -> Source | None:
    """One source, or None."""
    row = await tx.fetchrow(_SOURCES + " AND source_id = $2", tx.tenant_id, source_id)
    return None if row is None else _source(row)


async def source_by_name(tx: TenantTx, name: str) -> Source | None:
    """The source of that name without regard to case, or None."""
    row = await tx.fetchrow(_SOURCES + " AND name_key = $2", tx.tenant_id, fold(name.strip()))
    return None if row is None else _source(row)


async def connections(tx: TenantTx) -> list[Connection]:
    """The tenant's connections, oldest first."""
    rows = await tx.fetch(_CONNECTIONS + " ORDER BY created_at, connection_id", tx.tenant_id)
    return [_connection(row) for row in rows]


async def connection(tx: TenantTx, connection_id: ConnectionId) -> Connection | None:
    """One connection, or None."""
    row = await tx.fetchrow(_CONNECTIONS + " AND connection_id = $2", tx.tenant_id, connection_id)
    return None if row is None else _connection(row)


async def proven_domains(tx: TenantTx) -> frozenset[str]:
    """The domains whose e-mail addresses may identify a person of this tenant, in ASCII and lower case."""
    rows = await tx.fetch("SELECT domain FROM domain WHERE tenant_id = $1", tx.tenant_id)
    return frozenset(row["domain"] for row in rows)


def _source(row: Row) -> Source:
    return Source(source_id=row["source_id"], kind=row["kind"], name=row["name"], created_at=row["created_at"])


def _connection(row: Row) -> Connection:
    return Connection(**dict(row))
