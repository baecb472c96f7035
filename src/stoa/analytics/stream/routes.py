"""The event stream over the public API: pages, waiting for what comes, one event, and the catalogue of types."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from starlette.responses import Response

from stoa.analytics.stream.asking import asked_place, asked_where
from stoa.analytics.stream.reading import Reading, cursor_of, following, read
from stoa.analytics.stream.sending import Streams, TooManyStreams, stream_answer
from stoa.api.errors import NotAuthenticated
from stoa.api.lists import CursorText, FilterText
from stoa.api.operations import Answer, Call, Operation, OutsideCall, Param
from stoa.changes.rendering import render_changes
from stoa.events.catalogue import EventType, discover, schema_address, schema_of
from stoa.events.envelope import envelope
from stoa.events.model import StoredEvent
from stoa.events.queries import read_events
from stoa.kernel.cursors import BadCursor
from stoa.kernel.filters import FilterError
from stoa.kernel.ids import TenantId
from stoa.kernel.problems import NotFound

MOST: Final = 1_000
LONGEST_WAIT: Final = 30
_encode = msgspec.json.Encoder(decimal_format="number").encode
_When = Annotated[datetime, msgspec.Meta(tz=True)]
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
_CURSOR: Final = "`next_cursor` of the page before: whatever the filter, it goes on after the last event looked at."
_FILTER: Final = 'Only events for which this holds, in the grammar of RFC 7644, 3.4.2.2: `type sw "person."`.'
_FROM: Final = (
    "Where to begin without a cursor: `beginning` (the default), `now`, or a time (RFC 3339), from which on nothing is "
    "missed."
)


class EventsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The query parameters of the stream's pages."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST, description="The most events of a page.")] = 100
    cursor: Annotated[CursorText | None, msgspec.Meta(description=_CURSOR)] = None
    filter: Annotated[FilterText | None, msgspec.Meta(description=_FILTER)] = None
    begin: Annotated[_Text | None, msgspec.Meta(description=_FROM)] = msgspec.field(default=None, name="from")
    wait: Annotated[
        int,
        msgspec.Meta(ge=0, le=LONGEST_WAIT, description="Seconds to wait for the next event where there is none yet."),
    ] = 0


class StreamQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The query parameters of the stream of server-sent events."""

    cursor: Annotated[
        CursorText | None,
        msgspec.Meta(description=f"{_CURSOR} A Last-Event-ID header comes before it and before `from`."),
    ] = None
    filter: Annotated[FilterText | None, msgspec.Meta(description=_FILTER)] = None
    begin: Annotated[_Text | None, msgspec.Meta(description=_FROM)] = msgspec.field(default=None, name="from")


class CloudEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event as a CloudEvents 1.0 document."""

    specversion: Literal["1.0"]
    id: Annotated[str, msgspec.Meta(description="Unique everywhere, and the same each time.")]
    source: Annotated[str, msgspec.Meta(description="The tenant, as an address.")]
    type: Annotated[str, msgspec.Meta(description="One of /v1/event-types.")]
    subject: Annotated[str | msgspec.UnsetType, msgspec.Meta(description="What it happened to.")] = msgspec.UNSET
    time: Annotated[_When, msgspec.Meta(description="When it happened.")]
    datacontenttype: Literal["application/json"]
    dataschema: Annotated[
        str | msgspec.UnsetType, msgspec.Meta(description="Where the JSON Schema of `data` is served.")
    ] = msgspec.UNSET
    tenantid: str
    sequence: Annotated[str, msgspec.Meta(description="Its number as decimal text: 1, 2, 3, ... without a gap.")]
    actor: Annotated[str, msgspec.Meta(description="Who acted.")]
    via: Annotated[str, msgspec.Meta(description="By which way: `api`, `console`, `scim`, ...")]
    runid: Annotated[str | msgspec.UnsetType, msgspec.Meta(description="The run it belongs to.")] = msgspec.UNSET
    data: Annotated[dict[str, Any], msgspec.Meta(description="The body, as `dataschema` describes it.")]


class AsOf(msgspec.Struct, frozen=True):
    """The end of the log as the page was read: what lies between it and the cursor is still to be read."""

    sequence: Annotated[int, msgspec.Meta(description="The number of the last event; 0 in an empty log.")]
    time: Annotated[_When | None, msgspec.Meta(description="When the last event happened.")]


class EventPage(msgspec.Struct, frozen=True):
    """A page of the stream."""

    items: list[CloudEvent]
    next_cursor: Annotated[str, msgspec.Meta(description="Where to go on; it moves on past what did not match too.")]
    has_more: Annotated[bool, msgspec.Meta(description="Whether there is more already.")]
    as_of: AsOf


class EventTypeShown(msgspec.Struct, frozen=True):
    """A kind of event."""

    name: str
    version: int
    summary: Annotated[str, msgspec.Meta(description="When it happens.")]
    personal: Annotated[bool, msgspec.Meta(description="Whether bodies hold what is known of a person.")]
    dataschema: Annotated[str, msgspec.Meta(description="Where the JSON Schema of its body is served.")]
    example: Annotated[dict[str, Any], msgspec.Meta(description="A body.")]


class EventTypes(msgspec.Struct, frozen=True):
    """Every kind of event that there is."""

    items: list[EventTypeShown]


_TYPE: Final = Param("The type's name.", example="person.updated")
_ONE_TYPE: Final = "/v1/event-types/{type}"


def operations(streams: Streams | None = None) -> tuple[Operation, ...]:
    """The stream and its catalogue. streams: those that are open, one for each process."""
    streams = streams or Streams()

    async def pages(call: OutsideCall[EventsQuery]) -> Response:
        return await _page(call, streams)

    async def stream(call: OutsideCall[StreamQuery]) -> Response:
        return await _stream(call, streams)

    asking: Any = {"tag": "Events", "method": "GET", "scope": "events:read"}
    return (
        Operation(
            id="listEvents", path="/v1/events", summary="Read the event log",
            description=(
                "Every change of the tenant, in order, without a gap. Keep `next_cursor` together with what you made "
                "of the page, and ask again with it: nothing is skipped and nothing comes twice. A filtered page looks "
                "at a bounded number of events, so it may be empty while `has_more` is true."
            ),
            outside=pages, query=EventsQuery, answers={200: EventPage},
            problems=(BadCursor, FilterError, TooManyStreams), **asking,
        ),
        Operation(
            id="streamEvents", path="/v1/events/stream", summary="Follow the event log",
            description=(
                "Server-sent events: one CloudEvents document for each, with the cursor after it as `id`. A client "
                "that reconnects with Last-Event-ID goes on where it stopped. A comment comes every 15 seconds."
            ),
            outside=stream, query=StreamQuery, answers={200: str}, media_type="text/event-stream",
            problems=(BadCursor, FilterError, TooManyStreams), **asking,
        ),
        Operation(
            id="getEvent", path="/v1/events/{event_id}", summary="Get an event", handler=_get,
            path_params={"event_id": Param("Its `id`, or its `sequence`.", example="41")},
            answers={200: CloudEvent}, problems=(NotFound,), **asking,
        ),
        Operation(
            id="listEventTypes", path="/v1/event-types", summary="List the types of events", handler=_types,
            answers={200: EventTypes}, **asking,
        ),
        Operation(
            id="getEventType", path=_ONE_TYPE, summary="Get a type of events", handler=_type,
            path_params={"type": _TYPE}, answers={200: EventTypeShown}, problems=(NotFound,), **asking,
        ),
        Operation(
            id="getEventSchema", path=f"{_ONE_TYPE}/versions/{{version}}", summary="Get the JSON Schema of a type",
            description="Draft 2020-12. A version only ever gains members: ignore those that you do not know.",
            handler=_schema, path_params={"type": _TYPE, "version": Param("Of the body.", example="1")},
            answers={200: dict[str, Any]}, media_type="application/schema+json", problems=(NotFound,), **asking,
        ),
    )  # fmt: skip


# ------------------------------------------------------------------ pages


async def _page(call: OutsideCall[EventsQuery], streams: Streams) -> Response:
    asked, query = call.asked, call.query
    where = asked_where(query.filter)
    with streams.entered(asked.tenant_id, waits=query.wait > 0):
        async with call.database.tenant(asked.tenant_id, call.origin, read_only=True) as tx:
            after = await asked_place(tx, query.cursor, query.begin)
            reading = await read(tx, after, query.limit, where)
        if query.wait and not reading.events:
            reading = await _waited(call, reading)
    return Response(page_of(call, reading), media_type="application/json")


async def _waited(call: OutsideCall[EventsQuery], reading: Reading) -> Reading:
    asked, query = call.asked, call.query
    async with following(
        call.database, asked.tenant_id, call.origin, asked_where(query.filter), call.stopping
    ) as follower:
        reading = await follower.wait(reading.after, query.limit, query.wait)
    # What may be read now is asked now: a client may be revoked while it waits.
    if not await call.still_good():
        raise NotAuthenticated("The credential was revoked while the request waited.")
    return reading


def page_of(call: OutsideCall[Any], reading: Reading) -> bytes:
    """A page as JSON."""
    tenant_id = call.asked.tenant_id
    return _encode(
        {
            "items": [_told(event, tenant_id, call.asked.tenant, call.asked.base_url) for event in reading.events],
            "next_cursor": cursor_of(tenant_id, reading.after),
            "has_more": reading.has_more,
            "as_of": AsOf(reading.head.seq, reading.head.at),
        }
    )


def _told(event: StoredEvent, tenant_id: TenantId, slug: str, base_url: str) -> dict[str, object]:
    return envelope(event, tenant_id=tenant_id, tenant_slug=slug, base_url=base_url)


async def _stream(call: OutsideCall[StreamQuery], streams: Streams) -> Response:
    asked, query = call.asked, call.query
    where = asked_where(query.filter)
    # Whoever connects anew does so at the address of before, with what that said of the beginning: it holds no more.
    last = asked.headers.get("last-event-id")
    cursor, begin = (last, None) if last else (query.cursor, query.begin)
    async with call.database.tenant(asked.tenant_id, call.origin, read_only=True) as tx:
        after = await asked_place(tx, cursor, begin)
        # A cursor beyond the end is refused before the answer begins.
        await read(tx, after, 1)
    return stream_answer(call, streams, after, where)


# ------------------------------------------------------------------ one event


async def _get(call: Call[Any, None]) -> Answer:
    tenant_id = call.tx.tenant_id
    wanted = call.path["event_id"].removeprefix(f"{tenant_id}-")
    found = (
        await read_events(call.tx, int(wanted) - 1, 1, render_changes)
        if wanted.isascii() and wanted.isdigit() and 0 < len(wanted) <= 18 and int(wanted) > 0
        else []
    )
    if not found:
        raise NotFound("There is no such event in this tenant.", hint="The event log lists those that there are.")
    return Answer(content=_told(found[0], tenant_id, call.asked.tenant, call.asked.base_url))


# ------------------------------------------------------------------ the catalogue


async def _types(call: Call[Any, None]) -> Answer:
    return Answer(content=EventTypes([_shown(one, call.asked.base_url) for one in discover().values()]))


async def _type(call: Call[Any, None]) -> Answer:
    return Answer(content=_shown(_declared(call), call.asked.base_url))


async def _schema(call: Call[Any, None]) -> Answer:
    declared = _declared(call)
    if call.path["version"] != str(declared.version):
        raise NotFound(f"{declared.name} has no such version.", hint=f"Its version is {declared.version}.")
    return Answer(content=schema_of(declared, call.asked.base_url))


def _declared(call: Call[Any, None]) -> EventType:
    found = discover().get(call.path["type"])
    if found is None:
        raise NotFound("There is no such type of events.", hint="/v1/event-types lists those that there are.")
    return found


def _shown(one: EventType, base_url: str) -> EventTypeShown:
    return EventTypeShown(
        one.name, one.version, one.summary, one.personal, schema_address(base_url, one), dict(one.example)
    )
