"""Okta's group push (developer.okta.com, SCIM 2.0 protocol reference, "Operations on group objects").

Integrations of the catalogue send PATCH: names and "Push now" as replacements, members one portion at a time.
Integrations of the wizard send PUT with the whole group.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from stoa_simulators.scim_client.groups import (
    GROUP_SCHEMA,
    Group,
    Member,
    Membership,
    first_group,
    portions,
    posted_group,
)
from stoa_simulators.scim_client.profile import PATCH_SCHEMA
from stoa_simulators.scim_client.wire import Found, JsonObject, ScimWire


@dataclass(frozen=True, slots=True)
class OktaGroups:
    """Okta's groups. `whole`: an integration of the wizard, which puts whole groups."""

    whole: bool

    @property
    def keeps_inactive_members(self) -> bool:
        """A user who is unassigned leaves the groups that Okta pushes."""
        return False

    async def find_group(self, wire: ScimWire, name: str) -> Found | None:
        """By name, a page of a hundred."""
        text = quote(f'displayName eq "{name}"', safe="")
        return await first_group(wire, f"filter={text}&startIndex=1&count=100")

    async def create_group(self, wire: ScimWire, group: Group) -> str:
        """POST with an empty list of members."""
        return await posted_group(wire, {"schemas": [GROUP_SCHEMA], "displayName": group.name, "members": []})

    async def rename_group(self, wire: ScimWire, scim_id: str, name: str, members: Sequence[Member]) -> None:
        """The id comes along, which the server passes over."""
        if self.whole:
            await _put(wire, scim_id, name, members)
        else:
            await _patch(wire, scim_id, [{"op": "replace", "value": {"id": scim_id, "displayName": name}}])

    async def change_members(self, wire: ScimWire, scim_id: str, name: str, change: Membership) -> None:
        """Members are removed by filter and added with their names."""
        if self.whole:
            await _put(wire, scim_id, name, change.after)
            return
        for some in portions(change.removed):
            paths = [f'members[value eq "{one.scim_id}"]' for one in some]
            await _patch(wire, scim_id, [{"op": "remove", "path": path} for path in paths])
        for some in portions(change.added):
            await _patch(wire, scim_id, [{"op": "add", "path": "members", "value": _listed(some)}])

    async def push_now(self, wire: ScimWire, scim_id: str, name: str, change: Membership) -> None:
        """All members in one request."""
        if self.whole:
            await _put(wire, scim_id, name, change.after)
        else:
            await _patch(wire, scim_id, [{"op": "replace", "path": "members", "value": _listed(change.after)}])

    async def delete_group(self, wire: ScimWire, scim_id: str) -> None:
        """A group that is unlinked and deleted in the application."""
        await wire.send("DELETE", f"/Groups/{scim_id}")


def _listed(members: Sequence[Member]) -> list[JsonObject]:
    return [{"value": one.scim_id, "display": one.display} for one in members]


async def _patch(wire: ScimWire, scim_id: str, operations: list[JsonObject]) -> None:
    await wire.send("PATCH", f"/Groups/{scim_id}", {"schemas": [PATCH_SCHEMA], "Operations": operations})


async def _put(wire: ScimWire, scim_id: str, name: str, members: Sequence[Member]) -> None:
    body = {"schemas": [GROUP_SCHEMA], "id": scim_id, "displayName": name, "members": _listed(members)}
    await wire.send("PUT", f"/Groups/{scim_id}", body)
