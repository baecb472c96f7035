"""Tenants, the sources that assert facts in them, and the connections to those sources."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Literal

from stoa.kernel.ids import ConnectionId, SourceId, TenantId

SourceKind = Literal["console", "idp", "hris", "import", "api"]
ConnectionState = Literal["active", "paused"]


class Phase(StrEnum):
    """The six phases of a tenant, in the order in which they go live."""

    IDENTITY = "identity"
    HRIS = "hris"
    CRM = "crm"
    CONTENT = "content"
    ANALYTICS = "analytics"
    PAYMENTS = "payments"


# Which phase a source belongs to, by its kind; the console and an import belong to none.
PHASE_OF_KIND: Final[Mapping[str, Phase]] = {"idp": Phase.IDENTITY, "hris": Phase.HRIS}


@dataclass(frozen=True, slots=True)
class Tenant:
    """A customer, or a sandbox to try things in.

    Attributes:
        slug: the name in addresses: a DNS label, unique over all tenants, never changed.
        time_zone: IANA name; schedules and effective dates follow it.
        sandbox: its clock can be moved, and its mail never leaves the server.
        clock_offset: what is added to the server's clock. Zero unless sandbox.
        owner_name, owner_email: who gets the alerts that have no owner of their own.
        created_at: aware, UTC.
        accent: the accent colour of its pages as `#rrggbb`; None is Stoa's own.
    """

    tenant_id: TenantId
    slug: str
    name: str
    time_zone: str
    sandbox: bool
    clock_offset: timedelta
    owner_name: str | None
    owner_email: str | None
    created_at: datetime
    accent: str | None = None


@dataclass(frozen=True, slots=True)
class TenantListing:
    """What the platform may know of a tenant without entering it."""

    tenant_id: TenantId
    slug: str
    name: str
    time_zone: str
    sandbox: bool
    clock_offset: timedelta
    created_at: datetime
    accent: str | None = None


@dataclass(frozen=True, slots=True)
class NewTenant:
    """What is needed to make a tenant. Checked by `rules.checked_new_tenant`."""

    slug: str
    name: str
    time_zone: str = "UTC"
    sandbox: bool = False
    owner_name: str | None = None
    owner_email: str | None = None
    domains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TenantChange:
    """What an admin may change of a tenant. Checked by `rules.checked_change`. None of owner and accent is none."""

    name: str
    time_zone: str
    owner_name: str | None
    owner_email: str | None
    accent: str | None


@dataclass(frozen=True, slots=True)
class Source:
    """Somebody who asserts facts about people: "Okta", "Workday", the console. Outlives connections and tokens."""

    source_id: SourceId
    kind: SourceKind
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewConnection:
    """What is needed to connect to a source.

    Attributes:
        connector: the connector's name, such as `workday`.
        config: what may be read back and shown. JSON values.
        secrets: what is sealed at rest and never shown, by name.
    """

    source_id: SourceId
    connector: str
    name: str
    config: Mapping[str, Any]
    secrets: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


@dataclass(frozen=True, slots=True)
class Connection:
    """A configured connector. Its secrets are read by `actions.open_secret` alone.

    Attributes:
        contact_at: when the other side was last read, or last spoke.
        success_at: when what it said was last applied.
        expected_by: when the next success is due at the latest; None while nothing is scheduled.
        failing: the code of the last error, until something goes well again.
    """

    connection_id: ConnectionId
    source_id: SourceId
    connector: str
    name: str
    config: Mapping[str, Any]
    has_secret: bool
    state: ConnectionState
    paused_reason: str | None
    mapping_version: int
    created_at: datetime
    contact_at: datetime | None = None
    success_at: datetime | None = None
    expected_by: datetime | None = None
    failing: str | None = None
