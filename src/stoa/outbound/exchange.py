"""One request to one address, and its answer."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx2

from stoa.kernel.clock import Clock
from stoa.outbound import rules
from stoa.outbound.inflating import InflateError, Inflater
from stoa.outbound.lines import Lines
from stoa.outbound.model import RemoteDown, RemoteRefused, Repeat, Response, Timeouts
from stoa.outbound.receiving import Receiver, receiving, too_large

_EXCERPT_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, and what may come of it.

    Attributes:
        headers: all that are sent.
        max_bytes: the most bytes of the answer, before and after decompression.
        sink: the file for the answer, or None to keep it in memory.
        lane: whose connections are used (`posting`); those of one lane are kept open for it alone.
    """

    method: str
    to: rules.Destination
    headers: Mapping[str, str]
    content: bytes | None
    timeouts: Timeouts
    max_bytes: int
    sink: Path | None
    lane: str = ""


class NotConnected(RemoteDown):
    """No connection to this address came about; another address of the host may do."""


async def exchange(lines: Lines, asked: Asked, address: str, clock: Clock) -> Response:
    """Sends a request to `address` and gives the answer if its status is 2xx.

    Raises:
        NotConnected, RemoteDown, RemoteRefused, TooLarge: as `HttpClient.request` says.
    """
    to = asked.to
    request = httpx2.Request(
        asked.method,
        to.url.copy_with(scheme=to.scheme, host=address, port=to.port, fragment=None),
        headers=dict(asked.headers),
        content=asked.content,
        extensions={
            "timeout": {
                "connect": asked.timeouts.connect,
                "read": asked.timeouts.read,
                "write": asked.timeouts.read,
                "pool": asked.timeouts.total,
            },
            # The certificate is checked for the name, though the connection goes to an address.
            "sni_hostname": to.host,
        },
    )
    try:
        async with lines.to((to.scheme, to.host, to.port, address)) as transport:
            answer = await transport.handle_async_request(request)
            try:
                return await _read(asked, answer, clock)
            finally:
                await answer.aclose()
    except httpx2.TransportError as error:
        raise _failure(to, error) from error
    except ssl.SSLError as error:
        raise RemoteDown(f"The encrypted connection to {to.origin} broke.") from error


def _failure(to: rules.Destination, error: httpx2.TransportError) -> RemoteDown:
    match error:
        case httpx2.ConnectError() if _untrusted(error):
            return RemoteDown(
                f"The certificate of {to.origin} is not trusted.",
                repeat=Repeat.NEVER,
                hint="Whoever runs that server must renew its certificate or complete its chain.",
            )
        case httpx2.ConnectError() | httpx2.ConnectTimeout() | httpx2.PoolTimeout():
            return NotConnected(f"No connection to {to.origin}.", repeat=Repeat.ALWAYS)
        case httpx2.LocalProtocolError():
            return RemoteDown(f"The request to {to.origin} cannot be sent as it is.", repeat=Repeat.NEVER)
        case httpx2.TimeoutException():
            return RemoteDown(f"{to.origin} fell silent.")
        case _:
            return RemoteDown(f"The connection to {to.origin} broke before the answer was complete.")


def _untrusted(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


async def _read(asked: Asked, answer: httpx2.Response, clock: Clock) -> Response:
    status, origin = answer.status_code, asked.to.origin
    if rules.is_success(status):
        return await _accepted(asked, answer)
    if rules.is_temporary(status):
        raise RemoteDown(
            f"{origin} answered {status}.",
            repeat=rules.repeat_after_status(status),
            retry_after=rules.retry_after(answer.headers.get("retry-after"), clock()),
            remote_status=status,
        )
    excerpt = await _excerpt(answer)
    if 300 <= status < 400:
        detail, hint = f"{origin} answered {status}, a redirect, which is not followed.", "Enter the final address."
        raise RemoteRefused(detail, remote_status=status, body=excerpt, hint=hint)
    raise RemoteRefused(f"{origin} answered {status}.", remote_status=status, body=excerpt)


async def _accepted(asked: Asked, answer: httpx2.Response) -> Response:
    length = answer.headers.get("content-length", "")
    if asked.method.upper() != "HEAD" and length.isascii() and length.isdigit() and int(length[:20]) > asked.max_bytes:
        raise too_large(asked.max_bytes)
    async with receiving(asked.max_bytes, asked.sink) as receiver:
        try:
            await _receive(answer, asked.max_bytes, receiver)
        except InflateError as error:
            raise RemoteDown(f"{asked.to.origin} sent a damaged answer: {error}.") from error
        body, size = receiver.body(), receiver.size
    return Response(answer.status_code, dict(answer.headers), body, asked.sink, size)


async def _receive(answer: httpx2.Response, most: int, receiver: Receiver) -> None:
    encoding = answer.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "", "gzip", "x-gzip"):
        raise InflateError(f"its encoding is {encoding[:40]!r}, which was not asked for")
    inflater = Inflater() if encoding.endswith("gzip") else None
    raw = 0
    async for chunk in _chunks(answer):
        raw += len(chunk)
        if raw > most:
            raise too_large(most)
        if inflater is None:
            await receiver.take(chunk)
            continue
        for piece in inflater.pieces(chunk):
            await receiver.take(piece)
        # Inflating is work for the processor: others get their turn.
        await asyncio.sleep(0)
    if inflater is not None:
        inflater.finish()


async def _excerpt(answer: httpx2.Response) -> bytes:
    excerpt = b""
    async for chunk in _chunks(answer):
        excerpt += chunk
        if len(excerpt) >= _EXCERPT_BYTES:
            break
    return excerpt[:_EXCERPT_BYTES]


def _chunks(answer: httpx2.Response) -> AsyncIterator[bytes]:
    # Raw: the library's own decompression would neither count nor notice a stream that ends too early.
    return answer.aiter_raw()
