"""What happens to the settings of connections."""

from typing import Annotated, Any, Final

from msgspec import UNSET, Meta, UnsetType

from stoa.events.catalogue import Body, EventType


class ConnectionReconfigured(Body, frozen=True):
    """Which settings changed. Secrets are no settings: they are never written down."""

    fields: Annotated[list[str], Meta(description="Names of the settings that changed.")]
    mapping_version: Annotated[int, Meta(description="Rises whenever the same report would be read otherwise.")]
    before: Annotated[dict[str, Any] | UnsetType, Meta(description="Those settings as they were.")] = UNSET
    after: Annotated[dict[str, Any] | UnsetType, Meta(description="Those settings as they are.")] = UNSET


class Rhythm(Body, frozen=True):
    """When a connection is read by itself."""

    cron: Annotated[str, Meta(description="Five fields: minute, hour, day of the month, month, day of the week.")]
    time_zone: Annotated[str, Meta(description="IANA name of the zone that it is read in.")]
    paused_reason: Annotated[str | None, Meta(description="Why it is not followed now; null if it is.")]


class ScheduleChanged(Body, frozen=True):
    """The schedule of a connection before and after."""

    before: Annotated[Rhythm | None, Meta(description="Null: it ran by hand alone.")]
    after: Annotated[Rhythm | None, Meta(description="Null: it runs by hand alone.")]


_DAILY: Final = {"cron": "30 2 * * *", "time_zone": "Europe/Berlin", "paused_reason": None}


EVENT_TYPES: Final[tuple[EventType, ...]] = (
    EventType(
        name="connection.reconfigured",
        version=1,
        body=ConnectionReconfigured,
        summary="Settings of a connection were changed.",
        example={
            "fields": ["url"],
            "mapping_version": 3,
            "before": {"url": "https://old.example"},
            "after": {"url": "https://new.example"},
        },
    ),
    EventType(
        name="connection.schedule_changed",
        version=1,
        body=ScheduleChanged,
        summary="A connection runs by another clock, by none any more, or by one that was paused or resumed.",
        example={"before": _DAILY, "after": {**_DAILY, "cron": "0 4 * * *"}},
    ),
)
