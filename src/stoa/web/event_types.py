"""What people do on pages that is no change of anything."""

from typing import Annotated, Final

from msgspec import Meta

from stoa.events.catalogue import Body, EventType


class ListExported(Body, frozen=True):
    """Which list it was. What was searched for may be somebody's name, and stays out of the log."""

    list: Annotated[str, Meta(description="`people`, `alerts-open`, `changes-` with the run's id, ...")]
    filtered: Annotated[bool, Meta(description="Whether it was a part of the list: a search or a filter was given.")]


EVENT_TYPES: Final[tuple[EventType, ...]] = (
    EventType(
        name="list.exported",
        version=1,
        body=ListExported,
        summary="Somebody took a list out of the console as a CSV file.",
        example={"list": "people", "filtered": True},
    ),
)
