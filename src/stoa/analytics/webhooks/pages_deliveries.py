"""What was sent to a webhook, and what it answered."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from stoa.access.permissions import Permission
from stoa.analytics.webhooks import queries, sending_again
from stoa.analytics.webhooks.listing import DELIVERIES, DELIVERY_TABLE
from stoa.analytics.webhooks.messages import body_of
from stoa.analytics.webhooks.model import Attempt, Delivery, DeliveryId, NothingToDo
from stoa.analytics.webhooks.pages_desk import ONE, PagesDesk, at, endpoint_id, line_of, path_of
from stoa.api.lists import ListAsk
from stoa.api.tables import rows_of
from stoa.db.transactions import TenantTx
from stoa.kernel.cursors import Position
from stoa.kernel.problems import BadInput, NotFound
from stoa.web.exports import csv_export
from stoa.web.guarding import tenant_action, tenant_page
from stoa.web.listing import Ask, Listing, Slice, read_ask
from stoa.web.visiting import Shell, Visit

_DELIVERY: Final = f"{ONE}/deliveries/{{delivery_id}}"
LIST: Final = Listing(name="webhook-deliveries", sorts={"made": "delivery_id"}, default="-made", catalogue=DELIVERIES)
CSV_HEADER: Final = (
    *("created_at", "kind", "state", "event_type", "seq", "message_id", "attempts", "status", "error"),
    *("next_at", "ended_at", "delivery_id"),
)
_EXPORTED_AT_ONCE: Final = 500
# What each request says besides what is signed.
_SENT: Final = (("content-type", "application/cloudevents+json; charset=utf-8"),)


def delivery_pages(shell: Shell, desk: PagesDesk) -> list[Route]:
    """Their routes."""
    view = Permission.TENANT_VIEW
    return [
        tenant_page(shell, f"{ONE}.csv", at(desk, _export), needs=view),
        tenant_page(shell, ONE, at(desk, _list), needs=view),
        tenant_page(shell, _DELIVERY, at(desk, _show), needs=view),
        tenant_action(shell, f"{_DELIVERY}/resend", at(desk, _resend), needs=Permission.API_CHANGE),
    ]


async def _found(visit: Visit, tx: TenantTx, ask: Ask) -> tuple[Sequence[Delivery], Position | None]:
    asked = ListAsk(ask.typed, ask.sort, ask.descending, ask.after, ask.limit, None, None, "")
    more: tuple[object, ...] = (endpoint_id(visit),)
    condition = ""
    if ask.search:
        condition, more = " AND strpos(d.event_type || ' ' || d.message_id, $3) > 0", (*more, ask.search)
    rows, after = await rows_of(tx, DELIVERY_TABLE, asked, *more, condition=condition)
    return [queries.delivery_of(row) for row in rows], after


async def _list(visit: Visit, desk: PagesDesk) -> Response:  # noqa: ARG001 - as every handler
    ask = read_ask(visit, LIST)
    async with visit.tx() as tx:
        line = await line_of(visit, tx)
        rows, after = ((), None) if ask.problem else await _found(visit, tx, ask)
        one = line.endpoint
        blocking = None if one.blocked_by is None else await queries.delivery(tx, one.blocked_by)
    return visit.page(
        "webhooks/one.html",
        line=line,
        endpoint=one,
        blocking=blocking,
        listed=LIST.page(visit, ask, Slice(rows, after)),
        address=f"{visit.base}{path_of(visit)}",
        may_change=visit.may(Permission.API_CHANGE),
    )


async def _export(visit: Visit, desk: PagesDesk) -> Response:  # noqa: ARG001 - as every handler
    ask = read_ask(visit, LIST)
    if ask.problem is not None:
        raise BadInput(ask.problem)
    async with visit.tx() as tx:
        await line_of(visit, tx)

    async def rows() -> AsyncGenerator[tuple[object, ...]]:
        wanted = replace(ask, limit=_EXPORTED_AT_ONCE)
        async with visit.tx() as tx:
            while True:
                found, after = await _found(visit, tx, wanted)
                for one in found:
                    yield tuple(getattr(one, name) for name in CSV_HEADER)
                if after is None:
                    return
                wanted = replace(wanted, after=after)

    return await csv_export(visit, "webhook-deliveries.csv", CSV_HEADER, rows())


async def _show(visit: Visit, desk: PagesDesk) -> Response:
    may_see = visit.may(Permission.PEOPLE_VIEW)
    async with visit.tx() as tx:
        line = await line_of(visit, tx)
        one = await _delivery(visit, tx)
        tries = await queries.attempts(tx, one.delivery_id)
        assert visit.tenant is not None
        body = await body_of(tx, one, visit.tenant.slug, desk.base_url, desk.render) if may_see else None
    address = f"{visit.base}{path_of(visit)}"
    return visit.page(
        "webhooks/delivery.html",
        line=line,
        endpoint=line.endpoint,
        delivery=one,
        tries=[(each, _sent(one, each), _answer(each)) for each in reversed(tries)],
        body=None if body is None else body.decode(),
        may_see=may_see,
        may_change=visit.may(Permission.API_CHANGE),
        address=address,
        here_address=f"{address}/deliveries/{one.delivery_id}",
    )


def _sent(one: Delivery, each: Attempt) -> list[tuple[str, str]]:
    """The headers of a request as they were sent."""
    signed = (
        ("webhook-id", one.message_id),
        ("webhook-timestamp", str(each.sent_timestamp)),
        ("webhook-signature", each.signature),
    )
    return [*signed, *_SENT]


def _answer(each: Attempt) -> str | None:
    """The beginning of an answer as text; it came from elsewhere and may be anything."""
    return None if each.answer is None else each.answer.decode("utf-8", "replace").replace("\x00", "�")


async def _resend(visit: Visit, desk: PagesDesk) -> Response:  # noqa: ARG001 - as every handler
    try:
        async with visit.writing() as tx:
            one = await _delivery(visit, tx)
            fresh = await sending_again.resend(tx, one.delivery_id)
    except NothingToDo as problem:
        return visit.see(path_of(visit), said=str(problem), tone="warn")
    return visit.see(
        f"{path_of(visit)}/deliveries/{fresh.delivery_id}",
        said=visit.gettext("It is on its way once more. Reload this page to see what the receiver answered."),
    )


async def _delivery(visit: Visit, tx: TenantTx) -> Delivery:
    found = await queries.delivery(tx, DeliveryId(visit.id("delivery_id")))
    if found is None or found.endpoint_id != endpoint_id(visit):
        raise NotFound("There is no such delivery.", hint="Deliveries are kept for 30 days.")
    return found
