"""What the log says of itself."""

from typing import Final

from stoa.events.catalogue import EventType, Nothing
from stoa.events.model import ERASED

EVENT_TYPES: Final[tuple[EventType, ...]] = (
    EventType(
        name=ERASED,
        version=1,
        body=Nothing,
        summary="Stands in the place of an event whose content was erased or is past its retention.",
        example={},
    ),
)
