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

    in_force: whether it counts. While a change waits for an admin, that is other than what the source says. It is the
    whole truth: the memberships of records and of groups that leave are ended.
    """

    group_id: GroupId
    in_force: bool


def roles_of(memberships: Iterable[Membership], rules: Mapping[GroupId, Set[Role]]) -> frozenset[Role]:
    """The roles of one person: those that any of their groups gives.

    memberships: of all of their records, whatever the source. An inactive person keeps them, without access.
    """
    return frozenset(role for one in memberships if one.in_force for role in rules.get(one.group_id, ()))
