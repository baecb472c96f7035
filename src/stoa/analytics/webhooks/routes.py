"""Webhooks over the public API."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import msgspec

from stoa.access.scopes import granted
from stoa.analytics.webhooks import actions, queries, sending_again
from stoa.analytics.webhooks.listing import DELIVERIES, DELIVERY_TABLE, ENDPOINT_TABLE, ENDPOINTS
from stoa.analytics.webhooks.model import (
    BadEndpoint,
    Delivery,
    DeliveryId,
    Endpoint,
    NothingToDo,
    Settings,
    TooManyEndpoints,
)
from stoa.analytics.webhooks.wire import (
    NewWebhook,
    RecoveryBegun,
    RecoverySince,
    Rotation,
    Webhook,
    WebhookChange,
    WebhookDelivery,
    WebhookDeliveryWhole,
    WebhookMade,
    delivery_shown,
    delivery_whole,
    made_of,
    webhook_of,
)
from stoa.api.errors import InsufficientScope
from stoa.api.lists import ListQuery, Page, RowsQuery, Tombstone, page, read_list
from stoa.api.operations import Answer, Call, Operation
from stoa.api.serving import check_match
from stoa.api.tables import rows_of
from stoa.api.tenants import ID
from stoa.kernel.cursors import BadCursor
from stoa.kernel.filters import FilterError
from stoa.kernel.ids import EndpointId, parse_id
from stoa.kernel.problems import BadInput, NotFound
from stoa.tenants.sealing import Sealer

_MANY: Final = "/v1/webhooks"
_ONE: Final = f"{_MANY}/{{webhook_id}}"
_DELIVERIES: Final = f"{_ONE}/deliveries"
_DELIVERY: Final = f"{_DELIVERIES}/{{delivery_id}}"
# What a webhook is sent is what the event log says: whoever may not read that has it sent nowhere.
_READS: Final = "events:read"
_NEW: Final = {"url": "https://hooks.acme.example/stoa", "events": 'type sw "person."', "description": "Directory"}


@dataclass(frozen=True, slots=True)
class _Rooms:
    sealer: Sealer
    allow: AbstractSet[str]


def operations(sealer: Sealer, allow: AbstractSet[str]) -> tuple[Operation, ...]:
    """Webhooks and their deliveries.

    allow: exact `host:port` pairs that development exempts from the checks of addresses.
    """
    rooms = _Rooms(sealer, allow)
    return (*_endpoint_operations(rooms), *_act_operations(rooms), *_delivery_operations())


def _endpoint_operations(rooms: _Rooms) -> tuple[Operation, ...]:
    one: Any = {"tag": "Webhooks", "path": _ONE, "path_params": {"webhook_id": ID}}
    return (
        Operation(
            id="listWebhooks", method="GET", path=_MANY, tag="Webhooks", summary="List webhooks",
            scope="webhooks:read", handler=_list, query=ListQuery, answers={200: Page[Webhook]},
            problems=(BadCursor, FilterError),
        ),
        Operation(
            id="createWebhook", method="POST", path=_MANY, tag="Webhooks", summary="Make a webhook",
            description="It is sent the events that come after it, so this takes `events:read` too. The answer holds "
            "its signing secret, which is never shown again.",
            scope="webhooks:write", handler=_with(rooms, _create), body=NewWebhook, answers={201: WebhookMade},
            problems=(BadEndpoint, TooManyEndpoints), idempotency="required", body_example=_NEW,
        ),
        Operation(
            id="getWebhook", method="GET", summary="Get a webhook", scope="webhooks:read", handler=_get,
            answers={200: Webhook}, **one,
        ),
        Operation(
            id="updateWebhook", method="PATCH", summary="Change a webhook", scope="webhooks:write",
            description="What makes it send events takes `events:read` too: another URL, another filter, `active`.",
            handler=_with(rooms, _change), body=WebhookChange, answers={200: Webhook}, problems=(BadEndpoint,),
            match="required", body_example={"events": 'type sw "person." or type sw "run."'}, **one,
        ),
        Operation(
            id="deleteWebhook", method="DELETE", summary="Delete a webhook",
            description="Its secrets are destroyed. Its deliveries are kept as long as usual.",
            scope="webhooks:write", handler=_delete, answers={204: None}, match="optional", **one,
        ),
    )  # fmt: skip


def _act_operations(rooms: _Rooms) -> tuple[Operation, ...]:
    acts: Any = {
        "method": "POST", "tag": "Webhooks", "path_params": {"webhook_id": ID}, "scope": "webhooks:write",
        "idempotency": "optional",
    }  # fmt: skip
    return (
        Operation(
            id="rotateWebhookSecret", path=f"{_ONE}/secret/rotate", summary="Give a webhook a new secret",
            description="Until the overlap is over, messages are signed with the old secret too.",
            handler=_with(rooms, _rotate), body=Rotation, answers={200: WebhookMade}, problems=(BadInput,),
            body_example={"overlap_hours": 24.0}, **acts,
        ),
        Operation(
            id="testWebhook", path=f"{_ONE}/test", summary="Send a test",
            description="A message of type `webhook.test`, sent once to this webhook alone, also while it is disabled. "
            "One that arrives has an event that waits for its next attempt tried at once.",
            handler=_test, answers={202: WebhookDelivery}, **acts,
        ),
        Operation(
            id="recoverWebhook", path=f"{_ONE}/recover", summary="Send events once more",
            description="Every event since a moment or a number that the webhook asks for, in order, each with the "
            "same webhook-id as before; new events come after them. Takes `events:read` too.",
            handler=_recover, body=RecoverySince, answers={202: RecoveryBegun}, problems=(NothingToDo, BadInput),
            body_example={"since": "2026-11-01T00:00:00Z"}, **acts,
        ),
    )  # fmt: skip


def _delivery_operations() -> tuple[Operation, ...]:
    one: Any = {"tag": "Webhooks", "path_params": {"webhook_id": ID, "delivery_id": ID}}
    return (
        Operation(
            id="listWebhookDeliveries", method="GET", path=_DELIVERIES, tag="Webhooks", summary="List deliveries",
            description='The latest first. `filter=state eq "failed"` leaves those that were given up.',
            scope="webhooks:read", handler=_list_deliveries, query=RowsQuery, answers={200: Page[WebhookDelivery]},
            path_params={"webhook_id": ID}, problems=(BadCursor, FilterError),
        ),
        Operation(
            id="getWebhookDelivery", method="GET", path=_DELIVERY, summary="Get a delivery with its attempts",
            scope="webhooks:read", handler=_get_delivery, answers={200: WebhookDeliveryWhole}, **one,
        ),
        Operation(
            id="resendWebhookDelivery", method="POST", path=f"{_DELIVERY}/resend", summary="Send a delivery once more",
            description="Its event, with the same webhook-id, out of its order. Takes `events:read` too.",
            scope="webhooks:write", handler=_resend, answers={202: WebhookDelivery}, problems=(NothingToDo,),
            idempotency="optional", **one,
        ),
    )  # fmt: skip


def _with(rooms: _Rooms, handler: Any) -> Any:
    async def handle(call: Call[Any, Any]) -> Answer:
        return await handler(call, rooms)

    return handle


# ------------------------------------------------------------------ endpoints


async def _list(call: Call[ListQuery, None]) -> Answer:
    ask = read_list(call, ENDPOINTS, tuple(ENDPOINT_TABLE.sorts), default="created_at")
    gone = "" if ask.updated_since is not None else " AND e.deleted_at IS NULL"
    rows, after = await rows_of(call.tx, ENDPOINT_TABLE, ask, condition=gone)
    names = tuple(Endpoint.__dataclass_fields__)
    found = [Endpoint(**{name: row[name] for name in names}) for row in rows]
    items = [webhook_of(one) if one.deleted_at is None else Tombstone(one.endpoint_id, one.deleted_at) for one in found]
    return page(call, ask, items, after)


async def _create(call: Call[Any, NewWebhook], rooms: _Rooms) -> Answer:
    _refuse_blind(call)
    given = call.body
    settings = Settings(given.url, given.description, given.events, given.owner_email)
    made = await actions.create_endpoint(
        call.tx, rooms.sealer, settings, allow=rooms.allow, api_version=call.asked.version
    )
    where = call.url(f"{_MANY}/{made.endpoint.endpoint_id}")
    return Answer(201, made_of(made.endpoint, made.secret), (("location", where),), etag=_etag(made.endpoint))


async def _get(call: Call[Any, None]) -> Answer:
    one = await _found(call)
    return Answer(content=webhook_of(one), etag=_etag(one))


async def _change(call: Call[Any, WebhookChange], rooms: _Rooms) -> Answer:
    one = await actions.found(call.tx, _id(call))
    check_match(call, _etag(one))
    given, now = call.body, one.settings
    if given.url is not msgspec.UNSET or given.events is not msgspec.UNSET or given.state == "active":
        _refuse_blind(call)
    settings = Settings(
        _kept(given.url, now.url),
        _kept(given.description, now.description),
        _kept(given.events, now.filter),
        _kept(given.owner_email, now.owner_email),
    )
    one = await actions.change_endpoint(call.tx, one.endpoint_id, settings, allow=rooms.allow)
    if given.state == "active" and one.state == "disabled":
        one = await actions.enable_endpoint(call.tx, one.endpoint_id)
    elif given.state == "disabled" and one.state == "active":
        one = await actions.disable_endpoint(call.tx, one.endpoint_id)
    return Answer(content=webhook_of(one), etag=_etag(one))


def _kept(given: Any, now: Any) -> Any:
    return now if given is msgspec.UNSET else given


async def _delete(call: Call[Any, None]) -> Answer:
    one = await actions.found(call.tx, _id(call))
    check_match(call, _etag(one))
    await actions.delete_endpoint(call.tx, one.endpoint_id)
    return Answer(204)


async def _rotate(call: Call[Any, Rotation], rooms: _Rooms) -> Answer:
    overlap = timedelta(hours=call.body.overlap_hours)
    made = await actions.rotate_secret(call.tx, rooms.sealer, _id(call), overlap=overlap)
    return Answer(content=made_of(made.endpoint, made.secret), etag=_etag(made.endpoint))


async def _test(call: Call[Any, None]) -> Answer:
    return Answer(202, delivery_shown(await sending_again.send_test(call.tx, _id(call))))


async def _recover(call: Call[Any, RecoverySince]) -> Answer:
    _refuse_blind(call)
    given = call.body
    if (given.since is None) == (given.sequence is None):
        raise BadInput("Say from where: either since or sequence.", field="since")
    if given.only_failed:
        if given.since is None:
            raise BadInput("What failed is found by a moment: since.", field="since")
        asked = await sending_again.resend_failed(call.tx, _id(call), given.since)
        return Answer(202, RecoveryBegun(None, asked))
    since = given.since if given.since is not None else given.sequence or 0
    after = await sending_again.recover(call.tx, _id(call), since)
    return Answer(202, RecoveryBegun(after, None))


# ------------------------------------------------------------------ deliveries


async def _list_deliveries(call: Call[RowsQuery, None]) -> Answer:
    one = await _found(call)
    ask = read_list(call, DELIVERIES, tuple(DELIVERY_TABLE.sorts), default="-made")
    rows, after = await rows_of(call.tx, DELIVERY_TABLE, ask, one.endpoint_id)
    return page(call, ask, [delivery_shown(queries.delivery_of(row)) for row in rows], after)


async def _get_delivery(call: Call[Any, None]) -> Answer:
    found = await _delivery(call)
    return Answer(content=delivery_whole(found, await queries.attempts(call.tx, found.delivery_id)))


async def _resend(call: Call[Any, None]) -> Answer:
    _refuse_blind(call)
    found = await _delivery(call)
    return Answer(202, delivery_shown(await sending_again.resend(call.tx, found.delivery_id)))


# ------------------------------------------------------------------ inside


def _refuse_blind(call: Call[Any, Any]) -> None:
    """Raises InsufficientScope for whoever would have events sent that they may not read."""
    if not granted(call.credential.scopes, _READS):
        raise InsufficientScope(
            f"What a webhook sends takes the scope {_READS} besides webhooks:write.",
            hint="An admin of the tenant can give the client that scope.",
            scope=_READS,
        )


def _id(call: Call[Any, Any]) -> EndpointId:
    found = parse_id(call.path["webhook_id"])
    if found is None:
        raise actions.no_endpoint()
    return EndpointId(found)


async def _found(call: Call[Any, Any]) -> Endpoint:
    one = await queries.endpoint(call.tx, _id(call))
    if one is None:
        raise actions.no_endpoint()
    return one


async def _delivery(call: Call[Any, Any]) -> Delivery:
    one, delivery_id = await _found(call), parse_id(call.path["delivery_id"])
    found = None if delivery_id is None else await queries.delivery(call.tx, DeliveryId(delivery_id))
    if found is None or found.endpoint_id != one.endpoint_id:
        raise NotFound("There is no such delivery.", hint="Deliveries are kept for 30 days.")
    return found


def _etag(one: Endpoint) -> str:
    return str(one.version)
