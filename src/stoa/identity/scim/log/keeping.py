"""For how long the log is kept: the tenant's setting, and the job that removes what is older."""

from datetime import timedelta
from typing import Final

from stoa.db.transactions import TenantTx
from stoa.events.actions import emit
from stoa.events.model import Event
from stoa.identity.scim.log.silence import RETENTION_JOB, RETENTION_KEY, SILENCE_JOB, look_whether_silent
from stoa.jobs.actions import enqueue
from stoa.jobs.run import Handler, JobRun
from stoa.kernel.problems import BadInput

USUAL_DAYS: Final = 14
SHORTEST_DAYS: Final = 1
LONGEST_DAYS: Final = 90
# The rhythm is learnt from the last 28 days before the last request, which may be 30 days past.
_HOURS_KEPT: Final = timedelta(days=60)
_AT_ONCE: Final = 2_000

# The oldest first, by their ids, which begin with the time.
_REMOVE: Final = """
DELETE FROM scim_request WHERE tenant_id = $1 AND at < $2 AND request_id IN (
  SELECT request_id FROM scim_request WHERE tenant_id = $1 ORDER BY request_id LIMIT $3)"""
_FORGET_HOURS: Final = "DELETE FROM scim_hour WHERE tenant_id = $1 AND hour < $2"
_PUT: Final = """
INSERT INTO scim_log_setting (tenant_id, kept_days) VALUES ($1, $2)
ON CONFLICT (tenant_id) DO UPDATE SET kept_days = excluded.kept_days"""


def log_jobs() -> dict[str, Handler]:
    """The handlers of this room by the kind of their jobs."""
    return {RETENTION_JOB: remove_old, SILENCE_JOB: look_whether_silent}


async def kept_days(tx: TenantTx) -> int:
    """For how many days the tenant's requests are kept."""
    found = await tx.fetchval("SELECT kept_days FROM scim_log_setting WHERE tenant_id = $1", tx.tenant_id)
    return USUAL_DAYS if found is None else found


async def keep_for(tx: TenantTx, days: int) -> None:
    """Changes for how long requests are kept. What is older by then goes at once. Raises BadInput."""
    if not SHORTEST_DAYS <= days <= LONGEST_DAYS:
        raise BadInput(
            f"Requests are kept for {SHORTEST_DAYS} to {LONGEST_DAYS} days.",
            hint="They hold what is known of people: keep them as long as faults are looked for in them, no longer.",
        )
    # Of two who change it at once, the second sees what the first has made of it.
    await tx.execute("SELECT FROM tenant WHERE tenant_id = $1 FOR NO KEY UPDATE", tx.tenant_id)
    before = await kept_days(tx)
    if before == days:
        return
    await tx.execute(_PUT, tx.tenant_id, days)
    emit(tx, Event("scim.retention_changed", f"tenant:{tx.tenant_id}", {"before": before, "after": days}))
    if days < before:
        await enqueue(tx, RETENTION_JOB, RETENTION_KEY, due_at=tx.now)


async def remove_old(run: JobRun) -> None:
    """Removes lines that are older than the tenant keeps them, and hours of long ago, some thousand at a time; then
    asks for itself tomorrow, for as long as there are any.
    """
    while True:
        async with run.database.tenant(run.tenant_id, run.origin) as tx:
            await run.fence(tx)
            until = tx.now - timedelta(days=await kept_days(tx))
            if await tx.execute(_REMOVE, tx.tenant_id, until, _AT_ONCE):
                continue
            await tx.execute(_FORGET_HOURS, tx.tenant_id, tx.now - _HOURS_KEPT)
            if await tx.fetchval("SELECT EXISTS (SELECT FROM scim_request WHERE tenant_id = $1)", tx.tenant_id):
                await enqueue(tx, RETENTION_JOB, RETENTION_KEY, due_at=tx.now + timedelta(days=1))
            return
