"""What the provisioning cycle asks of a product, whatever its requests look like."""

from collections.abc import Mapping
from typing import Protocol

from stoa_simulators.scim_client.groups import GroupDialect
from stoa_simulators.scim_client.profile import Profile
from stoa_simulators.scim_client.wire import Found, ScimWire


class Dialect(Protocol):
    """One product's SCIM client. Every function raises wire.Refused when the server says no."""

    @property
    def flag(self) -> str:
        """The query that rides on every request, or the empty string."""
        ...

    @property
    def links_managers(self) -> bool:
        """Whether managers are set by a request of their own, with the SCIM id of the manager."""
        ...

    @property
    def deletes_after_days(self) -> int | None:
        """Days from deactivation to DELETE; None when the product never deletes."""
        ...

    @property
    def groups(self) -> GroupDialect:
        """Its way with groups."""
        ...

    def headers(self, token: str) -> Mapping[str, str]:
        """The request headers, authorization included."""
        ...

    async def test_connection(self, wire: ScimWire) -> None:
        """What the product asks when an administrator presses "test connection"."""
        ...

    async def find(self, wire: ScimWire, profile: Profile) -> Found | None:
        """The pre-check before creating."""
        ...

    async def create(self, wire: ScimWire, profile: Profile) -> str:
        """Create an active user; returns the SCIM id."""
        ...

    async def adopt(self, wire: ScimWire, found: Found, profile: Profile) -> bool:
        """Bring a user that the pre-check found to this profile, active; False when nothing had to be sent."""
        ...

    async def update(self, wire: ScimWire, scim_id: str, before: Profile, after: Profile) -> bool:
        """Send what changed; False when this product sends nothing for such a change."""
        ...

    async def reactivate(self, wire: ScimWire, scim_id: str, before: Profile, after: Profile) -> None:
        """Make a deactivated user active again, with their present profile."""
        ...

    async def deactivate(self, wire: ScimWire, scim_id: str) -> None:
        """Set `active` to false."""
        ...

    async def link_manager(self, wire: ScimWire, scim_id: str, manager_scim_id: str, replaces: bool) -> None:
        """Set the manager to a user of the same server; only called when `links_managers`."""
        ...

    async def delete(self, wire: ScimWire, scim_id: str) -> None:
        """Remove the user for good; only called when `deletes_after_days` is a number."""
        ...
