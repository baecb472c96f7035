"""What people have sent besides the log in its order: tests, single deliveries, and everything since a moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from stoa.analytics.webhooks import queries, rules
from stoa.analytics.webhooks.actions import found, pass_over
from stoa.analytics.webhooks.failing import subject_of
from stoa.analytics.webhooks.model import (
    CHANNEL,
    TEST_TYPE,
    Delivery,
    DeliveryId,
    DeliveryKind,
    NothingToDo,
)
from stoa.db.transactions import TenantTx
from stoa.events.actions import emit
from stoa.events.model import Event, Renderer
from stoa.events.moments import seq_before, within_log
from stoa.events.queries import last_seq, read_events
from stoa.kernel.ids import EndpointId, new_id
from stoa.kernel.problems import BadInput, NotFound

# The most failed deliveries that are sent again at once.
MOST_AGAIN: Final = 1000
# The most events that a preview reads.
_MOST_COUNTED: Final = 10_000
_READ_AT_ONCE: Final = 500
_CHANGED: Final = "updated_at = $3, lease_epoch = lease_epoch + 1, lease_until = NULL"

_ASK: Final = """
INSERT INTO webhook_delivery (tenant_id, endpoint_id, delivery_id, kind, message_id, seq, event_type, state, created_at,
  next_at)
SELECT $1, $2, n.*, 'waiting', $3, $3
FROM unnest($4::uuid[], $5::text[], $6::text[], $7::bigint[], $8::text[]) AS n"""

_FAILED: Final = """
UPDATE webhook_delivery SET resent = true WHERE tenant_id = $1 AND delivery_id IN (
  SELECT d.delivery_id FROM webhook_delivery d
  WHERE d.tenant_id = $1 AND d.endpoint_id = $2 AND d.state = 'failed' AND NOT d.resent AND d.seq IS NOT NULL
    AND d.created_at >= $3
  ORDER BY d.delivery_id LIMIT $4 FOR UPDATE)
