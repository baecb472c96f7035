"""Asking for runs and deciding on them.

The work itself is done by the worker, one lease per source, so that a source has one writer at a time.
"""

from stoa.alerts.actions import resolve_alerts
from stoa.changes import queries
from stoa.changes.model import NewRun, Run, RunKind, RunState, WrongState
from stoa.changes.rules import FINISHED
from stoa.db.transactions import TenantTx
from stoa.jobs.actions import enqueue
from stoa.kernel.ids import RunId, SourceId
from stoa.kernel.problems import BadInput

# The job that works off every open run of one source; its key is the source's id.
SOURCE_JOB = "changes.source"
HELD_ALERT = "run_held"
FAILED_ALERT = "run_failed"


async def wake_source(tx: TenantTx, source_id: SourceId) -> None:
    """Has the worker look at the open runs of a source. A wake-up during the work is not lost."""
    await enqueue(tx, SOURCE_JOB, str(source_id))


async def queue_run(tx: TenantTx, new: NewRun) -> Run:
    """Queues a run and wakes the worker."""
    run = await queries.insert_run(tx, new)
    await wake_source(tx, new.source_id)
    return run


async def approve(tx: TenantTx, run_id: RunId, *, note: str | None = None) -> Run:
    """Lets a held or planned run be applied as it was planned.

    note: why, for whoever looks at it later; see `checked_note`.

    When another run has changed the source's records since the plan was made, the worker finds the run stale instead of
    applying it. Raises WrongState when the run is in neither state, or could not be planned at all.
    """
    run = await queries.run_by_id(tx, run_id, lock=True)
    if run.state not in {RunState.HELD, RunState.PLANNED}:
        raise WrongState(
            f"The run {run_id} is {run.state}; only a held or planned run can be approved.", hint=_what_now(run)
        )
    if run.figures.get("blocked"):
        raise WrongState(
            f"The run {run_id} has nothing to apply: its report could not be used, so there is no plan to approve.",
            hint="Mend the cause that the run names, then run the sync again; `stoa sync reject` puts this one away.",
        )
    decided: dict[str, object] = {"decided_at": tx.now, "decided_by": tx.origin.actor, "decided_note": note}
    approved = await queries.enter(tx, run, RunState.APPROVED, plan_only=False, **decided)
    await resolve_alerts(tx, HELD_ALERT, str(run.source_id))
    await wake_source(tx, run.source_id)
    return approved


async def reject(tx: TenantTx, run_id: RunId, *, note: str | None = None) -> Run:
    """Ends a held, planned or queued run without applying anything of it. Raises WrongState when it is past that.

    note: why, for whoever looks at it later; see `checked_note`.
    """
    run = await queries.run_by_id(tx, run_id, lock=True)
    if run.state not in {RunState.HELD, RunState.PLANNED, RunState.QUEUED, RunState.APPROVED}:
        raise WrongState(f"The run {run_id} is {run.state}; it can no longer be rejected.", hint=_what_now(run))
    decided: dict[str, object] = {"decided_at": tx.now, "decided_by": tx.origin.actor, "decided_note": note}
    rejected = await queries.enter(tx, run, RunState.REJECTED, finished_at=tx.now, **decided)
    await resolve_alerts(tx, HELD_ALERT, str(run.source_id))
    return rejected


async def queue_rollback(tx: TenantTx, run_id: RunId, *, plan_only: bool = False) -> Run:
    """Queues the run that undoes an applied one.

    plan_only: stop at the plan, and wait for `approve`.
    Raises WrongState when there is nothing to undo, or a rollback of it is under way.
    """
    of_run = await queries.run_by_id(tx, run_id, lock=True)
    undoable = of_run.state is RunState.APPLIED or of_run.kind is RunKind.SCIM_WINDOW
    if not undoable:
        raise WrongState(
            f"The run {run_id} is {of_run.state}; only an applied run can be rolled back.", hint=_what_now(of_run)
        )
    open_one = await open_rollback(tx, run_id)
    if open_one is not None:
        raise WrongState(
            f"A rollback of the run {run_id} exists already: {open_one.run_id}, which is {open_one.state}.",
            hint="Approve or reject that one first.",
        )
    new = NewRun(
        RunKind.ROLLBACK, of_run.target, of_run.source_id, of_run.connection_id, of_run=run_id, plan_only=plan_only
    )
    return await queue_run(tx, new)


async def open_rollback(tx: TenantTx, of_run: RunId) -> Run | None:
    """The rollback of a run that is under way or waits for a decision; there is at most one."""
    run_id = await tx.fetchval(
        """SELECT run_id FROM run WHERE tenant_id = $1 AND of_run = $2 AND kind = 'rollback'
        AND state NOT IN ('applied', 'rejected', 'errored', 'stale', 'undone')""",
        tx.tenant_id, of_run,
    )  # fmt: skip
    return None if run_id is None else await queries.run_by_id(tx, run_id)


LONGEST_NOTE = 1000


def checked_note(text: str) -> str | None:
    """What somebody wrote beside a decision; None for nothing. Raises BadInput when it is too long or no plain text."""
    note = text.strip()
    if len(note) > LONGEST_NOTE:
        raise BadInput(f"The reason has {len(note):,} characters; the most is {LONGEST_NOTE:,}.", hint="Shorten it.")
    if "\0" in note:
        raise BadInput("The reason holds a NUL character.", hint="Type it anew.")
    return note or None


def _what_now(run: Run) -> str:
    if run.state in FINISHED:
        return "It is finished; its page, or `stoa sync show`, tells what it did."
    return "Wait until the worker has come to it, then look again."
