"""Asking for runs and deciding on them.

The work itself is done by the worker, one lease per source, so that a source has one writer at a time.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from stoa.alerts.actions import resolve_alerts
from stoa.changes import queries
from stoa.changes.counting import counted_held
from stoa.changes.holding import HELD_ALERT as HELD_ALERT
from stoa.changes.holding import alert_key
from stoa.changes.model import NewRun, Run, RunKind, RunState, WrongState
from stoa.changes.rules import FINISHED
from stoa.changes.undoing import TARGETS
from stoa.db.transactions import TenantTx
from stoa.jobs.actions import enqueue
from stoa.kernel.ids import RunId, SourceId
from stoa.kernel.problems import BadInput

# The job that works off every open run of one source; its key is the source's id.
SOURCE_JOB = "changes.source"
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
    applying it. Raises WrongState when the run is in neither state, could not be planned at all, or undoes what a
    source did to groups before it is decided what becomes of its people.
    """
    run = await queries.run_by_id(tx, run_id, lock=True)
    if run.state not in {RunState.HELD, RunState.PLANNED}:
        raise WrongState(
            f"The run {run_id} is {run.state}; only a held or planned run can be approved.", hint=_what_now(run)
        )
    if run.since is not None and (first := await _before_it(tx, run)) is not None:
        raise WrongState(
            f"The run {run_id} undoes what a source did, and so does the run {first}, which comes before it and waits.",
            hint="Approve or reject that one first: it puts people back, and only who is there goes back into a group.",
        )
    if run.figures.get("blocked"):
        raise WrongState(
            f"The run {run_id} has nothing to apply: its report could not be used, so there is no plan to approve.",
            hint="Mend the cause that the run names, then run the sync again; `stoa sync reject` puts this one away.",
        )
    decided = await _decision(tx, run, note)
    approved = await queries.enter(tx, run, RunState.APPROVED, plan_only=False, **decided)
    await resolve_alerts(tx, HELD_ALERT, alert_key(run))
    await wake_source(tx, run.source_id)
    return approved


async def _before_it(tx: TenantTx, run: Run) -> RunId | None:
    """The run that undoes the same of another target, must come first, and has not been decided on."""
    return await tx.fetchval(
        """SELECT run_id FROM run WHERE tenant_id = $1 AND source_id = $2 AND since = $3 AND target = ANY($4)
        AND state IN ('queued', 'planning', 'planned', 'held') LIMIT 1""",
        *(tx.tenant_id, run.source_id, run.since, TARGETS[: TARGETS.index(run.target)]),
    )


async def reject(tx: TenantTx, run_id: RunId, *, note: str | None = None) -> Run:
    """Ends a held, planned or queued run without applying anything of it. Raises WrongState when it is past that.

    note: why, for whoever looks at it later; see `checked_note`.

    What a run that collects holds was said by its source already: a rollback of it is queued, which puts back what was
    said before, and ends the holds.
    """
    run = await queries.run_by_id(tx, run_id, lock=True)
    if run.state not in {RunState.HELD, RunState.PLANNED, RunState.QUEUED, RunState.APPROVED}:
        raise WrongState(f"The run {run_id} is {run.state}; it can no longer be rejected.", hint=_what_now(run))
    decided = await _decision(tx, run, note)
    rejected = await queries.enter(tx, run, RunState.REJECTED, finished_at=tx.now, **decided)
    await resolve_alerts(tx, HELD_ALERT, alert_key(run))
    if run.kind is RunKind.SCIM_HOLD and rejected.counts:
        await queue_run(tx, NewRun(RunKind.ROLLBACK, run.target, run.source_id, of_run=run_id))
    return rejected


async def _decision(tx: TenantTx, run: Run, note: str | None) -> dict[str, object]:
    """What is written of a decision. A run that collects is counted now: whoever adds to it has been waited for."""
    decided: dict[str, object] = {"decided_at": tx.now, "decided_by": tx.origin.actor, "decided_note": note}
    if run.kind is RunKind.SCIM_HOLD and run.state is RunState.HELD:
        plan = await counted_held(tx, run.run_id, None)
        decided |= {"counts": plan.counts, "figures": run.figures | plan.figures()}
    return decided


async def queue_rollback(tx: TenantTx, run_id: RunId, *, plan_only: bool = False) -> Run:
    """Queues the run that undoes an applied one.

    plan_only: stop at the plan, and wait for `approve`.
    Raises WrongState when there is nothing to undo, or a rollback of it is under way.
    """
    of_run = await queries.run_by_id(tx, run_id, lock=True)
    if of_run.kind is RunKind.RECOMPUTE:
        raise WrongState(
            f"The run {run_id} changed no record: it brought people up to date with a ranking of sources.",
            hint="Put the earlier ranking back, on the page “Who owns which field” or by PUT /v1/authority.",
        )
    undoable = of_run.state is RunState.APPLIED or of_run.kind is RunKind.SCIM_WINDOW
    # What was rejected stands in the source's word as long as its rollback has not been applied.
    undoable = undoable or (of_run.kind is RunKind.SCIM_HOLD and of_run.state is RunState.REJECTED)
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


# How far back everything that a source did can be undone at once.
FARTHEST_BACK = timedelta(days=30)


def checked_since(since: datetime, now: datetime) -> datetime:
    """The moment, if what was done from then on can be undone at once. Raises BadInput. Both are aware."""
    if since > now:
        raise BadInput("The moment has not come yet, so there is nothing to undo.", hint="Give one in the past.")
    if since < now - FARTHEST_BACK:
        raise BadInput(
            f"The moment is more than {FARTHEST_BACK.days} days ago.",
            hint="Give a later one, or roll back single runs: each page of a run offers it.",
        )
    return since


async def queue_undo_since(
    tx: TenantTx, source_id: SourceId, since: datetime, targets: Sequence[str], *, plan_only: bool = True
) -> list[Run]:
    """Queues the runs that undo everything that a source did at or after a moment, one for each target.

    since: aware. targets: for example `person`, `group`: as `run.target`.
    plan_only: stop at the plan, which lists the conflicts, and wait for `approve`.

    Raises:
        BadInput: the moment has not come yet, or is too long ago.
        WrongState: such a run of the source is under way already, or waits for a decision.
    """
    checked_since(since, tx.now)
    runs: list[Run] = []
    for target in targets:
        under_way = await open_undo(tx, source_id, target)
        if under_way is not None:
            raise WrongState(
                f"Undoing what this source did is under way already: the run {under_way.run_id} is {under_way.state}.",
                hint="Approve or reject that one first.",
            )
        runs.append(await queue_run(tx, NewRun(RunKind.ROLLBACK, target, source_id, plan_only=plan_only, since=since)))
    return runs


async def open_undo(tx: TenantTx, source_id: SourceId, target: str) -> Run | None:
    """The run that undoes what a source did from some moment on, and is under way or waits for a decision."""
    await tx.execute(
        "SELECT 1 FROM source WHERE tenant_id = $1 AND source_id = $2 FOR NO KEY UPDATE", tx.tenant_id, source_id
    )
    run_id = await tx.fetchval(
        """SELECT run_id FROM run WHERE tenant_id = $1 AND source_id = $2 AND target = $3 AND since IS NOT NULL
        AND state NOT IN ('applied', 'rejected', 'errored', 'stale', 'undone')""",
        tx.tenant_id, source_id, target,
    )  # fmt: skip
    return None if run_id is None else await queries.run_by_id(tx, run_id)


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
