"""PATCH paths (RFC 7644, 3.5.2, figure 7) resolved against the schema. Pure; resolved paths are cached, for identity
providers repeat themselves.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from stoa.identity.scim.errors import ScimType, bad, of_filter
from stoa.identity.scim.model import Attribute, Document, Kind, ResourceType, Schema
from stoa.identity.scim.schemas import attribute_of
from stoa.identity.scim.validation import is_urn, require_extension
from stoa.kernel.filters import (
    And,
    AttrType,
    Catalogue,
    Compare,
    Expr,
    FilterError,
    Operator,
    Path,
    Typed,
    check,
    parse_path,
)
from stoa.kernel.filters import Attribute as Filterable

MAX_PATH: Final = 2_000
_FILTER_TYPES: Final = {
    Kind.STRING: AttrType.STRING,
    Kind.BOOLEAN: AttrType.BOOLEAN,
    Kind.INTEGER: AttrType.INTEGER,
    Kind.DECIMAL: AttrType.DECIMAL,
    Kind.DATETIME: AttrType.DATETIME,
    Kind.REFERENCE: AttrType.REFERENCE,
    Kind.BINARY: AttrType.STRING,
}


@dataclass(frozen=True, slots=True)
class Extension:
    """A whole schema extension; `schema` is None for one that is not known."""

    urn: str
    schema: Schema | None


@dataclass(frozen=True, slots=True)
class OpaqueAttribute:
    """One attribute of a schema that is not known."""

    urn: str
    name: str


@dataclass(frozen=True, slots=True)
class Target:
    """An attribute, some of its elements, or a sub-attribute of either.

    Attributes:
        urn: the extension in which the attribute stands; None for the core.
        chosen: which elements, for a path with a filter.
        seed: what an element needs to fulfil that filter; None when the filter does not say it by equalities alone.
    """

    path: str
    urn: str | None
    attribute: Attribute
    chosen: Typed | None = None
    seed: tuple[tuple[str, str | bool], ...] | None = None
    sub: Attribute | None = None


@lru_cache(maxsize=2048)
def resolve(kind: ResourceType, path: str) -> Target | Extension | OpaqueAttribute:
    """What `path` names. Raises ScimError: invalidPath for a path that cannot be read or names nothing, invalidFilter
    for its filter.
    """
    if len(path) > MAX_PATH:
        raise bad(ScimType.INVALID_PATH, f"The path has {len(path)} characters; at most {MAX_PATH} are read.")
    try:
        parsed = parse_path(path)
        return _resolved(kind, path, parsed)
    except FilterError as error:
        raise of_filter(error) from None


def _resolved(kind: ResourceType, path: str, parsed: Path) -> Target | Extension | OpaqueAttribute:
    urn, name = parsed.attribute.urn, parsed.attribute.name
    whole = parsed.value_filter is None and parsed.sub_attribute is None
    if urn is None or urn.lower() == kind.schema.urn.lower():
        attribute = attribute_of(kind, name)
        return _target(path, None, attribute, parsed)
    extension = kind.extensions.get(parsed.attribute.key)
    if extension is not None and whole:
        return Extension(extension.urn, extension)
    schema = kind.extensions.get(urn.lower())
    if schema is not None:
        return _target(path, schema.urn, schema.by_name.get(name.lower()), parsed)
    if not whole or not is_urn(urn):
        raise bad(ScimType.INVALID_PATH, f"The path {path!r} reaches into a schema that is not known.")
    require_extension(urn)
    # Extensions are named after the resource that they extend.
    return Extension(parsed.attribute.text, None) if name.lower() == kind.name.lower() else OpaqueAttribute(urn, name)


def _target(path: str, urn: str | None, attribute: Attribute | None, parsed: Path) -> Target:
    if attribute is None:
        raise bad(
            ScimType.INVALID_PATH,
            f"The path {path!r} names no attribute of {urn or 'the resource'}. Remove it from the attribute mapping.",
        )
    sub = None if parsed.sub_attribute is None else attribute.by_name.get(parsed.sub_attribute.lower())
    if sub is None and parsed.sub_attribute is not None:
        raise bad(
            ScimType.INVALID_PATH, f"{attribute.name!r} has no sub-attribute {parsed.sub_attribute!r} (path {path!r})."
        )
    if parsed.value_filter is None:
        return Target(path, urn, attribute, sub=sub)
    if not attribute.multi_valued or attribute.kind is not Kind.COMPLEX:
        raise bad(
            ScimType.INVALID_PATH,
            f"{attribute.name!r} has a single value, so it takes no filter in square brackets (path {path!r}).",
        )
    chosen = check(parsed.value_filter, elements_of(attribute))
    return Target(path, urn, attribute, chosen, _seed(attribute, parsed.value_filter), sub)


@lru_cache(maxsize=64)
def elements_of(attribute: Attribute) -> Catalogue:
    """What a filter in square brackets may speak about."""
    return Catalogue(
        Filterable(sub.name, _FILTER_TYPES[sub.kind], case_exact=sub.case_exact) for sub in attribute.sub_attributes
    )


def _seed(attribute: Attribute, expr: Expr) -> tuple[tuple[str, str | bool], ...] | None:
    """The values that make an element fulfil a filter of equalities: `type eq "work"` gives type: work."""
    terms = expr.terms if isinstance(expr, And) else (expr,)
    seed: dict[str, str | bool] = {}
    for term in terms:
        if not isinstance(term, Compare) or term.op is not Operator.EQ or not isinstance(term.value, str | bool):
            return None
        sub = attribute.by_name[term.path.name.lower()]
        value = term.value
        if sub.kind is Kind.BOOLEAN:
            value = value if isinstance(value, bool) else value.lower() == "true"
        if seed.setdefault(sub.name, value) != value:
            return None
    return tuple(seed.items())


def seeded(target: Target) -> Document | None:
    """A new element that fulfils the target's filter, or None."""
    return None if target.seed is None else dict(target.seed)
