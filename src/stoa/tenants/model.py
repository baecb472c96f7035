"""Tenants, the sources that assert facts in them, and the connections to those sources."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from stoa.kernel.ids import ConnectionId, SourceId, TenantId

SourceKind = Literal["console", "idp", "hris", "import"]
ConnectionState = Literal["active", "paused"]


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
    """A configured connector. Its secrets are read by `actions.open_secret` alone."""

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
