"""What happens to the settings of connections."""

from typing import Annotated, Final

from msgspec import Meta

from stoa.events.catalogue import Body, EventType


class ConnectionReconfigured(Body, frozen=True):
    """Which settings changed; their values stay out of the log."""

    fields: Annotated[list[str], Meta(description="Names of the settings that changed.")]
    mapping_version: Annotated[int, Meta(description="Rises whenever the same report would be read otherwise.")]


EVENT_TYPES: Final[tuple[EventType, ...]] = (
    EventType(
        name="connection.reconfigured",
        version=1,
        body=ConnectionReconfigured,
        summary="Settings of a connection were changed.",
        example={"fields": ["url"], "mapping_version": 3},
    ),
)
