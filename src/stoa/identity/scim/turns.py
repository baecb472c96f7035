"""How many requests of one tenant a process works on at once: a bulk request or a slow filter holds a connection for
seconds, and a tenant that sends many must leave connections to the others.

Further ones wait in the order of their coming; those whose bodies would be too many to hold are sent back. Requests
with a token that has not opened the tenant yet wait by themselves: whoever guesses tokens does not keep the tenant's
provider out.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakValueDictionary

from stoa.kernel.ids import TenantId

# Together with the API's eight less than the pool has (`open_database`).
WORKED_ON_AT_ONCE: Final = 6
STRANGERS_AT_ONCE: Final = 1
MOST_WAITING_BYTES: Final = 64 * 1_048_576
# What a request holds in memory beside its body.
_EACH_BYTES: Final = 10_000


class Crowded(Exception):
    """More of the tenant waits than is held in memory. A later try may do."""


@dataclass(slots=True, weakref_slot=True)
class _Lane:
    free: asyncio.Semaphore
    waiting_bytes: int = 0


@dataclass(slots=True)
class Turns:
    """Those of one process."""

    _lanes: WeakValueDictionary[tuple[TenantId, bool], _Lane] = field(
        default_factory=WeakValueDictionary[tuple[TenantId, bool], _Lane]
    )

    @asynccontextmanager
    async def taken(self, tenant_id: TenantId, size: int, *, known: bool) -> AsyncGenerator[None]:
        """The block is a request's turn.

        size: of its body, in bytes. known: whether its token has opened the tenant before. Raises Crowded.
        """
        lane = self._lanes.get((tenant_id, known))
        if lane is None:
            most = WORKED_ON_AT_ONCE if known else STRANGERS_AT_ONCE
            lane = self._lanes[tenant_id, known] = _Lane(asyncio.Semaphore(most))
        held = size + _EACH_BYTES
        if lane.waiting_bytes + held > MOST_WAITING_BYTES:
            raise Crowded
        lane.waiting_bytes += held
        try:
            await lane.free.acquire()
        finally:
            lane.waiting_bytes -= held
        try:
            yield
        finally:
            lane.free.release()
