"""Where a slice keeps what its catalogue names. Identifiers of the SQL come from here and from nowhere else."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from .catalogue import Attribute, AttrType, Catalogue
from .errors import BindingError

_IN_JSON = frozenset(
    {AttrType.STRING, AttrType.REFERENCE, AttrType.BOOLEAN, AttrType.INTEGER, AttrType.DECIMAL, AttrType.UUID}
)


@dataclass(frozen=True, slots=True)
class Column:
    """A value as an SQL expression (`p.title`).

    A case-insensitive attribute needs `key` too: the stored column that `kernel.fold` wrote (COLLATE "C", null
    exactly when `expr` is), because SQL cannot fold, and under row-level security an index over lower() is never
    used.
    """

    expr: str
    key: str | None = None


@dataclass(frozen=True, slots=True)
class JsonPath:
    """A scalar in a jsonb document: `document` is an SQL expression, `path` the members that lead to the scalar.

    A case-insensitive attribute needs `key_path` too, where the document keeps the folded text. Dates and times do
    not bind here: PostgreSQL would raise an error on the first document that holds another text.
    """

    document: str
    path: tuple[str, ...]
    key_path: tuple[str, ...] | None = None


Scalar: TypeAlias = Column | JsonPath


@dataclass(frozen=True, slots=True)
class Exists:
    """The elements of a multi-valued attribute: `EXISTS (SELECT 1 FROM from_sql WHERE on AND ...)`.

    `on` joins to the outer row (`e.tenant_id = p.tenant_id AND e.person_id = p.person_id`). `columns` maps
    sub-attribute names to their place; the elements of a simple attribute are called `value`.
    """

    from_sql: str
    columns: Mapping[str, Scalar]
    on: str = "TRUE"


Binding: TypeAlias = Mapping[str, Scalar | Exists]
"""Canonical name (`title`, `name.familyName`, `emails`) to its place."""


def json_elements(document: str, path: tuple[str, ...], alias: str, *, objects: bool) -> str:
    """The `from_sql` of an `Exists` over a jsonb array: `alias.item` is one element; anything but an array has none.

    `objects` for a complex attribute: other elements are passed over, as `evaluate` does. Without it for a simple one.
    """
    array = json_member(document, path)
    safe = f"CASE WHEN jsonb_typeof({array}) = 'array' THEN {array} ELSE '[]' END"
    if objects:
        safe = f"jsonb_path_query_array({safe}, 'strict $[*] ? (@.type() == \"object\")')"
    return f"jsonb_array_elements({safe}) AS {alias}(item)"


def json_member(document: str, path: tuple[str, ...]) -> str:
    """The SQL expression for a member of a jsonb document, itself jsonb."""
    steps = "".join(" -> '" + step.replace("'", "''") + "'" for step in path)
    return f"({document}{steps})"


def require_bound(catalogue: Catalogue, binding: Binding) -> None:
    """Raises BindingError unless every attribute of the catalogue is bound to a place that can answer it. For a
    slice's tests.
    """
    for attribute in catalogue.attributes:
        if attribute.multi_valued:
            place = exists_of(binding, attribute)
            for member in attribute.members():
                scalar_of(place.columns, member.name, member)
        else:
            for name, single in _singles(attribute):
                scalar_of(binding, name, single)


def _singles(attribute: Attribute) -> list[tuple[str, Attribute]]:
    if attribute.type is AttrType.COMPLEX:
        return [(f"{attribute.name}.{sub.name}", sub) for sub in attribute.sub_attributes]
    return [(attribute.name, attribute)]


def exists_of(binding: Binding, attribute: Attribute) -> Exists:
    """The elements of a multi-valued attribute. Raises BindingError."""
    place = binding.get(attribute.name)
    if not isinstance(place, Exists):
        raise BindingError(f"{attribute.name} is multi-valued: bind it to Exists")
    return place


def scalar_of(binding: Mapping[str, Scalar | Exists], name: str, attribute: Attribute) -> Scalar:
    """The place of a single value. Raises BindingError if there is none or it cannot answer the attribute's type."""
    match binding.get(name):
        case None | Exists():
            raise BindingError(f"{name} is single-valued: bind it to a Column or a JsonPath")
        case Column(key=None) if attribute.folded:
            raise BindingError(f"{name} is case-insensitive: bind its key column")
        case JsonPath(key_path=None) if attribute.folded:
            raise BindingError(f"{name} is case-insensitive: bind the path of its folded text")
        case JsonPath() if attribute.type not in _IN_JSON:
            raise BindingError(f"{name} is a {attribute.type.value}: bind it to a column, not to a JSON path")
        case place:
            return place
