"""What is in the queue."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from stoa.db.transactions import TenantTx
from stoa.jobs.model import DeadJob

_DEAD: Final = """
SELECT job_id, kind, key, attempts, coalesce(last_error, '') AS error, dead_at FROM job
WHERE tenant_id = $1 AND dead_at IS NOT NULL ORDER BY dead_at DESC LIMIT $2"""


@dataclass(frozen=True, slots=True)
class JobState:
    """A job that waits or runs. lease_until: on the real clock; None while it waits."""

    job_id: UUID
    due_at: datetime
    attempts: int
    lease_until: datetime | None
    dead_at: datetime | None
    last_error: str | None


async def job_state(tx: TenantTx, kind: str, key: str) -> JobState | None:
    """How the job of this kind and key stands. None: there is none, or it was done."""
    sql = """SELECT job_id, due_at, attempts, lease_until, dead_at, last_error FROM job
             WHERE tenant_id = $1 AND kind = $2 AND key = $3"""
    row = await tx.fetchrow(sql, tx.tenant_id, kind, key)
    return None if row is None else JobState(**dict(row))


async def dead_jobs(tx: TenantTx, limit: int = 100) -> list[DeadJob]:
    """The dead jobs of the tenant, the latest first."""
    return [DeadJob(**dict(row)) for row in await tx.fetch(_DEAD, tx.tenant_id, limit)]
