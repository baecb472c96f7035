"""Making and changing tenants, sources, connections and domains, and moving a sandbox tenant's clock."""

from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from typing import Final
from zoneinfo import available_timezones

import msgspec

from stoa.db.database import Database
from stoa.db.transactions import SYSTEM, Origin, TenantTx
from stoa.events.actions import emit
from stoa.events.model import Event
from stoa.jobs.schedules import put_schedule, schedules
from stoa.kernel.fold import fold
from stoa.kernel.ids import ConnectionId, SourceId, TenantId, new_id
from stoa.kernel.problems import Conflict, NotFound
from stoa.kernel.stamps import refuse_stale, stamp_of
from stoa.tenants import queries, rules
from stoa.tenants.model import Connection, NewConnection, NewTenant, Source, SourceKind, Tenant, TenantChange
from stoa.tenants.sealing import Sealer, SecretUnreadable
from stoa.tenants.status import make_status, note_connections, note_expected

_known_zones = cache(available_timezones)
_encode = msgspec.json.Encoder(order="deterministic").encode
_secrets_decoder = msgspec.json.Decoder(dict[str, str])


# The daily check of the audit log's chain.
CHAIN_JOB: Final = "audit.check"


class SlugTaken(Conflict):
    """Another tenant has this slug already. Choose another one."""

    code = "slug_taken"


async def create_tenant(database: Database, new: NewTenant, origin: Origin = SYSTEM) -> Tenant:
    """Makes a tenant with its console source, its event log and its proven domains, in one transaction.

    Raises:
        BadSlug, BadInput: a part of `new` cannot be accepted.
        SlugTaken: the slug belongs to another tenant.
    """
    new = rules.checked_new_tenant(new, _known_zones())
    tenant_id = TenantId(new_id())
    async with database.tenant(tenant_id, origin) as tx:
        # Without a conflict target, for the application may write this table but not read it.
        if not await tx.execute(
            "INSERT INTO tenant_slug (slug, tenant_id) VALUES ($1, $2) ON CONFLICT DO NOTHING", new.slug, tenant_id
        ):
            raise SlugTaken(f"The slug {new.slug!r} is taken by another tenant.", hint="Choose another one.")
        await tx.execute(
            """INSERT INTO tenant
                 (tenant_id, slug, name, name_key, time_zone, sandbox, owner_name, owner_email, created_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)""",
            *(tenant_id, new.slug, new.name, fold(new.name), new.time_zone, new.sandbox),
            *(new.owner_name, new.owner_email, tx.now),
        )
        await make_status(tx)
        await tx.execute("INSERT INTO event_head (tenant_id) VALUES ($1)", tenant_id)
        body = {"slug": new.slug, "time_zone": new.time_zone, "sandbox": new.sandbox}
        emit(tx, Event("tenant.created", f"tenant:{tenant_id}", body))
        await ensure_source(tx, "console", "console")
        for domain in new.domains:
            await prove_domain(tx, domain)
        await put_schedule(tx, CHAIN_JOB, "", rules.chain_cron(tenant_id), new.time_zone)
        return await queries.tenant(tx)


async def renew_name_key(tx: TenantTx) -> None:
    """Writes the tenant's name as it is searched by, where that is not what `fold` makes of it."""
    name = (await queries.tenant(tx)).name
    await tx.execute(
        "UPDATE tenant SET name_key = $2 WHERE tenant_id = $1 AND name_key <> $2", tx.tenant_id, fold(name)
    )


async def change_tenant(tx: TenantTx, change: TenantChange, *, stamp: str | None = None) -> Tenant:
    """Changes name, time zone, owner and accent colour. What runs by the clock in the old zone follows into the new
    one. A change that changes nothing leaves no trace.

    stamp: `change_stamp` of the tenant that the change was made from, so that it undoes nobody else's.

    Raises:
        ChangedMeanwhile: it would.
        BadFields: saying what is wrong with each field that cannot be accepted.
        NotFound: there is no such tenant.
    """
    change = rules.checked_change(change, _known_zones())
    await tx.execute("SELECT FROM tenant WHERE tenant_id = $1 FOR NO KEY UPDATE", tx.tenant_id)
    before = await queries.tenant(tx)
    refuse_stale(stamp, _changeable(before), _changeable(change))
    changed = [name for name in change.__dataclass_fields__ if getattr(change, name) != getattr(before, name)]
    if not changed:
        return before
    await tx.execute(
        """UPDATE tenant SET name = $2, name_key = $3, time_zone = $4, owner_name = $5, owner_email = $6, accent = $7
           WHERE tenant_id = $1""",
        *(tx.tenant_id, change.name, fold(change.name), change.time_zone),
        *(change.owner_name, change.owner_email, change.accent),
    )
    if "time_zone" in changed:
        await _move_schedules(tx, before.time_zone, change.time_zone)
    # Of the owner, who is a person, the log says only that they changed.
    told = {name: getattr(change, name) for name in changed if not name.startswith("owner")}
    body = {"fields": changed, **told, "before": {name: getattr(before, name) for name in told}, "after": told}
    emit(tx, Event("tenant.changed", f"tenant:{tx.tenant_id}", body))
    return await queries.tenant(tx)


