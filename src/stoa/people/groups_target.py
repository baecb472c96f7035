"""Groups as a target of runs: what `changes` and the worker know of them. No report brings any."""

from datetime import datetime

from stoa.changes.model import Run
from stoa.changes.target import Batch
from stoa.db.transactions import TenantTx
from stoa.people.groups_apply import apply_batch
from stoa.people.groups_journal import TARGET
from stoa.people.groups_undo import plan_rollback, plan_undo_since


class Groups:
    """The target `group`."""

    @property
    def name(self) -> str:
        """See `changes.target.Target`."""
        return TARGET

    async def apply(self, tx: TenantTx, batch: Batch) -> int:
        """See `changes.target.Target`."""
        return await apply_batch(tx, batch)

    async def plan_rollback(self, tx: TenantTx, run: Run, of_run: Run) -> None:
        """See `changes.target.Target`."""
        await plan_rollback(tx, run, of_run)

    async def plan_undo_since(self, tx: TenantTx, run: Run, since: datetime) -> None:
        """See `changes.target.Target`."""
        await plan_undo_since(tx, run, since)
