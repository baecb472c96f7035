"""What people do with the log of SCIM requests."""

from typing import Annotated, Final

from msgspec import Meta

from stoa.events.catalogue import Body, EventType

_REQUEST: Final = "019b0f53-5a3e-7c11-8f0e-3a5f4be0f6a1"
_SOURCE: Final = "019b0f52-1111-7aaa-8bbb-0123456789ab"


class RetentionChanged(Body, frozen=True):
    """For how long requests are kept."""

    before: Annotated[int, Meta(description="Days, until now.")]
    after: Annotated[int, Meta(description="Days, from now on.")]


class RequestRevealed(Body, frozen=True):
    """Whose request somebody read with all its fields: telephone numbers, addresses and the like."""

    source_id: Annotated[str, Meta(description="The identity provider that sent it.")]
    person_id: Annotated[str | None, Meta(description="Whom it is about; null if that is not known.")]


class RequestReplayed(Body, frozen=True):
    """A request of an identity provider was done once more, by an operator. What it changed stands in the journal."""

    source_id: Annotated[str, Meta(description="The identity provider that sent it first.")]
    replay_id: Annotated[str, Meta(description="The line of the log that tells what came of it now.")]
    status: Annotated[int, Meta(description="How it was answered now.")]
    why: Annotated[str, Meta(description="What the operator gave as the reason.")]


EVENT_TYPES: Final[tuple[EventType, ...]] = (
    EventType(
        name="scim.retention_changed",
        version=1,
        body=RetentionChanged,
        summary="Requests of identity providers are kept for longer, or shorter.",
        example={"before": 14, "after": 30},
    ),
    EventType(
        name="scim.request_revealed",
        version=1,
        body=RequestRevealed,
        summary="Somebody looked at a request of an identity provider with the fields that are hidden else.",
        example={"source_id": _SOURCE, "person_id": None},
    ),
    EventType(
        name="scim.request_replayed",
        version=1,
        body=RequestReplayed,
        summary="Somebody did a request of an identity provider once more.",
        example={
            "source_id": _SOURCE,
            "replay_id": _REQUEST,
            "status": 201,
            "why": "The duplicate is gone by now.",
        },
    ),
)
