"""The filter as it was written: the tree that `parse` returns and `render` prints (RFC 7644, section 3.4.2.2).

Positions are 0-based character offsets into the text. They take no part in comparison, so that two spellings of one
filter are equal.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import TypeAlias


class Operator(Enum):
    """The ten operators of RFC 7644, table 3; values are their spelling."""

    EQ = "eq"
    NE = "ne"
    CO = "co"
    SW = "sw"
    EW = "ew"
    GT = "gt"
    GE = "ge"
    LT = "lt"
    LE = "le"
    PR = "pr"


Literal: TypeAlias = str | bool | int | Decimal | None
"""A JSON literal: a number without fraction and exponent is an int, every other number a Decimal."""


@dataclass(frozen=True, slots=True)
class AttrPath:
    """An attribute as it was written: `urn` is the schema before the last colon, `sub` the sub-attribute after the dot.

    A whole extension (`urn:ietf:params:scim:schemas:extension:enterprise:2.0:User`) reads as attribute `User` of schema
    `...:2.0`: only whoever knows the schemas can tell, by comparing `key`.
    """

    name: str
    sub: str | None = None
    urn: str | None = None
    position: int = field(default=0, compare=False)

    @property
    def text(self) -> str:
        """The path in full, as a filter would write it."""
        name = self.name if self.urn is None else f"{self.urn}:{self.name}"
        return name if self.sub is None else f"{name}.{self.sub}"

    @property
    def key(self) -> str:
        """The path in lower case, to compare by: names and schema URNs ignore case (RFC 7643, section 2.1)."""
        return self.text.lower()


@dataclass(frozen=True, slots=True)
class Compare:
    """`path op value`. The operator is never PR."""

    path: AttrPath
    op: Operator
    value: Literal
    op_position: int = field(default=0, compare=False)
    value_position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Present:
    """`path pr`."""

    path: AttrPath
    op_position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class ValuePath:
    """`path[filter]`: one element of a multi-valued attribute fulfils the whole filter."""

    path: AttrPath
    filter: "Expr"


@dataclass(frozen=True, slots=True)
class Not:
    """`not (term)`."""

    term: "Expr"


@dataclass(frozen=True, slots=True)
class And:
    """Two or more terms, none of them an And."""

    terms: tuple["Expr", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Two or more terms, none of them an Or."""

    terms: tuple["Expr", ...]


Expr: TypeAlias = Compare | Present | ValuePath | Not | And | Or


@dataclass(frozen=True, slots=True)
class Path:
    """The target of a PATCH operation (RFC 7644, figure 7).

    `attribute` never carries a sub-attribute here: `name.familyName` and `emails[type eq "work"].value` both put
    theirs in `sub_attribute`.
    """

    attribute: AttrPath
    value_filter: Expr | None = None
    sub_attribute: str | None = None


def conjunction(terms: Sequence[Expr]) -> Expr:
    """All of `terms` (at least one), with nested Ands dissolved; a single term stands for itself."""
    if len(terms) == 1:
        return terms[0]
    return And(tuple(inner for term in terms for inner in (term.terms if isinstance(term, And) else (term,))))


def disjunction(terms: Sequence[Expr]) -> Expr:
    """Any of `terms` (at least one), with nested Ors dissolved; a single term stands for itself."""
    if len(terms) == 1:
        return terms[0]
    return Or(tuple(inner for term in terms for inner in (term.terms if isinstance(term, Or) else (term,))))
