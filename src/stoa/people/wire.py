"""People as the public API shows them."""

from collections.abc import Callable
from datetime import date, datetime
from operator import itemgetter
from typing import Annotated, Any, Final, cast
from uuid import UUID

import msgspec
from msgspec import Meta

from stoa.api.lists import Tombstone
from stoa.db.transactions import Row
from stoa.people.fields import PERSON_FIELDS

_TIME: Final = Meta(tz=True)


class Person(msgspec.Struct, frozen=True):
    """A person: the values in effect, each from the source that the tenant gives most authority over it."""

    id: UUID
    active: Annotated[bool, Meta(description="Whether the person may use anything.")]
    user_name: str | None
    email: str | None
    employee_id: str | None
    display_name: str | None
    given_name: str | None
    family_name: str | None
    phone: str | None
    title: str | None
    job_code: str | None
    department: str | None
    division: str | None
    cost_center: str | None
    organization: str | None
    location: str | None
    worker_type: str | None
    time_zone: str | None
    locale: str | None
    hire_date: date | None
    termination_date: date | None
    manager_id: UUID | None
    version: Annotated[int, Meta(description="Goes up with each change; the ETag.")]
    created_at: Annotated[datetime, _TIME]
    updated_at: Annotated[datetime, _TIME]


COLUMNS: Final = (*PERSON_FIELDS, "manager_id", "version", "created_at", "merged_into")
# In the order of Person's members: it is made some hundred times for one answer.
_VALUES: Final = cast("Callable[[Row], tuple[Any, ...]]", itemgetter("person_id", *Person.__struct_fields__[1:]))


def person_of(row: Row) -> Person:
    """A person from a row of COLUMNS, `active`, `updated_at` and `person_id`."""
    return Person(*_VALUES(row))


def listed_person(row: Row) -> Person | Tombstone:
    """As `person_of`; a tombstone for who was merged into somebody else."""
    merged_into: UUID | None = row["merged_into"]
    if merged_into is None:
        return person_of(row)
    return Tombstone(row["person_id"], row["updated_at"], merged_into)
