"""What the log says of webhooks."""

from typing import Annotated, Final, Literal

from msgspec import Meta

from stoa.events.catalogue import Body, EventType

_SETTINGS: Final = {"origin": "https://hooks.acme.example", "description": "Orders", "filter": 'type sw "person."'}


class WebhookSettings(Body, frozen=True):
    """Of an endpoint's settings what a log may hold."""

    origin: Annotated[str, Meta(description="Scheme and host of the URL. The rest of it may be a secret.")]
    description: Annotated[str, Meta(description="What it is for.")]
    filter: Annotated[str, Meta(description="The filter over events; empty for all.")]


class WebhookCreated(Body, frozen=True):
    """A new endpoint."""

    after: WebhookSettings


class WebhookUpdated(Body, frozen=True):
    """A changed endpoint."""

    before: WebhookSettings
    after: WebhookSettings


class WebhookDeleted(Body, frozen=True):
    """An endpoint that is gone."""

    before: WebhookSettings


class WebhookDisabled(Body, frozen=True):
    """Why nothing is sent any more."""

    reason: Annotated[
        Literal["by_hand", "gone", "failing"],
        Meta(description="By a person; because it answered 410; because nothing arrived for about three days."),
    ]


class WebhookEnabled(Body, frozen=True):
    """From where sending goes on."""

    from_now: Annotated[bool, Meta(description="Whether what came while it was disabled is left out.")]


class WebhookSecretRotated(Body, frozen=True):
    """How long the old secret signs too."""

    overlap_hours: Annotated[float, Meta(description="Hours.", ge=0)]


class WebhookRecoveryAsked(Body, frozen=True):
    """Which part of the log is sent once more."""

    after: Annotated[int, Meta(description="The number of the event after which it begins.", ge=0)]
    to: Annotated[int, Meta(description="The number of the last event that had been sent.", ge=0)]


class WebhookEventSkipped(Body, frozen=True):
    """Which event was passed over."""

    seq: Annotated[int, Meta(description="Its number.", ge=1)]


class WebhookTest(Body, frozen=True):
    """What a test says. It stands in no log: it is sent to one endpoint alone."""

    endpoint_id: Annotated[str, Meta(description="The endpoint's id.")]
    delivery_id: Annotated[str, Meta(description="The delivery's id.")]


_ID: Final = "0190f6d2-7c31-7d5e-9f00-1c2d3e4f5a6b"

EVENT_TYPES: Final[tuple[EventType, ...]] = (
    EventType("webhook_endpoint.created", 1, WebhookCreated, "A webhook was made.", {"after": _SETTINGS}),
    EventType(
        "webhook_endpoint.updated",
        1,
        WebhookUpdated,
        "A webhook's settings were changed.",
        {"before": {**_SETTINGS, "filter": ""}, "after": _SETTINGS},
    ),
    EventType("webhook_endpoint.deleted", 1, WebhookDeleted, "A webhook was deleted.", {"before": _SETTINGS}),
    EventType(
        "webhook_endpoint.disabled",
        1,
        WebhookDisabled,
        "Nothing is sent to a webhook any more, until somebody enables it.",
        {"reason": "failing"},
    ),
    EventType("webhook_endpoint.enabled", 1, WebhookEnabled, "A webhook is sent to again.", {"from_now": False}),
    EventType(
        "webhook_endpoint.secret_rotated",
        1,
        WebhookSecretRotated,
        "A webhook got a new signing secret.",
        {"overlap_hours": 24.0},
    ),
    EventType(
        "webhook_endpoint.recovery_asked",
        1,
        WebhookRecoveryAsked,
        "A part of the log is sent to a webhook once more.",
        {"after": 1200, "to": 1450},
    ),
    EventType(
        "webhook_endpoint.event_skipped",
        1,
        WebhookEventSkipped,
        "Somebody passed over the event that a webhook did not take.",
        {"seq": 1201},
    ),
    EventType(
        "webhook.test",
        1,
        WebhookTest,
        "Somebody tried out a webhook. Sent to that webhook alone, and in no log.",
        {"endpoint_id": _ID, "delivery_id": _ID},
    ),
)
