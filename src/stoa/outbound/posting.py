"""One request and the beginning of its answer, whatever its status, over a connection that its lane keeps to itself.

Webhooks send by the thousand and look at little of what comes back; this takes a fifth of the processor's time that the
HTTP client takes. HTTP/1.1 (RFC 9112) alone; answers are read by httptools.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import httptools

from stoa.outbound.exchange import Asked, NotConnected
from stoa.outbound.model import RemoteDown, Repeat, Response

# How long the beginning of a body is waited for once the status is there.
_BEGINNING_SECONDS: Final = 1.0
_IDLE_SECONDS: Final = 20.0
_MOST_IDLE: Final = 512
# Of an answer's head, and of what follows it until its beginning is there, trailers too.
_MOST_BYTES: Final = 64 * 1024

# Scheme, host, port, address, lane.
_Key = tuple[str, str, int, str, str]


class _Broken(Exception):
    """The connection ended. answered: whether a byte of the answer had come."""

    def __init__(self, *, answered: bool) -> None:
        super().__init__("the connection ended")
        self.answered = answered


class _Connection(asyncio.Protocol):
    """One connection, with at most one request under way."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._lost = False
        self._begin(0)

    def _begin(self, most: int) -> None:
        self._most = most
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._bytes = 0
        self.status = 0
        self._known = asyncio.Event()
        self._enough = asyncio.Event()
        self._complete = False
        self._reusable = False

    @property
    def is_free(self) -> bool:
        """Whether another request can be sent on it."""
        return not self._lost and self._complete and self._reusable

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the way back."""
        self._transport = transport  # pyright: ignore[reportAttributeAccessIssue] - of a stream it is one that writes

    def received(self, data: bytes) -> None:
        """Reads on."""
        if self._complete:
            # Nobody has asked for this.
            self.close()
            return
        self._bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.close()
            return
        if self._bytes > _MOST_BYTES and not self._complete:
            self.close()

    # asyncio's name for it.
    data_received = received

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - as asyncio calls it
        """Whoever waits is told."""
        self._lost = True
        self._enough.set()
        self._waiting_is_over()

    # What httptools calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; of a repeated one all values. Trailers are passed over."""
        if self._complete or self._known.is_set():
            return
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_headers_complete(self) -> None:
        """The status is known, unless it is one before the answer (1xx)."""
        if self._complete:
            # A second answer, for which nobody has asked: it must not be taken for that of the next request.
            self._reusable = False
            return
        status = self._parser.get_status_code()
        if status >= 200 or status == 101:
            self.status = status
            self._reusable = self._parser.should_keep_alive()
            self._known.set()
        else:
            self._headers = {}

    def on_body(self, body: bytes) -> None:
        """Keeps the beginning."""
        if self._complete:
            return
        self._body += body[: self._most - len(self._body)]
        if len(self._body) >= self._most:
            self._enough.set()

    def on_message_complete(self) -> None:
        """The answer is whole."""
        if self.status:
            self._complete = True
            self._enough.set()

    # What its user calls.

    async def ask(self, request: bytes, most: int) -> Response:
        """Sends a request and gives the answer with at most the first `most` bytes of its body. Raises _Broken."""
        self._begin(most)
        assert self._transport is not None
        self._transport.write(request)
        await self._known.wait()
        if not self.status:
            raise _Broken(answered=self._bytes > 0)
        if most and not self._enough.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_BEGINNING_SECONDS):
                    await self._enough.wait()
        beginning = bytes(self._body)
        return Response(self.status, self._headers, beginning, None, len(beginning))

    def close(self) -> None:
        """Ends it."""
        self._lost = True
        if self._transport is not None:
            self._transport.abort()

    def _waiting_is_over(self) -> None:
        self._known.set()


@dataclass(slots=True)
class _Idle:
    connection: _Connection
    end: asyncio.TimerHandle


class Posting:
    """The connections of a process, by lane: at most one of each is kept open."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._idle: dict[_Key, _Idle] = {}

    async def exchange(self, asked: Asked, address: str) -> Response:
        """Sends a request to `address` and gives the answer, whatever its status.

        On a kept connection that the other side had closed meanwhile it is sent once more, on a new one.

        Raises:
            NotConnected: no connection came about. RemoteDown: it broke before the answer, or its certificate is not
            trusted.
        """
        to = asked.to
        key = (to.scheme, to.host, to.port, address, asked.lane)
        request = _request(asked)
        kept = self._taken(key)
        if kept is not None:
            try:
                return await self._ask(key, kept, request, asked.max_bytes)
            except _Broken as broken:
                if broken.answered:
                    raise _broke(to.origin) from broken
        fresh = await self._connected(asked, address)
        try:
            return await self._ask(key, fresh, request, asked.max_bytes)
        except _Broken as broken:
            raise _broke(to.origin) from broken

    async def close(self) -> None:
        """Closes every connection."""
        idle, self._idle = self._idle, {}
        for one in idle.values():
            one.end.cancel()
            one.connection.close()

    async def _ask(self, key: _Key, connection: _Connection, request: bytes, most: int) -> Response:
        try:
            return await connection.ask(request, most)
        finally:
            if connection.is_free:
                self._keep(key, connection)
            else:
                connection.close()

    async def _connected(self, asked: Asked, address: str) -> _Connection:
        to, loop = asked.to, asyncio.get_running_loop()
        tls = self._context if to.scheme == "https" else None
        try:
            async with asyncio.timeout(asked.timeouts.connect):
                _, connection = await loop.create_connection(
                    _Connection, address, to.port, ssl=tls, server_hostname=to.host if tls else None
                )
        except ssl.SSLCertVerificationError as error:
            raise RemoteDown(
                f"The certificate of {to.origin} is not trusted.",
                repeat=Repeat.NEVER,
                hint="Whoever runs that server must renew its certificate or complete its chain.",
            ) from error
        except ssl.SSLError as error:
            raise RemoteDown(f"The encrypted connection to {to.origin} broke.") from error
        except (OSError, TimeoutError) as error:
            raise NotConnected(f"No connection to {to.origin}.", repeat=Repeat.ALWAYS) from error
        return connection

    def _taken(self, key: _Key) -> _Connection | None:
        idle = self._idle.pop(key, None)
        if idle is None:
            return None
        idle.end.cancel()
        return idle.connection if idle.connection.is_free else None

    def _keep(self, key: _Key, connection: _Connection) -> None:
        self._drop(key)
        while len(self._idle) >= _MOST_IDLE:
            self._drop(next(iter(self._idle)))
        end = asyncio.get_running_loop().call_later(_IDLE_SECONDS, self._drop, key)
        self._idle[key] = _Idle(connection, end)

    def _drop(self, key: _Key) -> None:
        idle = self._idle.pop(key, None)
        if idle is not None:
            idle.end.cancel()
            idle.connection.close()


def _request(asked: Asked) -> bytes:
    """The request as it is sent. Names and values of headers were checked, and the URL has none but its own bytes."""
    body = asked.content or b""
    headers: Mapping[str, str] = {**asked.headers, "content-length": str(len(body))}
    lines = [f"{name}: {value}" for name, value in headers.items()]
    head = f"{asked.method} {asked.to.url.raw_path.decode('ascii')} HTTP/1.1\r\n" + "\r\n".join(lines) + "\r\n\r\n"
    return head.encode("ascii") + body


def _broke(origin: str) -> RemoteDown:
    return RemoteDown(f"The connection to {origin} broke before the answer was complete.")
