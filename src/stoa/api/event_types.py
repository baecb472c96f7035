"""What becomes of work that clients of the API ask for and do not wait for."""

from typing import Annotated, Final

from msgspec import Meta

from stoa.events.catalogue import Body, EventType

_Kind = Annotated[str, Meta(description="What is done: `people.import`.")]
_Total = Annotated[int, Meta(description="Items.")]


class JobQueued(Body, frozen=True):
    """A job that was asked for."""

    kind: _Kind
    total: _Total


class JobEnded(Body, frozen=True):
    """A job that has ended, and how far it came."""

    kind: _Kind
    state: Annotated[str, Meta(description="`done`, `failed` or `cancelled`.")]
    total: _Total
    done: Annotated[int, Meta(description="Items that were worked on.")]
    failed: Annotated[int, Meta(description="Those of them that were refused.")]


_QUEUED: Final = {"kind": "people.import", "total": 12_000}

EVENT_TYPES: Final[tuple[EventType, ...]] = (
    EventType(
        name="job.queued",
        version=1,
        body=JobQueued,
        summary="An API client asked for work in the background.",
        example=_QUEUED,
    ),
    EventType(
        name="job.finished",
        version=1,
        body=JobEnded,
        summary="Work in the background has ended: all of it is done, or it could not go on.",
        example={**_QUEUED, "state": "done", "done": 12_000, "failed": 3},
    ),
    EventType(
        name="job.cancelled",
        version=1,
        body=JobEnded,
        summary="Somebody stopped work in the background. What was done stays.",
        example={**_QUEUED, "state": "cancelled", "done": 4_200, "failed": 1},
    ),
)
