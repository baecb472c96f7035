"""The event browser: the log as integrators get it, to look through, to follow, and to take away."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from stoa.access.permissions import Permission
from stoa.analytics.stream.asking import searched_where
from stoa.analytics.stream.pages_live import live_page
from stoa.analytics.stream.reading import Head, Reading, read, read_back
from stoa.analytics.stream.showing import shown_rows
from stoa.changes.names import SubjectNames
from stoa.changes.rendering import render_changes
from stoa.events.catalogue import discover
from stoa.events.envelope import envelope
from stoa.events.model import ERASED, StoredEvent
from stoa.events.queries import last_seq, read_events
from stoa.events.selecting import CATALOGUE
from stoa.kernel.cursors import number_mark, read_position
from stoa.kernel.filters import Typed
from stoa.kernel.problems import BadInput, NotFound
from stoa.web.exports import csv_export, note_export
from stoa.web.guarding import tenant_page
from stoa.web.listing import Ask, Listing, Slice, read_ask
from stoa.web.visiting import Shell, Visit

LIST: Final = Listing(name="events", sorts={"sequence": "seq"}, default="-sequence", catalogue=CATALOGUE)
CSV_HEADER: Final = ("sequence", "time", "type", "subject", "actor", "via", "run_id", "data")
_EXPORTED_AT_ONCE: Final = 500
_LONGEST_NUMBER: Final = 18
_encode = msgspec.json.Encoder(decimal_format="number").encode
_PATH: Final = "/events"
_NOWHERE: Final = Head(0, None)


def event_pages(shell: Shell, base_url: str, subjects: SubjectNames) -> list[Route]:
    """Their routes. base_url: under which clients reach the API. subjects: names of people by their ids."""

    async def listed(visit: Visit) -> Response:
        return await _list(visit, subjects)

    async def one(visit: Visit) -> Response:
        return await _one(visit, base_url, subjects)

    async def lines(visit: Visit) -> Response:
        return await _jsonl(visit, base_url)

    def page(path: str, handler: Callable[[Visit], Any]) -> Route:
        return tenant_page(shell, f"{_PATH}{path}", handler, needs=Permission.PEOPLE_VIEW)

    return [
        page("", listed),
        page(".csv", _csv),
        page(".jsonl", lines),
        page("/live", live_page(subjects)),
        page("/{seq}", one),
    ]


# ------------------------------------------------------------------ the list


async def _list(visit: Visit, subjects: SubjectNames) -> Response:
    picked = visit.request.query_params.get("type")
    if picked:
        return visit.see(f"{_PATH}?{_with_type(visit, picked)}")
    ask = read_ask(visit, LIST)
    found = Reading((), 0, _NOWHERE) if ask.problem else await _read(visit, ask)
    rows = await shown_rows(visit, found.events, subjects)
    more = (found.after,) if found.after > 1 else None
    return visit.page(
        "stream/events.html",
        listed=LIST.page(visit, ask, Slice(rows, more)),
        jsonl_url=LIST.page(visit, ask, Slice((), None)).csv_url.replace(".csv", ".jsonl", 1),
        types=_picker(),
        head=found.head,
        oldest=found.after,
        live=ask.after is None and visit.request.query_params.get("live") == "1",
        live_query=_query({"q": ask.search, "filter": ask.filter, "after": str(found.head.seq)}),
        follow_url=f"{visit.here}?{_query({'q': ask.search, 'filter': ask.filter, 'live': '1'})}",
    )


async def _read(visit: Visit, ask: Ask) -> Reading:
    where = searched_where(ask.filter or None, ask.search)
    async with visit.tx() as tx:
        if ask.descending:
            before = None if ask.after is None else _number(ask)
            return await read_back(tx, before, ask.limit, where)
        found = await read(tx, 0 if ask.after is None else _number(ask), ask.limit, where)
        # Of a list that goes forward, the page begins after the last event looked at.
        return found if found.has_more else Reading(found.events, 0, found.head)


def _number(ask: Ask) -> int:
    assert ask.after is not None
    (number,) = read_position(ask.after, number_mark(0))
    assert isinstance(number, int)
    return number


def _with_type(visit: Visit, picked: str) -> str:
    """The query of the list with one more condition: the picker's choice stands in the filter, to be changed there."""
    if picked.removesuffix("*") not in {*discover(), *_families()}:
        raise BadInput("There is no such type of events.", hint="Choose one from the list.")
    wanted = f'type sw "{picked[:-1]}"' if picked.endswith("*") else f'type eq "{picked}"'
    given = visit.request.query_params.get("filter", "").strip()
    return _query({"filter": f"({given}) and {wanted}" if given else wanted})


