"""The worker's loop that numbers what was committed, for every tenant."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

import structlog

from stoa.db.database import Database
from stoa.db.errors import TROUBLE
from stoa.db.transactions import Origin
from stoa.events import metrics
from stoa.events.actions import NUMBERED_AT_ONCE, number_entries, numbered_to
from stoa.events.model import CHANNEL
from stoa.events.queries import tenants_with_unnumbered
from stoa.kernel.ids import TenantId

_POLL_SECONDS: Final = 1.0
# Under load a round numbers what some milliseconds brought, instead of one entry or two.
_REST_SECONDS: Final = 0.003
_TENANTS_AT_ONCE: Final = 4
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

    async def run(self, stop: asyncio.Event) -> None:
        """Numbers until `stop` is set, woken by each commit that wrote an entry and looking each second besides."""
        async with self._database.notifier.listening(CHANNEL) as bell:
            ringer = asyncio.create_task(_ring_at(stop, bell))
            try:
                while not stop.is_set():
                    bell.clear()
                    await asyncio.sleep(_REST_SECONDS)
                    if await self._round() == 0 and not stop.is_set():
                        with contextlib.suppress(TimeoutError):
                            await asyncio.wait_for(bell.wait(), _POLL_SECONDS)
            finally:
                ringer.cancel()

    async def run_once(self) -> int:
        """Numbers one bounded batch of each tenant that has any un-numbered. Gives the number of entries."""
        async with self._database.platform() as tx:
            tenants = await tenants_with_unnumbered(tx)
        turn = asyncio.Semaphore(_TENANTS_AT_ONCE)

        async def number_one(tenant_id: TenantId) -> int:
            async with turn, self._database.tenant(tenant_id, _ORIGIN) as tx:
                numbered = await number_entries(tx, limit=self._batch)
            last = numbered_to(tx)
            if last is not None and self._on_numbered is not None:
                self._on_numbered(tenant_id, last)
            return numbered

        counts = await asyncio.gather(*map(number_one, tenants), return_exceptions=True)
        # Every tenant had its turn before one tenant's trouble is told.
        for count in counts:
            if isinstance(count, BaseException):
                raise count
        return sum(count for count in counts if isinstance(count, int))

    async def _round(self) -> int:
        try:
            return await self.run_once()
        except TROUBLE as error:
            metrics.SEQUENCER_ERRORS.inc()
            _log.warning("sequencer_round_failed", error=type(error).__name__)
            return 0


async def _ring_at(stop: asyncio.Event, bell: asyncio.Event) -> None:
    await stop.wait()
    bell.set()
