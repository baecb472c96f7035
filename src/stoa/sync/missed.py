"""Connections whose next success did not come when it was due: nothing ran, and so nothing else tells of it."""

from datetime import datetime
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from stoa.alerts.actions import raise_alert, resolve_alerts
from stoa.alerts.queries import current_alert
from stoa.changes.actions import FAILED_ALERT, HELD_ALERT, SOURCE_JOB
from stoa.db.transactions import TenantTx
from stoa.jobs.actions import enqueue
from stoa.jobs.run import JobRun
from stoa.jobs.schedules import schedules
from stoa.kernel.ids import ConnectionId
from stoa.tenants import queries as tenants
from stoa.tenants.model import Connection
from stoa.tenants.phases import due_by

MISSED_ALERT: Final = "run_missed"
# Looks at the moment by which a connection's success is due. Key: the connection's id.
MISSED_JOB: Final = "sync.missed"
# Of jobs that gave up; see `tell_of_dead_job`.
_DEAD_ALERT: Final = "job_dead"

_UNDER_WAY: Final = """
SELECT state FROM run
WHERE tenant_id = $1 AND source_id = $2 AND kind = 'sync' AND state IN ('queued', 'planning', 'approved', 'applying')
ORDER BY run_id DESC LIMIT 1"""


async def watch(tx: TenantTx, connection_id: ConnectionId) -> None:
    """Has the connection looked at once its next success is due. Asked for when a schedule is set, at each success, and
    each time the clock asks for a run.
    """
    connection = await tenants.connection(tx, connection_id)
    if connection is not None and connection.expected_by is not None:
        await _ask(tx, connection_id, connection.expected_by)


async def note_came(tx: TenantTx, connection_id: ConnectionId) -> None:
    """Notes that a success came, in its transaction, after the next one was announced."""
    await resolve_alerts(tx, MISSED_ALERT, str(connection_id))
    await watch(tx, connection_id)


async def look_whether_missed(run: JobRun) -> None:
    """Raises the alert of a connection whose success is overdue, unless a held or failed run tells of it already;
    resolves it where nothing is due any more. Looks again when the next success is due.
    """
    connection_id = ConnectionId(UUID(run.key))
    async with run.database.tenant(run.tenant_id, run.origin) as tx:
        await run.fence(tx)
        connection = await tenants.connection(tx, connection_id)
        if connection is None or connection.expected_by is None or connection.state != "active":
            # Whoever resumes it, or sets its schedule anew, begins to wait anew.
            await resolve_alerts(tx, MISSED_ALERT, run.key)
            return
        if connection.expected_by > tx.now:
            await _ask(tx, connection_id, connection.expected_by)
            return
        if not await _told_otherwise(tx, connection):
            await _raise(tx, connection, connection.expected_by)
        again_at = await _next_due(tx, connection_id)
        if again_at is not None:
            await _ask(tx, connection_id, again_at)


async def _ask(tx: TenantTx, connection_id: ConnectionId, at: datetime) -> None:
    await enqueue(tx, MISSED_JOB, str(connection_id), {"connection_id": str(connection_id)}, due_at=at)


async def _next_due(tx: TenantTx, connection_id: ConnectionId) -> datetime | None:
    """By when a success would be due that counts from now, or None if nothing is scheduled."""
    key = str(connection_id)
    found = [one for one in await schedules(tx) if one.args.get("connection_id") == key and not one.paused_reason]
    return min((due_by(one.cron, one.time_zone, tx.now) for one in found), default=None)


async def _told_otherwise(tx: TenantTx, connection: Connection) -> bool:
    source = str(connection.source_id)
    causes = (
        (HELD_ALERT, source),
        (FAILED_ALERT, source),
        (_DEAD_ALERT, f"{SOURCE_JOB}:{source}"),
    )
    for kind, key in causes:
        if await current_alert(tx, kind, key) is not None:
            return True
    return False


async def _raise(tx: TenantTx, connection: Connection, due: datetime) -> None:
    tenant = await tenants.tenant(tx)
    zone = ZoneInfo(tenant.time_zone)
    last = "never yet" if connection.success_at is None else _told(connection.success_at, zone)
    state = await tx.fetchval(_UNDER_WAY, tx.tenant_id, connection.source_id)
    found = f"A run is under way and is {state}." if state else "No run is under way, held or failed."
    await raise_alert(
        tx,
        MISSED_ALERT,
        str(connection.connection_id),
        "warning",
        f"{connection.name} has not synced when it should have",
        f"A successful sync was due by {_told(due, zone)}. The last one was {last}. {found}",
        f"The operator of the server: check that the worker runs. An admin of the tenant: check that the "
        f"source is reachable and its report is there, then start a sync from the connection's page, or with "
        f"`stoa sync run {tenant.slug} {connection.connection_id}`. It is resolved by the next success.",
    )


def _told(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M} ({zone.key})"
