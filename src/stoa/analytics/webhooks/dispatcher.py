"""The worker's loop that serves every tenant's endpoints."""

import asyncio
import contextlib
import time
from collections import defaultdict
from typing import Final
from uuid import UUID

import structlog

from stoa.analytics.webhooks import leasing, metrics
from stoa.analytics.webhooks.leasing import Claim, Work
from stoa.analytics.webhooks.line import LEASE, Desk, Line
from stoa.analytics.webhooks.model import CHANNEL
from stoa.analytics.webhooks.recording import LineLost
from stoa.db.errors import TROUBLE
from stoa.events.catalogue import discover
from stoa.events.model import NUMBERED_CHANNEL
from stoa.kernel.ids import EndpointId, TenantId, new_id

_POLL_SECONDS: Final = 1.0
# Between two looks: at least this long, longer where all that was found is under way here already, and at least as
# long as the last look took.
_REST_SECONDS: Final = 0.002
_LONG_REST_SECONDS: Final = 0.01
# The most endpoints that one process serves at once, and that one look finds.
MOST_LINES: Final = 500
_GRACE_SECONDS: Final = 20.0
# Requests under way at once: of a process, and of one tenant.
SLOTS: Final = 128
SLOTS_EACH: Final = 16
_Key = tuple[TenantId, EndpointId]
_log = structlog.get_logger()


class Dispatcher:
    """Sends what endpoints ask for. Any number of them may run at once, in any number of processes: each endpoint is
    leased to one, and taken over when its worker is gone."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._worker: UUID = new_id()
        self._lines: dict[_Key, tuple[Line, asyncio.Task[None]]] = {}
        self._of_tenant: defaultdict[TenantId, set[Line]] = defaultdict(set)
        self._stopping = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop` is set, woken when events were numbered and looking each second besides; then what is
        under way gets time to end."""
        # It reads every room's declarations, which takes a second: not in the first event's way.
        await asyncio.to_thread(discover)
        notifier = self._desk.database.notifier
        async with notifier.listening(NUMBERED_CHANNEL) as bell, notifier.listening(CHANNEL) as other:
            ringers = [asyncio.create_task(_ring_at(stop, bell)), asyncio.create_task(_forward(other, bell))]
            try:
                while not stop.is_set():
                    bell.clear()
                    began = time.monotonic()
                    begun = await self._round(bell)
                    rest = _REST_SECONDS if begun or not self._lines else _LONG_REST_SECONDS
                    await asyncio.sleep(max(rest, time.monotonic() - began))
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(bell.wait(), _POLL_SECONDS)
            finally:
                for ringer in ringers:
                    ringer.cancel()
                await self._wind_up()

    async def run_once(self) -> int:
        """Serves what has something to do now and waits until all lines have ended. Gives how many were begun."""
        begun = await self._look(asyncio.Event())
        await asyncio.gather(*(task for _, task in self._lines.values()), return_exceptions=True)
        return begun

    def numbered(self, tenant_id: TenantId, last: int) -> None:
        """The sequencer of this process has numbered a tenant's events up to `last`: its lines that are under way need
        not wait for the next look.
        """
        for line in self._of_tenant.get(tenant_id, ()):
            line.tell(last, asked=False)

    async def _round(self, bell: asyncio.Event) -> int:
        try:
            return await self._look(bell)
        except TROUBLE as error:
            metrics.ERRORS.inc()
            _log.warning("webhook_round_failed", error=type(error).__name__)
            return 0

    async def _look(self, bell: asyncio.Event) -> int:
        async with self._desk.database.platform() as tx:
            found = await leasing.find_work(tx, self._worker, 2 * MOST_LINES)
            room = MOST_LINES - len(self._lines)
            fresh = {(one.tenant_id, one.endpoint_id): one for one in found if _key(one) not in self._lines}
            wanted = list(fresh.values())[: max(room, 0)]
            claims = await leasing.claim(tx, self._worker, wanted, tx.now + LEASE) if wanted else []
        for one in found:
            if (served := self._lines.get(_key(one))) is not None:
                served[0].tell(one.head, asked=one.asked)
        for claim in claims:
            self._begin(claim, fresh[claim.tenant_id, claim.endpoint_id], bell)
        return len(claims)

    def _begin(self, claim: Claim, work: Work, bell: asyncio.Event) -> None:
        key = (claim.tenant_id, claim.endpoint_id)
        line = Line(self._desk, claim, work.head, work.asked)
        task = asyncio.create_task(self._serve(line), name=f"webhook {claim.endpoint_id}")
        self._lines[key] = (line, task)
        self._of_tenant[claim.tenant_id].add(line)
        metrics.LINES.set(len(self._lines))

        def ended(_: asyncio.Task[None]) -> None:
            del self._lines[key]
            self._of_tenant[claim.tenant_id].discard(line)
            if not self._of_tenant[claim.tenant_id]:
                del self._of_tenant[claim.tenant_id]
            metrics.LINES.set(len(self._lines))
            # Something may have come while it ended.
            bell.set()

        task.add_done_callback(ended)

    async def _serve(self, line: Line) -> None:
        """One endpoint's turn. Whatever goes wrong is its own: the lease then runs out, and somebody tries again."""
        try:
            await line.run(self._stopping)
        except LineLost:
            _log.info("webhook_line_lost", endpoint_id=str(line.claim.endpoint_id))
        except Exception as error:
            metrics.ERRORS.inc()
            _log.exception("webhook_line_failed", endpoint_id=str(line.claim.endpoint_id), error=type(error).__name__)

    async def _wind_up(self) -> None:
        self._stopping.set()
        tasks = {task for _, task in self._lines.values()}
        for line, _ in self._lines.values():
            line.again.set()
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=_GRACE_SECONDS)
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _key(work: Work) -> _Key:
    return work.tenant_id, work.endpoint_id


async def _forward(source: asyncio.Event, to: asyncio.Event) -> None:
    while True:
        await source.wait()
        source.clear()
        to.set()


async def _ring_at(stop: asyncio.Event, bell: asyncio.Event) -> None:
    await stop.wait()
    bell.set()
