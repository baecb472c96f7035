"""The filter as a PostgreSQL condition for WHERE.

Why no leaf needs a guard against NULL. The condition is in negation normal form: above the leaves stand AND, OR,
EXISTS and NOT EXISTS alone. AND and OR are monotone, so reading a leaf's NULL as false cannot change whether the
whole is true, and a WHERE, that of an EXISTS included, drops NULL like false. Positive leaves may therefore stay `key
= $1`, which an index answers; `(key = $1) IS TRUE` would hide them from it. Negative leaves must be true on NULL and
say so: IS DISTINCT FROM, IS NOT TRUE. Outside a WHERE write `(condition) IS TRUE`.

Why these forms. Under row-level security an index answers only leakproof operators. Equality and order of text are;
LIKE, starts_with and `^@` are not, so a prefix is the range from itself to its successor in code-point order, which
is the byte order of UTF-8 and that of COLLATE "C".
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from .binding import Binding, Column, Exists, JsonPath, Scalar, exists_of, json_member, scalar_of
from .catalogue import AttrType
from .syntax import Operator
from .typed import AllOf, AnyOf, Element, Node, Relative, Test, Typed, resolve_date

_LAST = "\U0010ffff"
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_COMPARE = {Operator.EQ: "=", Operator.GT: ">", Operator.GE: ">=", Operator.LT: "<", Operator.LE: "<="}
_CAST = {
    AttrType.STRING: "text",
    AttrType.REFERENCE: "text",
    AttrType.BOOLEAN: "boolean",
    AttrType.INTEGER: "bigint",
    AttrType.DECIMAL: "numeric",
    AttrType.DATETIME: "timestamptz",
    AttrType.DATE: "date",
    AttrType.UUID: "uuid",
}
_UUID_TEXT = "'^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$'"


@dataclass(frozen=True, slots=True)
class Sql:
    """`text` is one bracketed condition with placeholders `$first_param` and up; `params` are their values in order."""

    text: str
    params: list[object]


def sql(typed: Typed, binding: Binding, *, first_param: int = 1, now: datetime | None = None) -> Sql:
    """The condition for the WHERE of a query that knows the tables of `binding`.

    `now` (aware) is wanted if `typed.needs_now`. Raises ValueError without it, BindingError for an attribute that
    `binding` lacks.
    """
    params: list[object] = []

    def bind(value: object, attribute_type: AttrType) -> str:
        if isinstance(value, Relative):
            if now is None:
                raise ValueError("the filter holds relative dates: pass now")
            value = resolve_date(value, now, whole_day=attribute_type is AttrType.DATE)
        params.append(value)
        return f"${first_param + len(params) - 1}::{_CAST[attribute_type]}"

    return Sql(_node(typed.node, binding, bind), params)


_Bind = Callable[[object, AttrType], str]


def _node(node: Node, binding: Mapping[str, Scalar | Exists], bind: _Bind) -> str:
    match node:
        case Test():
            return _test(node, scalar_of(binding, node.name, node.attribute), bind)
        case Element(attribute, inner, negated):
            place = exists_of(binding, attribute)
            condition = _node(inner, place.columns, bind)
            exists = f"EXISTS (SELECT 1 FROM {place.from_sql} WHERE ({place.on}) AND {condition})"  # noqa: S608 - identifiers come from the Binding alone
            return f"(NOT {exists})" if negated else exists
        case AllOf(nodes):
            return "(" + " AND ".join(_node(inner, binding, bind) for inner in nodes) + ")" if nodes else "TRUE"
        case AnyOf(nodes):
            return "(" + " OR ".join(_node(inner, binding, bind) for inner in nodes) + ")" if nodes else "FALSE"
        case _:
            assert_never(node)


def _test(test: Test, place: Scalar, bind: _Bind) -> str:
    if test.op is Operator.PR:
        return f"({_presence(place)} IS {'' if test.negated else 'NOT '}NULL)"
    target = _column(place, test) if isinstance(place, Column) else _json(place, test)
    if test.op is Operator.EQ:
        compare = "IS DISTINCT FROM" if test.negated else "="
        return f"({target} {compare} {bind(test.value, test.attribute.type)})"
    positive = _inequality(test, target, bind)
    return f"({positive} IS NOT TRUE)" if test.negated else positive


def _inequality(test: Test, target: str, bind: _Bind) -> str:
    kind = test.attribute.type
    text = test.value if isinstance(test.value, str) else ""
    ordered = f'{target} COLLATE "C"' if kind in {AttrType.STRING, AttrType.REFERENCE} else target
    match test.op:
        case Operator.SW:
            lower = f"{ordered} >= {bind(text, kind)}"
            after = successor(text)
            return f"({lower})" if after is None else f"({lower} AND {ordered} < {bind(after, kind)})"
        case Operator.CO:
            return f"(strpos({target}, {bind(text, kind)}) > 0)"
        case Operator.EW:
            end = bind(text, kind)
            return f"(right({target}, length({end})) = {end})"
        case _:
            return f"({ordered} {_COMPARE[test.op]} {bind(test.value, kind)})"


def _presence(place: Scalar) -> str:
    match place:
        case Column(expr):
            return _operand(expr)
        case JsonPath(document, path):
            return f"({json_member(document, path)} #>> '{{}}')"
        case _:
            assert_never(place)


def _column(place: Column, test: Test) -> str:
    return _operand(place.key if test.attribute.folded and place.key is not None else place.expr)


def _operand(expr: str) -> str:
    return expr if _PLAIN.fullmatch(expr) is not None else f"({expr})"


def _json(place: JsonPath, test: Test) -> str:
    """The scalar in its SQL type, or NULL if the document holds another type: a cast that could fail is never
    reached.
    """
    folded = test.attribute.folded and place.key_path is not None
    member = json_member(place.document, place.key_path if folded and place.key_path is not None else place.path)
    match test.attribute.type:
        case AttrType.BOOLEAN:
            wanted, value = f"jsonb_typeof({member}) = 'boolean'", f"{member}::boolean"
        case AttrType.INTEGER | AttrType.DECIMAL:
            wanted, value = f"jsonb_typeof({member}) = 'number'", f"{member}::numeric"
        case AttrType.UUID:
            text = f"({member} #>> '{{}}')"
            wanted, value = f"jsonb_typeof({member}) = 'string' AND {text} ~ {_UUID_TEXT}", f"{text}::uuid"
        case _:
            wanted, value = f"jsonb_typeof({member}) = 'string'", f"{member} #>> '{{}}'"
    return f"(CASE WHEN {wanted} THEN {value} END)"


def successor(prefix: str) -> str | None:
    """The least text, in code-point order, that is greater than every text with this prefix; None if there is none.

    The last character that can grow is replaced by its successor; surrogates are no characters and are stepped over.
    """
    stem = prefix.rstrip(_LAST)
    if not stem:
        return None
    following = ord(stem[-1]) + 1
    return stem[:-1] + chr(0xE000 if following == 0xD800 else following)