def _query(parts: Mapping[str, str]) -> str:
    return urlencode({name: value for name, value in parts.items() if value})


def _families() -> list[str]:
    return sorted({f"{name.split('.')[0]}." for name in discover()})


def _picker() -> Mapping[str, Sequence[str]]:
    """Types by the family that they belong to."""
    return {family: [name for name in discover() if name.startswith(family)] for family in _families()}


# ------------------------------------------------------------------ one event


async def _one(visit: Visit, base_url: str, subjects: SubjectNames) -> Response:
    text = str(visit.request.path_params["seq"])
    found: list[StoredEvent] = []
    last = 0
    if text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER and int(text) > 0:
        async with visit.tx() as tx:
            found = await read_events(tx, int(text) - 1, 1, render_changes)
            last = await last_seq(tx)
    if not found:
        raise NotFound("There is no such event.", hint="The list of events has those that there are.")
    event = found[0]
    return visit.page(
        "stream/event.html",
        row=(await shown_rows(visit, [event], subjects))[0],
        event=event,
        declared=discover().get(event.type),
        erased=event.type == ERASED,
        diff=event.body.keys() >= {"before", "after"},
        document=msgspec.json.format(_encode(_document(visit, event, base_url)), indent=2).decode(),
        newer=event.seq + 1 if event.seq < last else None,
        older=event.seq - 1 if event.seq > 1 else None,
    )


def _document(visit: Visit, event: StoredEvent, base_url: str) -> dict[str, object]:
    assert visit.tenant is not None
    return envelope(event, tenant_id=visit.tenant.tenant_id, tenant_slug=visit.tenant.slug, base_url=base_url)


# ------------------------------------------------------------------ taking away


async def _csv(visit: Visit) -> Response:
    return await csv_export(visit, "events.csv", CSV_HEADER, _lines(visit, _checked(visit)))


async def _jsonl(visit: Visit, base_url: str) -> Response:
    where = _checked(visit)
    await note_export(visit, "events")

    async def documents() -> AsyncGenerator[bytes]:
        async for events in _pages(visit, where):
            yield b"".join(_encode(_document(visit, event, base_url)) + b"\n" for event in events)

    headers = {"Content-Disposition": 'attachment; filename="events.jsonl"', "Cache-Control": "no-store"}
    return StreamingResponse(documents(), media_type="application/jsonl", headers=headers)


def _checked(visit: Visit) -> Typed | None:
    ask = read_ask(visit, LIST)
    if ask.problem is not None:
        raise BadInput(ask.problem)
    return searched_where(ask.filter or None, ask.search)


async def _pages(visit: Visit, where: Typed | None) -> AsyncGenerator[Sequence[StoredEvent]]:
    """What matches, oldest first, some hundreds at a time, each time in a short transaction."""
    after = 0
    while True:
        async with visit.tx() as tx:
            found = await read(tx, after, _EXPORTED_AT_ONCE, where)
        after = found.after
        yield found.events
        if not found.has_more:
            return


async def _lines(visit: Visit, where: Typed | None) -> AsyncGenerator[Sequence[object]]:
    async for events in _pages(visit, where):
        for one in events:
            data = _encode(one.body).decode()
            yield (one.seq, one.at, one.type, one.subject, one.actor, one.via, one.run_id, data)
