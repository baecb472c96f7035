"""sortBy and sortOrder (RFC 7644, 3.4.2.3): what lists may be ordered by, and the SQL that orders them.

Ascending, what has no value comes last; descending, first. Ties are told apart by the id, in the same direction. Of a
multi-valued attribute its primary element counts, else its first. Text is compared by code points: folded, unless the
attribute is case-exact.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Final
from uuid import UUID

from stoa.identity.scim.errors import invalid_value
from stoa.kernel.cursors import BadCursor, Mark, id_mark, number_mark, text_mark
from stoa.kernel.filters import Attribute, AttrType, Binding, Catalogue, Column, Cost, FilterError, JsonPath, parse_path
from stoa.kernel.filters.binding import Scalar, json_member

# Of a long text that stands in a document, so much counts: a cursor holds it, and goes into an address.
SORTED_CHARACTERS: Final = 300
_ORDERS: Final = {"ascending": False, "descending": True}


@dataclass(frozen=True, slots=True)
class Order:
    """What a list is ordered by.

    Attributes:
        name: canonical: `userName`, `name.familyName`, `emails.value`.
        attribute: the one that holds single values.
    """

    name: str
    attribute: Attribute
    descending: bool

    @property
    def indexed(self) -> bool:
        """Whether the order is that of an index."""
        return self.attribute.cost is Cost.INDEXED

    @property
    def type(self) -> str:
        """The SQL type of what is compared. Moments are compared as seconds."""
        match self.attribute.type:
            case AttrType.BOOLEAN:
                return "boolean"
            case AttrType.INTEGER | AttrType.DECIMAL | AttrType.DATETIME | AttrType.DATE:
                return "numeric"
            case AttrType.UUID:
                return "uuid"
            case AttrType.STRING | AttrType.REFERENCE | AttrType.COMPLEX:
                return "text"

    def mark(self, value: object) -> Mark:
        """A value that was compared, as a cursor holds it."""
        if value is None or isinstance(value, str):
            return value
        return int(value) if isinstance(value, bool) else str(value)

    def value(self, mark: Mark) -> object:
        """What `mark` was given. Raises BadCursor."""
        return None if mark is None else _READERS[self.type](mark)


def order_of(catalogue: Catalogue, sort_by: str | None, sort_order: str | None) -> Order | None:
    """The order that is asked for, or None for the usual one. Raises ScimError invalidValue for an attribute that there
    is not, or that has no single value to compare.
    """
    direction = (sort_order or "").strip().lower() or "ascending"
    if direction not in _ORDERS:
        raise invalid_value(f'"sortOrder" must be ascending or descending, not {direction[:40]!a}.')
    if sort_by is None or not sort_by.strip():
        return None
    name, attribute = _sorted_by(catalogue, sort_by.strip())
    return Order(name, attribute, _ORDERS[direction])


@lru_cache(maxsize=512)
def _sorted_by(catalogue: Catalogue, text: str) -> tuple[str, Attribute]:
    try:
        path = parse_path(text)
        attribute = catalogue.resolve(path.attribute)
    except FilterError as error:
        raise invalid_value(f'"sortBy": {error}') from None
    if path.value_filter is not None:
        raise invalid_value('"sortBy" takes no filter: of several values the primary one counts, else the first.')
    sub_name = path.sub_attribute or ("value" if attribute.type is AttrType.COMPLEX else None)
    if sub_name is None:
        return (f"{attribute.name}.value" if attribute.multi_valued else attribute.name), attribute
    sub = attribute.sub(sub_name)
    if sub is None:
        known = ", ".join(f"{attribute.name}.{one.name}" for one in attribute.members()) or attribute.name
        raise invalid_value(f'"sortBy" must name what has a value to compare, such as {known}.')
    return f"{attribute.name}.{sub.name}", sub


# ------------------------------------------------------------------ in SQL


def sort_keys(
    catalogue: Catalogue, binding: Binding, lists: Mapping[str, tuple[str, tuple[str, ...]]]
) -> dict[str, str]:
    """The SQL expression of each attribute that a list can be ordered by, by its canonical name.

    lists: for the multi-valued attributes, the document and the path at which their elements stand, folded where they
        are compared so.
    """
    keys: dict[str, str] = {}
    for attribute in catalogue.attributes:
        if attribute.multi_valued:
            if attribute.name in lists:
                keys |= _first_element(attribute, *lists[attribute.name])
            continue
        for name, single in _singles(attribute):
            place = binding.get(name)
            if isinstance(place, Column | JsonPath):
                keys[name] = sort_key(place, single)
    return keys


def _singles(attribute: Attribute) -> list[tuple[str, Attribute]]:
    if attribute.type is AttrType.COMPLEX:
        return [(f"{attribute.name}.{sub.name}", sub) for sub in attribute.sub_attributes]
    return [(attribute.name, attribute)]


def _first_element(attribute: Attribute, document: str, path: tuple[str, ...]) -> dict[str, str]:
    first = first_element(document, path)
    return {
        f"{attribute.name}.{sub.name}": sort_key(JsonPath(first, (sub.name,), (sub.name,)), sub)
        for sub in attribute.sub_attributes
    }


def first_element(document: str, path: tuple[str, ...]) -> str:
    """The SQL expression of the element that counts in an order: the primary one, else the first."""
    array = json_member(document, path)
    primary = f"jsonb_path_query_first({array}, 'strict $[*] ? (@.primary == true)', silent => true)"
    return f"coalesce({primary}, {array} -> 0)"


def sort_key(place: Scalar, attribute: Attribute) -> str:
    """The SQL expression by which single values are ordered. Of moments: the seconds."""
    if isinstance(place, Column):
        expr = place.key if attribute.folded and place.key is not None else place.expr
        return f"extract(epoch FROM {expr})" if attribute.type is AttrType.DATETIME else expr
    path = place.key_path if attribute.folded and place.key_path is not None else place.path
    member = json_member(place.document, path)
    match attribute.type:
        case AttrType.BOOLEAN:
            return f"(CASE WHEN jsonb_typeof({member}) = 'boolean' THEN {member}::boolean END)"
        case AttrType.INTEGER | AttrType.DECIMAL:
            return f"(CASE WHEN jsonb_typeof({member}) = 'number' THEN {member}::numeric END)"
        case _:
            text = f"left({member} #>> '{{}}', {SORTED_CHARACTERS})"
            return f"(CASE WHEN jsonb_typeof({member}) = 'string' THEN {text} END)"


def moment_in(member: str) -> str:
    """The SQL expression of a moment that a JSON value holds as microseconds since 1970, NULL for any other value."""
    micros = f"({member})::bigint"
    # In two steps, for a number times an interval is a matter of floating point.
    whole, rest = f"{micros} / 1000000 * interval '1 second'", f"{micros} % 1000000 * interval '1 microsecond'"
    moment = f"timestamptz '1970-01-01 00:00:00+00' + {whole} + {rest}"
    return f"(CASE WHEN jsonb_typeof({member}) = 'number' THEN {moment} END)"


# ------------------------------------------------------------------ out of a cursor


def _number(mark: Mark) -> Decimal:
    text = text_mark(mark)
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if len(text) > 1_000 or not number.is_finite() or abs(number.adjusted()) > 1_000:
        raise BadCursor("The cursor holds no number.")
    return number


def _flag(mark: Mark) -> bool:
    return number_mark(0, 1)(mark) == 1


def _id(mark: Mark) -> UUID:
    return id_mark(mark)


_READERS: Final[Mapping[str, Callable[[Mark], object]]] = {
    "boolean": _flag,
    "numeric": _number,
    "uuid": _id,
    "text": text_mark,
}
