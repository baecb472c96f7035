"""The job that works off the open runs of one source, one after the other: a source has one writer at a time."""

import time
from dataclasses import dataclass, replace
from uuid import UUID

import structlog

from stoa.alerts.actions import resolve_alerts
from stoa.changes import queries
from stoa.changes.actions import FAILED_ALERT, HELD_ALERT, SOURCE_JOB, queue_run
from stoa.changes.apply import BATCH_ROWS, Working, apply_run
from stoa.changes.model import NewRun, Run, RunKind, RunState
from stoa.db.errors import COLLISION, UNAVAILABLE
from stoa.db.transactions import TenantTx
from stoa.jobs.model import Fatal, JobProblem
from stoa.jobs.run import Handler, JobRun
from stoa.jobs.schedules import pause_schedule
from stoa.kernel.ids import ConnectionId, SourceId
from stoa.kernel.problems import Problem
from stoa.sync import freshness
from stoa.sync.actions import DUE_JOB, SYNC_JOB, request_sync
from stoa.sync.missed import MISSED_JOB, look_whether_missed, note_came, watch
from stoa.sync.planning import Planner
from stoa.sync.telling import telling_schedule
from stoa.tenants import queries as tenants
from stoa.tenants.status import ask_recount, note_expected

_log = structlog.get_logger()


class PlanFailed(Problem):
    """A plan ended in a way that nobody foresaw.

    The worker's log has more under the trace id. Report it, then run the sync again.
    """

    code = "plan_failed"

    def __init__(self, trace_id: str | None, error: Exception) -> None:
        super().__init__(
            f"The plan failed in a way that was not foreseen ({type(error).__name__}).",
            hint=f"The worker's log has more under the trace id {trace_id}. Report it, then run the sync again.",
        )


@dataclass(frozen=True, slots=True)
class SourceWorker:
    """Handles SOURCE_JOB. batch_rows: changes in one transaction."""

    planner: Planner
    batch_rows: int = BATCH_ROWS

    def handlers(self) -> dict[str, Handler]:
        """The job kinds of this room."""
        return {
            SOURCE_JOB: self.work_off,
            SYNC_JOB: self.start_sync,
            DUE_JOB: self.start_due,
            MISSED_JOB: look_whether_missed,
        }

    async def start_sync(self, job: JobRun) -> None:
        """The clock asks for a connection's run."""
        async with job.database.tenant(job.tenant_id, job.origin) as tx:
            await job.fence(tx)
            connection = await tenants.connection(tx, ConnectionId(UUID(job.key)))
            if connection is not None and connection.state == "active":
                await request_sync(tx, connection, self.planner.target.name)
                await watch(tx, connection.connection_id)

    async def start_due(self, job: JobRun) -> None:
        """A new day has begun for a source."""
        async with job.database.tenant(job.tenant_id, job.origin) as tx:
            await job.fence(tx)
            await queue_run(tx, NewRun(RunKind.DUE, self.planner.target.name, SourceId(UUID(job.key))))

    async def work_off(self, job: JobRun) -> None:
        """Plans and applies until no run of the source can go on without a person."""
        source_id = SourceId(UUID(job.key))
        work = Working(job.database, job.tenant_id, job.origin, job.lease_epoch, job.fence)
        while True:
            async with job.database.tenant(job.tenant_id, job.origin, role="sync") as tx:
                await job.fence(tx)
                run = await queries.next_open_run(tx, source_id)
            if run is None:
                return
            after = await self.step(work, run)
            _log.info(
                "run_step",
                tenant_id=str(job.tenant_id),
                run_id=str(run.run_id),
                kind=str(run.kind),
                was=str(run.state),
                now=str(after.state),
            )

    async def step(self, work: Working, run: Run) -> Run:
        """One step of a run's life: its plan, or its application."""
        if run.state in {RunState.QUEUED, RunState.PLANNING}:
            return await self._plan_or_fail(work, run)
        started = time.monotonic()

        async def at_end(tx: TenantTx, done: Run) -> None:
            figures = done.figures | {"apply_seconds": round(time.monotonic() - started, 3)}
            await tx.execute(
                "UPDATE run SET figures = $3 WHERE tenant_id = $1 AND run_id = $2", tx.tenant_id, done.run_id, figures
            )
            await _finish(tx, replace(done, figures=figures))

        return await apply_run(work, run, self.planner.target_of(run), at_end, batch_rows=self.batch_rows)

    async def _plan_or_fail(self, work: Working, run: Run) -> Run:
        try:
            return await self._plan(work, run)
        except (JobProblem, *UNAVAILABLE, *COLLISION):
            # Not the run's fault: the job is tried again, and plans anew.
            raise
        except Exception as error:
            _log.exception("run_failed", run_id=str(run.run_id), tenant_id=str(work.tenant_id))
            return await self.planner.fail(work, run, PlanFailed(work.origin.request_id, error))

    async def _plan(self, work: Working, run: Run) -> Run:
        match run.kind:
            case RunKind.SYNC:
                return await self.planner.plan_sync(work, run)
            case RunKind.ROLLBACK:
                return await self.planner.plan_rollback(work, run)
            case RunKind.DUE:
                return await self.planner.plan_due(work, run)
            case _:
                raise Fatal(f"A run of kind {run.kind} is not planned by a worker.")


async def _finish(tx: TenantTx, run: Run) -> None:
    """What belongs to the same transaction as a run's last word."""
    connection_id = await queries.connection_of(tx, run)
    if run.kind is RunKind.SYNC:
        await freshness.note_success(tx, run)
        await resolve_alerts(tx, FAILED_ALERT, str(run.source_id))
        await resolve_alerts(tx, HELD_ALERT, str(run.source_id))
        if connection_id is not None:
            await note_came(tx, connection_id)
    elif run.kind is RunKind.ROLLBACK and connection_id is not None:
        await freshness.forget_input(tx, connection_id)
        # Else the next scheduled run would bring back what was just undone.
        async with telling_schedule(tx, connection_id):
            await pause_schedule(tx, SYNC_JOB, str(connection_id), f"The run {run.of_run} was rolled back.")
        await note_expected(tx, connection_id)
    await ask_recount(tx)
