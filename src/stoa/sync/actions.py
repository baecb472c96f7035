"""Connecting a source, and asking for its runs."""

from collections.abc import Mapping
from typing import Any, cast

from stoa.changes.actions import queue_run
from stoa.changes.model import NewRun, Run, RunKind
from stoa.db.transactions import TenantTx
from stoa.jobs.schedules import put_schedule, resume_schedule
from stoa.kernel.problems import Conflict
from stoa.sync.missed import watch
from stoa.sync.opening import Opener
from stoa.sync.telling import SYNC_JOB as SYNC_JOB
from stoa.sync.telling import telling_schedule
from stoa.tenants import queries
from stoa.tenants.actions import create_connection, ensure_source
from stoa.tenants.model import Connection, NewConnection, SourceKind
from stoa.tenants.status import note_expected

# The job of the schedule by which dates come by themselves. Key: the source's id.
DUE_JOB = "sync.due"
# Shortly after midnight of the tenant's zone, whether or not a report came or its run is held: leavers lose access on
# their day.
_DUE_CRON = "5 0 * * *"


class Paused(Conflict):
    """The connection is paused: nothing of it is applied until somebody resumes it.

    Somebody who may change connections resumes it.
    """

    code = "connection_paused"


async def connect(
    tx: TenantTx, opener: Opener, connector: str, name: str | None, given: Mapping[str, Any]
) -> Connection:
    """Makes a connection and its source from a configuration with secrets. Raises BadInput with the field that is
    wrong, Conflict for a taken name.
    """
    public, secrets = opener.split(connector, given)
    # A mapping that cannot be is told now, and not by the first run.
    opener.mapping(connector, public, secrets)
    kind = opener.connectors[connector]
    source = await ensure_source(tx, cast("SourceKind", kind.source_kind), name or kind.title)
    if any(c.source_id == source.source_id for c in await queries.connections(tx)):
        # Two full reports of one source would each take away the people of the other.
        raise Conflict(f"There is a connection {source.name!r} already.", hint="Choose another --name.")
    new = NewConnection(source.source_id, connector, name or kind.title, public, secrets)
    made = await create_connection(tx, opener.sealer, new)
    zone = (await queries.tenant(tx)).time_zone
    await put_schedule(tx, DUE_JOB, str(source.source_id), _DUE_CRON, zone, {"source_id": str(source.source_id)})
    return made


async def schedule(tx: TenantTx, connection: Connection, cron: str) -> None:
    """Has the connection run by the clock, in the tenant's zone. Raises BadSchedule."""
    zone = (await queries.tenant(tx)).time_zone
    key = str(connection.connection_id)
    async with telling_schedule(tx, connection.connection_id):
        await put_schedule(tx, SYNC_JOB, key, cron, zone, {"connection_id": key})
    await note_expected(tx, connection.connection_id)
    await watch(tx, connection.connection_id)


async def resume(tx: TenantTx, connection: Connection) -> bool:
    """Goes on with a schedule that a rollback or a person paused. False: the connection has none."""
    async with telling_schedule(tx, connection.connection_id):
        resumed = await resume_schedule(tx, SYNC_JOB, str(connection.connection_id))
    await note_expected(tx, connection.connection_id)
    await watch(tx, connection.connection_id)
    return resumed


async def request_sync(tx: TenantTx, connection: Connection, target: str, *, plan_only: bool = False) -> Run:
    """Queues a run of a connection; one that is under way is waited for. Raises Paused for a connection that is paused,
    unless the run only plans, which changes nothing.
    """
    if connection.state == "paused" and not plan_only:
        raise Paused(
            f"The connection {connection.name} is paused: {connection.paused_reason}",
            hint="Resume it first, or plan only. An admin of the tenant can do both.",
        )
    new = NewRun(RunKind.SYNC, target, connection.source_id, connection.connection_id, plan_only=plan_only)
    return await queue_run(tx, new)
