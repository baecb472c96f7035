"""Records and persons as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from stoa.kernel.ids import PersonId, ResourceId, RunId, SourceId
from stoa.people.fields import Value

Values = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Asserted:
    """What a source says of one person, before it is stored.

    Attributes:
        values: field name (see `fields.FIELDS`) to value; a field left out is not asserted (None).
        active: what the source says of the person's state.
        scim_external_id: the SCIM client's own id, if any (RFC 7643, 3.1).
        raw: the document as the client set it, returned untransformed; None for tabular sources.
    """

    values: Values
    active: bool
    scim_external_id: str | None = None
    raw: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """One source's record of one person: external identity, assertion and SCIM resource in one."""

    source_id: SourceId
    external_id: str
    resource_id: ResourceId
    person_id: PersonId
    present: bool
    asserted_active: bool
    active: bool
    values: Values
    scim_external_id: str | None
    raw: Mapping[str, Any] | None
    version: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Written:
    """Where a change stands in the journal."""

    run_id: RunId
    ord: int


@dataclass(frozen=True, slots=True)
class Provisioned:
    """A record was made, or an inactive one revived under its old id.

    Attributes:
        rule: how it was told whose record it is.
        linked: of a person who was known before.
        written: the change in the journal; None where reviving changed nothing.
    """

    record: Record
    rule: str
    revived: bool
    linked: bool = False
    written: Written | None = None


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The request says what was known already."""

    record: Record


@dataclass(frozen=True, slots=True)
class Changed:
    """The record now says something else.

    Attributes:
        action, reason: as in the journal.
        held: the run that its effect waits for, when so many of its kind came that an admin must approve.
    """

    record: Record
    action: str
    reason: str
    written: Written
    held: RunId | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The resolver does not know who this is, or knows that somebody else has the name. Nothing was written but the
    decision.

    Attributes:
        rule: for example `user_name_taken`, `external_id_taken`, `ambiguous_employee_id`.
        detail: for the admin of the identity provider.
        candidates: the persons it might have been.
    """

    rule: str
    detail: str
    candidates: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class Person:
    """Effective values: a pure function of assertions, links, authority version and holds."""

    person_id: PersonId
    active: bool
    values: Values
    manager_id: PersonId | None
    access_epoch: int
    merged_into: PersonId | None
    version: int
    created_run: RunId
    keys: Mapping[str, str | None] = field(default_factory=dict[str, str | None])
