"""What a SCIM schema, a resource and a PATCH operation are, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

# A resource as JSON: canonical attribute names, values as the client sent them, no nulls. Extensions stand under
# their schema URN.
Document = dict[str, Any]

USER_SCHEMA: Final = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP_SCHEMA: Final = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE_SCHEMA: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH_SCHEMA: Final = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
LIST_SCHEMA: Final = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
ERROR_SCHEMA: Final = "urn:ietf:params:scim:api:messages:2.0:Error"


class Kind(Enum):
    """Data types (RFC 7643, 2.3) that our schemas use; values are their spelling in /Schemas."""

    STRING = "string"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    DECIMAL = "decimal"
    DATETIME = "dateTime"
    REFERENCE = "reference"
    BINARY = "binary"
    COMPLEX = "complex"


class Mutability(Enum):
    """RFC 7643, 7. A READ_ONLY attribute in a POST or PUT is passed over; in a PATCH that names it, it is an error. An
    IMMUTABLE one is set once.
    """

    READ_WRITE = "readWrite"
    READ_ONLY = "readOnly"
    IMMUTABLE = "immutable"
    WRITE_ONLY = "writeOnly"


@dataclass(frozen=True, slots=True, eq=False)
class Attribute:
    """One attribute of a schema (RFC 7643, 7).

    Attributes:
        max_length: the most characters of a text.
        case_exact: whether text is compared with regard to case.
        unique: whether no two users of one source may share the value.
        canonical: suggested values; others are accepted too.
        references: resource types (or `external`) that a REFERENCE may point to.
        on_request: given back only to who names it in `attributes`.
        by_name: sub-attributes by lower-case name.
    """

    name: str
    description: str
    kind: Kind = Kind.STRING
    multi_valued: bool = False
    required: bool = False
    mutability: Mutability = Mutability.READ_WRITE
    case_exact: bool = False
    unique: bool = False
    canonical: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    max_length: int = 1000
    on_request: bool = False
    sub_attributes: tuple["Attribute", ...] = ()
    by_name: Mapping[str, "Attribute"] = field(init=False, repr=False, default_factory=dict[str, "Attribute"])

    @property
    def returned(self) -> str:
        """When it is given back: never, if only written; else on request, or by default."""
        if self.mutability is Mutability.WRITE_ONLY:
            return "never"
        return "request" if self.on_request else "default"

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {sub.name.lower(): sub for sub in self.sub_attributes})


@dataclass(frozen=True, slots=True, eq=False)
class Schema:
    """A named set of attributes. `by_name` has them by lower-case name."""

    urn: str
    name: str
    description: str
    attributes: tuple[Attribute, ...]
    by_name: Mapping[str, Attribute] = field(init=False, repr=False, default_factory=dict[str, Attribute])

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {attribute.name.lower(): attribute for attribute in self.attributes})


@dataclass(frozen=True, slots=True, eq=False)
class ResourceType:
    """A kind of resource: its schema, its extensions by lower-case URN, and where it lives.

    `implied` are attributes that every resource has without a schema listing them (RFC 7643, 3.1).
    """

    name: str
    endpoint: str
    description: str
    schema: Schema
    extensions: Mapping[str, Schema]
    implied: Mapping[str, Attribute]


class Verb(Enum):
    """The three operations of PATCH (RFC 7644, 3.5.2)."""

    ADD = "add"
    REMOVE = "remove"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a PATCH, after the dialects had their say.

    Attributes:
        index: its place in the request, from 0, for error messages.
        path: the target, or None for the resource as a whole.
        value: what to add or put; None where the operation has none.
        creates: a filter in `path` that no element fulfils makes one that does, where the RFC would have `noTarget`.
    """

    index: int
    verb: Verb
    path: str | None
    value: Any = None
    creates: bool = False
