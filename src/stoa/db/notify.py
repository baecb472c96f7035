"""Wake-ups between processes.

NOTIFY inside a business transaction takes a cluster-wide lock at commit (6,770 against 415 commits/s were measured), so
each process sends its own, coalesced, on a connection of its own after the commit. What was told while a connection was
down is made up for by waking everybody when it is back; every reader polls each second besides.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

import asyncpg
import structlog
from asyncpg.pool import PoolConnectionProxy

_COALESCE_SECONDS: Final = 0.001
_FIRST_DELAY_SECONDS: Final = 0.05
_LONGEST_DELAY_SECONDS: Final = 1.0
_ANSWER_SECONDS: Final = 10.0
_CLOSE_SECONDS: Final = 2.0
_TROUBLE: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
_SEND: Final = "SELECT pg_notify(channel, '') FROM unnest($1::text[]) AS channel"
_Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
_AnyConnection: TypeAlias = "_Connection | PoolConnectionProxy[asyncpg.Record]"
_log = structlog.get_logger()


class Notifier:
    """Sends and receives wake-ups on named channels. Channels are constants of the rooms, never input.

    It connects when it is first needed, connects anew for as long as it must, and belongs to one event loop.
    """

    def __init__(self, connect_args: Mapping[str, Any]) -> None:
        """connect_args: asyncpg's keyword arguments, of a role that needs no right but to log in."""
        self._connect_args = connect_args
        self._bells: dict[str, set[asyncio.Event]] = {}
        self._unsent: set[str] = set()
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def poke(self, channel: str) -> None:
        """Wakes this process's waiters at once, and other processes' within some milliseconds, or as soon as there is
        a connection again. Once the notifier is closed it wakes this process's alone."""
        self._ring(channel)
        if not self._closing.is_set():
            self._unsent.add(channel)
            self._serve_on()

    @asynccontextmanager
    async def listening(self, channel: str) -> AsyncGenerator[asyncio.Event]:
        """An event that is set at each wake-up of `channel`; the reader clears it before it looks.

        Several wake-ups may be one, and a wake-up may be for nothing: the reader looks for itself.
        """
        bell = asyncio.Event()
        self._bells.setdefault(channel, set()).add(bell)
        self._serve_on()
        try:
            yield bell
        finally:
            self._bells[channel].discard(bell)

    async def close(self) -> None:
        """Sends what is unsent, if that takes no more than two seconds, and stops. A second call does nothing."""
        self._closing.set()
        self._wake.set()
        task, self._task = self._task, None
        if task is None:
            return
        done, _ = await asyncio.wait({task}, timeout=_CLOSE_SECONDS)
        if not done:
            task.cancel()
            await asyncio.wait({task})

    def _ring(self, channel: str) -> None:
        for bell in self._bells.get(channel, ()):
            bell.set()

    def _serve_on(self) -> None:
        self._wake.set()
        if not self._closing.is_set() and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._run(), name="notifier")
            self._task.add_done_callback(_tell)

    async def _run(self) -> None:
        delay = _FIRST_DELAY_SECONDS
        while not self._closing.is_set() or self._unsent:
            try:
                connection = await self._connected()
                try:
                    await self._serve(connection)
                    delay = _FIRST_DELAY_SECONDS
                finally:
                    connection.terminate()
            except _TROUBLE as error:
                _log.warning("notify_connection_lost", error=type(error).__name__)
            if self._closing.is_set():
                return
            # A server that drops every connection at once must not be run against.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), delay)
            delay = min(delay * 2, _LONGEST_DELAY_SECONDS)

    async def _connected(self) -> _Connection:
        return await asyncpg.connect(
            **self._connect_args,
            timeout=_ANSWER_SECONDS,
            command_timeout=_ANSWER_SECONDS,
            server_settings={"application_name": "stoa notify"},
        )

    async def _serve(self, connection: _Connection) -> None:
        """Sends and receives until the connection is lost, or until all is sent and the notifier is closing."""
        own = connection.get_server_pid()
        lost = asyncio.Event()

        def hear(_: _AnyConnection, pid: int, channel: str, _payload: object) -> None:
            # Our own wake-ups rang when they were made.
            if pid != own:
                self._ring(channel)

        def leave(_: _AnyConnection) -> None:
            lost.set()
            self._wake.set()

        connection.add_termination_listener(leave)
        heard: set[str] = set()
        while not lost.is_set():
            # Whatever is asked for from here on sets it again, and is seen in the next round.
            self._wake.clear()
            for channel in sorted(self._bells.keys() - heard):
                await connection.add_listener(channel, hear)
                heard.add(channel)
                # Nobody told us what happened before.
                self._ring(channel)
            if self._unsent:
                await self._send(connection)
            if self._closing.is_set():
                if not self._unsent:
                    await connection.close(timeout=_CLOSE_SECONDS)
                    return
                continue
            await asyncio.sleep(_COALESCE_SECONDS)
            await self._wake.wait()

    async def _send(self, connection: _Connection) -> None:
        sending, self._unsent = self._unsent, set()
        try:
            await connection.execute(_SEND, sorted(sending))
        except BaseException:
            self._unsent |= sending
            raise


def _tell(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("notifier_failed", error=type(error).__name__)
