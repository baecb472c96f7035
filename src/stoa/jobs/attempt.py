"""One attempt at one job, from its claim to its end."""

import asyncio
import random
import time
from collections.abc import Mapping
from datetime import timedelta

import structlog

from stoa.db.database import Database
from stoa.db.errors import TROUBLE
from stoa.jobs import leases, metrics
from stoa.jobs.model import CHANNEL, Claim, DeadJob, JobProblem, LeaseLost, OnDead, Outcome
from stoa.jobs.rules import ATTEMPTS, delay_after, tell
from stoa.jobs.run import Handler, JobRun
from stoa.kernel.ids import new_id

_log = structlog.get_logger()


class WorkerLost(JobProblem):
    """The process that ran the job ended in the middle of it, again and again.

    It may ask for more memory than there is. The worker's log and the system's say more.
    """

    code = "worker_lost"


class Attempt:
    """Runs claimed jobs. Never raises but for being cancelled, and then gives the job back first."""

    def __init__(
        self, database: Database, handlers: Mapping[str, Handler], lease: timedelta, on_dead: OnDead | None
    ) -> None:
        self._database = database
        self._handlers = handlers
        self._lease = lease
        self._on_dead = on_dead

    async def run(self, claim: Claim) -> Outcome:
        """Calls the handler, keeps the lease alive meanwhile, and ends the job as it went."""
        trace_id = new_id().hex
        started = time.monotonic()
        metrics.RUNNING.inc()
        told = {"tenant_id": str(claim.tenant_id), "job_id": str(claim.job_id), "attempt": claim.attempt}
        with structlog.contextvars.bound_contextvars(kind=claim.kind, trace_id=trace_id, **told):
            try:
                outcome = await self._run(claim, trace_id)
            except asyncio.CancelledError:
                await asyncio.shield(self._release(claim))
                metrics.ENDED.labels(claim.kind, Outcome.RELEASED).inc()
                raise
            finally:
                metrics.RUNNING.dec()
            seconds = time.monotonic() - started
            metrics.SECONDS.labels(claim.kind).observe(seconds)
            metrics.ENDED.labels(claim.kind, outcome).inc()
            _log.info("job_ended", outcome=outcome, seconds=round(seconds, 4))
            return outcome

    async def _run(self, claim: Claim, trace_id: str) -> Outcome:
        error = await self._handle(claim, trace_id)
        if isinstance(error, LeaseLost):
            _log.warning("job_lease_lost")
            return Outcome.LOST
        try:
            outcome = await self._end(claim, error)
        except Exception as trouble:
            # The database, or on_dead. The lease runs out by itself, and the job is tried again then.
            _log.warning("job_end_not_written", error=tell(trouble))
            return Outcome.LOST
        if outcome is Outcome.AGAIN:
            self._database.notifier.poke(CHANNEL)
        return outcome

    async def _handle(self, claim: Claim, trace_id: str) -> Exception | None:
        if claim.abandoned and claim.attempt > ATTEMPTS:
            return WorkerLost(f"The worker was lost {claim.attempt - 1} times in the middle of this job.")
        try:
            run = await self._open(claim, trace_id)
            await self._keeping_lease(claim, asyncio.ensure_future(self._handlers[claim.kind](run)))
        except Exception as error:
            # The boundary of jobs: whatever a handler raises is told, counted and dealt with by its class.
            _log.warning("job_failed", error=tell(error))
            return error
        return None

    async def _open(self, claim: Claim, trace_id: str) -> JobRun:
        async with self._database.tenant(claim.tenant_id, read_only=True) as tx:
            sql = "SELECT args FROM job WHERE tenant_id = $1 AND job_id = $2 AND lease_epoch = $3"
            args = await tx.fetchval(sql, claim.tenant_id, claim.job_id, claim.lease_epoch)
        if args is None:
            raise LeaseLost("The lease was lost before the handler began.")
        ids = (claim.tenant_id, claim.job_id, claim.kind, claim.key)
        return JobRun(self._database, *ids, args, claim.lease_epoch, claim.attempt, trace_id)

    async def _keeping_lease(self, claim: Claim, handler: asyncio.Future[None]) -> None:
        try:
            while not (await asyncio.wait({handler}, timeout=self._lease.total_seconds() / 3))[0]:
                if not await self._renewed(claim):
                    raise LeaseLost("Another worker has the job.")
        finally:
            if not handler.done():
                handler.cancel()
                await asyncio.wait({handler})
        if handler.cancelled():
            raise JobProblem("The handler cancelled itself.")
        await handler

    async def _renewed(self, claim: Claim) -> bool:
        try:
            async with self._database.platform() as tx:
                return await leases.renew(tx, claim, self._lease)
        except TROUBLE as trouble:
            # Not lost yet. If it does run out, the fence stops the handler.
            _log.warning("job_lease_not_renewed", error=type(trouble).__name__)
            return True

    async def _end(self, claim: Claim, error: Exception | None) -> Outcome:
        luck = random.random()  # noqa: S311 - spreads the retries, guards nothing
        async with self._database.tenant(claim.tenant_id) as tx:
            if error is None:
                outcome = await leases.finish(tx, claim)
            elif (delay := delay_after(error, claim.attempt, luck)) is not None:
                outcome = await leases.retry(tx, claim, delay, tell(error))
            else:
                outcome = await leases.bury(tx, claim, tell(error))
            if outcome is Outcome.DEAD and error is not None and self._on_dead is not None:
                dead = DeadJob(claim.job_id, claim.kind, claim.key, claim.attempt, tell(error), tx.now)
                await self._on_dead(tx, dead)
            return outcome

    async def _release(self, claim: Claim) -> None:
        try:
            async with self._database.platform() as tx:
                await leases.release(tx, claim)
            self._database.notifier.poke(CHANNEL)
        except TROUBLE as trouble:
            _log.warning("job_not_released", error=type(trouble).__name__)
