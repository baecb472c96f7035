"""The checked filter: attributes resolved, literals of the right type, negation at the leaves.

Logic is two-valued. A `Test` is true or false, never unknown: on a missing value it is false, and its negation is
true. Since only leaves are negated, a backend may let a positive leaf be SQL's NULL: above it stand only AND, OR and
EXISTS, and to those NULL is as good as false.
"""

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TypeAlias, assert_never
from uuid import UUID

from .catalogue import Attribute
from .syntax import Operator


@dataclass(frozen=True, slots=True)
class Relative:
    """A point in time `amount` units from now: the extension to the grammar. Units are d, w, m, y and h."""

    amount: int
    unit: str


Operand: TypeAlias = str | bool | int | Decimal | datetime | date | UUID | Relative | None


@dataclass(frozen=True, slots=True)
class Test:
    """A comparison of one single value.

    `parts` leads to the value from the top, or from the element inside an `Element`. `op` is never NE (that is a
    negated EQ), and `value` is None for PR alone. Strings of a folded attribute are folded already. Datetimes are
    UTC.
    """

    __test__ = False  # not a test class, whatever a test collector may think of the name

    attribute: Attribute
    parts: tuple[str, ...]
    op: Operator
    value: Operand
    negated: bool = False

    @property
    def name(self) -> str:
        """The canonical dotted name, as bindings use it."""
        return ".".join(self.parts)


@dataclass(frozen=True, slots=True)
class Element:
    """Some element of a multi-valued attribute fulfils `node`; negated: none does."""

    attribute: Attribute
    node: "Node"
    negated: bool = False


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every node holds. Without nodes: true."""

    nodes: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Some node holds. Without nodes: false."""

    nodes: tuple["Node", ...]


Node: TypeAlias = Test | Element | AllOf | AnyOf


@dataclass(frozen=True, slots=True)
class Typed:
    """A filter that the catalogue admits.

    `needs_scan` says that no index can narrow it: the caller refuses it, or caps the rows it may touch. `needs_now`
    says that it holds relative dates, so that the backends want `now`.
    """

    node: Node
    needs_scan: bool
    needs_now: bool


def negate(node: Node) -> Node:
    """The exact opposite, with the negation at the leaves (De Morgan)."""
    match node:
        case Test(attribute, parts, op, value, negated):
            return Test(attribute, parts, op, value, not negated)
        case Element(attribute, inner, negated):
            return Element(attribute, inner, not negated)
        case AllOf(nodes):
            return AnyOf(tuple(negate(inner) for inner in nodes))
        case AnyOf(nodes):
            return AllOf(tuple(negate(inner) for inner in nodes))
        case _:
            assert_never(node)


def reads(typed: Typed) -> frozenset[str]:
    """The canonical names whose values decide the filter: `title`, `name.familyName`, `emails.value`; `emails` alone
    where only its having elements counts. An audience is recomputed for a person only when one of these changed.
    """
    return frozenset(_names(typed.node))


def _names(node: Node, prefix: str = "") -> set[str]:
    match node:
        case Test():
            return {prefix + node.name}
        case Element(attribute, inner):
            simple = not attribute.sub_attributes
            found = {attribute.name} if simple else _names(inner, f"{attribute.name}.")
            return found or {attribute.name}
        case AllOf(nodes) | AnyOf(nodes):
            return {name for inner in nodes for name in _names(inner, prefix)}
        case _:
            assert_never(node)


def resolve_date(relative: Relative, now: datetime, *, whole_day: bool) -> datetime | date:
    """The point in time that `relative` means at `now` (aware): hours are elapsed time; days, weeks, months and years
    are counted on the calendar of now's zone, the 31st becoming the last day of a shorter month. `whole_day` asks for
    the date there, else UTC.
    """
    if now.tzinfo is None:
        raise ValueError("a relative date needs an aware datetime as now")
    amount = relative.amount
    match relative.unit:
        case "h":
            moment = (now.astimezone(UTC) + timedelta(hours=amount)).astimezone(now.tzinfo)
        case "d" | "w":
            moment = now + timedelta(days=amount * (7 if relative.unit == "w" else 1))
        case "m" | "y":
            moment = _months_later(now, amount * (12 if relative.unit == "y" else 1))
        case _:
            raise ValueError(f"unknown unit of time {relative.unit}")
    return moment.date() if whole_day else moment.astimezone(UTC)


def _months_later(now: datetime, months: int) -> datetime:
    year, month = divmod(now.year * 12 + now.month - 1 + months, 12)
    return now.replace(year=year, month=month + 1, day=min(now.day, monthrange(year, month + 1)[1]))