RETURNING seq, message_id, event_type"""


@dataclass(frozen=True, slots=True)
class Recovery:
    """What sending everything since a moment would mean.

    Attributes:
        cursor: the number after which it would begin.
        events: how many events of the log come after it.
        matching: how many of them the endpoint asks for.
        counted: how many were looked at to say so: fewer than `events` where they are many.
    """

    cursor: int
    events: int
    matching: int
    counted: int


async def send_test(tx: TenantTx, endpoint_id: EndpointId) -> Delivery:
    """Has a message of type `webhook.test` sent to this endpoint alone, once, also while it is disabled.

    Raises:
        NotFound.
    """
    await found(tx, endpoint_id)
    delivery_id = DeliveryId(new_id())
    await _ask(tx, endpoint_id, [(delivery_id, "test", f"test_{delivery_id.hex}", None, TEST_TYPE)])
    return await _asked(tx, delivery_id)


async def resend(tx: TenantTx, delivery_id: DeliveryId) -> Delivery:
    """Has the event of a delivery sent once more, under the same webhook-id, out of its order.

    Raises:
        NotFound: there is no such delivery, or its endpoint is deleted.
        NothingToDo: it has not ended yet, or is a test.
    """
    old = await queries.delivery(tx, delivery_id)
    if old is None:
        raise NotFound("There is no such delivery.", hint="Deliveries are kept for 30 days.")
    await found(tx, old.endpoint_id)
    if old.state == "waiting":
        raise NothingToDo("It has not ended yet: it is tried again by itself.")
    if old.seq is None:
        raise NothingToDo("A test is not sent again.", hint="Send a new one.")
    fresh = DeliveryId(new_id())
    await _ask(tx, old.endpoint_id, [(fresh, "resent", old.message_id, old.seq, old.event_type)])
    await tx.execute(
        "UPDATE webhook_delivery SET resent = true WHERE tenant_id = $1 AND delivery_id = $2", tx.tenant_id, delivery_id
    )
    return await _asked(tx, fresh)


async def resend_failed(tx: TenantTx, endpoint_id: EndpointId, since: datetime) -> int:
    """Has every delivery that was given up since a moment sent again, unless that was asked for already. Gives how
    many, a thousand at most: ask again for the rest.

    Raises:
        NotFound.
    """
    await found(tx, endpoint_id)
    rows = await tx.fetch(_FAILED, tx.tenant_id, endpoint_id, within_log(since), MOST_AGAIN)
    # In the order of the log, each event once.
    failed = {row["seq"]: row for row in rows}
    await _ask(
        tx,
        endpoint_id,
        [
            (DeliveryId(new_id()), "resent", row["message_id"], seq, row["event_type"])
            for seq, row in sorted(failed.items())
        ],
    )
    return len(failed)


async def preview_recovery(
    tx: TenantTx, endpoint_id: EndpointId, since: datetime | int, render: Renderer | None
) -> Recovery:
    """What `recover` would send.

    since: a moment, or the number of the first event to send.

    Raises:
        NotFound.
    """
    one = await queries.endpoint(tx, endpoint_id)
    if one is None:
        raise NotFound("There is no such webhook.", hint="The list of webhooks shows those there are.")
    cursor, head = await _cursor_before(tx, since), await last_seq(tx)
    typed, at, matching = rules.typed_of(one.filter), cursor, 0
    while at < head and at - cursor < _MOST_COUNTED:
        page = await read_events(tx, at, _READ_AT_ONCE, render)
        if not page:
            break
        matching += sum(rules.matches(typed, event, tx.now) for event in page)
        at = page[-1].seq
    return Recovery(cursor, head - cursor, matching, at - cursor)


async def recover(tx: TenantTx, endpoint_id: EndpointId, since: datetime | int) -> int:
    """Has every event since then sent once more, in order, each under the same webhook-id; new events come after them.
    Gives the number after which it begins.

    since: a moment, or the number of the first event to send.

    Raises:
        NotFound.
        NothingToDo: there is nothing to send once more.
    """
    one = await found(tx, endpoint_id)
    cursor = await _cursor_before(tx, since)
    if cursor >= one.cursor:
        raise NothingToDo(
            "The webhook has not been sent that part of the log yet, so there is nothing to send once more.",
            hint="Choose an earlier moment.",
        )
    await pass_over(tx, one, cursor)
    await tx.execute(
        f"""UPDATE webhook_endpoint SET replayed_to = greatest(replayed_to, $4), {_CHANGED}
        WHERE tenant_id = $1 AND endpoint_id = $2""",  # noqa: S608 - names are code
        *(tx.tenant_id, endpoint_id, tx.now, one.cursor),
    )
    emit(tx, Event("webhook_endpoint.recovery_asked", subject_of(endpoint_id), {"after": cursor, "to": one.cursor}))
    tx.wake(CHANNEL)
    return cursor


async def skip_blocking(tx: TenantTx, endpoint_id: EndpointId) -> int:
    """Passes over the event that does not arrive, so that those after it are sent. Gives its number.

    Raises:
        NotFound.
        NothingToDo: no event is in the way.
    """
    one = await found(tx, endpoint_id)
    blocking = None if one.blocked_by is None else await queries.delivery(tx, one.blocked_by)
    if blocking is None or blocking.seq is None:
        raise NothingToDo("No event is in the way of others.")
    await pass_over(tx, one, blocking.seq)
    emit(tx, Event("webhook_endpoint.event_skipped", subject_of(endpoint_id), {"seq": blocking.seq}))
    tx.wake(CHANNEL)
    return blocking.seq


# ------------------------------------------------------------------ inside


async def _cursor_before(tx: TenantTx, since: datetime | int) -> int:
    if isinstance(since, int):
        if since < 1:
            raise BadInput("Numbers of events begin at 1.", field="since")
        return min(since - 1, await last_seq(tx))
    return await seq_before(tx, since)


_Asked = tuple[DeliveryId, DeliveryKind, str, int | None, str]


async def _ask(tx: TenantTx, endpoint_id: EndpointId, wanted: Sequence[_Asked]) -> None:
    """Has these sent as soon as may be: (id, kind, webhook-id, number of the event, type) each."""
    if not wanted:
        return
    columns = [list(column) for column in zip(*wanted, strict=True)]
    await tx.execute(_ASK, tx.tenant_id, endpoint_id, tx.now, *columns)
    await tx.execute(
        "UPDATE webhook_endpoint SET wake_at = least(wake_at, $3) WHERE tenant_id = $1 AND endpoint_id = $2",
        *(tx.tenant_id, endpoint_id, tx.now),
    )
    tx.wake(CHANNEL)


async def _asked(tx: TenantTx, delivery_id: DeliveryId) -> Delivery:
    made = await queries.delivery(tx, delivery_id)
    assert made is not None
    return made
