"""What sync asks of the room whose records it changes. It knows no person."""

from dataclasses import dataclass
from typing import Protocol

import polars as pl

from stoa.changes.model import Reason, Run
from stoa.changes.target import Target
from stoa.db.transactions import TenantTx
from stoa.sync.model import Fields


@dataclass(frozen=True, slots=True)
class Planned:
    """Figures of a plan: the source's records before the run, those the report confirms as they are, and new rows
    nobody could resolve.
    """

    population: int
    unchanged: int
    refused: int


class SyncTarget(Target, Protocol):
    """A target that can be planned from a full report."""

    @property
    def fields(self) -> Fields:
        """The fields that a mapping may fill."""
        ...

    async def plan_report(self, tx: TenantTx, run: Run, frame: pl.DataFrame, kept_ids: frozenset[str]) -> Planned:
        """Writes the plan of a report: typed rows with keys and `row_hash`. Keys in kept_ids are in the report but
        could not be admitted.
        """
        ...

    async def plan_due(self, tx: TenantTx, run: Run) -> Planned:
        """Writes the plan of effective dates that have come."""
        ...

    async def authority_version(self, tx: TenantTx) -> int:
        """The version of the rules by which sources win fields."""
        ...

    async def redone(self, tx: TenantTx, run: Run) -> int:
        """How many planned changes would bring back something that was undone."""
        ...

    async def doubts(self, tx: TenantTx, run: Run, who: str) -> list[Reason]:
        """What of the plan must wait for a person whatever the thresholds say; also of a rollback of another target.

        who: what to call what would do it, at the beginning of a sentence.
        """
        ...

    async def untouched_since(self, tx: TenantTx, run: Run) -> bool:
        """Whether nobody but the source's own runs has touched its records."""
        ...

    async def forget_staged(self, tx: TenantTx, run: Run) -> None:
        """Empties the staging tables of a run that ended in the middle of its plan."""
        ...
