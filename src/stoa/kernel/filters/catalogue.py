"""What a filter may speak about: the attributes of one kind of thing, their types and their operators."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum

from .errors import FilterError
from .lexing import quoted
from .syntax import AttrPath, Operator

_EQUALITY = frozenset({Operator.EQ, Operator.NE, Operator.PR})
_ORDERED = _EQUALITY | {Operator.GT, Operator.GE, Operator.LT, Operator.LE}
_TEXT = _ORDERED | {Operator.CO, Operator.SW, Operator.EW}


class AttrType(Enum):
    """The data types of RFC 7643, section 2.3, without binary (no filter can compare it), with date and uuid."""

    STRING = "string"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    DECIMAL = "decimal"
    DATETIME = "datetime"
    DATE = "date"
    REFERENCE = "reference"
    UUID = "uuid"
    COMPLEX = "complex"


class Cost(Enum):
    """Whether an index answers equality, prefix and order on the attribute. Claim INDEXED only for an index that a
    test names.
    """

    INDEXED = "indexed"
    SCAN = "scan"


_OF_TYPE: dict[AttrType, frozenset[Operator]] = {
    AttrType.STRING: _TEXT,
    AttrType.REFERENCE: _TEXT,
    AttrType.BOOLEAN: _EQUALITY,
    AttrType.UUID: _EQUALITY,
    AttrType.INTEGER: _ORDERED,
    AttrType.DECIMAL: _ORDERED,
    AttrType.DATETIME: _ORDERED,
    AttrType.DATE: _ORDERED,
    AttrType.COMPLEX: frozenset({Operator.PR}),
}


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute that filters may name.

    `name` is canonical: facts, bindings and `reads` use it. An attribute of a SCIM extension carries its schema in it
    (`urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department`). `case_exact` is for strings; references
    always are. A complex attribute lists its `sub_attributes`, which are neither complex nor multi-valued; a filter
    that compares it as a whole means its sub-attribute `value`. `operators` narrows what the type admits; None leaves
    all of them.
    """

    name: str
    type: AttrType = AttrType.STRING
    case_exact: bool = False
    multi_valued: bool = False
    sub_attributes: tuple["Attribute", ...] = ()
    operators: frozenset[Operator] | None = None
    cost: Cost = Cost.SCAN

    def __post_init__(self) -> None:
        if (self.type is AttrType.COMPLEX) != bool(self.sub_attributes):
            raise ValueError(f"{self.name}: a complex attribute has sub-attributes, and no other has")
        if self.cost is Cost.INDEXED and self.type in {AttrType.DECIMAL, AttrType.COMPLEX}:
            # Comparison of numeric is not leakproof: under row-level security no index answers it.
            raise ValueError(f"{self.name}: no index answers a {self.type.value} attribute")
        for sub in self.sub_attributes:
            if sub.multi_valued or sub.type is AttrType.COMPLEX:
                raise ValueError(f"{self.name}.{sub.name}: a sub-attribute is neither complex nor multi-valued")

    @property
    def folded(self) -> bool:
        """Whether values are compared by `kernel.fold`, without regard to case."""
        return self.type is AttrType.STRING and not self.case_exact

    def admits(self) -> frozenset[Operator]:
        """The operators that a filter may use."""
        of_type = _OF_TYPE[self.type]
        return of_type if self.operators is None else of_type & self.operators

    def sub(self, name: str) -> "Attribute | None":
        """The sub-attribute of that name in any case. A simple multi-valued attribute has one, `value`: its element
        (RFC 7643, 2.4).
        """
        for candidate in self.members():
            if candidate.name.lower() == name.lower():
                return candidate
        return None

    def members(self) -> tuple["Attribute", ...]:
        """What one element of a multi-valued attribute, or a complex value, consists of."""
        if self.type is AttrType.COMPLEX or not self.multi_valued:
            return self.sub_attributes
        return (Attribute("value", self.type, self.case_exact, operators=self.operators, cost=self.cost),)


class Catalogue:
    """The attributes of one kind of thing. `schemas` are the URNs that a filter may put before the name of any
    attribute that carries no schema of its own (`urn:ietf:params:scim:schemas:core:2.0:User`).
    """

    __slots__ = ("_by_key", "attributes", "schemas")

    def __init__(self, attributes: Iterable[Attribute], *, schemas: Iterable[str] = ()) -> None:
        """Raises ValueError if two attributes have one name."""
        self.attributes = tuple(attributes)
        self.schemas = frozenset(schema.lower() for schema in schemas)
        self._by_key = {attribute.name.lower(): attribute for attribute in self.attributes}
        if len(self._by_key) != len(self.attributes):
            raise ValueError("two attributes of the catalogue have the same name")

    def find(self, path: AttrPath) -> Attribute | None:
        """The attribute that `path` names, without regard to its sub-attribute, or None."""
        name = path.name.lower()
        if path.urn is not None and path.urn.lower() not in self.schemas:
            name = f"{path.urn.lower()}:{name}"
        return self._by_key.get(name)

    def resolve(self, path: AttrPath) -> Attribute:
        """The attribute that `path` names. Raises FilterError, with what may have been meant."""
        found = self.find(path)
        if found is None:
            raise _unknown(path.name if path.urn is None else f"{path.urn}:{path.name}", path.position, self.attributes)
        return found

    def elements(self, path: AttrPath) -> "Catalogue":
        """The catalogue for one element of a multi-valued attribute: with it, the filter in the brackets of a PATCH
        path is checked and evaluated against each element. Raises FilterError for an unknown attribute or a
        single-valued one.
        """
        attribute = self.resolve(path)
        require_elements(attribute, path)
        return Catalogue(attribute.members())


def require_elements(attribute: Attribute, path: AttrPath) -> None:
    """Raises FilterError unless the attribute is multi-valued, so that a filter in brackets can pick among its
    elements.
    """
    if not attribute.multi_valued:
        example = f"{attribute.name}.{attribute.sub_attributes[0].name}" if attribute.sub_attributes else attribute.name
        raise FilterError(
            f"{quoted(attribute.name)} has a single value, so it takes no filter in square brackets",
            position=path.position,
            hint=f"Compare it directly, as in {example} pr.",
        )


def resolve_sub(attribute: Attribute, name: str, position: int) -> Attribute:
    """The sub-attribute of that name. Raises FilterError."""
    found = attribute.sub(name)
    if found is not None:
        return found
    members = attribute.members()
    if not members:
        raise FilterError(f"{quoted(attribute.name)} has no sub-attributes", position=position)
    raise _unknown(name, position, members, of=attribute)


def _unknown(name: str, position: int, known: tuple[Attribute, ...], of: Attribute | None = None) -> FilterError:
    names = {attribute.name.lower(): attribute.name for attribute in known}
    near = [names[key] for key in get_close_matches(name.lower(), names, n=3, cutoff=0.6)]
    if near:
        hint = f"Did you mean {' or '.join(near)}?"
    elif len(names) <= 12:
        hint = f"Known: {', '.join(names.values()) or 'none'}."
    else:
        hint = None
    where = "Unknown attribute" if of is None else f"{quoted(of.name)} has no sub-attribute"
    return FilterError(f"{where} {quoted(name)}", position=position, hint=hint)