def change_stamp(tenant: Tenant) -> str:
    """The stamp of what `change_tenant` changes."""
    return stamp_of(_changeable(tenant))


def _changeable(of: Tenant | TenantChange) -> dict[str, object]:
    return {name: getattr(of, name) for name in TenantChange.__dataclass_fields__}


async def _move_schedules(tx: TenantTx, before: str, after: str) -> None:
    for one in await schedules(tx):
        if one.time_zone == before:
            await put_schedule(tx, one.kind, one.key, one.cron, after, one.args)
    for connection in await queries.connections(tx):
        await note_expected(tx, connection.connection_id)


async def ensure_source(tx: TenantTx, kind: SourceKind, name: str) -> Source:
    """The source of that name (compared without regard to case), made if there was none.

    Raises:
        BadInput: the name is empty, too long or not printable.
        Conflict: there is a source of that name and another kind.
    """
    name = rules.checked_name(name, "source's name")
    source_id = SourceId(new_id())
    made = await tx.execute(
        """INSERT INTO source (tenant_id, source_id, kind, name, name_key, created_at) VALUES ($1, $2, $3, $4, $5, $6)
           ON CONFLICT (tenant_id, name_key) DO NOTHING""",
        *(tx.tenant_id, source_id, kind, name, fold(name), tx.now),
    )
    source = await queries.source_by_name(tx, name)
    if source is None:
        raise Conflict(f"The source {name!r} was removed at the same moment.", hint="Try again.")
    if source.kind != kind:
        raise Conflict(
            f"There is a source {source.name!r} already, of kind {source.kind}.", hint="Choose another name."
        )
    if made:
        emit(tx, Event("source.created", f"source:{source_id}", {"kind": kind, "name": name}))
    return source


async def create_connection(tx: TenantTx, sealer: Sealer, new: NewConnection) -> Connection:
    """Stores a connection; its secrets are sealed, bound to its row.

    Raises:
        BadInput: the name or the connector's name cannot be accepted.
        NotFound: the tenant has no such source.
    """
    new = rules.checked_new_connection(new)
    connection_id = ConnectionId(new_id())
    made = await tx.execute(
        """INSERT INTO connection
             (tenant_id, connection_id, source_id, connector, name, config, sealed_secret, created_at)
           SELECT tenant_id, $3, source_id, $4, $5, $6, $7, $8 FROM source WHERE tenant_id = $1 AND source_id = $2""",
        *(tx.tenant_id, new.source_id, connection_id, new.connector, new.name, dict(new.config)),
        _sealed(tx, sealer, connection_id, new.secrets),
        tx.now,
    )
    if not made:
        raise NotFound("There is no such source.")
    body = {"source_id": str(new.source_id), "connector": new.connector, "name": new.name}
    emit(tx, Event("connection.created", f"connection:{connection_id}", body))
    note_connections(tx)
    return await _connection(tx, connection_id)


async def pause_connection(tx: TenantTx, connection_id: ConnectionId, reason: str) -> Connection:
    """Stops a connection from running until it is resumed. Pausing a paused one keeps the first reason.

    Raises:
        NotFound: the tenant has no such connection.
    """
    changed = await tx.execute(
        """UPDATE connection SET state = 'paused', paused_reason = $3, changed_at = $4
           WHERE tenant_id = $1 AND connection_id = $2 AND state = 'active'""",
        *(tx.tenant_id, connection_id, reason, tx.now),
    )
    connection = await _connection(tx, connection_id)
    if changed:
        emit(tx, Event("connection.paused", f"connection:{connection_id}", {"reason": reason}))
        note_connections(tx)
    return connection


async def resume_connection(tx: TenantTx, connection_id: ConnectionId) -> Connection:
    """Lets a paused connection run again.

    Raises:
        NotFound: the tenant has no such connection.
    """
    changed = await tx.execute(
        """UPDATE connection SET state = 'active', paused_reason = NULL, changed_at = $3
           WHERE tenant_id = $1 AND connection_id = $2 AND state = 'paused'""",
        *(tx.tenant_id, connection_id, tx.now),
    )
    connection = await _connection(tx, connection_id)
    if changed:
        emit(tx, Event("connection.resumed", f"connection:{connection_id}", {}))
        # What was due in the meantime is not missed; what comes next is waited for from now on.
        await note_expected(tx, connection_id)
    return connection


