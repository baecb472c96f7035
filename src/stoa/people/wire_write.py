"""What clients of the public API send about people, and what they are told came of it."""

from datetime import date
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from stoa.people.wire import Person

# A text that says nothing is no value: null is.
_PATTERN: Final = r"\S"
_Text = Annotated[str, Meta(max_length=1000, pattern=_PATTERN)] | None | UnsetType
_Text320 = Annotated[str, Meta(max_length=320, pattern=_PATTERN)] | None | UnsetType
_Text200 = Annotated[str, Meta(max_length=200, pattern=_PATTERN)] | None | UnsetType
_Text100 = Annotated[str, Meta(max_length=100, pattern=_PATTERN)] | None | UnsetType
_Date = date | None | UnsetType


class PersonValues(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the client's source says of a person. A member that is left out is not said, or stays as it is; null takes
    back what was said.
    """

    active: Annotated[bool | UnsetType, Meta(description="Whether the person may use anything; at first, true.")] = (
        UNSET
    )
    user_name: Annotated[_Text, Meta(description="By which they sign in: of one person of the source alone.")] = UNSET
    email: _Text320 = UNSET
    employee_id: Annotated[_Text200, Meta(description="By which a person is recognised in all sources.")] = UNSET
    display_name: _Text = UNSET
    given_name: _Text = UNSET
    family_name: _Text = UNSET
    phone: _Text100 = UNSET
    title: _Text = UNSET
    job_code: _Text200 = UNSET
    department: _Text = UNSET
    division: _Text = UNSET
    cost_center: _Text200 = UNSET
    organization: _Text = UNSET
    location: _Text = UNSET
    worker_type: _Text200 = UNSET
    time_zone: _Text100 = UNSET
    locale: _Text100 = UNSET
    hire_date: Annotated[_Date, Meta(description="The first day of access, in the tenant's time zone.")] = UNSET
    termination_date: Annotated[_Date, Meta(description="The last day of access, in the tenant's time zone.")] = UNSET
    manager_ref: Annotated[
        _Text,
        Meta(
            description="The manager: the `external_id` that the client gave them, or the id of a person whom its "
            "source has a record of. One that is not there yet counts from when it comes."
        ),
    ] = UNSET


class PersonInput(PersonValues, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the client's source says of a person, with the id that the client has for them."""

    external_id: Annotated[_Text, Meta(description="The client's own id of the person, of one person alone.")] = UNSET


class PersonResolution(msgspec.Struct, frozen=True):
    """What became of what was said."""

    outcome: Annotated[
        Literal["created", "linked", "revived", "updated", "unchanged"],
        Meta(
            description="`created`: a new person; `linked`: a new record of somebody who was known; `revived`: a "
            "record that had left or was inactive is back; `updated`: a record says something else; `unchanged`: it "
            "said so already."
        ),
    ]
    rule: Annotated[
        str | None,
        Meta(
            description="Why it is this person: `nobody_matches`, `same_employee_id`, `same_proven_email`, "
            "`same_name_in_source`, `linked_by_id`; null for a record that was there."
        ),
    ] = None


class Overruled(msgspec.Struct, frozen=True):
    """A member of the request whose value in effect is another."""

    field: str
    source: Annotated[str | None, Meta(description="The source whose word it is; null where it is nobody's.")]
    detail: Annotated[str, Meta(description="Why, for people to read.")]


class WrittenPerson(Person, frozen=True, kw_only=True):
    """A person after a change: the values in effect, and what became of those that were sent."""

    resolution: PersonResolution
    overruled: Annotated[
        list[Overruled],
        Meta(description="Members of the request whose value in effect is another, and why. Empty: all are in effect."),
    ]


# ------------------------------------------------------------------ many at once


class BulkItem(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One piece of work: as the operation of the same name, for one person."""

    action: Annotated[
        Literal["create", "update", "upsert", "remove"],
        Meta(
            description="`create` and `upsert` take `person`, `update` takes `person` and who is meant, `remove` takes "
            "who is meant; `upsert` takes `external_id`."
        ),
    ]
    id: Annotated[
        Annotated[str, Meta(min_length=1, max_length=3000)] | None,
        Meta(description="Who is meant: the person's id, or `external:SOURCE:ID`."),
    ] = None
    external_id: Annotated[
        Annotated[str, Meta(min_length=1, max_length=1000)] | None,
        Meta(description="Who is meant: the id that the client gave them. With `create`, the id that it gives them."),
    ] = None
    person: PersonInput | None = None


class BulkPeople(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Pieces of work, done in their order."""

    items: Annotated[list[BulkItem], Meta(min_length=1, max_length=1_000)]


class ImportPeople(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Pieces of work, done in their order in the background."""

    items: Annotated[list[BulkItem], Meta(min_length=1, max_length=50_000)]


class RawBulkPeople(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As BulkPeople, read so far that one bad item is one bad item."""

    items: Annotated[list[msgspec.Raw], Meta(min_length=1, max_length=1_000)]


class RawImportPeople(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As ImportPeople, read so far that one bad item is one bad item."""

    items: Annotated[list[msgspec.Raw], Meta(min_length=1, max_length=50_000)]


class ItemResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one item."""

    index: Annotated[int, Meta(description="Its place in the request, from 0.")]
    status: Annotated[int, Meta(description="The status that the item would have been answered by itself.")]
    action: Annotated[str | None, Meta(description="As asked for; null where it could not be read.")] = None
    id: Annotated[UUID | None, Meta(description="The person.")] = None
    external_id: Annotated[str | None, Meta(description="As the item named it.")] = None
    resolution: PersonResolution | None = None
    problem: Annotated[
        dict[str, Any] | None, Meta(description="Why it was not done, as a problem document (RFC 9457).")
    ] = None


class BulkAnswer(msgspec.Struct, frozen=True):
    """What came of each item, in their order."""

    results: list[ItemResult]
    succeeded: int
    failed: int
