"""The job of this room: it removes what was kept for long enough."""

from datetime import timedelta
from typing import Final

from stoa.jobs.actions import enqueue
from stoa.jobs.run import Handler, JobRun

RETENTION_JOB: Final = "webhooks.retention"
# One for each tenant.
RETENTION_KEY: Final = "all"
KEPT: Final = timedelta(days=30)
_AT_ONCE: Final = 2000

# The oldest first, by their ids, which begin with the time. An endpoint's blocking delivery stays.
_REMOVE: Final = """
DELETE FROM webhook_delivery WHERE tenant_id = $1 AND created_at < $2 AND state <> 'waiting' AND delivery_id IN (
  SELECT delivery_id FROM webhook_delivery WHERE tenant_id = $1 ORDER BY delivery_id LIMIT $3)"""


def webhook_jobs() -> dict[str, Handler]:
    """The handlers of this room by the kind of their jobs."""
    return {RETENTION_JOB: remove_old}


async def remove_old(run: JobRun) -> None:
    """Removes deliveries that are older than 30 days, with their attempts, and secrets that have expired; then asks for
    itself tomorrow, for as long as there are endpoints or deliveries.
    """
    while True:
        async with run.database.tenant(run.tenant_id, run.origin) as tx:
            await run.fence(tx)
            removed = await tx.execute(_REMOVE, tx.tenant_id, tx.now - KEPT, _AT_ONCE)
            if removed:
                continue
            await tx.execute(
                "DELETE FROM webhook_secret WHERE tenant_id = $1 AND expires_at <= $2", tx.tenant_id, tx.now
            )
            if await tx.fetchval(
                """SELECT EXISTS (SELECT FROM webhook_delivery WHERE tenant_id = $1)
                OR EXISTS (SELECT FROM webhook_endpoint WHERE tenant_id = $1 AND deleted_at IS NULL)""",
                tx.tenant_id,
            ):
                await enqueue(tx, RETENTION_JOB, RETENTION_KEY, due_at=tx.now + timedelta(days=1))
            return
