"""Connections whose read-only transaction has nothing left but its end.

The end of a transaction that wrote nothing tells nobody anything; so it is sent with the beginning of the next one on
the same connection, if that comes within some milliseconds, and by itself if not. A busy process so saves one round
trip of three or four for each read, and the way through the pool.
"""

import asyncio
from time import monotonic
from typing import Final, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from stoa.db.transactions import is_gone

LINGER_SECONDS: Final = 0.005
_END_SECONDS: Final = 5.0
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Held: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"


class Resting:
    """Those of one pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._waiting: list[tuple[float, Held]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._ending: set[asyncio.Task[None]] = set()

    def take(self) -> "Held | None":
        """A connection whose transaction is still to be ended, which the caller does with its first statement; None for
        none.
        """
        while self._waiting:
            _, connection = self._waiting.pop()
            if not is_gone(connection):
                return connection
            self._end_soon(connection)
        return None

    def put(self, connection: Held, *, now: bool = False) -> None:
        """Keeps a connection for whoever comes next, and ends its transaction in a little while; or at once."""
        if now:
            self._end_soon(connection)
            return
        self._waiting.append((monotonic(), connection))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LINGER_SECONDS, self._sweep)

    async def close(self) -> None:
        """Ends all of them."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, []
        for _, connection in waiting:
            self._end_soon(connection)
        await asyncio.gather(*self._ending, return_exceptions=True)

    def _sweep(self) -> None:
        self._timer = None
        late = monotonic() - LINGER_SECONDS
        # The last one to come is the first to be taken, so the oldest stand in front.
        while self._waiting and self._waiting[0][0] <= late:
            self._end_soon(self._waiting.pop(0)[1])
        if self._waiting:
            self._timer = asyncio.get_running_loop().call_later(LINGER_SECONDS, self._sweep)

    def _end_soon(self, connection: Held) -> None:
        task = asyncio.create_task(self._end(connection), name="end of a read")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _end(self, connection: Held) -> None:
        try:
            if not is_gone(connection):
                await connection.execute("COMMIT", timeout=_END_SECONDS)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError):
            if not is_gone(connection):
                connection.terminate()
        finally:
            await self._pool.release(connection)
