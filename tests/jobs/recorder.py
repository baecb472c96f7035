"""A handler that keeps what it was given, and may be told to fail or to wait."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from stoa.db.database import Database
from stoa.jobs.queries import JobState, job_state
from stoa.jobs.run import JobRun
from stoa.kernel.ids import TenantId


@dataclass
class Recorder:
    """Counts its runs. Holds each at `gate` until that is set; raises what `fails` gives for a run, if anything."""

    runs: list[JobRun] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    fails: Callable[[JobRun], Exception | None] = lambda _: None

    async def __call__(self, run: JobRun) -> None:
        self.runs.append(run)
        self.begun.set()
        await self.gate.wait()
        if error := self.fails(run):
            raise error

    def open(self) -> "Recorder":
        """Lets every run pass."""
        self.gate.set()
        return self


async def state(database: Database, tenant_id: TenantId, kind: str, key: str = "") -> JobState | None:
    """How the job stands."""
    async with database.tenant(tenant_id, read_only=True) as tx:
        return await job_state(tx, kind, key)


async def make_due(database: Database, tenant_id: TenantId, kind: str) -> None:
    """Ends every back-off of this kind."""
    async with database.tenant(tenant_id) as tx:
        sql = "UPDATE job SET due_at = $3 WHERE tenant_id = $1 AND kind = $2"
        await tx.execute(sql, tenant_id, kind, tx.now - timedelta(seconds=1))


async def lapse(database: Database, tenant_id: TenantId, kind: str) -> None:
    """Lets the leases of this kind run out, as if their worker had been silent."""
    async with database.tenant(tenant_id) as tx:
        sql = "UPDATE job SET lease_until = $3 WHERE tenant_id = $1 AND kind = $2 AND lease_until IS NOT NULL"
        await tx.execute(sql, tenant_id, kind, tx.now - timedelta(seconds=1))