async def open_secret(tx: TenantTx, sealer: Sealer, connection_id: ConnectionId) -> dict[str, str]:
    """The secrets of a connection by name; empty if it has none. Keep them out of logs, events and error messages.

    Raises:
        NotFound: the tenant has no such connection.
        SecretUnreadable: they do not open with this key ring.
    """
    row = await tx.fetchrow(
        "SELECT sealed_secret FROM connection WHERE tenant_id = $1 AND connection_id = $2", tx.tenant_id, connection_id
    )
    if row is None:
        raise _no_connection()
    if row["sealed_secret"] is None:
        return {}
    plaintext = sealer.open(row["sealed_secret"], tx.tenant_id, "connection", connection_id)
    try:
        return _secrets_decoder.decode(plaintext)
    except msgspec.MsgspecError:
        # The decoder's message could quote what it read.
        raise SecretUnreadable(
            "A connection's secret is not in the expected form.", hint="Enter the secret anew."
        ) from None


async def replace_secret(
    tx: TenantTx, sealer: Sealer, connection_id: ConnectionId, secrets: Mapping[str, str]
) -> Connection:
    """Puts new secrets in place of the old ones.

    Raises:
        NotFound: the tenant has no such connection.
    """
    await tx.execute(
        "UPDATE connection SET sealed_secret = $3 WHERE tenant_id = $1 AND connection_id = $2",
        *(tx.tenant_id, connection_id, _sealed(tx, sealer, connection_id, secrets)),
    )
    connection = await _connection(tx, connection_id)
    emit(tx, Event("connection.secret_replaced", f"connection:{connection_id}", {}))
    return connection


async def reseal_connections(tx: TenantTx, sealer: Sealer) -> int:
    """Seals with the newest key what was sealed with older ones, so that those can be retired. Gives the number of
    connections resealed.

    Raises:
        SecretUnreadable: a secret does not open; nothing is changed.
    """
    rows = await tx.fetch(
        """SELECT connection_id, sealed_secret FROM connection WHERE tenant_id = $1 AND sealed_secret IS NOT NULL
           ORDER BY connection_id FOR UPDATE""",
        tx.tenant_id,
    )
    resealed: list[tuple[object, ...]] = []
    for row in rows:
        if not sealer.is_newest(row["sealed_secret"]):
            connection_id = row["connection_id"]
            plaintext = sealer.open(row["sealed_secret"], tx.tenant_id, "connection", connection_id)
            blob = sealer.seal(plaintext, tx.tenant_id, "connection", connection_id)
            resealed.append((tx.tenant_id, connection_id, blob))
            emit(tx, Event("connection.secret_resealed", f"connection:{connection_id}", {}))
    await tx.execute_many(
        "UPDATE connection SET sealed_secret = $3 WHERE tenant_id = $1 AND connection_id = $2", resealed
    )
    return len(resealed)


async def prove_domain(tx: TenantTx, domain: str) -> str:
    """Records that the tenant owns a domain, so that an address there may identify a person. Gives the domain as
    stored.

    Raises:
        BadInput: it is not a domain.
    """
    domain = rules.checked_domain(domain)
    if await tx.execute(
        """INSERT INTO domain (tenant_id, domain, proven_at) VALUES ($1, $2, $3)
           ON CONFLICT (tenant_id, domain) DO NOTHING""",
        *(tx.tenant_id, domain, tx.now),
    ):
        emit(tx, Event("domain.proven", f"domain:{domain}", {}))
    return domain


async def move_clock(tx: TenantTx, delta: timedelta) -> timedelta:
    """Moves a sandbox tenant's clock forward by `delta` and gives its whole offset. Transactions that begin a second
    later see it.

    Raises:
        Conflict: the tenant is no sandbox.
        BadInput: the move goes backwards or too far.
        NotFound: there is no such tenant.
    """
    row = await tx.fetchrow(
        "SELECT sandbox, clock_offset FROM tenant WHERE tenant_id = $1 FOR NO KEY UPDATE", tx.tenant_id
    )
    if row is None:
        raise NotFound("There is no such tenant.")
    if not row["sandbox"]:
        raise Conflict("Only a sandbox tenant's clock can be moved.")
    offset = rules.moved_offset(row["clock_offset"], delta)
    await tx.execute("UPDATE tenant SET clock_offset = $2 WHERE tenant_id = $1", tx.tenant_id, offset)
    body = {"offset_seconds": offset.total_seconds()}
    emit(tx, Event("tenant.clock_moved", f"tenant:{tx.tenant_id}", body))
    return offset


def _sealed(tx: TenantTx, sealer: Sealer, connection_id: ConnectionId, secrets: Mapping[str, str]) -> bytes | None:
    if not secrets:
        return None
    return sealer.seal(_encode(dict(secrets)), tx.tenant_id, "connection", connection_id)


async def _connection(tx: TenantTx, connection_id: ConnectionId) -> Connection:
    connection = await queries.connection(tx, connection_id)
    if connection is None:
        raise _no_connection()
    return connection


def _no_connection() -> NotFound:
    return NotFound("There is no such connection.")
