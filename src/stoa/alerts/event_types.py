"""What becomes of alerts."""

from typing import Annotated, Any, Final

from msgspec import UNSET, Meta, UnsetType

from stoa.events.catalogue import Body, EventType

_Kind = Annotated[str, Meta(description="What it warns of: `run_held`, `run_failed`, ...")]
_Key = Annotated[str, Meta(description="What it is about: of one kind and key there is at most one open alert.")]
_Severity = Annotated[str, Meta(description="`info`, `warning` or `critical`.")]


class AlertStanding(Body, frozen=True):
    """How an alert stands."""

    state: Annotated[str, Meta(description="`open`, `acknowledged`, `muted` or `resolved`.")]


class AlertChanged(Body, frozen=True):
    """Which alert it is, and of what somebody did to it by hand: how it stood before and after."""

    kind: _Kind
    key: _Key
    before: AlertStanding | UnsetType = UNSET
    after: AlertStanding | UnsetType = UNSET


class AlertRaised(AlertChanged, frozen=True, kw_only=True):
    """An alert, and how grave it is."""

    severity: _Severity


class AlertMuted(AlertChanged, frozen=True):
    """An alert, and until when it is silent."""

    until: Annotated[str | UnsetType, Meta(description="RFC 3339.")] = UNSET


_EXAMPLE: Final[dict[str, Any]] = {"kind": "run_held", "key": "01980f5e-6f2a-7c3e-9a51-0d6f4b1c2a10"}


def _changed(name: str, summary: str) -> EventType:
    return EventType(name=f"alert.{name}", version=1, body=AlertChanged, summary=summary, example=_EXAMPLE)


EVENT_TYPES: Final[tuple[EventType, ...]] = (
    EventType(
        name="alert.opened",
        version=1,
        body=AlertRaised,
        summary="Something needs a person: a new alert, or one that was resolved and is back.",
        example={**_EXAMPLE, "severity": "critical"},
    ),
    EventType(
        name="alert.escalated",
        version=1,
        body=AlertRaised,
        summary="An open alert became graver.",
        example={**_EXAMPLE, "severity": "critical"},
    ),
    EventType(
        name="alert.muted",
        version=1,
        body=AlertMuted,
        summary="Somebody silenced an alert for a while.",
        example={**_EXAMPLE, "until": "2026-03-02T09:00:00+00:00"},
    ),
    _changed("acknowledged", "Somebody has seen an alert and looks after it."),
    _changed("assigned", "An alert was given to somebody, or taken from them."),
    _changed("unmuted", "An alert is heard again: its mute ended, or was ended."),
    _changed("resolved", "The cause of an alert is gone, or somebody says so."),
)
