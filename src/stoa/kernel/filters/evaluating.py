"""The filter decided in Python, for one thing at hand."""

import operator
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, TypeGuard, assert_never
from uuid import UUID

from stoa.kernel.fold import fold

from .catalogue import Attribute, AttrType
from .literals import parse_date, parse_datetime, parse_uuid
from .syntax import Operator
from .typed import AllOf, AnyOf, Element, Node, Operand, Relative, Test, Typed, resolve_date

_COMPARE: dict[Operator, Callable[[Any, Any], bool]] = {
    Operator.EQ: operator.eq,
    Operator.CO: operator.contains,
    Operator.SW: str.startswith,
    Operator.EW: str.endswith,
    Operator.GT: operator.gt,
    Operator.GE: operator.ge,
    Operator.LT: operator.lt,
    Operator.LE: operator.le,
}


def evaluate(typed: Typed, facts: Mapping[str, object], *, now: datetime | None = None) -> bool:
    """Whether the filter holds for `facts`: canonical attribute name to value; a complex value is a mapping of its
    sub-attributes, a multi-valued attribute a list, tuple or set of such mappings or of plain values.

    Missing and None are the same. A value of another type than the attribute's is present but compares with nothing,
    as in a JSON document; JSON's own forms (text for date-time, date and uuid) are understood. `now` (aware) is
    wanted if `typed.needs_now`; raises ValueError without it.
    """
    if typed.needs_now and now is None:
        raise ValueError("the filter holds relative dates: pass now")
    return _holds(typed.node, facts, now)


def _holds(node: Node, facts: Mapping[str, object], now: datetime | None) -> bool:
    match node:
        case Test():
            return _compares(node, _fact(facts, node.parts), now) is not node.negated
        case Element(attribute, inner, negated):
            found = any(_holds(inner, element, now) for element in _elements(attribute, facts.get(attribute.name)))
            return found is not negated
        case AllOf(nodes):
            return all(_holds(inner, facts, now) for inner in nodes)
        case AnyOf(nodes):
            return any(_holds(inner, facts, now) for inner in nodes)
        case _:
            assert_never(node)


def _is_mapping(value: object) -> TypeGuard[Mapping[str, object]]:
    return isinstance(value, Mapping)


def _is_collection(value: object) -> TypeGuard[list[object]]:
    return isinstance(value, list | tuple | set | frozenset)


def _fact(facts: Mapping[str, object], parts: tuple[str, ...]) -> object:
    found: object = facts
    for part in parts:
        if not _is_mapping(found):
            return None
        found = found.get(part)
    return found


def _elements(attribute: Attribute, value: object) -> list[Mapping[str, object]]:
    if not _is_collection(value):
        return []
    if attribute.type is AttrType.COMPLEX:
        return [element for element in value if _is_mapping(element)]
    return [{"value": element} for element in value]


def _compares(test: Test, fact: object, now: datetime | None) -> bool:
    """The comparison without its negation."""
    if fact is None or test.op is Operator.PR:
        return fact is not None
    wanted: Operand = test.value
    if isinstance(wanted, Relative) and now is not None:
        wanted = resolve_date(wanted, now, whole_day=test.attribute.type is AttrType.DATE)
    value = _value(test.attribute, fact)
    return value is not None and _COMPARE[test.op](value, wanted)


def _value(attribute: Attribute, fact: object) -> object:
    """`fact` as a value of the attribute's type, as its literals are; None for a fact of another type."""
    match attribute.type:
        case AttrType.STRING | AttrType.REFERENCE:
            if not isinstance(fact, str):
                return None
            return fold(fact) if attribute.folded else fact
        case AttrType.BOOLEAN:
            return fact if isinstance(fact, bool) else None
        case AttrType.INTEGER | AttrType.DECIMAL:
            return _number(fact)
        case AttrType.DATETIME:
            return _datetime(fact)
        case AttrType.DATE:
            return _date(fact)
        case AttrType.UUID:
            return _uuid(fact)
        case AttrType.COMPLEX:
            return None
        case _:
            assert_never(attribute.type)


def _number(fact: object) -> Decimal | None:
    if isinstance(fact, bool) or not isinstance(fact, int | float | Decimal):
        return None
    number = Decimal(repr(fact)) if isinstance(fact, float) else Decimal(fact)
    return number if number.is_finite() else None


def _datetime(fact: object) -> datetime | None:
    if isinstance(fact, str):
        return parse_datetime(fact)
    return fact.astimezone(UTC) if isinstance(fact, datetime) and fact.tzinfo is not None else None


def _date(fact: object) -> date | None:
    if isinstance(fact, str):
        return parse_date(fact)
    return fact if isinstance(fact, date) and not isinstance(fact, datetime) else None


def _uuid(fact: object) -> UUID | None:
    if isinstance(fact, str):
        return parse_uuid(fact)
    return fact if isinstance(fact, UUID) else None
