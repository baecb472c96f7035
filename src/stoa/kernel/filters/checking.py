"""From the tree as written to the filter that the catalogue admits."""

from dataclasses import dataclass
from typing import assert_never

from .catalogue import Attribute, AttrType, Catalogue, Cost, require_elements, resolve_sub
from .errors import FilterError
from .lexing import quoted
from .literals import operand
from .syntax import And, AttrPath, Compare, Expr, Not, Operator, Or, Present, ValuePath
from .typed import AllOf, AnyOf, Element, Node, Relative, Test, Typed, negate

_BY_INDEX = frozenset({Operator.EQ, Operator.SW, Operator.GT, Operator.GE, Operator.LT, Operator.LE})
_ON_TEXT = frozenset({Operator.SW, Operator.CO, Operator.EW})


def check(expr: Expr, catalogue: Catalogue, *, relative_dates: bool = False) -> Typed:
    """`expr` with its attributes resolved, its literals typed and its negations at the leaves.

    Meaning, where RFC 7644 leaves it open:
    - a missing value (null, or no element) makes `ne` true and every other comparison false; `not` is the exact
      opposite;
    - `eq null` means absent, `ne null` present; null has no order; an empty string is a value;
    - of a multi-valued attribute some element must match; `ne` is `not eq`, so no element may equal the value. In
      square brackets `ne` speaks of the one element;
    - `emails co "x"` means `emails.value co "x"`; `name pr` means that some sub-attribute has a value;
    - an attribute that is an UUID in our store is an opaque string outside: a text that is no UUID equals none of
      them;
    - every text contains, begins and ends with "", so these mean `pr`.

    `relative_dates` admits the extension `hireDate gt "-90d"` (units d, w, m, y, h), which stays relative until a
    backend is handed `now`. Raises FilterError with the position of an unknown attribute, an operator it does not
    offer, or a wrong literal.
    """
    node = _Checker(catalogue, relative_dates).node(expr)
    return Typed(node, needs_scan=not _narrowed(node), needs_now=_relative(node))


@dataclass(frozen=True, slots=True)
class _Checker:
    catalogue: Catalogue
    relative_dates: bool

    def node(self, expr: Expr, within: Attribute | None = None) -> Node:
        match expr:
            case Compare() | Present():
                return self.leaf(expr, within)
            case ValuePath(path, inner):
                attribute = self.catalogue.resolve(path)
                require_elements(attribute, path)
                return Element(attribute, self.node(inner, attribute))
            case Not(term):
                return negate(self.node(term, within))
            case And(terms):
                return AllOf(tuple(self.node(term, within) for term in terms))
            case Or(terms):
                return AnyOf(tuple(self.node(term, within) for term in terms))
            case _:
                assert_never(expr)

    def leaf(self, expr: Compare | Present, within: Attribute | None) -> Node:
        path = expr.path
        if within is not None:
            member = _member(within, path)
            return self.test(expr, member, (member.name,), f"{within.name}.{member.name}")
        attribute = self.catalogue.resolve(path)
        sub = None if path.sub is None else resolve_sub(attribute, path.sub, path.position)
        if attribute.multi_valued:
            return self.some_element(expr, attribute, sub)
        if sub is None and attribute.type is AttrType.COMPLEX:
            if isinstance(expr, Present) or _is_null(expr):
                return self.complex_present(expr, attribute)
            sub = _value_of(expr, attribute)
        if sub is None:
            return self.test(expr, attribute, (attribute.name,), attribute.name)
        return self.test(expr, sub, (attribute.name, sub.name), f"{attribute.name}.{sub.name}")

    def some_element(self, expr: Compare | Present, attribute: Attribute, sub: Attribute | None) -> Node:
        """A comparison of a multi-valued attribute: the negation of `ne` and of `eq null` belongs to the whole, not
        to the element.
        """
        if sub is None and attribute.type is AttrType.COMPLEX:
            if isinstance(expr, Present) or _is_null(expr):
                _require_operator(expr, attribute, attribute.name)
                return Element(attribute, AllOf(()), negated=isinstance(expr, Compare) and expr.op is Operator.EQ)
            sub = _value_of(expr, attribute)
        member = sub if sub is not None else attribute.members()[0]
        name = attribute.name if attribute.type is not AttrType.COMPLEX else f"{attribute.name}.{member.name}"
        positive, negated = self.positive(expr, member, (member.name,), name)
        return Element(attribute, positive, negated)

    def complex_present(self, expr: Compare | Present, attribute: Attribute) -> Node:
        _require_operator(expr, attribute, attribute.name)
        parts = attribute.sub_attributes
        present = AnyOf(tuple(Test(sub, (attribute.name, sub.name), Operator.PR, None) for sub in parts))
        return negate(present) if isinstance(expr, Compare) and expr.op is Operator.EQ else present

    def test(self, expr: Compare | Present, attribute: Attribute, parts: tuple[str, ...], name: str) -> Node:
        node, negated = self.positive(expr, attribute, parts, name)
        return negate(node) if negated else node

    def positive(
        self, expr: Compare | Present, attribute: Attribute, parts: tuple[str, ...], name: str
    ) -> tuple[Node, bool]:
        """The comparison without its negation, and whether it is negated."""
        _require_operator(expr, attribute, name)
        present = Test(attribute, parts, Operator.PR, None)
        if isinstance(expr, Present):
            return present, False
        if expr.value is None:
            if not _is_null(expr):
                raise FilterError(
                    f'null has no order and no text, so "{expr.op.value}" cannot compare with it',
                    position=expr.value_position,
                    hint="Use eq null for absent and ne null for present.",
                )
            return present, expr.op is Operator.EQ
        value = operand(attribute, name, expr.value, expr.value_position, relative_dates=self.relative_dates)
        if expr.op in _ON_TEXT and value == "":
            return present, False
        negated = expr.op is Operator.NE
        if value is None:
            return AnyOf(()), negated
        return Test(attribute, parts, Operator.EQ if negated else expr.op, value), negated


