"""How many requests are under way at once: bounded in all, bounded for each tenant, and given to tenants in turn."""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from stoa.kernel.ids import TenantId


class Slots:
    """The right to have a request under way."""

    def __init__(self, total: int, each: int) -> None:
        """total: of the process. each: of one tenant, so that its receivers that hang leave room for others'."""
        self._free = total
        self._each = each
        self._taken: Counter[TenantId] = Counter()
        # Tenants that wait, in the order of their turns.
        self._waiting: OrderedDict[TenantId, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def taken(self, tenant_id: TenantId) -> AsyncGenerator[None]:
        """One slot for the length of the block; waits for it."""
        await self._take(tenant_id)
        try:
            yield
        finally:
            self._give_back(tenant_id)

    async def _take(self, tenant_id: TenantId) -> None:
        if self._free > 0 and self._taken[tenant_id] < self._each and tenant_id not in self._waiting:
            self._free -= 1
            self._taken[tenant_id] += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant_id, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give_back(tenant_id)
            raise

    def _give_back(self, tenant_id: TenantId) -> None:
        self._free += 1
        self._taken[tenant_id] -= 1
        if not self._taken[tenant_id]:
            del self._taken[tenant_id]
        self._hand_on()

    def _hand_on(self) -> None:
        for tenant_id in list(self._waiting):
            if self._free < 1:
                return
            if self._taken[tenant_id] >= self._each:
                continue
            line = self._waiting.pop(tenant_id)
            while line:
                turn = line.popleft()
                if not turn.done():
                    self._free -= 1
                    self._taken[tenant_id] += 1
                    turn.set_result(None)
                    break
            if line:
                # At the end: every other tenant that waits comes first.
                self._waiting[tenant_id] = line
