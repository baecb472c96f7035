"""Extensions of the SCIM user that a tenant describes itself, as values."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

import msgspec

OwnType = Literal["string", "boolean", "integer", "decimal", "dateTime", "reference", "complex"]
OwnMutability = Literal["readWrite", "immutable", "writeOnly"]
TYPES: Final[tuple[OwnType, ...]] = ("string", "boolean", "integer", "decimal", "dateTime", "reference", "complex")
MUTABILITIES: Final[tuple[OwnMutability, ...]] = ("readWrite", "immutable", "writeOnly")


class OwnAttribute(msgspec.Struct, frozen=True, kw_only=True):
    """One attribute (RFC 7643, 7), as it is stored.

    Attributes:
        canonical: suggested values; others are accepted too.
        sub_attributes: of a complex one; they have single values, and none of them is complex.
    """

    name: str
    type: OwnType = "string"
    description: str = ""
    multi_valued: bool = False
    required: bool = False
    case_exact: bool = False
    canonical: tuple[str, ...] = ()
    mutability: OwnMutability = "readWrite"
    sub_attributes: tuple["OwnAttribute", ...] = ()


@dataclass(frozen=True, slots=True)
class OwnSchema:
    """An extension. retired_at: since when it is not offered any more."""

    schema_id: UUID
    urn: str
    name: str
    description: str
    attributes: tuple[OwnAttribute, ...]
    made_at: datetime
    changed_at: datetime
    retired_at: datetime | None = None
