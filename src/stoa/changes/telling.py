"""What a run's life tells the event log: who asked for it, what it came to, who decided."""

from collections.abc import Mapping
from typing import Final

from stoa.changes.model import Run, RunState
from stoa.db.transactions import TenantTx
from stoa.events.actions import emit
from stoa.events.model import Event

# That it is being planned or applied is told by what comes of it.
_TOLD: Final[Mapping[RunState, str]] = {
    RunState.QUEUED: "run.queued",
    RunState.PLANNED: "run.planned",
    RunState.HELD: "run.held",
    RunState.APPROVED: "run.approved",
    RunState.REJECTED: "run.rejected",
    RunState.APPLIED: "run.applied",
    RunState.UNDONE: "run.undone",
    RunState.STALE: "run.stale",
    RunState.ERRORED: "run.errored",
}


def tell_run(tx: TenantTx, before: Run | None, after: Run) -> None:
    """Writes down a step of a run. before: None of one that was just asked for.

    What somebody wrote beside a decision may name people, so it stands with the run alone.
    """
    type_ = _TOLD.get(after.state)
    if type_ is None:
        return
    body: dict[str, object] = {
        "kind": after.kind,
        "target": after.target,
        "source_id": str(after.source_id),
        "connection_id": None if after.connection_id is None else str(after.connection_id),
        "of_run": None if after.of_run is None else str(after.of_run),
        "plan_only": after.plan_only,
        "reasons": [reason["code"] for reason in after.reasons],
        "counts": dict(after.counts),
        "before": None if before is None else {"state": before.state},
        "after": {"state": after.state},
    }
    emit(tx, Event(type_, f"run:{after.run_id}", body), run_id=after.run_id)
