"""What an identity provider holds of one person, mapped from the company's own records."""

from dataclasses import dataclass
from typing import Final

from stoa_simulators.company import Company, Person

USER_SCHEMA: Final = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE_SCHEMA: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH_SCHEMA: Final = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


@dataclass(frozen=True, slots=True)
class Profile:
    """A person as the identity provider knows them. `subject` identifies them; `locale` is a BCP 47 tag.

    `manager` is the manager's employee number, `manager_name` their display name; both are None for the chief
    executive.
    """

    subject: str
    login: str
    given_name: str
    family_name: str
    display_name: str
    phone: str
    title: str
    department: str
    division: str
    cost_center: str
    organization: str
    employee_number: str
    locale: str
    time_zone: str
    manager: str | None
    manager_name: str | None


def profile_of(company: Company, person: Person) -> Profile:
    """The person's profile today. The login is the work mail address, so a rename changes it."""
    manager = company.people.get(person.manager_employee_id or "")
    return Profile(
        subject=f"{company.slug}/{person.employee_id}",
        login=person.email,
        given_name=person.given_name,
        family_name=person.family_name,
        display_name=person.display_name,
        phone=person.phone,
        title=person.title,
        department=person.department,
        division=person.division,
        cost_center=person.cost_center,
        organization=company.name,
        employee_number=person.employee_id,
        locale=person.locale.replace("_", "-"),
        time_zone=person.time_zone,
        manager=manager.employee_id if manager else None,
        manager_name=manager.display_name if manager else None,
    )
