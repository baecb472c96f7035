"""A company that lives: people, a management tree, and days that change them, all drawn from one seed."""

from stoa_simulators.company.living import Company
from stoa_simulators.company.person import Event, EventKind, FieldChange, Person, Status, WorkerType
from stoa_simulators.company.sizes import CompanyPlan, plan_companies

__all__ = [
    "Company",
    "CompanyPlan",
    "Event",
    "EventKind",
    "FieldChange",
    "Person",
    "Status",
    "WorkerType",
    "plan_companies",
]
