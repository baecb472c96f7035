"""Wake-ups between processes.

NOTIFY inside a business transaction takes a cluster-wide lock at commit (6,770 against 415 commits/s were measured), so each process sends its own,
coalesced, on a connection of its own after the commit. A wake-up may be lost: every reader also polls each second.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import structlog

_COALESCE_SECONDS = 0.002
_RECONNECT_SECONDS = 1.0
_log = structlog.get_logger()


class Notifier:
    """Sends and receives wake-ups on named channels. Channels are constants of the rooms, never input."""

    def __init__(self, connect_args: Mapping[str, Any]) -> None:
        self._connect_args = connect_args
        self._pending: set[str] = set()
        self._wake = asyncio.Event()
        self._listeners: dict[str, set[asyncio.Event]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def poke(self, channel: str) -> None:
        """Wakes this process's waiters at once, and other processes' within some milliseconds."""
        self._ring(channel)
        self._pending.add(channel)
        self._wake.set()
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._run())]

    @asynccontextmanager
    async def listening(self, channel: str) -> AsyncGenerator[asyncio.Event]:
        """An event that is set at each wake-up of `channel`; the reader clears it before it looks."""
        bell = asyncio.Event()
        self._listeners.setdefault(channel, set()).add(bell)
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._run())]
        self._wake.set()
        try:
            yield bell
        finally:
            self._listeners[channel].discard(bell)

    async def close(self) -> None:
        """Stops sending and receiving."""
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._tasks = []

    def _ring(self, channel: str) -> None:
        for bell in self._listeners.get(channel, ()):
            bell.set()

    async def _run(self) -> None:
        while True:
            try:
                connection = await asyncpg.connect(**self._connect_args, server_settings={"application_name": "stoa notify"})
                try:
                    await self._serve(connection)
                finally:
                    connection.terminate()
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
                _log.warning("notify_connection_lost", error=type(error).__name__)
                await asyncio.sleep(_RECONNECT_SECONDS)

    async def _serve(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        listened: set[str] = set()
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: (lost.set(), self._wake.set()))
        while not lost.is_set():
            self._wake.clear()
            for channel in self._listeners.keys() - listened:
                await connection.add_listener(channel, lambda _c, _pid, name, _payload: self._ring(str(name)))
                listened.add(channel)
            sending, self._pending = self._pending, set()
            for channel in sorted(sending):
                await connection.execute("SELECT pg_notify($1, '')", channel)
            await asyncio.sleep(_COALESCE_SECONDS)
            if not self._pending:
                await self._wake.wait()
