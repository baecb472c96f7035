"""The worker's loop that numbers what was committed, for every tenant."""

import asyncio
import contextlib
from collections.abc import Callable
from time import monotonic
from typing import Final

import structlog

from stoa.db.database import Database
from stoa.db.errors import TROUBLE
from stoa.db.transactions import Origin
from stoa.events import metrics
from stoa.events.actions import NUMBERED_AT_ONCE, head_lock, number_entries, numbered_to
from stoa.events.model import CHANNEL
from stoa.events.queries import tenants_with_unnumbered
from stoa.kernel.ids import TenantId

_POLL_SECONDS: Final = 1.0
# From one look to the next: under load a look finds what a moment brought, instead of one entry or two. Whoever comes
# after a rest is not kept waiting.
_REST_SECONDS: Final = 0.001
# A tenant of whom a look found several is being filled: the next look at it waits for more, for a look costs what some
# entries cost. So does the next look around where nobody else had anything.
_SEVERAL: Final = 3
_LONGER_REST_SECONDS: Final = 0.004
_TENANTS_AT_ONCE: Final = 10
_ORIGIN: Final = Origin(actor="system", via="worker")
# (tenant, number of its last event)
OnNumbered = Callable[[TenantId, int], None]
_log = structlog.get_logger()


class Sequencer:
    """Numbers entries some milliseconds after their commit. Any number of them may run at once, in any number of
    processes."""

    def __init__(
        self, database: Database, *, batch: int = NUMBERED_AT_ONCE, on_numbered: OnNumbered | None = None
    ) -> None:
        """batch: the most entries of one tenant that are numbered before the next tenant's turn.

        on_numbered: told after the commit that a tenant's events have numbers up to the one given.
        """
        self._database = database
        self._batch = batch
        self._on_numbered = on_numbered
        self._turn = asyncio.Semaphore(_TENANTS_AT_ONCE)
        self._under_way: dict[TenantId, asyncio.Task[None]] = {}
        # Those that were seen to have more while they were under way.
        self._again: set[TenantId] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Numbers until `stop` is set, woken by each commit that wrote an entry and looking each second besides.

        Tenants do not wait for each other: a look begins those that are not under way, and goes on looking.
        """
        async with self._database.notifier.listening(CHANNEL) as bell:
            ringer = asyncio.create_task(_ring_at(stop, bell))
            try:
                looked, rest = monotonic(), _REST_SECONDS
                while not stop.is_set():
                    await asyncio.sleep(max(0.0, looked + rest - monotonic()))
                    bell.clear()
                    looked = monotonic()
                    rest = _REST_SECONDS if await self._look(bell) else _LONGER_REST_SECONDS
                    if not stop.is_set():
                        with contextlib.suppress(TimeoutError):
                            await asyncio.wait_for(bell.wait(), _POLL_SECONDS)
            finally:
                ringer.cancel()
                await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def _look(self, bell: asyncio.Event) -> bool:
        """Begins those that are not under way. Gives whether there was one, or nobody at all."""
        try:
            # One statement, so no transaction around it: the events wait for each round trip.
            async with self._database.platform_at_once() as tx:
                tenants = await tenants_with_unnumbered(tx)
        except TROUBLE as error:
            _told(error)
            return True
        begun = not tenants
        for tenant_id in tenants:
            if tenant_id in self._under_way:
                # Something may have come after it was read: it is looked at once more when it has ended.
                self._again.add(tenant_id)
            else:
                self._under_way[tenant_id] = asyncio.create_task(self._number_on(tenant_id, bell))
                begun = True
        return begun

    async def _number_on(self, tenant_id: TenantId, bell: asyncio.Event) -> None:
        try:
            numbered = await self._number_one(tenant_id)
            if numbered >= self._batch:
                self._again.add(tenant_id)
            elif numbered >= _SEVERAL:
                await asyncio.sleep(_LONGER_REST_SECONDS)
        except TROUBLE as error:
            _told(error)
        finally:
            del self._under_way[tenant_id]
            if tenant_id in self._again:
                self._again.discard(tenant_id)
                bell.set()

    async def _number_one(self, tenant_id: TenantId) -> int:
        async with self._turn:
            async with self._database.tenant(tenant_id, _ORIGIN, also=head_lock(tenant_id)) as tx:
                numbered = await number_entries(tx, limit=self._batch, locked=tx.found)
            last = numbered_to(tx)
            if last is not None and self._on_numbered is not None:
                self._on_numbered(tenant_id, last)
            return numbered

    async def run_once(self) -> int:
        """Numbers one bounded batch of each tenant that has any un-numbered. Gives the number of entries."""
        async with self._database.platform() as tx:
            tenants = await tenants_with_unnumbered(tx)
        counts = await asyncio.gather(*map(self._number_one, tenants), return_exceptions=True)
        # Every tenant had its turn before one tenant's trouble is told.
        for count in counts:
            if isinstance(count, BaseException):
                raise count
        return sum(count for count in counts if isinstance(count, int))


def _told(error: Exception) -> None:
    metrics.SEQUENCER_ERRORS.inc()
    _log.warning("sequencer_round_failed", error=type(error).__name__)


async def _ring_at(stop: asyncio.Event, bell: asyncio.Event) -> None:
    await stop.wait()
    bell.set()
