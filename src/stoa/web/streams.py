"""Server-sent events: pieces of a page that the server sends when they change (WHATWG HTML, "Server-sent events")."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final

from starlette.responses import StreamingResponse

from stoa.access.sessions import entry_of
from stoa.db.errors import TROUBLE
from stoa.web.access_cookies import session_token
from stoa.web.visiting import Visit

# Then the browser connects anew: a connection that nobody listens to any more does not live for ever.
LONGEST_SECONDS: Final = 600.0
# Proxies give up on a connection over which nothing comes.
_BEAT_SECONDS: Final = 15.0
# Whoever was signed out, or has another role by now, is sent nothing more after so long; the browser connects anew, and
# what it may see is decided then.
_RECHECK_SECONDS: Final = 15.0
_BEAT: Final = b": still here\n\n"


@dataclass(frozen=True, slots=True)
class Frame:
    """One event: its name, and the HTML that takes the place of what the page shows."""

    event: str
    html: str

    def encoded(self) -> bytes:
        """As it goes over the wire. Lines of the HTML become lines of data."""
        data = "".join(f"data: {line}\n" for line in self.html.splitlines()) or "data:\n"
        return f"event: {self.event}\n{data}\n".encode()


def sse_answer(visit: Visit, frames: AsyncGenerator[Frame]) -> StreamingResponse:
    """Sends the frames as they come. It ends with them, when the browser goes, when the server stops, when the visitor
    is signed in no more or has other roles, or after ten minutes.
    """
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_sent(visit, frames), media_type="text/event-stream", headers=headers)


async def _sent(visit: Visit, frames: AsyncGenerator[Frame]) -> AsyncGenerator[bytes]:
    clock = asyncio.get_running_loop().time
    ends, checked = clock() + LONGEST_SECONDS, clock()
    stopping = asyncio.ensure_future(visit.shell.stopping.wait())
    following: asyncio.Future[Frame] | None = None
    try:
        while clock() < ends:
            following = following or asyncio.ensure_future(anext(frames))
            await asyncio.wait((following, stopping), timeout=_BEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if stopping.done():
                return
            if clock() - checked >= _RECHECK_SECONDS:
                if not await _may_go_on(visit):
                    return
                checked = clock()
            if not following.done():
                yield _BEAT
                continue
            try:
                frame = following.result()
            except StopAsyncIteration:
                return
            following = None
            yield frame.encoded()
    finally:
        stopping.cancel()
        if following is not None:
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration):
                await following
        await frames.aclose()


async def _may_go_on(visit: Visit) -> bool:
    """Whether the visitor is who they were when the stream began, with the roles of then."""
    if visit.signed_in is None:
        return True
    try:
        async with visit.shell.database.platform_at_once() as tx:
            entry = await entry_of(tx, session_token(visit.request), None)
    except TROUBLE:
        return False
    return entry is not None and entry.principal == visit.signed_in
