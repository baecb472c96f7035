"""People who are nobody, for sandbox tenants: the same ones each time, so that examples can name them."""

from dataclasses import dataclass
from typing import Final

from stoa.db.transactions import TenantTx
from stoa.kernel.problems import BadInput, Conflict
from stoa.people.actions import provision
from stoa.people.model import Asserted, Provisioned
from stoa.tenants.actions import ensure_source
from stoa.tenants.queries import tenant

SOURCE: Final = "Sample people"
MOST: Final = 500
_GIVEN: Final = ("Ada", "Björn", "Chiara", "Dmitri", "Emeka", "Fatima", "Grace", "Hiro", "Inés", "Jonas")
_FAMILY: Final = ("Okafor", "Lindqvist", "Rossi", "Sato", "García", "Novak", "Haddad", "Schmidt", "Byrne", "Kowalska")
_DEPARTMENTS: Final = ("Sales", "Engineering", "People", "Finance")
_TITLES: Final = ("Associate", "Specialist", "Lead")


class NoSandbox(Conflict):
    """Sample people are made in sandbox tenants alone, and this tenant is none.

    The operator of the server makes a sandbox with `stoa tenant create NAME --sandbox`.
    """

    code = "no_sandbox"


@dataclass(frozen=True, slots=True)
class Seeded:
    """How many were made, and how many were there already."""

    made: int
    known: int


async def seed(tx: TenantTx, people: int) -> Seeded:
    """Makes sample people in a sandbox tenant, by the way that every source takes. Those that are there stay as they
    are.

    people: how many there are to be, 1 to 500; every tenth is not active.

    Raises:
        BadInput: another number. NoSandbox.
    """
    if not 1 <= people <= MOST:
        raise BadInput(f"{people} is not a number of sample people; there can be 1 to {MOST}.")
    if not (await tenant(tx)).sandbox:
        raise NoSandbox("This tenant is no sandbox.", hint="Make one: stoa tenant create NAME --sandbox.")
    source = await ensure_source(tx, "import", SOURCE)
    made = 0
    for number in range(1, people + 1):
        done = await provision(tx, source.source_id, _sample(number))
        # Who is inactive and asked for again is found again under the same id, as over SCIM.
        made += isinstance(done, Provisioned) and not done.revived
    return Seeded(made, people - made)


def _sample(number: int) -> Asserted:
    given, family = _GIVEN[number % 10], _FAMILY[number // 10 % 10]
    values = {
        "user_name": f"sample{number}@sandbox.example",
        "email": f"sample{number}@sandbox.example",
        "display_name": f"{given} {family}",
        "given_name": given,
        "family_name": family,
        "department": _DEPARTMENTS[number % len(_DEPARTMENTS)],
        "title": _TITLES[number % len(_TITLES)],
    }
    return Asserted(values, active=number % 10 != 0, scim_external_id=f"S{number:04d}")