def _is_null(expr: Compare) -> bool:
    return expr.value is None and expr.op in {Operator.EQ, Operator.NE}


def _member(within: Attribute, path: AttrPath) -> Attribute:
    if path.urn is not None or path.sub is not None:
        raise FilterError(
            f"In the square brackets of {quoted(within.name)} stand its own sub-attributes, not {quoted(path.text)}",
            position=path.position,
        )
    return resolve_sub(within, path.name, path.position)


def _value_of(expr: Compare, attribute: Attribute) -> Attribute:
    """What a comparison of a complex attribute as a whole means: its sub-attribute `value` (RFC 7643, section 2.4)."""
    found = attribute.sub("value")
    if found is None:
        raise FilterError(
            f"{quoted(attribute.name)} consists of several values and cannot be compared as a whole",
            position=expr.path.position,
            hint=f"Name one, as in {attribute.name}.{attribute.sub_attributes[0].name}.",
        )
    return found


def _require_operator(expr: Compare | Present, attribute: Attribute, name: str) -> None:
    op = Operator.PR if isinstance(expr, Present) else expr.op
    if attribute.type is AttrType.COMPLEX and isinstance(expr, Compare):
        op = Operator.PR  # `name eq null` asks for nothing but presence
    admitted = attribute.admits()
    if op not in admitted:
        offered = ", ".join(known.value for known in Operator if known in admitted)
        raise FilterError(
            f'{quoted(name)} ({attribute.type.value}) cannot be compared with "{op.value}"',
            position=expr.op_position,
            hint=f"It offers {offered}." if offered else "It cannot be filtered.",
        )


def _narrowed(node: Node, *, in_or: bool = False) -> bool:
    """Whether an index finds a superset of the rows: one conjunct suffices, of a disjunction every branch must.

    A positive EXISTS narrows as a semi-join, and PostgreSQL makes one of it only outside every OR.
    """
    match node:
        case Test(attribute, _, op, _, negated):
            return not negated and op in _BY_INDEX and attribute.cost is Cost.INDEXED
        case Element(_, inner, negated):
            return not negated and not in_or and _narrowed(inner)
        case AllOf(nodes):
            return any(_narrowed(inner, in_or=in_or) for inner in nodes)
        case AnyOf(nodes):
            return all(_narrowed(inner, in_or=True) for inner in nodes)
        case _:
            assert_never(node)


def _relative(node: Node) -> bool:
    match node:
        case Test():
            return isinstance(node.value, Relative)
        case Element(_, inner):
            return _relative(inner)
        case AllOf(nodes) | AnyOf(nodes):
            return any(_relative(inner) for inner in nodes)
        case _:
            assert_never(node)
