"""What people do with the log of SCIM requests."""

from typing import Annotated, Any, Final

from msgspec import Meta

from stoa.events.catalogue import Body, EventType

_REQUEST: Final = "019b0f53-5a3e-7c11-8f0e-3a5f4be0f6a1"
_SOURCE: Final = "019b0f52-1111-7aaa-8bbb-0123456789ab"


class RetentionChanged(Body, frozen=True):
    """For how long requests are kept."""

    before: Annotated[int, Meta(description="Days, until now.")]
    after: Annotated[int, Meta(description="Days, from now on.")]


class Answered(Body, frozen=True):
    """How a source is answered."""

    group_patch: Annotated[str, Meta(description="A PATCH of a group: `no_content` or `group`.")]
    strangers: Annotated[str, Meta(description="Members who are not here yet: `refuse` or `await`.")]


class AnsweringChanged(Body, frozen=True):
    """How an identity provider is answered, before and after."""

    before: Answered
    after: Answered


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


class SchemaNamed(Body, frozen=True):
    """An extension of users that the tenant described itself."""

    urn: str


class SchemaCreated(Body, frozen=True):
    """A new extension of users."""

    urn: str
    name: str


class SchemaAttribute(Body, frozen=True):
    """An attribute of an extension (RFC 7643, section 7)."""

    name: str
    type: Annotated[
        str, Meta(description="`string`, `boolean`, `integer`, `decimal`, `dateTime`, `reference`, `complex`.")
    ]
    description: str
    multi_valued: bool
    required: bool
    case_exact: bool
    canonical: Annotated[list[str], Meta(description="Suggested values.")]
    mutability: Annotated[str, Meta(description="`readWrite`, `immutable` or `writeOnly`.")]
    sub_attributes: Annotated[list[dict[str, Any]], Meta(description="The parts of a complex one, like this.")]


class SchemaChanged(Body, frozen=True):
    """An attribute of an extension before and after."""

    urn: str
    before: Annotated[SchemaAttribute | None, Meta(description="Null for a new attribute.")]
    after: SchemaAttribute


_URN: Final = "urn:acme:params:scim:schemas:1.0:User"
_ATTRIBUTE: Final[dict[str, Any]] = {
    "name": "badge",
    "type": "string",
    "description": "The number on the badge.",
    "multi_valued": False,
    "required": False,
    "case_exact": True,
    "canonical": [],
    "mutability": "readWrite",
    "sub_attributes": [],
}

EVENT_TYPES: Final[tuple[EventType, ...]] = (
    EventType(
        name="scim_schema.created",
        version=1,
        body=SchemaCreated,
        summary="The tenant described an extension of SCIM users.",
        example={"urn": _URN, "name": "Acme user"},
    ),
    EventType(
        name="scim_schema.changed",
        version=1,
        body=SchemaChanged,
        summary="An extension of SCIM users has one attribute more, or one of them changed.",
        example={"urn": _URN, "before": None, "after": _ATTRIBUTE},
    ),
    EventType(
        name="scim_schema.retired",
        version=1,
        body=SchemaNamed,
        summary="An extension of SCIM users is not offered any more; its values are kept as they come.",
        example={"urn": _URN},
    ),
    EventType(
        name="scim_schema.restored",
        version=1,
        body=SchemaNamed,
        summary="A retired extension of SCIM users is offered again.",
        example={"urn": _URN},
    ),
    EventType(
        name="scim.retention_changed",
        version=1,
        body=RetentionChanged,
        summary="Requests of identity providers are kept for longer, or shorter.",
        example={"before": 14, "after": 30},
    ),
    EventType(
        name="scim.answering_changed",
        version=1,
        body=AnsweringChanged,
        summary="Somebody chose how an identity provider's requests about groups are answered.",
        example={
            "before": {"group_patch": "no_content", "strangers": "refuse"},
            "after": {"group_patch": "no_content", "strangers": "await"},
        },
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
