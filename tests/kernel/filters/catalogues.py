"""A catalogue of every kind of attribute, and strategies for filters over it."""

import string
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from hypothesis import strategies as st

from stoa.kernel.filters import (
    And,
    Attribute,
    AttrPath,
    AttrType,
    Catalogue,
    Compare,
    Cost,
    Expr,
    Literal,
    Not,
    Operator,
    Or,
    Present,
    ValuePath,
)

CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

ELEMENT = (
    Attribute("value", cost=Cost.INDEXED),
    Attribute("type", case_exact=True),
    Attribute("primary", AttrType.BOOLEAN),
)

USER = Catalogue(
    [
        Attribute("id", AttrType.UUID, cost=Cost.INDEXED),
        Attribute("userName", cost=Cost.INDEXED),
        Attribute("externalId", case_exact=True, cost=Cost.INDEXED),
        Attribute("title"),
        Attribute("userType"),
        Attribute("profileUrl", AttrType.REFERENCE),
        Attribute("active", AttrType.BOOLEAN),
        Attribute("level", AttrType.INTEGER),
        Attribute("salary", AttrType.DECIMAL),
        Attribute("hireDate", AttrType.DATE, cost=Cost.INDEXED),
        Attribute("seenAt", AttrType.DATETIME),
        Attribute("secret", operators=frozenset({Operator.PR})),
        Attribute("name", AttrType.COMPLEX, sub_attributes=(Attribute("familyName"), Attribute("givenName"))),
        Attribute("meta", AttrType.COMPLEX, sub_attributes=(Attribute("lastModified", AttrType.DATETIME),)),
        Attribute("emails", AttrType.COMPLEX, multi_valued=True, sub_attributes=ELEMENT),
        Attribute("ims", AttrType.COMPLEX, multi_valued=True, sub_attributes=ELEMENT),
        Attribute("schemas", AttrType.REFERENCE, multi_valued=True),
        Attribute("tags", multi_valued=True),
        Attribute(f"{ENTERPRISE}:department"),
        Attribute(f"{ENTERPRISE}:manager", AttrType.COMPLEX, sub_attributes=(Attribute("value", case_exact=True),)),
        Attribute("colour", case_exact=True),
        Attribute("rank", AttrType.DECIMAL),
        Attribute("flag", AttrType.BOOLEAN),
        Attribute(
            "roles",
            AttrType.COMPLEX,
            multi_valued=True,
            sub_attributes=(Attribute("value", case_exact=True), Attribute("level", AttrType.INTEGER)),
        ),
    ],
    schemas=[CORE],
)

# Few letters, so that filters and values meet: some fold, some lie beyond the BMP, some mean something to LIKE.
TEXTS = st.text(st.sampled_from("abAB%_\\'ßſéÉﬁ\U0001f600\ud7ff\U0010ffff "), max_size=4)
INTEGERS = st.integers(-3, 3) | st.sampled_from([-(2**63), 2**63 - 1])
DECIMALS = st.decimals(min_value=-2, max_value=2, places=1)
DAYS = st.integers(-40, 40).map(lambda days: date(2026, 3, 1) + timedelta(days=days))
MOMENTS = st.integers(-3000, 3000).map(lambda hours: datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=hours))
IDS = st.integers(1, 4).map(lambda number: UUID(int=number))
NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)

_RELATIVE = st.builds("{:+d}{}".format, st.integers(-5, 5), st.sampled_from("dwm"))


def _literals(kind: AttrType) -> st.SearchStrategy[Literal]:
    match kind:
        case AttrType.STRING | AttrType.REFERENCE:
            return TEXTS
        case AttrType.BOOLEAN:
            return st.sampled_from([True, False, "True", "false"])
        case AttrType.INTEGER:
            return INTEGERS
        case AttrType.DECIMAL:
            return INTEGERS | DECIMALS
        case AttrType.DATETIME:
            return MOMENTS.map(datetime.isoformat) | _RELATIVE
        case AttrType.DATE:
            return DAYS.map(date.isoformat) | _RELATIVE
        case _:
            return IDS.map(str) | st.just("no uuid")


_OPERATORS = {
    AttrType.STRING: "eq ne co sw ew gt ge lt le",
    AttrType.REFERENCE: "eq ne co sw ew gt ge lt le",
    AttrType.BOOLEAN: "eq ne",
    AttrType.UUID: "eq ne",
}


@st.composite
def _comparison(draw: st.DrawFn, path: AttrPath, kind: AttrType) -> Expr:
    choice = draw(st.integers(0, 9))
    if choice == 0:
        return Present(path)
    if choice == 1:
        return Compare(path, draw(st.sampled_from([Operator.EQ, Operator.NE])), None)
    names = _OPERATORS.get(kind, "eq ne gt ge lt le").split()
    return Compare(path, Operator(draw(st.sampled_from(names))), draw(_literals(kind)))


