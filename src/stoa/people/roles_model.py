"""Roles, and the rules by which groups give them, as values."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType
from uuid import UUID

from stoa.kernel.ids import GroupId, PersonId, SourceId

RuleId = NewType("RuleId", UUID)


class Role(StrEnum):
    """What a person may be beside a learner, which everybody is. The set is closed."""

    ADMIN = "admin"
    AUTHOR = "author"
    INSTRUCTOR = "instructor"
    MANAGER = "manager"
    REPORTER = "reporter"


@dataclass(frozen=True, slots=True)
class Rule:
    """Whoever is in the group has the role.

    Attributes:
        group_present: false once the group was deleted at its source; the rule then gives nobody anything.
        made_by: an actor, as of `Origin`.
    """

    rule_id: RuleId
    group_id: GroupId
    source_id: SourceId
    group_name: str
    source_name: str
    group_present: bool
    role: Role
    made_by: str
    made_at: datetime


@dataclass(frozen=True, slots=True)
class AddRule:
    """The group is to give the role."""

    group_id: GroupId
    role: Role


@dataclass(frozen=True, slots=True)
class RemoveRule:
    """The rule is to go."""

    rule_id: RuleId


RuleChange = AddRule | RemoveRule


@dataclass(frozen=True, slots=True)
class Affected:
    """A person whose roles a change of rules changes."""

    person_id: PersonId
    name: str | None
    active: bool


@dataclass(frozen=True, slots=True)
class Counts:
    """How many people a change of rules is about.

    Attributes:
        members: people in the group.
        gains, loses: of them, who get the role or lose it. The others have it by another group too.
    """

    members: int
    gains: int
    loses: int


@dataclass(frozen=True, slots=True)
class Preview:
    """What a change of rules would do.

    Attributes:
        group_name, source_name, role: what it is about.
        gains, loses: people by name, the first of them; `counts` has all.
        refusal: why it would be refused, if it would.
    """

    group_id: GroupId
    group_name: str
    source_name: str
    role: Role
    gains: tuple[Affected, ...]
    loses: tuple[Affected, ...]
    counts: Counts
    refusal: str | None
