"""What an administrator of the provider decides: which groups are pushed, and whom the application is assigned to."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from stoa_simulators.company import Company, Status
from stoa_simulators.scim_client import Group


@dataclass(frozen=True, slots=True)
class PushedGroup:
    """A group that is pushed: everybody active in `department`, or else the workers of `employee_ids`."""

    name: str
    department: str | None = None
    employee_ids: frozenset[str] = frozenset()


@dataclass(slots=True)
class Pushing:
    """The decisions for one application. `unassigned`: workers who lost the application though they still work there;
    the mark of a wrong mapping, or of somebody taken out by hand.
    """

    groups: dict[str, PushedGroup] = field(default_factory=dict[str, PushedGroup])
    unassigned: set[str] = field(default_factory=set[str])

    def wanted(self, company: Company) -> dict[str, Group]:
        """The groups as they should be pushed today."""
        return {
            key: Group(f"{company.slug}/{key}", group.name, frozenset(members_of(company, group)))
            for key, group in self.groups.items()
        }

    def unassign(self, company: Company, count: int) -> list[str]:
        """Takes the application from so many active workers who have it, as a wrong mapping would. Raises ValueError
        when there are not so many.
        """
        having = [
            one.employee_id for one in company.with_status(Status.ACTIVE) if one.employee_id not in self.unassigned
        ]
        if not 1 <= count <= len(having):
            raise ValueError(f"count is between 1 and {len(having)}, the active workers who have the application")
        chosen = having[-count:]
        self.unassigned.update(chosen)
        return chosen


def members_of(company: Company, group: PushedGroup) -> Iterator[str]:
    """The employee ids of a group's active members."""
    for person in company.with_status(Status.ACTIVE):
        of_department = group.department is not None and person.department == group.department
        if of_department or person.employee_id in group.employee_ids:
            yield person.employee_id
