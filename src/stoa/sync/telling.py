"""What becomes of a connection's schedule, for the event log."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from stoa.db.transactions import TenantTx
from stoa.events.actions import emit
from stoa.events.model import Event
from stoa.jobs.schedules import schedule
from stoa.kernel.ids import ConnectionId

# The job of the schedule by which a connection is read. Key: the connection's id.
SYNC_JOB: Final = "sync.scheduled"


@asynccontextmanager
async def telling_schedule(tx: TenantTx, connection_id: ConnectionId) -> AsyncGenerator[None]:
    """Writes down how the schedule stood before the block and after it, if that is not the same."""
    before = await _standing(tx, connection_id)
    yield
    after = await _standing(tx, connection_id)
    if before != after:
        body = {"before": before, "after": after}
        emit(tx, Event("connection.schedule_changed", f"connection:{connection_id}", body))


async def _standing(tx: TenantTx, connection_id: ConnectionId) -> dict[str, str | None] | None:
    found = await schedule(tx, SYNC_JOB, str(connection_id))
    if found is None:
        return None
    return {"cron": found.cron, "time_zone": found.time_zone, "paused_reason": found.paused_reason}
