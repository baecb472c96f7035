"""What a company hands out once and never again: employee numbers, Workday ids and mail addresses."""

import random
from dataclasses import replace

from stoa_simulators.company.names import draw_name
from stoa_simulators.company.person import Person
from stoa_simulators.company.structure import SITES, Department, Site

_STYLES = ("{:d}", "{:08d}", "E-{:06d}")
_FIRST_NUMBER = 10_017


class Registry:
    """Issues identifiers of one company. Employee numbers are text: those of some companies have leading zeros."""

    def __init__(self, rng: random.Random, domain: str) -> None:
        self.domain = domain
        self.sites: tuple[Site, ...] = tuple(rng.sample(SITES, rng.randint(3, 8)))
        self._style = rng.choice(_STYLES)
        self._next_number = _FIRST_NUMBER
        self._locals: dict[str, int] = {}

    def employee_id(self) -> str:
        """The next employee number."""
        number = self._next_number
        self._next_number += 1
        return self._style.format(number)

    def email(self, latin_given: str, latin_family: str) -> str:
        """An address that nobody in this company ever had: given.family, then given.family2 and on."""
        local = f"{latin_given}.{latin_family}"
        count = self._locals.get(local, 0) + 1
        self._locals[local] = count
        return f"{local}{count if count > 1 else ''}@{self.domain}"


def draw_wid(rng: random.Random) -> str:
    """A Workday id: 32 hexadecimal digits."""
    return f"{rng.getrandbits(128):032x}"


def draw_identity(rng: random.Random, registry: Registry, site: Site, base: Person) -> Person:
    """`base` with a new worker's identifiers, name, addresses and site."""
    given, family = draw_name(rng, site.culture)
    phone = "" if rng.random() < 0.15 else f"{site.dial} {rng.randrange(10_000):04d}"
    preferred = given.latin.capitalize() if given.native.isascii() is False and rng.random() < 0.3 else ""
    return replace(
        base,
        employee_id=registry.employee_id(),
        wid=draw_wid(rng),
        given_name=given.native,
        latin_given=given.latin,
        family_name=family.native,
        preferred_name=preferred,
        email=registry.email(given.latin, family.latin),
        phone=phone,
        location=site.name,
        time_zone=site.time_zone,
        locale=site.locale,
    )


def placed(person: Person, department: Department, title: str, grade: int) -> Person:
    """The worker in a department with a title; `grade` is 1 (no reports) to 5 (chief executive)."""
    return replace(
        person,
        department=department.name,
        division=department.division,
        cost_center=department.cost_center,
        title=title,
        job_code=f"{department.code}-{grade}{department.titles.index(title) + 1 if title in department.titles else 0}",
    )
