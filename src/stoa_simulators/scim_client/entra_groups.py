"""Entra's groups (learn.microsoft.com, "use SCIM to provision users and groups", "SCIM compatibility").

A group is made empty, read without its members, and filled by PATCH. Members go by their values in the default dialect
and by a filter in the flagged one. A member who is deactivated is not taken out, and not put back on revival. There is
no "push now": a group is brought right again by adding everybody once more.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote_plus

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

_OWN_SCHEMA: Final = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"
_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "urn:simulators:entra:group")
_WITHOUT_MEMBERS: Final = "excludedAttributes=members"


@dataclass(frozen=True, slots=True)
class EntraGroups:
    """Entra's groups in one of its two dialects."""

    flagged: bool

    @property
    def keeps_inactive_members(self) -> bool:
        """Memberships outlive a deactivation."""
        return True

    async def find_group(self, wire: ScimWire, name: str) -> Found | None:
        """By name, without members."""
        text = quote_plus(f'displayName eq "{name}"')
        return await first_group(wire, f"{_WITHOUT_MEMBERS}&filter={text}")

    async def create_group(self, wire: ScimWire, group: Group) -> str:
        """POST with no members, and Entra's own schema beside the RFC's."""
        body: JsonObject = {
            "schemas": [GROUP_SCHEMA, _OWN_SCHEMA],
            "externalId": str(uuid.uuid5(_NAMESPACE, group.subject)),
            "displayName": group.name,
            "members": [],
            "meta": {"resourceType": "Group"},
        }
        return await posted_group(wire, body)

    async def rename_group(self, wire: ScimWire, scim_id: str, name: str, members: Sequence[Member]) -> None:  # noqa: ARG002 - as every dialect
        """A replacement of the name alone."""
        flagged: JsonObject = {"op": "replace", "value": {"displayName": name}}
        plain: JsonObject = {"op": "Replace", "path": "displayName", "value": name}
        await _patch(wire, scim_id, [flagged if self.flagged else plain])

    async def change_members(self, wire: ScimWire, scim_id: str, name: str, change: Membership) -> None:  # noqa: ARG002 - as every dialect
        """The group is read without its members first."""
        await wire.get(f"/Groups/{scim_id}", _WITHOUT_MEMBERS)
        for some in portions(change.removed):
            await _patch(wire, scim_id, self._removals(some))
        for some in portions(change.added):
            verb = "add" if self.flagged else "Add"
            await _patch(wire, scim_id, [{"op": verb, "path": "members", "value": _listed(some)}])

    async def push_now(self, wire: ScimWire, scim_id: str, name: str, change: Membership) -> None:
        """Whoever should be in it is added again; whoever went is removed."""
        await self.change_members(wire, scim_id, name, Membership(change.after, change.removed, change.after))

    async def delete_group(self, wire: ScimWire, scim_id: str) -> None:
        """A group that left the scope."""
        await wire.send("DELETE", f"/Groups/{scim_id}")

    def _removals(self, members: Sequence[Member]) -> list[JsonObject]:
        if self.flagged:
            return [{"op": "remove", "path": f'members[value eq "{one.scim_id}"]'} for one in members]
        return [{"op": "Remove", "path": "members", "value": _listed(members)}]


def _listed(members: Sequence[Member]) -> list[JsonObject]:
    return [{"$ref": None, "value": one.scim_id} for one in members]


async def _patch(wire: ScimWire, scim_id: str, operations: list[JsonObject]) -> None:
    await wire.send("PATCH", f"/Groups/{scim_id}", {"schemas": [PATCH_SCHEMA], "Operations": operations})
