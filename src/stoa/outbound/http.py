"""The HTTP client: resolves a name once, checks every address it leads to, and connects to one of those and no other.

No redirect is followed, no proxy or cookie is used, and nothing of a URL but its host and port is logged or told.
"""

import asyncio
import random
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx2
import structlog

from stoa.kernel.clock import Clock, system_clock
from stoa.outbound import rules
from stoa.outbound.exchange import Asked, NotConnected, exchange
from stoa.outbound.lines import Lines
from stoa.outbound.model import MEBIBYTE, Auth, OutboundRefused, RemoteDown, Repeat, Response, Retry, Timeouts
from stoa.outbound.posting import Posting

Resolver = Callable[[str, int], Awaitable[list[str]]]
_REPEATABLE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_MOST_ADDRESSES: Final = 4
_DEFAULT_TIMEOUTS: Final = Timeouts()
_DEFAULT_RETRY: Final = Retry()
# A name whose servers are silent holds its thread for many seconds, whoever waits for it: a loop has few of its own.
_RESOLVING: Final = ThreadPoolExecutor(128, thread_name_prefix="resolve")
# Whoever sends to the same address again and again does not have it read each time.
_destination: Final = lru_cache(1024)(rules.destination)
_log = structlog.get_logger()


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, in the order in which the system prefers them.

    Raises:
        OSError: the name cannot be resolved.
    """
    ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(_RESOLVING, ask)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class HttpClient:
    """One for each process; made and closed by the composition root."""

    def __init__(
        self,
        *,
        resolver: Resolver = resolve,
        tls: ssl.SSLContext | None = None,
        clock: Clock = system_clock,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
        user_agent: str = "Stoa",
    ) -> None:
        """resolver: gives a host's addresses. tls: trusted certificates (default: the system's). sleep, chance: how
        waits pass and vary."""
        self._resolver = resolver
        context = tls or httpx2.create_ssl_context()
        self._lines, self._posting = Lines(context), Posting(context)
        self._clock = clock
        self._sleep = sleep
        self._chance = chance
        self._user_agent = user_agent

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections that are kept open."""
        await self._posting.close()
        await self._lines.close()

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        auth: Auth | None = None,
        timeout: Timeouts = _DEFAULT_TIMEOUTS,  # noqa: ASYNC109 - more than one duration
        max_bytes: int = 10 * MEBIBYTE,
        sink: Path | None = None,
        allow: frozenset[str] = frozenset(),
        retry: Retry = _DEFAULT_RETRY,
        repeatable: bool | None = None,
    ) -> Response:
        """Sends a request and gives the answer if its status is 2xx.

        max_bytes: the most bytes of the answer, before and after decompression.
        sink: a file for the answer, written beside it first and put in place when whole.
        allow: exact `host:port` pairs that development exempts from the checks of addresses and encryption.
        repeatable: whether the request may reach the remote side twice (default: by its method, as RFC 9110, 9.2.2, has
        it).

        Raises:
            OutboundRefused: the address or a header is not acceptable; nothing was sent.
            RemoteDown: no answer, a broken or late one, or a temporary status, after as many attempts as `retry`
                allows.
            RemoteRefused: a redirect or a permanent error status.
            TooLarge: the answer exceeds max_bytes.
        """
        to = rules.destination(url, allow)
        sent = rules.checked_headers(headers or {})
        if auth is not None:
            sent |= rules.checked_headers({"authorization": auth.header()})
        fixed = {"host": to.authority, "accept-encoding": "gzip"}
        usual = {"user-agent": self._user_agent, "accept": "*/*"}
        asked = Asked(method.upper(), to, usual | sent | fixed, content, timeout, max_bytes, sink)
        may_repeat = asked.method in _REPEATABLE_METHODS if repeatable is None else repeatable
        attempt = 1
        while True:
            try:
                return await self._attempt(asked, partial(exchange, self._lines, asked, clock=self._clock))
            except RemoteDown as failure:
                wait = rules.wait_before_next(failure, attempt, retry, repeatable=may_repeat, chance=self._chance())
                if wait is None:
                    raise
                status = failure.remote_status
            _log.info("outbound_again", host=to.host, attempt=attempt, status=status, wait=round(wait, 3))
            await self._sleep(wait)
            attempt += 1

    async def answer(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        timeout: Timeouts = _DEFAULT_TIMEOUTS,  # noqa: ASYNC109 - more than one duration
        most: int = 1024,
        allow: frozenset[str] = frozenset(),
        lane: str = "",
    ) -> Response:
        """Sends a request once and gives the answer whatever its status, with at most the first `most` bytes of its
        body as they were sent.

        allow: as for `request`.
        lane: whose connections are used: one that is kept open for one lane is never another's.

        Raises:
            OutboundRefused: the address or a header is not acceptable; nothing was sent.
            RemoteDown: no answer, a broken or late one.
        """
        to = _destination(url, allow)
        fixed = {"host": to.authority, "accept-encoding": "identity"}
        usual = {"user-agent": self._user_agent, "accept": "*/*"}
        sent = usual | rules.checked_headers(headers or {}) | fixed
        asked = Asked(method.upper(), to, sent, content, timeout, most, None, lane)

        async def post(address: str) -> Response:
            return await self._posting.exchange(asked, address)

        return await self._attempt(asked, post)

    async def _attempt(self, asked: Asked, ask: Callable[[str], Awaitable[Response]]) -> Response:
        """Asks one address after the other until a connection comes about."""
        try:
            async with asyncio.timeout(asked.timeouts.total):
                addresses = await self._addresses(asked.to)
                for address in addresses[:-1]:
                    try:
                        return await ask(address)
                    except NotConnected:
                        continue
                return await ask(addresses[-1])
        except TimeoutError as error:
            raise RemoteDown(f"{asked.to.origin} took longer than {asked.timeouts.total:g} seconds.") from error

    async def _addresses(self, to: rules.Destination) -> list[str]:
        if to.literal:
            return [to.host]
        try:
            addresses = await self._resolver(to.host, to.port)
        except (OSError, UnicodeError) as error:
            raise RemoteDown(f"The name {to.host} cannot be resolved.", repeat=Repeat.ALWAYS) from error
        if not addresses:
            raise RemoteDown(f"The name {to.host} has no address.", repeat=Repeat.ALWAYS)
        if rules.refused_address(to, addresses) is not None:
            # The address itself is not told: it would map the network for whoever entered the name.
            raise OutboundRefused(
                f"{to.host} leads to an address that is not on the public internet.",
                hint="Use a name whose every address is public.",
            )
        return addresses[:_MOST_ADDRESSES]
