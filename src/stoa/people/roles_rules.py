"""What follows from groups and rules. The definition; the set-based SQL of `roles` must give the same, which a property
test holds.
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from stoa.kernel.ids import GroupId
from stoa.people.roles_model import Role


@dataclass(frozen=True, slots=True)
class Membership:
    """One record of a person in one group.

    Attributes:
        in_force: whether it counts. While a change is held, that may be other than what the source says.
        group_present, record_present: whether the source still has the two.
    """

    group_id: GroupId
    in_force: bool
    group_present: bool
    record_present: bool

    @property
    def counts(self) -> bool:
        """Whether the group's rules hold for the person."""
        return self.in_force and self.group_present and self.record_present


def roles_of(memberships: Iterable[Membership], rules: Mapping[GroupId, Set[Role]]) -> frozenset[Role]:
    """The roles of one person: those that any of their groups gives.

    memberships: of all of their records, whatever the source. An inactive person keeps them, without access.
    """
    return frozenset(role for one in memberships if one.counts for role in rules.get(one.group_id, ()))


def leaves_nobody(admins: Set[object], losing: Set[object]) -> bool:
    """Whether a tenant that has admins would have none. admins: the active ones; losing: who would lose the role."""
    return bool(admins) and admins <= losing