def _leaf(attribute: Attribute) -> st.SearchStrategy[Expr]:
    urn, _, name = attribute.name.rpartition(":")
    path = AttrPath(name, None, urn or None)
    leaves: list[st.SearchStrategy[Expr]] = []
    if attribute.type is not AttrType.COMPLEX:
        leaves.append(_comparison(path, attribute.type))
    else:
        leaves.append(st.just(Present(path)))
    leaves += [_comparison(AttrPath(name, sub.name, urn or None), sub.type) for sub in attribute.sub_attributes]
    if attribute.multi_valued:
        inner = st.one_of([_comparison(AttrPath(sub.name), sub.type) for sub in attribute.members()])
        leaves.append(st.builds(ValuePath, st.just(path), trees(inner, 3)))
    return st.one_of(leaves)


def _nested(cls: type[And] | type[Or], terms: list[Expr]) -> Expr:
    flat = [inner for term in terms for inner in (term.terms if isinstance(term, cls) else (term,))]
    return cls(tuple(flat))


def trees(leaves: st.SearchStrategy[Expr], size: int) -> st.SearchStrategy[Expr]:
    """Trees as `parse` returns them: no And directly in an And, no Or in an Or."""
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            inner.map(Not),
            st.lists(inner, min_size=2, max_size=3).map(lambda terms: _nested(And, terms)),
            st.lists(inner, min_size=2, max_size=3).map(lambda terms: _nested(Or, terms)),
        ),
        max_leaves=size,
    )


FILTERS = trees(
    st.one_of([_leaf(attribute) for attribute in USER.attributes if attribute.name != "secret"]),
    6,
)
"""Filters that USER admits (with relative dates)."""

_NAMES = st.from_regex(r"\$?[A-Za-z][A-Za-z0-9_-]{0,8}", fullmatch=True).filter(
    lambda name: name.lower() not in {"and", "or", "not"}
)
_PATHS = st.builds(
    AttrPath, _NAMES, st.none() | _NAMES, st.none() | st.sampled_from([CORE, ENTERPRISE, "https://x.example/a:b"])
)
_VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.decimals(-(10**9), 10**9, allow_nan=False, places=3)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
    | st.sampled_from([Decimal("1E+90"), Decimal("-0.5E-20")])
)
_COMPARES = st.builds(Compare, _PATHS, st.sampled_from([op for op in Operator if op is not Operator.PR]), _VALUES)
_ANY_LEAF = _COMPARES | st.builds(Present, _PATHS)
ANY_FILTERS = trees(
    _ANY_LEAF | st.builds(ValuePath, _PATHS.map(lambda path: AttrPath(path.name, None, path.urn)), trees(_ANY_LEAF, 3)),
    8,
)
"""Filters of the grammar, over any attribute."""

SCRAPS = st.lists(
    st.sampled_from(
        [
            *'()[]" .:\\',
            "not",
            "AND",
            "or",
            "userName",
            "emails",
            "value",
            "pr",
            "eq",
            "gt",
            "true",
            "null",
            "-1.5e3",
            '"x"',
            '"\\ud800"',
            f"{ENTERPRISE}:manager",
            ".value",
            "nope",
            '"-90d"',
            '"2026-01-01T00:00:00Z"',
            "level",
            "hireDate",
            "01",
        ]
    )
    | st.text(string.printable, max_size=3)
    | st.text(max_size=2),
    max_size=14,
)
"""Pieces that almost make a filter."""


def facts() -> st.SearchStrategy[dict[str, object]]:
    """Things to filter: every attribute present, null or missing."""
    return st.fixed_dictionaries({}, optional={a.name: st.none() | _fact(a) for a in USER.attributes})


def _fact(attribute: Attribute) -> st.SearchStrategy[object]:
    if attribute.type is AttrType.COMPLEX:
        subs = {sub.name: st.none() | _scalar(sub.type) for sub in attribute.sub_attributes}
        one = st.fixed_dictionaries({}, optional=subs)
    else:
        one = _scalar(attribute.type)
    return st.lists(one, max_size=3) if attribute.multi_valued else one


def _scalar(kind: AttrType) -> st.SearchStrategy[object]:
    match kind:
        case AttrType.BOOLEAN:
            return st.booleans()
        case AttrType.INTEGER:
            return INTEGERS
        case AttrType.DECIMAL:
            return DECIMALS
        case AttrType.DATETIME:
            return MOMENTS
        case AttrType.DATE:
            return DAYS
        case AttrType.UUID:
            return IDS
        case _:
            return TEXTS
