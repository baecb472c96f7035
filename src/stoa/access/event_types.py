"""What happens to credentials and API clients."""

from typing import Annotated, Final

from msgspec import UNSET, Meta, UnsetType

from stoa.events.catalogue import Body, EventType, Nothing


class CredentialIssued(Body, frozen=True):
    """A credential as it was made; its secret is never written down."""

    name: Annotated[str, Meta(description="What it was called by whoever made it.")]
    scopes: Annotated[list[str], Meta(description="What it permits.")]
    kind: Annotated[
        str | UnsetType, Meta(description="`api_key` or `client_secret` of an API client; absent of a token.")
    ] = UNSET
    client_id: Annotated[str | UnsetType, Meta(description="The API client whose it is.")] = UNSET
    expires_at: Annotated[str | UnsetType | None, Meta(description="When it expires (RFC 3339); null for never.")] = (
        UNSET
    )


class ClientTerms(Body, frozen=True):
    """What an API client is let do: all of it when it was made or deleted, else what changed."""

    name: str | UnsetType = UNSET
    scopes: Annotated[list[str] | UnsetType, Meta(description="What it may do.")] = UNSET
    allowed_addresses: Annotated[
        list[str] | UnsetType, Meta(description="CIDR networks that it may call from; empty for anywhere.")
    ] = UNSET
    version: Annotated[
        str | UnsetType | None, Meta(description="The version of the API that it is written for; null for the latest.")
    ] = UNSET
    per_minute: Annotated[
        int | UnsetType | None, Meta(description="Requests a minute; null for what every client may.")
    ] = UNSET


class ClientCreated(Body, frozen=True):
    """An API client as it was made."""

    after: ClientTerms


class ClientChanged(Body, frozen=True):
    """What changed of an API client."""

    before: ClientTerms
    after: ClientTerms


class ClientDeleted(Body, frozen=True):
    """An API client as it was."""

    before: ClientTerms


class ClientKeysChanged(Body, frozen=True):
    """Which public keys an API client signs with."""

    before: Annotated[list[str], Meta(description="The ids (kid) of the keys that it had.")]
    after: Annotated[list[str], Meta(description="The ids of those that it has now.")]


class ClientSignedIn(Body, frozen=True):
    """How an API client got an access token."""

    method: Annotated[
        str, Meta(description="`client_secret_basic`, `client_secret_post` or `private_key_jwt` (RFC 7591).")
    ]
    scopes: Annotated[list[str], Meta(description="What the token permits.")]


class ClientSignInFailed(Body, frozen=True):
    """Why an API client got no access token."""

    reason: Annotated[
        str,
        Meta(description="`secret`, `assertion`, `replayed` (an assertion a second time), `disabled`, `address`, ..."),
    ]


_TERMS: Final = {
    "name": "Learning portal",
    "scopes": ["people:read", "people:write"],
    "allowed_addresses": ["203.0.113.0/24"],
    "version": None,
    "per_minute": None,
}


class ApiLimits(Body, frozen=True):
    """Requests a minute; null where it is as for every tenant."""

    api_per_minute: Annotated[int | None, Meta(description="Of the tenant as a whole.")]
    client_per_minute: Annotated[int | None, Meta(description="Of each client that has no number of its own.")]


class LimitsChanged(Body, frozen=True):
    """How much of the API the tenant may use, before and after."""

    before: ApiLimits
    after: ApiLimits


EVENT_TYPES: Final[tuple[EventType, ...]] = (
    EventType(
        name="tenant.limits_changed",
        version=1,
        body=LimitsChanged,
        summary="The limits of the public API were changed.",
        example={
            "before": {"api_per_minute": None, "client_per_minute": None},
            "after": {"api_per_minute": 12000, "client_per_minute": None},
        },
    ),
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
    EventType(
        name="client.created",
        version=1,
        body=ClientCreated,
        summary="Somebody made an API client.",
        example={"after": _TERMS},
    ),
    EventType(
        name="client.changed",
        version=1,
        body=ClientChanged,
        summary="Somebody changed what an API client is let do.",
        example={"before": {"scopes": ["people:read"]}, "after": {"scopes": ["people:read", "people:write"]}},
    ),
    EventType(
        name="client.disabled",
        version=1,
        body=Nothing,
        summary="An API client was shut out at once, until it is enabled again.",
        example={},
    ),
    EventType(
        name="client.enabled",
        version=1,
        body=Nothing,
        summary="A disabled API client was let in again.",
        example={},
    ),
    EventType(
        name="client.deleted",
        version=1,
        body=ClientDeleted,
        summary="An API client was ended for good, with all its keys and secrets.",
        example={"before": _TERMS},
    ),
    EventType(
        name="client.keys_changed",
        version=1,
        body=ClientKeysChanged,
        summary="The public keys by which an API client signs for itself were changed.",
        example={"before": ["2025"], "after": ["2025", "2026"]},
    ),
    EventType(
        name="client.signed_in",
        version=1,
        body=ClientSignedIn,
        summary="An API client got an access token for an hour. Of many within a minute the first ones are told.",
        example={"method": "private_key_jwt", "scopes": ["people:read"]},
    ),
    EventType(
        name="client.sign_in_failed",
        version=1,
        body=ClientSignInFailed,
        summary="Somebody who names an API client was refused an access token.",
        example={"reason": "secret"},
    ),
)
