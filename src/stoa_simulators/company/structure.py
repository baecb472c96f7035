"""Divisions, departments, titles and sites from which every company is put together."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Department:
    """A department, the division it belongs to, its cost centre and the titles of those who lead nobody."""

    name: str
    division: str
    cost_center: str
    code: str
    titles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Site:
    """A place of work: IANA time zone, locale as Workday writes it, dialling prefix, and where most names are from."""

    name: str
    time_zone: str
    locale: str
    dial: str
    culture: str


_DEPARTMENTS: Final[dict[str, tuple[tuple[str, tuple[str, ...]], ...]]] = {
    "Commercial": (
        ("Sales", ("Sales Representative", "Account Executive", "Senior Account Executive")),
        ("Customer Success", ("Customer Success Associate", "Customer Success Lead")),
        ("Partnerships", ("Partner Specialist", "Alliance Lead")),
    ),
    "Engineering": (
        ("Platform Engineering", ("Software Engineer", "Senior Software Engineer", "Staff Engineer")),
        ("Quality Engineering", ("Test Engineer", "Senior Test Engineer")),
        ("Research & Development", ("Research Scientist", "Principal Scientist")),
    ),
    "Operations": (
        ("Manufacturing", ("Machine Operator", "Line Technician", "Shift Lead")),
        ("Logistics", ("Warehouse Associate", "Logistics Planner")),
        ("Health, Safety & Environment", ("Safety Officer", "Environmental Specialist")),
    ),
    "Finance": (
        ("Accounting", ("Accountant", "Senior Accountant")),
        ("Treasury & Tax", ("Tax Analyst", "Treasury Analyst")),
    ),
    "People": (
        ("Human Resources", ("HR Business Partner", "Recruiter")),
        ("Learning & Development", ("Learning Designer", "Training Coordinator")),
    ),
    "Technology": (
        ("IT Services", ("Support Analyst", "Systems Administrator")),
        ("Information Security", ("Security Analyst", "Security Engineer")),
    ),
    "Marketing": (
        ("Brand & Communications", ("Communications Specialist", "Copywriter")),
        ("Digital Marketing", ("Marketing Analyst", "Content Strategist")),
    ),
    "Legal": (
        ("Legal & Compliance", ("Counsel", "Compliance Analyst", "Paralegal")),
        ("Facilities", ("Facilities Coordinator", "Receptionist")),
    ),
}


def _departments() -> dict[str, tuple[Department, ...]]:
    table: dict[str, tuple[Department, ...]] = {}
    for number, (division, entries) in enumerate(_DEPARTMENTS.items(), start=1):
        table[division] = tuple(
            Department(name, division, f"CC{number}{place}00 {name}", f"{division[:3].upper()}{place}", titles)
            for place, (name, titles) in enumerate(entries, start=1)
        )
    return table


DEPARTMENTS_BY_DIVISION: Final = _departments()
DIVISIONS: Final = tuple(DEPARTMENTS_BY_DIVISION)
DEPARTMENTS: Final = {entry.name: entry for group in DEPARTMENTS_BY_DIVISION.values() for entry in group}
EXECUTIVE: Final = Department("Executive Office", "Executive", "CC0100 Executive Office", "EXE1", ("Chief of Staff",))

SITES: Final = (
    Site("San Francisco, CA", "America/Los_Angeles", "en_US", "+1 415 555", "english"),
    Site("New York, NY", "America/New_York", "en_US", "+1 212 555", "english"),
    Site("London", "Europe/London", "en_GB", "+44 20 7946", "english"),
    Site("Dublin", "Europe/Dublin", "en_IE", "+353 1 555", "irish"),
    Site("Berlin", "Europe/Berlin", "de_DE", "+49 30 5550", "german"),
    Site("Zürich", "Europe/Zurich", "de_CH", "+41 44 555", "german"),
    Site("Paris", "Europe/Paris", "fr_FR", "+33 1 99 00", "french"),
    Site("Montréal, QC", "America/Toronto", "fr_CA", "+1 514 555", "french"),
    Site("Madrid", "Europe/Madrid", "es_ES", "+34 91 555", "spanish"),
    Site("Ciudad de México", "America/Mexico_City", "es_MX", "+52 55 5555", "spanish"),
    Site("São Paulo", "America/Sao_Paulo", "pt_BR", "+55 11 5555", "portuguese"),
    Site("Malmö", "Europe/Stockholm", "sv_SE", "+46 40 555", "nordic"),
    Site("Kraków", "Europe/Warsaw", "pl_PL", "+48 12 555", "polish"),
    Site("İstanbul", "Europe/Istanbul", "tr_TR", "+90 212 555", "turkish"),
    Site("Dubai", "Asia/Dubai", "ar_AE", "+971 4 555", "arabic"),
    Site("Tel Aviv", "Asia/Jerusalem", "he_IL", "+972 3 555", "hebrew"),
    Site("東京", "Asia/Tokyo", "ja_JP", "+81 3 5550", "japanese"),
    Site("Bengaluru", "Asia/Kolkata", "en_IN", "+91 80 5555", "indian"),
    Site("Hà Nội", "Asia/Ho_Chi_Minh", "vi_VN", "+84 24 5555", "vietnamese"),
    Site("Lagos", "Africa/Lagos", "en_NG", "+234 1 555", "nigerian"),
)
