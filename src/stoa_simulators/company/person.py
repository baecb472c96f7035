"""What a company knows of one worker, and what can happen to them."""

from dataclasses import dataclass, fields
from datetime import date
from enum import StrEnum


class WorkerType(StrEnum):
    """Workday's two kinds of worker."""

    EMPLOYEE = "Employee"
    CONTINGENT = "Contingent Worker"


class Status(StrEnum):
    """Where a worker stands today. A future hire is known to HR, but has not started."""

    ACTIVE = "active"
    FUTURE = "future"
    TERMINATED = "terminated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One worker.

    `employee_id` stays for life; `wid` (Workday's own id, 32 hexadecimal digits) is new after a rehire or a conversion.
    `latin_given` is the ASCII form from which mail addresses are made. `phone` and `preferred_name` may be empty.
    The chief executive has no manager. A terminated worker keeps the manager they had.
    """

    employee_id: str
    wid: str
    given_name: str
    latin_given: str
    family_name: str
    preferred_name: str
    email: str
    phone: str
    title: str
    job_code: str
    department: str
    division: str
    cost_center: str
    location: str
    time_zone: str
    locale: str
    worker_type: WorkerType
    manager_employee_id: str | None
    hire_date: date
    termination_date: date | None
    status: Status
    on_leave: bool

    @property
    def display_name(self) -> str:
        """Preferred or given name, then family name."""
        return f"{self.preferred_name or self.given_name} {self.family_name}"


class EventKind(StrEnum):
    """What a day can bring. `announced` is a future hire entering the books, `started` their first day."""

    JOINED = "joined"
    MOVED = "moved"
    RENAMED = "renamed"
    LEFT = "left"
    REHIRED = "rehired"
    CONVERTED = "converted"
    ANNOUNCED = "announced"
    STARTED = "started"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field's old and new value, as text; an absent value is the empty string."""

    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to one worker on one day. A new worker's event lists no changes."""

    day: date
    kind: EventKind
    employee_id: str
    reason: str
    changes: tuple[FieldChange, ...] = ()


_FIELD_NAMES = tuple(field.name for field in fields(Person))


def changes_between(before: Person, after: Person) -> tuple[FieldChange, ...]:
    """The fields in which two states of one worker differ, in the order of declaration."""
    pairs = ((name, getattr(before, name), getattr(after, name)) for name in _FIELD_NAMES)
    return tuple(FieldChange(name, _text(old), _text(new)) for name, old, new in pairs if old != new)


def _text(value: object) -> str:
    return "" if value is None else str(value)
