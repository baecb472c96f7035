"""Kept-open connections, one set for each host at each of its addresses.

A set is never shared between two hosts at one address: with TLS, each was verified for one name only.
"""

import ssl
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import httpx2

_MOST_IDLE: Final = 64
_IDLE_SECONDS: Final = 30.0
_LIMITS: Final = httpx2.Limits(max_connections=64, max_keepalive_connections=8, keepalive_expiry=20.0)

Key = tuple[str, str, int, str]


@dataclass(slots=True)
class _Line:
    transport: httpx2.AsyncHTTPTransport
    users: int
    used_at: float


class Lines:
    """The transports of a process, least recently used first."""

    def __init__(self, context: ssl.SSLContext, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._context = context
        self._monotonic = monotonic
        self._lines: dict[Key, _Line] = {}

    @asynccontextmanager
    async def to(self, key: Key) -> AsyncGenerator[httpx2.AsyncHTTPTransport]:
        """A transport for (scheme, host, port, address); its connections stay open for the next caller."""
        line = self._lines.pop(key, None)
        if line is None:
            line = _Line(httpx2.AsyncHTTPTransport(verify=self._context, limits=_LIMITS), 0, 0.0)
        self._lines[key] = line
        line.users += 1
        try:
            yield line.transport
        finally:
            line.users -= 1
            line.used_at = self._monotonic()
            await self._drop_idle()

    async def close(self) -> None:
        """Closes every connection."""
        lines, self._lines = self._lines, {}
        for line in lines.values():
            await line.transport.aclose()

    async def _drop_idle(self) -> None:
        oldest = self._monotonic() - _IDLE_SECONDS
        idle = [key for key, line in self._lines.items() if line.users == 0]
        beyond = len(idle) - _MOST_IDLE
        dropped = [
            self._lines.pop(key)
            for place, key in enumerate(idle)
            if place < beyond or self._lines[key].used_at < oldest
        ]
        for line in dropped:
            await line.transport.aclose()
