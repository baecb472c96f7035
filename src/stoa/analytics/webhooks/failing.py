"""What an endpoint's owner is told: that it fails, that it was disabled, that an event was given up."""

from datetime import datetime, timedelta
from typing import Final

from stoa.alerts.actions import raise_alert, resolve_alerts
from stoa.analytics.webhooks.model import Attempt, Delivery, DisabledReason, Endpoint
from stoa.analytics.webhooks.rules import Again, Disabled, GivenUp, Next, is_alarming, origin_of
from stoa.db.transactions import TenantTx
from stoa.events.actions import emit
from stoa.events.model import Event
from stoa.kernel.ids import EndpointId

FAILING: Final = "webhook_failing"
GAVE_UP: Final = "webhook_gave_up"
_GAVE_UP_FOR: Final = timedelta(days=7)


def subject_of(endpoint_id: EndpointId) -> str:
    """How the event log names an endpoint."""
    return f"webhook_endpoint:{endpoint_id}"


async def tell_failure(
    tx: TenantTx, endpoint: Endpoint, delivery: Delivery, attempt: Attempt, next_: Next, since: datetime
) -> None:
    """Raises what alerts a failure asks for. since: when the endpoint's failing began."""
    if not is_alarming(since, next_):
        return
    match next_:
        case Again(at):
            await raise_alert(
                tx, FAILING, str(endpoint.endpoint_id), "warning",
                f"The webhook to {origin_of(endpoint.url)} does not arrive",
                f"Nothing has arrived for an hour or more. The last attempt: {attempt.detail} "
                f"The next one is at {at:%Y-%m-%d %H:%M} UTC. Later events wait, so that their order is kept.",
                "Whoever runs the receiver looks at its log. Once it answers, send a test from the webhook's page: "
                "the waiting events follow at once.",
                endpoint.owner_email,
            )  # fmt: skip
        case GivenUp():
            await raise_alert(
                tx, GAVE_UP, str(endpoint.endpoint_id), "warning",
                f"The webhook to {origin_of(endpoint.url)} missed an event",
                f"The event {delivery.event_type} (number {delivery.seq}) was given up after {attempt.number} attempts "
                f"in about three days. The last one: {attempt.detail} The events after it are sent.",
                "When the receiver takes it, send it again from the webhook's deliveries, or read it from /v1/events.",
                endpoint.owner_email, quiet_after=_GAVE_UP_FOR,
            )  # fmt: skip
        case Disabled(reason):
            await _tell_disabled(tx, endpoint, attempt, reason)


async def _tell_disabled(tx: TenantTx, endpoint: Endpoint, attempt: Attempt, reason: DisabledReason) -> None:
    because = (
        "It answered 410, which means that it wants nothing more."
        if reason == "gone"
        else f"Nothing has arrived for about three days. The last attempt: {attempt.detail}"
    )
    await raise_alert(
        tx, FAILING, str(endpoint.endpoint_id), "critical",
        f"The webhook to {origin_of(endpoint.url)} is disabled",
        f"{because} Events are kept in the log and nothing is lost.",
        "An administrator of the tenant mends the receiver, then enables the webhook on its page: it goes on with the "
        "event that did not arrive. Or delete it, if it is not wanted any more.",
        endpoint.owner_email,
    )  # fmt: skip
    emit(tx, Event("webhook_endpoint.disabled", subject_of(endpoint.endpoint_id), {"reason": reason}))


async def tell_recovery(tx: TenantTx, endpoint_id: EndpointId) -> None:
    """Resolves what was raised about the endpoint's failing."""
    await resolve_alerts(tx, FAILING, str(endpoint_id))


async def forget(tx: TenantTx, endpoint_id: EndpointId) -> None:
    """Resolves everything that was raised about the endpoint: it is gone."""
    await resolve_alerts(tx, FAILING, str(endpoint_id))
    await resolve_alerts(tx, GAVE_UP, str(endpoint_id))
