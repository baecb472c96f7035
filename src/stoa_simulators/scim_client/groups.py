"""Groups that a provider pushes: who is in them, what was last pushed, and the requests of both providers.

Real providers send members in portions; a portion here is as small as the smallest that servers are known to take.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from stoa_simulators.scim_client.wire import Found, JsonObject, ScimWire, id_of, resources

GROUP_SCHEMA: Final = "urn:ietf:params:scim:schemas:core:2.0:Group"
PORTION: Final = 100


@dataclass(frozen=True, slots=True)
class Group:
    """A group as the provider knows it. `subject` identifies it; `members` are employee ids."""

    subject: str
    name: str
    members: frozenset[str]


@dataclass(frozen=True, slots=True)
class GroupAccount:
    """What was last pushed for a group. `members` maps employee id to SCIM id."""

    scim_id: str
    name: str
    members: dict[str, str]


@dataclass(frozen=True, slots=True)
class Member:
    """One member as a request names it."""

    scim_id: str
    display: str


@dataclass(frozen=True, slots=True)
class Membership:
    """What a group's members become: who comes, who goes, and who is in it then."""

    added: Sequence[Member]
    removed: Sequence[Member]
    after: Sequence[Member]


class GroupDialect(Protocol):
    """One product's way with groups. Every function raises wire.Refused when the server says no."""

    @property
    def keeps_inactive_members(self) -> bool:
        """Whether a deactivated user stays in the groups that were pushed, and is not pushed again on coming back."""
        ...

    async def find_group(self, wire: ScimWire, name: str) -> Found | None:
        """The pre-check before a group is made."""
        ...

    async def create_group(self, wire: ScimWire, group: Group) -> str:
        """Make a group without members; returns the SCIM id."""
        ...

    async def rename_group(self, wire: ScimWire, scim_id: str, name: str, members: Sequence[Member]) -> None:
        """Give the group another name; its members stay."""
        ...

    async def change_members(self, wire: ScimWire, scim_id: str, name: str, change: Membership) -> None:
        """Send who came and who went."""
        ...

    async def push_now(self, wire: ScimWire, scim_id: str, name: str, change: Membership) -> None:
        """Make the server's members these, whatever it has: an empty list clears the group on purpose."""
        ...

    async def delete_group(self, wire: ScimWire, scim_id: str) -> None:
        """Remove the group; its members stay users."""
        ...


def portions(members: Sequence[Member]) -> Iterator[Sequence[Member]]:
    """The members, so many at a time."""
    for start in range(0, len(members), PORTION):
        yield members[start : start + PORTION]


async def first_group(wire: ScimWire, query: str) -> Found | None:
    """The first group that a look-up finds."""
    for resource in resources(await wire.get("/Groups", query)):
        return Found(id_of(resource, "GET", "/Groups"), resource)
    return None


async def posted_group(wire: ScimWire, body: JsonObject) -> str:
    """The SCIM id of the group that a POST made."""
    return id_of(await wire.send("POST", "/Groups", body), "POST", "/Groups")
