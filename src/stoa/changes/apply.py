"""Applying a plan in batches, each fenced, each a transaction of its own, so that a killed worker's successor goes on
where it stopped.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from stoa.changes import queries
from stoa.changes.model import Run, RunKind, RunState
from stoa.changes.target import Batch, Target
from stoa.changes.undone import mark_undone
from stoa.db.database import Database
from stoa.db.transactions import Origin, TenantTx
from stoa.events.actions import emit_batch
from stoa.kernel.ids import RunId, TenantId

BATCH_ROWS = 5_000


class Fence(Protocol):
    """Raises when this worker's lease was lost; asked inside each transaction that writes."""

    async def __call__(self, tx: TenantTx) -> None:
        """Raises stoa.jobs.LeaseLost."""
        ...


@dataclass(frozen=True, slots=True)
class Working:
    """What a worker holds while it works on a source."""

    database: Database
    tenant_id: TenantId
    origin: Origin
    lease_epoch: int
    fence: Fence


async def apply_run(
    work: Working,
    run: Run,
    target: Target,
    at_end: Callable[[TenantTx, Run], Awaitable[None]],
    *,
    batch_rows: int = BATCH_ROWS,
) -> Run:
    """Applies a planned or approved run, or goes on with one that was begun, and ends it as `applied`.

    at_end: what belongs to the same transaction as the last word (freshness, alerts).
    """
    run = await _claim(work, run)
    if run.state is not RunState.APPLYING:
        return run
    while True:
        async with work.database.tenant(work.tenant_id, work.origin, role="sync") as tx:
            await work.fence(tx)
            span = await queries.next_batch(tx, run, batch_rows)
            if span is None:
                return await _finish(tx, run, at_end)
            first, last, size = span
            batch = Batch(run, first, last)
            n = await target.apply(tx, batch)
            await queries.set_progress(tx, run.run_id, last, size)
            if n:
                emit_batch(tx, run_id=run.run_id, ord_from=batch.first, ord_to=batch.last, n=n)
            run = await queries.run_by_id(tx, run.run_id)


async def _claim(work: Working, run: Run) -> Run:
    async with work.database.tenant(work.tenant_id, work.origin, role="sync") as tx:
        await work.fence(tx)
        later: RunId | None = None
        # Each effect that was held is looked at by itself, whatever came since.
        if run.state is RunState.APPROVED and run.planned_at is not None and run.kind is not RunKind.SCIM_HOLD:
            later = await queries.applied_since(tx, run, run.planned_at)
        if later is not None:
            reason = {
                "code": "overtaken",
                "detail": f"The run {later} changed records of this source after this plan was made.",
                "hint": "Run the sync again: it plans from what is there now.",
                "figures": {"run_id": str(later)},
            }
            return await queries.enter(tx, run, RunState.STALE, reasons=[*run.reasons, reason], finished_at=tx.now)
        begun = run.applying_at or tx.now
        return await queries.enter(tx, run, RunState.APPLYING, lease_epoch=work.lease_epoch, applying_at=begun)


async def _finish(tx: TenantTx, run: Run, at_end: Callable[[TenantTx, Run], Awaitable[None]]) -> Run:
    conflicts = await queries.count_conflicts(tx, run.run_id)
    figures = run.figures | ({"conflicts": conflicts} if conflicts else {})
    if run.kind is RunKind.ROLLBACK:
        await mark_undone(tx, run)
    done = await queries.enter(tx, run, RunState.APPLIED, figures=figures, finished_at=tx.now)
    await at_end(tx, done)
    return done
