"""What happens to credentials."""

from typing import Annotated, Final

from msgspec import Meta

from stoa.events.catalogue import Body, EventType, Nothing


class CredentialIssued(Body, frozen=True):
    """A credential as it was made; its secret is never written down."""

    name: Annotated[str, Meta(description="What it was called by whoever made it.")]
    scopes: Annotated[list[str], Meta(description="What it permits.")]


EVENT_TYPES: Final[tuple[EventType, ...]] = (
    EventType(
        name="credential.issued",
        version=1,
        body=CredentialIssued,
        summary="Somebody made a credential, such as the token of a SCIM client.",
        example={"name": "Okta", "scopes": ["scim"]},
    ),
    EventType(
        name="credential.revoked",
        version=1,
        body=Nothing,
        summary="A credential was ended at once and for good.",
        example={},
    ),
)
