"""What happens to a tenant, its sources, connections and domains."""

from typing import Annotated, Final

from msgspec import UNSET, Meta, UnsetType

from stoa.events.catalogue import Body, EventType, Nothing


class TenantCreated(Body, frozen=True):
    """A tenant as it was made."""

    slug: Annotated[str, Meta(description="Its name in addresses.")]
    time_zone: Annotated[str, Meta(description="IANA name of the zone in which its days begin.")]
    sandbox: Annotated[bool, Meta(description="Whether it is a sandbox, whose clock can be moved.")]


class Settings(Body, frozen=True):
    """Settings of a tenant that are no person's."""

    name: str | UnsetType = UNSET
    time_zone: str | UnsetType = UNSET
    accent: Annotated[str | UnsetType | None, Meta(description="`#rrggbb`; null is Stoa's own.")] = UNSET


class TenantChanged(Body, frozen=True):
    """Which settings changed, with the new values of those that are no person's."""

    fields: Annotated[list[str], Meta(description="Names of the settings that changed.")]
    name: str | UnsetType = UNSET
    time_zone: str | UnsetType = UNSET
    accent: str | UnsetType | None = UNSET
    before: Annotated[Settings | UnsetType, Meta(description="Those settings as they were.")] = UNSET
    after: Annotated[Settings | UnsetType, Meta(description="Those settings as they are.")] = UNSET


class ClockMoved(Body, frozen=True):
    """Where a sandbox's clock stands."""

    offset_seconds: Annotated[float, Meta(description="How far the clock is ahead of the real one, in all.")]


class SourceCreated(Body, frozen=True):
    """A source of records."""

    kind: Annotated[str, Meta(description="`hris`, `idp`, `console`, `api` or `import`.")]
    name: str


class ConnectionCreated(Body, frozen=True):
    """A connection as it was made."""

    source_id: Annotated[str, Meta(description="The source in whose name it brings records.")]
    connector: Annotated[str, Meta(description="Which connector reads it: `workday.raas`.")]
    name: str


class ConnectionPaused(Body, frozen=True):
    """Why a connection stands still."""

    reason: str


_CONNECTION: Final = {
    "source_id": "01980f5e-6f2a-7c3e-9a51-0d6f4b1c2a10",
    "connector": "workday.raas",
    "name": "Workday",
}

EVENT_TYPES: Final[tuple[EventType, ...]] = (
    EventType(
        name="tenant.created",
        version=1,
        body=TenantCreated,
        summary="The tenant was made: the first event of every log.",
        example={"slug": "acme", "time_zone": "Europe/Berlin", "sandbox": False},
    ),
    EventType(
        name="tenant.changed",
        version=1,
        body=TenantChanged,
        summary="Settings of the tenant changed. Of the owner, who is a person, it says only that they changed.",
        example={
            "fields": ["name", "owner_email"],
            "name": "Acme Europe",
            "before": {"name": "Acme"},
            "after": {"name": "Acme Europe"},
        },
    ),
    EventType(
        name="tenant.clock_moved",
        version=1,
        body=ClockMoved,
        summary="The clock of a sandbox was moved forward.",
        example={"offset_seconds": 86400.0},
    ),
    EventType(
        name="source.created",
        version=1,
        body=SourceCreated,
        summary="A source of records was made: an HR system, an identity provider, a client of the API.",
        example={"kind": "hris", "name": "Workday"},
    ),
    EventType(
        name="connection.created",
        version=1,
        body=ConnectionCreated,
        summary="A connection was made.",
        example=_CONNECTION,
    ),
    EventType(
        name="connection.paused",
        version=1,
        body=ConnectionPaused,
        summary="A connection was kept from running until somebody resumes it.",
        example={"reason": "The report is being rebuilt."},
    ),
    EventType(
        name="connection.resumed",
        version=1,
        body=Nothing,
        summary="A paused connection may run again.",
        example={},
    ),
    EventType(
        name="connection.secret_replaced",
        version=1,
        body=Nothing,
        summary="The secrets of a connection were replaced. They are never written down.",
        example={},
    ),
    EventType(
        name="connection.secret_resealed",
        version=1,
        body=Nothing,
        summary="The secrets of a connection were sealed with a newer key of the server. They are the same.",
        example={},
    ),
    EventType(
        name="domain.proven",
        version=1,
        body=Nothing,
        summary="The tenant has shown that a domain is its own: addresses there identify people from now on.",
        example={},
    ),
)
