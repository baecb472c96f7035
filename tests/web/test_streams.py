"""Events that the server sends."""

import asyncio
from collections.abc import AsyncGenerator
from uuid import uuid4

import pytest
from starlette.requests import Request

from stoa.access.operators import NewOperator, create_operator, disable, set_tenant_role
from stoa.access.permissions import Role
from stoa.access.sessions import close_session, entry_of, open_session
from stoa.db.database import Database
from stoa.kernel.ids import TenantId
from stoa.web import streams
from stoa.web.streams import Frame, sse_answer
from stoa.web.visiting import Shell, Visit
from tests.web.rendering import shared_pages

PAGES = shared_pages()


class Source:
    """Frames for a stream, which then waits for ever if it shall; knows whether it was closed."""

    def __init__(self, *frames: Frame, waits: bool = False, fails: bool = False) -> None:
        self._given, self._waits, self._fails = frames, waits, fails
        self.closed = False

    async def frames(self) -> AsyncGenerator[Frame]:
        try:
            for frame in self._given:
                yield frame
            if self._fails:
                raise LookupError("the run is gone")
            if self._waits:
                await asyncio.Event().wait()
        finally:
            self.closed = True


@pytest.fixture
def visit(database: Database) -> Visit:
    request = Request({"type": "http", "method": "GET", "path": "/console/live", "headers": []})
    return Visit(request, Shell(PAGES, database), None, None)


def sent(visit: Visit, source: Source) -> AsyncGenerator[bytes]:
    body = sse_answer(visit, source.frames()).body_iterator
    assert isinstance(body, AsyncGenerator)
    return body


@pytest.mark.parametrize(
    ("html", "wire"),
    [
        ("<p>Held</p>", b"event: run\ndata: <p>Held</p>\n\n"),
        ("<p>\nHeld\r\n</p>\n", b"event: run\ndata: <p>\ndata: Held\ndata: </p>\n\n"),
        ("", b"event: run\ndata:\n\n"),
        ("a\n\nevent: other", b"event: run\ndata: a\ndata: \ndata: event: other\n\n"),
        ("محمد 🙂", "event: run\ndata: محمد 🙂\n\n".encode()),
    ],
)
def test_a_frame_is_an_event_with_a_line_of_data_for_each_line(html: str, wire: bytes) -> None:
    assert Frame("run", html).encoded() == wire


async def test_frames_are_sent_and_the_stream_ends_with_them(visit: Visit) -> None:
    source = Source(Frame("a", "1"), Frame("b", "2"))
    answer = sse_answer(visit, source.frames())
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-accel-buffering"] == "no"
    assert [chunk async for chunk in answer.body_iterator] == [
        b"event: a\ndata: 1\n\n",
        b"event: b\ndata: 2\n\n",
    ]
    assert source.closed


async def test_a_beat_is_sent_while_nothing_happens(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_BEAT_SECONDS", 0.01)
    body = sent(visit, Source(Frame("a", "1"), waits=True))
    assert [await anext(body) for _ in range(3)] == [b"event: a\ndata: 1\n\n", b": still here\n\n", b": still here\n\n"]
    await body.aclose()


async def test_a_stream_ends_when_the_server_stops(visit: Visit) -> None:
    source = Source(Frame("a", "1"), waits=True)
    body = sent(visit, source)
    await anext(body)
    following = asyncio.ensure_future(anext(body, b"the end"))
    await asyncio.wait([following], timeout=0.01)
    assert not following.done()
    visit.shell.stopping.set()
    assert await asyncio.wait_for(following, 5) == b"the end"
    assert source.closed


async def test_a_stream_ends_when_the_browser_goes(visit: Visit) -> None:
    source = Source(Frame("a", "1"), waits=True)
    body = sent(visit, source)
    await anext(body)
    await body.aclose()
    assert source.closed


async def test_a_stream_ends_when_its_task_is_cancelled(visit: Visit) -> None:
    source = Source(Frame("a", "1"), waits=True)
    body = sent(visit, source)
    await anext(body)
    waiting = asyncio.ensure_future(anext(body))
    await asyncio.wait([waiting], timeout=0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert source.closed


async def test_a_stream_ends_after_its_longest_time(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LONGEST_SECONDS", 0.05)
    monkeypatch.setattr(streams, "_BEAT_SECONDS", 0.01)
    source = Source(Frame("a", "1"), waits=True)
    chunks = [chunk async for chunk in sent(visit, source)]
    assert chunks[0] == b"event: a\ndata: 1\n\n"
    assert set(chunks[1:]) == {b": still here\n\n"}
    assert source.closed


@pytest.mark.parametrize("change", ["nothing", "signs out", "other role", "disabled"])
async def test_a_stream_ends_when_its_visitor_may_see_no_more(
    database: Database, tenant_id: TenantId, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setattr(streams, "_BEAT_SECONDS", 0.01)
    monkeypatch.setattr(streams, "_RECHECK_SECONDS", 0.02)
    async with database.platform() as tx:
        new = NewOperator(f"{uuid4().hex}@example.com", "Ada", None, {tenant_id: Role.TENANT_ADMIN})
        operator, _ = await create_operator(tx, new)
        token = await open_session(tx, operator.operator_id, user_agent="", address="")
        entry = await entry_of(tx, token, None)
    assert entry is not None
    headers = [(b"cookie", f"stoa_session={token}".encode())]
    request = Request({"type": "http", "method": "GET", "path": "/console/live", "headers": headers, "scheme": "http",
                       "server": ("127.0.0.1", 80), "query_string": b""})  # fmt: skip
    body = sent(Visit(request, Shell(PAGES, database), entry.principal, None), Source(Frame("a", "1"), waits=True))
    assert await anext(body) == b"event: a\ndata: 1\n\n"
    async with database.platform() as tx:
        match change:
            case "signs out":
                await close_session(tx, token)
            case "other role":
                await set_tenant_role(tx, operator.operator_id, tenant_id, Role.TENANT_VIEWER)
            case "disabled":
                await disable(tx, operator.operator_id)
            case _:
                pass
    if change == "nothing":
        assert [await anext(body) for _ in range(10)] == [b": still here\n\n"] * 10
        await body.aclose()
    else:

        async def rest() -> set[bytes]:
            return {chunk async for chunk in body}

        assert await asyncio.wait_for(rest(), 5) <= {b": still here\n\n"}


async def test_what_goes_wrong_is_not_swallowed(visit: Visit) -> None:
    source = Source(Frame("a", "1"), fails=True)
    body = sent(visit, source)
    await anext(body)
    with pytest.raises(LookupError, match="the run is gone"):
        await anext(body)
    assert source.closed
