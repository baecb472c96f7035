"""Jobs by the clock: a schedule enqueues its job at each of its moments, in the zone it names."""

from datetime import datetime, timedelta
from typing import Any, Final

from stoa.db.transactions import PlatformTx, Row, TenantTx
from stoa.jobs.actions import enqueue
from stoa.jobs.model import Schedule
from stoa.jobs.rules import next_time
from stoa.kernel.ids import TenantId, new_id

_PUT: Final = """
INSERT INTO schedule AS s (tenant_id, schedule_id, kind, key, args, cron, time_zone, next_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (tenant_id, kind, key) DO UPDATE SET
  args = excluded.args, cron = excluded.cron, time_zone = excluded.time_zone,
  next_at = CASE WHEN (s.cron, s.time_zone) = (excluded.cron, excluded.time_zone) THEN s.next_at
                 ELSE excluded.next_at END
RETURNING schedule_id, kind, key, args, cron, time_zone, next_at, paused_reason"""

_DUE: Final = """
SELECT schedule_id, kind, key, args, cron, time_zone, next_at, paused_reason FROM schedule
WHERE tenant_id = $1 AND paused_reason IS NULL AND next_at <= $2 ORDER BY next_at LIMIT 100 FOR UPDATE SKIP LOCKED"""

_ONE: Final = """
SELECT schedule_id, kind, key, args, cron, time_zone, next_at, paused_reason FROM schedule
WHERE tenant_id = $1 AND kind = $2 AND key = $3"""

_ALL: Final = """
SELECT schedule_id, kind, key, args, cron, time_zone, next_at, paused_reason FROM schedule
WHERE tenant_id = $1 ORDER BY kind, key"""

_PAUSE: Final = """
UPDATE schedule SET paused_reason = coalesce(paused_reason, $4) WHERE tenant_id = $1 AND kind = $2 AND key = $3"""

_TENANTS_DUE: Final = """
SELECT DISTINCT s.tenant_id FROM schedule s LEFT JOIN tenant c ON c.tenant_id = s.tenant_id
WHERE s.paused_reason IS NULL AND s.next_at <= $1::timestamptz + coalesce(c.clock_offset, '0') LIMIT 1000"""


def _schedule(row: Row) -> Schedule:
    return Schedule(**dict(row))


async def put_schedule(
    tx: TenantTx, kind: str, key: str, cron: str, time_zone: str, args: dict[str, Any] | None = None
) -> Schedule:
    """Makes or changes the schedule of this kind and key. A paused one stays paused; an unchanged one keeps its next
    moment.

    Raises:
        BadSchedule: the cron expression or the zone says nothing.
    """
    next_at = next_time(cron, time_zone, tx.now)
    row = await tx.fetchrow(_PUT, tx.tenant_id, new_id(), kind, key, args or {}, cron, time_zone, next_at)
    assert row is not None
    return _schedule(row)


async def pause_schedule(tx: TenantTx, kind: str, key: str, reason: str) -> bool:
    """Keeps the schedule from enqueuing until it is resumed. The first reason stays. False: there is none."""
    return await tx.execute(_PAUSE, tx.tenant_id, kind, key, reason) == 1


async def resume_schedule(tx: TenantTx, kind: str, key: str) -> bool:
    """Goes on from the next moment to come; those that passed while it was paused are not made up for. False: there is
    none."""
    found = await schedule(tx, kind, key)
    if found is None:
        return False
    if found.paused_reason is not None:
        sql = "UPDATE schedule SET paused_reason = NULL, next_at = $3 WHERE tenant_id = $1 AND schedule_id = $2"
        await tx.execute(sql, tx.tenant_id, found.schedule_id, next_time(found.cron, found.time_zone, tx.now))
    return True


async def remove_schedule(tx: TenantTx, kind: str, key: str) -> bool:
    """Ends the schedule. A job that it enqueued stays. False: there is none."""
    sql = "DELETE FROM schedule WHERE tenant_id = $1 AND kind = $2 AND key = $3"
    return await tx.execute(sql, tx.tenant_id, kind, key) == 1


async def schedule(tx: TenantTx, kind: str, key: str) -> Schedule | None:
    """The schedule of this kind and key, or None."""
    row = await tx.fetchrow(_ONE, tx.tenant_id, kind, key)
    return None if row is None else _schedule(row)


async def schedules(tx: TenantTx) -> list[Schedule]:
    """All schedules of the tenant, by kind and key."""
    return [_schedule(row) for row in await tx.fetch(_ALL, tx.tenant_id)]


async def tenants_with_due_schedules(tx: PlatformTx) -> list[TenantId]:
    """Tenants on whose clock a schedule is due."""
    return [TenantId(row["tenant_id"]) for row in await tx.fetch(_TENANTS_DUE, tx.now)]


async def enqueue_due(tx: TenantTx) -> int:
    """Enqueues the job of every schedule that is due, and moves each on to its next moment. Gives how many.

    A worker that was away for days enqueues once, not once for each day.
    """
    due = [_schedule(row) for row in await tx.fetch(_DUE, tx.tenant_id, tx.now)]
    for one in due:
        sql = "UPDATE schedule SET next_at = $3 WHERE tenant_id = $1 AND schedule_id = $2"
        await tx.execute(sql, tx.tenant_id, one.schedule_id, _following(one, tx.now))
        await enqueue(tx, one.kind, one.key, one.args)
    return len(due)


def _following(one: Schedule, now: datetime) -> datetime:
    # Never the same moment again, even if two clocks differ by a little.
    return next_time(one.cron, one.time_zone, max(now, one.next_at + timedelta(seconds=1)))
