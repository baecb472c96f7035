"""The event stream as server-sent events (WHATWG HTML, "Server-sent events"), and how many may be open."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import structlog
from starlette.responses import StreamingResponse

from stoa.analytics.stream import metrics
from stoa.analytics.stream.reading import Follower, cursor_of, following
from stoa.api.errors import RateLimited
from stoa.api.operations import OutsideCall
from stoa.db.errors import TROUBLE
from stoa.events.envelope import envelope
from stoa.kernel.cursors import BadCursor
from stoa.kernel.filters import Typed
from stoa.kernel.ids import TenantId

# Of one tenant in one process: streams, and requests that wait.
MOST_OPEN: Final = 50
# A credential that was revoked loses its streams within so long.
RECHECK_SECONDS: Final = 3.0
# Proxies give up on a connection over which nothing comes.
BEAT_SECONDS: Final = 15.0
_PAGE: Final = 200
_AGAIN_MILLISECONDS: Final = 2_000
_encode = msgspec.json.Encoder(decimal_format="number").encode
_log: Final[Any] = structlog.get_logger("stoa.stream")


class TooManyStreams(RateLimited):
    """The tenant has as many streams and waiting requests open as one server allows.

    Close some, or ask again without waiting.
    """

    code = "too_many_streams"


@dataclass(frozen=True, slots=True)
class Streams:
    """How many each tenant has open in this process."""

    open: Counter[TenantId] = field(default_factory=Counter[TenantId])

    def check(self, tenant_id: TenantId) -> None:
        """Raises TooManyStreams unless there may be one more."""
        if self.open[tenant_id] >= MOST_OPEN:
            raise TooManyStreams(
                f"{MOST_OPEN} streams and waiting requests are open already.",
                hint="Close some of them, or ask without wait.",
                retry_after=5,
            )

    @contextmanager
    def entered(self, tenant_id: TenantId, *, waits: bool = True) -> Generator[None]:
        """Counted for the length of a block, if it waits at all. Raises TooManyStreams."""
        if not waits:
            yield
            return
        self.check(tenant_id)
        self.open[tenant_id] += 1
        metrics.OPEN.inc()
        try:
            yield
        finally:
            metrics.OPEN.dec()
            self.open[tenant_id] -= 1
            if not self.open[tenant_id]:
                del self.open[tenant_id]


def stream_answer(call: OutsideCall[Any], streams: Streams, after: int, where: Typed | None) -> StreamingResponse:
    """The log from a number on, until the client goes, the server stops, or the credential opens it no more."""
    # Counted once it runs: an answer that nobody waits for any more never does.
    streams.check(call.asked.tenant_id)
    return StreamingResponse(
        _sent(call, streams, after, where), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
    )


async def _sent(call: OutsideCall[Any], streams: Streams, after: int, where: Typed | None) -> AsyncGenerator[bytes]:
    asked = call.asked
    yield _beat(call, after, retry=True)
    try:
        with streams.entered(asked.tenant_id):
            async with (
                following(call.database, asked.tenant_id, call.origin, where, call.stopping) as follower,
                contextlib.aclosing(_frames(call, follower, after)) as frames,
            ):
                async for frame in frames:
                    yield frame
    except TooManyStreams:
        return
    except (*TROUBLE, BadCursor) as error:
        # The client connects anew and goes on where it stopped.
        _log.warning("event_stream_ended", error=type(error).__name__)


async def _frames(call: OutsideCall[Any], follower: Follower, after: int) -> AsyncGenerator[bytes]:
    clock = asyncio.get_running_loop().time
    checked = told = clock()
    while not call.stopping.is_set():
        reading = await follower.next(after, _PAGE, checked + RECHECK_SECONDS)
        after = reading.after
        if clock() - checked >= RECHECK_SECONDS:
            if not await call.still_good():
                return
            checked = clock()
        if reading.events:
            asked = call.asked
            yield b"".join(
                _frame(
                    cursor_of(asked.tenant_id, event.seq),
                    envelope(event, tenant_id=asked.tenant_id, tenant_slug=asked.tenant, base_url=asked.base_url),
                )
                for event in reading.events
            )
            told = clock()
        elif clock() - told >= BEAT_SECONDS:
            yield _beat(call, after)
            told = clock()


def _frame(cursor: str, document: dict[str, object]) -> bytes:
    # JSON has no raw line breaks: one line of data holds it.
    return b"id: %b\ndata: %b\n\n" % (cursor.encode(), _encode(document))


def _beat(call: OutsideCall[Any], after: int, *, retry: bool = False) -> bytes:
    """A comment. Its id moves Last-Event-ID on past what did not match, without an event."""
    wait = b"retry: %d\n" % _AGAIN_MILLISECONDS if retry else b""
    return b": still here\n%bid: %b\n\n" % (wait, cursor_of(call.asked.tenant_id, after).encode())
