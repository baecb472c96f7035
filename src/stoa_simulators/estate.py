"""All simulated companies, each with its report server and its identity provider, built from one seed."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Final

from stoa_simulators.company import Company, plan_companies
from stoa_simulators.pushing import Pushing
from stoa_simulators.scim_client import Dialect, Directory, Entra, Okta, OktaMode
from stoa_simulators.workday import OWNER, ReportService


class Idp(StrEnum):
    """The identity provider of a company. The flagged Entra has `aadOptscim062020` on its tenant URL."""

    OKTA = "okta"
    ENTRA = "entra"
    ENTRA_FLAGGED = "entra-flagged"


# Dealt out in this order, so that every provider and every mode of it serves companies large and small.
_DEAL: Final[tuple[tuple[Idp, Dialect], ...]] = (
    (Idp.OKTA, Okta(OktaMode.OIN)),
    (Idp.ENTRA, Entra(flagged=False)),
    (Idp.ENTRA_FLAGGED, Entra(flagged=True)),
    (Idp.OKTA, Okta(OktaMode.AIW)),
)


@dataclass(slots=True)
class Tenancy:
    """A company and the foreign systems it brings. `directories` holds the provider's memory by SCIM base URL."""

    company: Company
    idp: Idp
    dialect: Dialect
    report: ReportService
    directories: dict[str, Directory] = field(default_factory=dict[str, Directory])
    pushing: Pushing = field(default_factory=Pushing)
    provisioning: bool = False


Estate = Mapping[str, Tenancy]


def build_estate(*, companies: int, people: int, seed: int, start: date) -> Estate:
    """Companies by slug, largest first. The same arguments give the same people, passwords and providers anywhere.

    Raises ValueError when `people` cannot be spread over `companies`.
    """
    estate: dict[str, Tenancy] = {}
    for number, plan in enumerate(plan_companies(companies, people)):
        company = Company(slug=plan.slug, name=plan.name, seed=seed, size=plan.size, domain=plan.domain, start=start)
        idp, dialect = _DEAL[number % len(_DEAL)]
        service = ReportService(company, f"{OWNER}@{plan.slug}", _password(seed, plan.slug))
        estate[plan.slug] = Tenancy(company, idp, dialect, service)
    return estate


def _password(seed: int, slug: str) -> str:
    return hashlib.sha256(f"{seed}/{slug}/report".encode()).hexdigest()[:24]
