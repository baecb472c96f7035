"""Webhooks as the public API shows them."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec

from stoa.analytics.webhooks.model import (
    LONGEST_TEXT,
    LONGEST_URL,
    Attempt,
    Delivery,
    DeliveryKind,
    DeliveryState,
    DisabledReason,
    Endpoint,
    EndpointState,
)

_MOMENT = msgspec.Meta(tz=True)
_FILTER = msgspec.Meta(
    max_length=8000,
    description='Which events are sent, such as `type sw "person."`, in the language of filters. Empty for all.',
)
_URL = msgspec.Meta(max_length=LONGEST_URL, description="Where messages are sent: https, and public.")
_DESCRIPTION = msgspec.Meta(max_length=LONGEST_TEXT, description="What it is for.")
_OWNER = msgspec.Meta(max_length=320, description="Who is told by mail when it fails; null for the tenant's owner.")


class NewWebhook(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A webhook to be made. It is sent the events that come after it."""

    url: Annotated[str, _URL]
    events: Annotated[str, _FILTER] = ""
    description: Annotated[str, _DESCRIPTION] = ""
    owner_email: Annotated[str, _OWNER] | None = None


class WebhookChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be different. Members that are left out stay as they are."""

    url: Annotated[str, _URL] | msgspec.UnsetType = msgspec.UNSET
    events: Annotated[str, _FILTER] | msgspec.UnsetType = msgspec.UNSET
    description: Annotated[str, _DESCRIPTION] | msgspec.UnsetType = msgspec.UNSET
    owner_email: Annotated[str, _OWNER] | msgspec.UnsetType | None = msgspec.UNSET
    state: (
        Annotated[
            EndpointState, msgspec.Meta(description="`disabled` stops sending; `active` goes on from where it stopped.")
        ]
        | msgspec.UnsetType
    ) = msgspec.UNSET


class Webhook(msgspec.Struct, frozen=True):
    """A reader of the event log that lives elsewhere. It is sent each event that it asks for, in order."""

    id: UUID
    url: str
    events: str
    description: str
    owner_email: str | None
    state: EndpointState
    disabled_reason: Annotated[
        DisabledReason | None,
        msgspec.Meta(description="By a person; because it answered 410; because nothing arrived for about three days."),
    ]
    sequence: Annotated[int, msgspec.Meta(description="The number of the last event that is done with.")]
    success_at: Annotated[datetime, _MOMENT] | None
    failing_since: Annotated[datetime, _MOMENT] | None
    next_attempt_at: Annotated[datetime, _MOMENT] | None
    created_at: Annotated[datetime, _MOMENT]
    updated_at: Annotated[datetime, _MOMENT]


class WebhookMade(Webhook, frozen=True, kw_only=True):
    """A new webhook, or one with a new secret, which is shown here and never again."""

    secret: Annotated[str, msgspec.Meta(description="The signing secret: `whsec_` and base64.")]


class Rotation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long the old secret signs too."""

    overlap_hours: Annotated[float, msgspec.Meta(ge=0, le=168, description="Hours, seven days at most.")] = 24.0


class RecoverySince(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From where events are sent once more: one of the two."""

    since: Annotated[datetime, msgspec.Meta(tz=True, description="A moment.")] | None = None
    sequence: (
        Annotated[int, msgspec.Meta(ge=1, le=2**53, description="The number of the first event to send.")] | None
    ) = None
    only_failed: Annotated[
        bool, msgspec.Meta(description="Only what was given up since the moment, each by itself, out of order.")
    ] = False


class RecoveryBegun(msgspec.Struct, frozen=True):
    """What is sent once more."""

    after: Annotated[int | None, msgspec.Meta(description="The number of the event after which it begins.")]
    deliveries: Annotated[int | None, msgspec.Meta(description="How many failed deliveries are sent again.")]


class WebhookDelivery(msgspec.Struct, frozen=True):
    """One message to one webhook. They are kept for 30 days."""

    id: UUID
    webhook_id: UUID
    kind: Annotated[
        DeliveryKind,
        msgspec.Meta(description="From the log in its turn; once more after a recovery; once more by hand; a test."),
    ]
    message_id: Annotated[
        str, msgspec.Meta(description="The header webhook-id: the same whenever the same event is sent.")
    ]
    sequence: Annotated[int | None, msgspec.Meta(description="The event's number; null for a test.")]
    event_type: str
    state: Annotated[
        DeliveryState,
        msgspec.Meta(description="`kept`: recorded and not sent, as in a sandbox tenant. `skipped`: passed over."),
    ]
    attempts: int
    status: Annotated[int | None, msgspec.Meta(description="Of the last answer; null if there was none.")]
    error: Annotated[str | None, msgspec.Meta(description="A stable code of the last attempt's failure.")]
    created_at: Annotated[datetime, _MOMENT]
    next_attempt_at: Annotated[datetime, _MOMENT] | None
    ended_at: Annotated[datetime, _MOMENT] | None


class WebhookAttempt(msgspec.Struct, frozen=True):
    """One sending, and what came of it."""

    number: int
    at: Annotated[datetime, _MOMENT]
    milliseconds: int
    status: int | None
    error: str | None
    detail: str
    answer: Annotated[str | None, msgspec.Meta(description="The first kibibyte of the answer, as text.")]


class WebhookDeliveryWhole(WebhookDelivery, frozen=True, kw_only=True):
    """A delivery with its attempts."""

    tries: Annotated[list[WebhookAttempt], msgspec.Meta(description="The first first.")]


def webhook_of(one: Endpoint) -> Webhook:
    """An endpoint as the API shows it."""
    return Webhook(*_members(one))


def made_of(one: Endpoint, secret: str) -> WebhookMade:
    """The same with its secret."""
    return WebhookMade(*_members(one), secret=secret)


def _members(one: Endpoint) -> tuple[Any, ...]:
    return (
        *(one.endpoint_id, one.url, one.filter, one.description, one.owner_email, one.state, one.disabled_reason),
        *(one.cursor, one.success_at, one.failing_since, one.blocked_until, one.created_at, one.updated_at),
    )


def _delivery_members(one: Delivery) -> tuple[Any, ...]:
    return (
        *(one.delivery_id, one.endpoint_id, one.kind, one.message_id, one.seq),
        *(one.event_type, one.state, one.attempts, one.status, one.error, one.created_at, one.next_at, one.ended_at),
    )


def delivery_shown(one: Delivery) -> WebhookDelivery:
    """A delivery as the API shows it."""
    return WebhookDelivery(*_delivery_members(one))


def delivery_whole(one: Delivery, tries: list[Attempt]) -> WebhookDeliveryWhole:
    """The same with its attempts."""
    shown = [
        WebhookAttempt(
            *(each.number, each.at, each.took_ms, each.status, each.error, each.detail),
            None if each.answer is None else each.answer.decode("utf-8", "replace"),
        )
        for each in tries
    ]
    return WebhookDeliveryWhole(*_delivery_members(one), tries=shown)
