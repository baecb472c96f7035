"""The event browser while somebody looks: new events come in at the top by themselves."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from stoa.analytics.stream.asking import searched_where
from stoa.analytics.stream.reading import following
from stoa.analytics.stream.showing import shown_rows
from stoa.changes.names import SubjectNames
from stoa.kernel.filters import FilterError, Typed
from stoa.kernel.problems import BadInput
from stoa.web.streams import LONGEST_SECONDS, Frame, sse_answer
from stoa.web.visiting import Visit

_ROWS_AT_ONCE: Final = 50
_LONGEST_NUMBER: Final = 18
_LONGEST_SEARCH: Final = 200


@dataclass(frozen=True, slots=True)
class _Numbered(Frame):
    """A frame with the number of its last event, which a browser that connects anew tells us."""

    seq: int

    def encoded(self) -> bytes:
        """As it goes over the wire."""
        return b"id: %d\n%b" % (self.seq, Frame.encoded(self))


def live_page(subjects: SubjectNames) -> Callable[[Visit], Awaitable[Response]]:
    """Sends rows of the list as events get their numbers."""

    async def live(visit: Visit) -> Response:
        try:
            given = visit.request.query_params
            where = searched_where(given.get("filter") or None, given.get("q", "")[:_LONGEST_SEARCH])
        except FilterError as error:
            raise BadInput(str(error)) from None
        return sse_answer(visit, _frames(visit, subjects, where, await _begin(visit)))

    return live


async def _begin(visit: Visit) -> int:
    given = visit.request.headers.get("last-event-id") or visit.request.query_params.get("after") or "0"
    if not (given.isascii() and given.isdigit() and len(given) <= _LONGEST_NUMBER):
        raise BadInput("`after` is the number of an event.")
    return int(given)


async def _frames(visit: Visit, subjects: SubjectNames, where: Typed | None, after: int) -> AsyncGenerator[Frame]:
    assert visit.tenant is not None
    shell = visit.shell
    async with following(shell.database, visit.tenant.tenant_id, visit.origin, where, shell.stopping) as follower:
        while not shell.stopping.is_set():
            found = await follower.wait(after, _ROWS_AT_ONCE, LONGEST_SECONDS)
            after = found.after
            if found.events:
                rows = await shown_rows(visit, reversed(found.events), subjects)
                html = bytes(visit.page("stream/rows.html", rows=rows).body).decode()
                yield _Numbered("rows", html, after)
