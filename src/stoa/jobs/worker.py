"""The worker: claims due jobs of all tenants in turn and runs their handlers side by side."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import structlog

from stoa.db.database import Database
from stoa.db.errors import TROUBLE
from stoa.db.transactions import Origin
from stoa.jobs import leases, metrics
from stoa.jobs.attempt import Attempt
from stoa.jobs.leases import Turns
from stoa.jobs.model import CHANNEL, Claim, OnDead, Outcome
from stoa.jobs.run import Handler
from stoa.jobs.schedules import enqueue_due, tenants_with_due_schedules
from stoa.kernel.ids import TenantId

_POLL_SECONDS: Final = 1.0
_ORIGIN: Final = Origin(actor="schedule", via="worker")
_log = structlog.get_logger()


class Worker:
    """Runs jobs of the kinds it has handlers for. Any number of workers may run at once, in any number of processes."""

    def __init__(
        self,
        database: Database,
        handlers: Mapping[str, Handler],
        *,
        concurrency: int = 8,
        lease: timedelta = timedelta(seconds=30),
        grace: timedelta = timedelta(seconds=20),
        on_dead: OnDead | None = None,
    ) -> None:
        """
        concurrency: the most handlers under way; one tenant gets at most three quarters of them, so that another's job
            need not wait for a long one to end.
        lease: how long a job stays ours without a sign of life; renewed at each third of it.
        grace: how long handlers may go on once the worker is stopped.
        on_dead: called in the transaction that buries a job.
        """
        self._database = database
        self._attempt = Attempt(database, handlers, lease, on_dead)
        self._kinds = tuple(handlers)
        self._concurrency = concurrency
        self._share = max(1, concurrency - concurrency // 4)
        self._lease = lease
        self._grace = grace
        self._turns = Turns()
        self._running: dict[asyncio.Task[Outcome], Claim] = {}
        self._schedules_at = 0.0
        self._more = False

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop` is set, then claims no more, lets handlers go on for the grace period, and gives the rest
        back."""
        async with self._database.notifier.listening(CHANNEL) as bell:
            ringer = asyncio.create_task(_ring_at(stop, bell))
            try:
                while not stop.is_set():
                    bell.clear()
                    await self._round(bell)
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(bell.wait(), _POLL_SECONDS)
            finally:
                ringer.cancel()
                await self._wind_up()

    async def run_due_once(self) -> int:
        """Runs one batch of what is due now, schedules first, and waits for its end. Gives how many jobs ran."""
        await self._enqueue_scheduled()
        claims = await self._claim()
        await asyncio.gather(*(self._attempt.run(claim) for claim in claims))
        return len(claims)

    async def claim_one(self, kind: str, key: str, tenant_id: TenantId) -> Outcome | None:
        """Runs this job here and now, due or not. None: there is no such job, it is dead, or another worker has it."""
        async with self._database.tenant(tenant_id, _ORIGIN) as tx:
            claim = await leases.claim_one(tx, kind, key, self._database.clock(), self._lease)
        return None if claim is None else await self._attempt.run(claim)

    async def _round(self, bell: asyncio.Event) -> None:
        try:
            if time.monotonic() >= self._schedules_at:
                self._schedules_at = time.monotonic() + _POLL_SECONDS
                await self._enqueue_scheduled()
            claims = await self._claim()
        except TROUBLE as error:
            metrics.WORKER_ERRORS.inc()
            _log.warning("worker_round_failed", error=type(error).__name__)
            return
        for claim in claims:
            task = asyncio.create_task(self._attempt.run(claim))
            self._running[task] = claim
            task.add_done_callback(lambda ended: self._ended(ended, bell))

    def _ended(self, task: asyncio.Task[Outcome], bell: asyncio.Event) -> None:
        del self._running[task]
        # Only if the last claim left something: else new work rings by itself, and a poll finds what falls due.
        if self._more:
            bell.set()

    async def _claim(self) -> list[Claim]:
        free = self._concurrency - len(self._running)
        if free < 1 or not self._kinds:
            return []
        running = Counter(claim.tenant_id for claim in self._running.values())
        async with self._database.platform() as tx:
            claims = await self._turns.claim(
                tx, self._kinds, free=free, share=self._share, running=running, lease=self._lease
            )
        total = running + Counter(claim.tenant_id for claim in claims)
        self._more = len(claims) == free or any(count >= self._share for count in total.values())
        return claims

    async def _enqueue_scheduled(self) -> None:
        async with self._database.platform() as tx:
            tenants = await tenants_with_due_schedules(tx)
        for tenant_id in tenants:
            async with self._database.tenant(tenant_id, _ORIGIN) as tx:
                await enqueue_due(tx)

    async def _wind_up(self) -> None:
        running = set(self._running)
        if not running:
            return
        _, late = await asyncio.wait(running, timeout=self._grace.total_seconds())
        for task in late:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _ring_at(stop: asyncio.Event, bell: asyncio.Event) -> None:
    await stop.wait()
    bell.set()
