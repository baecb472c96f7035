"""Groups that a source pushes, and who is in them, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from stoa.kernel.ids import GroupId, PersonId, ResourceId, RunId, SourceId
from stoa.people.model import Refused, Written

# How a source names a member: by the id of a user, or by a text that is none. What is in the form of an id is an id.
MemberName = UUID | str


def no_spellings() -> Mapping[UUID, str]:
    """Of a request that spells ids as they are given back."""
    return {}


@dataclass(frozen=True, slots=True)
class GroupAsserted:
    """What a source says of a group itself.

    Attributes:
        display_name: its name, unique among the groups that the source has.
        scim_external_id: the client's own id, if any (RFC 7643, 3.1).
        raw: the document as the client set it, without its members.
    """

    display_name: str
    scim_external_id: str | None = None
    raw: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """A group of a source.

    Attributes:
        present: whether the source still has it.
        member_count: how many users of the source are members, in its word.
        version: goes up with each change, of its members too.
        awaited_count: how many members the source names who are not here yet.
    """

    group_id: GroupId
    source_id: SourceId
    display_name: str
    scim_external_id: str | None
    raw: Mapping[str, Any] | None
    present: bool
    member_count: int
    version: int
    created_at: datetime
    updated_at: datetime
    awaited_count: int = 0


@dataclass(frozen=True, slots=True)
class Member:
    """One record in a group, in the word of the source. display: what to call the person, as far as it is known."""

    resource_id: ResourceId
    person_id: PersonId
    display: str | None


@dataclass(frozen=True, slots=True)
class Replaced:
    """These are the members, and no others.

    Attributes:
        spelt: ids that were not sent in the form in which they are given back, as they were sent.
        came: names of users who are among the members by their ids: nobody waits for them under these names any more.
    """

    ids: frozenset[MemberName]
    spelt: Mapping[UUID, str] = field(default_factory=no_spellings, compare=False)
    came: frozenset[MemberName] = frozenset()


@dataclass(frozen=True, slots=True)
class Delta:
    """These become members, and those are members no longer. Nobody is in both. spelt, came: as `Replaced` has them."""

    add: frozenset[MemberName] = frozenset()
    remove: frozenset[MemberName] = frozenset()
    spelt: Mapping[UUID, str] = field(default_factory=no_spellings, compare=False)
    came: frozenset[MemberName] = frozenset()


Memberships = Replaced | Delta


@dataclass(frozen=True, slots=True)
class UnknownMembers:
    """Names that are no users of the source. Nothing was written.

    Attributes:
        ids: in order.
        groups: those of them that are groups.
        crowded: they would be awaited, but more are than one group may await.
    """

    ids: tuple[MemberName, ...]
    groups: frozenset[UUID] = frozenset()
    crowded: bool = False


@dataclass(frozen=True, slots=True)
class GroupMade:
    """A group was made, or one that had been deleted came back under its old id.

    Attributes:
        written: its change in the journal.
        held: the run that effects upon members wait for, if they do.
    """

    group: Group
    revived: bool
    written: Written
    held: RunId | None = None


@dataclass(frozen=True, slots=True)
class GroupChanged:
    """The group, or its members, are others now. added, removed: how many members, in the source's word."""

    group: Group
    reason: str
    written: Written
    added: int = 0
    removed: int = 0
    held: RunId | None = None


@dataclass(frozen=True, slots=True)
class GroupUnchanged:
    """The request says what was known already."""

    group: Group


GroupOutcome = GroupChanged | GroupUnchanged | UnknownMembers | Refused
