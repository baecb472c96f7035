"""What a handler is given."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from stoa.db.database import Database
from stoa.db.transactions import Origin, TenantTx
from stoa.jobs import leases
from stoa.jobs.model import LeaseLost
from stoa.kernel.ids import TenantId


@dataclass(frozen=True, slots=True)
class JobRun:
    """One attempt at a job. Its lease is renewed for as long as the handler runs.

    Attributes:
        database: opens the handler's transactions: `run.database.tenant(run.tenant_id, run.origin)`.
        args: as last enqueued.
        lease_epoch: raised at each claim.
        attempt: 1 for the first.
        trace_id: 32 hexadecimal digits, on every log line and entry of this attempt.
    """

    database: Database
    tenant_id: TenantId
    job_id: UUID
    kind: str
    key: str
    args: dict[str, Any]
    lease_epoch: int
    attempt: int
    trace_id: str

    @property
    def origin(self) -> Origin:
        """Who acts, for the transactions of this attempt."""
        return Origin(actor=f"job:{self.kind}", via="worker", request_id=self.trace_id)

    async def fence(self, tx: TenantTx) -> None:
        """Makes sure that the job is still ours and stays so until `tx` ends. Call it in every transaction that writes.

        Raises:
            LeaseLost: another worker may have it; the transaction must be given up.
        """
        if not await leases.holds(tx, self.job_id, self.lease_epoch, self.database.clock()):
            raise LeaseLost(f"The lease on job {self.kind} {self.job_id} is lost.")


Handler = Callable[[JobRun], Awaitable[None]]
