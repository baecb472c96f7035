"""What a kind of record must offer so that runs can change it. `people` is the first; `changes` knows none of them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from stoa.changes.model import Run
from stoa.db.transactions import TenantTx


@dataclass(frozen=True, slots=True)
class Batch:
    """Changes of one run with ord in first..last, both included."""

    run: Run
    first: int
    last: int


class Target(Protocol):
    """Applies and inverts changes of one kind of record, set by set."""

    @property
    def name(self) -> str:
        """What `run.target` says."""
        ...

    async def apply(self, tx: TenantTx, batch: Batch) -> int:
        """Applies the planned changes of the batch and gives how many took effect.

        A change whose `before` is no longer what stands there becomes a conflict with a note, and is left alone.
        """
        ...

    async def plan_rollback(self, tx: TenantTx, run: Run, of_run: Run) -> None:
        """Writes the changes that undo `of_run` as the plan of `run`, newest first.

        A field that somebody else asserted since is left out and listed in the row's note; a row with nothing left to
        undo is a conflict.
        """
        ...

    async def plan_undo_since(self, tx: TenantTx, run: Run, since: datetime) -> None:
        """Writes the changes that undo everything that the run's source did at or after a moment, as `plan_rollback`
        does it for one run. What waits for a decision is put back too.
        """
        ...
