"""What an administrator of an identity provider does on its screens, as values: for the pages that lead through it.

Names of screens, fields and attributes are the provider's own and stay in its language.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from stoa.identity.scim.model import ENTERPRISE_SCHEMA

# What a field of the provider gets that only this tenant knows.
ADDRESS: Final = "{address}"
TOKEN: Final = "{token}"  # noqa: S105 - where one goes


class Need(StrEnum):
    """How much depends on an attribute."""

    REQUIRED = "required"
    ADVISED = "advised"
    OPTIONAL = "optional"


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the provider's screen, and what belongs into it: ADDRESS, TOKEN, or the text itself."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Mapping:
    """An attribute of the provider and where it goes.

    Attributes:
        theirs: the provider's attribute.
        ours: the SCIM attribute that it is sent as.
        field: what it becomes here (`people.fields`, or `active`); None for what is kept for the provider alone.
    """

    theirs: str
    ours: str
    field: str | None
    need: Need = Need.OPTIONAL


@dataclass(frozen=True, slots=True)
class Walk:
    """The way through one provider's screens.

    Attributes:
        key: in addresses and in the database.
        title: as its maker calls it; empty for one that nobody described.
        about: one sentence for whoever chooses.
        begin: up to the screen with the fields, in order.
        fields: what to enter there.
        test: how its test of the connection is started, and what it sends.
        map_at: where its mapping of attributes is.
        mappings: in the order of its screen.
        groups: how groups are sent; empty if it sends none.
        people: how people are assigned, and how soon they arrive.
        leavers: what it sends of somebody who leaves.
        guide: the file in docs/guides.
    """

    key: str
    title: str
    about: str
    begin: Sequence[str]
    fields: Sequence[Field]
    test: Sequence[str]
    map_at: str
    mappings: Sequence[Mapping]
    groups: Sequence[str]
    people: Sequence[str]
    leavers: str
    guide: str


def enterprise(name: str) -> str:
    """The whole name of an attribute of the enterprise extension (RFC 7643, 4.3)."""
    return f"{ENTERPRISE_SCHEMA}:{name}"


WORK_EMAIL: Final = 'emails[type eq "work"].value'
WORK_PHONE: Final = 'phoneNumbers[type eq "work"].value'
