"""A literal of the filter as a value of the attribute's type."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

from stoa.kernel.fold import fold

from .catalogue import Attribute, AttrType
from .errors import FilterError
from .lexing import quoted
from .rendering import render_literal
from .syntax import Literal
from .typed import Operand, Relative

_DATETIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_RELATIVE = re.compile(r"([+-]?[0-9]{1,6})([dwmyh])")
_MOST = {"h": 876_000, "d": 36_500, "w": 5_200, "m": 1_200, "y": 100}
_BIGINT = 2**63

_WANTED = {
    AttrType.STRING: 'a string, such as "Sales"',
    AttrType.REFERENCE: 'a string, such as "https://example.com/x"',
    AttrType.BOOLEAN: "true or false",
    AttrType.INTEGER: "a whole number within 64 bits",
    AttrType.DECIMAL: "a number",
    AttrType.DATETIME: 'a date and time with its offset, such as "2026-01-31T09:00:00Z"',
    AttrType.DATE: 'a date, such as "2026-01-31"',
    AttrType.UUID: "a string with an id",
    AttrType.COMPLEX: "no value",
}


def operand(attribute: Attribute, name: str, literal: Literal, position: int, *, relative_dates: bool) -> Operand:
    """The value that `literal` has for `attribute`; None for the id that no UUID can equal. Raises FilterError for
    another type.
    """
    if isinstance(literal, str) and attribute.type is AttrType.UUID:
        return parse_uuid(literal)
    if isinstance(literal, str) and attribute.type in {AttrType.DATETIME, AttrType.DATE}:
        return _time(attribute, name, literal, position, relative_dates=relative_dates)
    value = _plain(attribute, literal)
    if value is None:
        raise _mismatch(attribute, name, literal, position)
    return value


def _plain(attribute: Attribute, literal: Literal) -> str | bool | int | Decimal | None:
    match attribute.type, literal:
        case ((AttrType.STRING | AttrType.REFERENCE), str()):
            return fold(literal) if attribute.folded else literal
        case AttrType.BOOLEAN, bool():
            return literal
        case AttrType.BOOLEAN, str() if literal.lower() in {"true", "false"}:
            return literal.lower() == "true"  # Entra sends "True" and "False" as strings
        case ((AttrType.INTEGER | AttrType.DECIMAL), _):
            return _number(attribute.type, literal)
        case _:
            return None


def _mismatch(attribute: Attribute, name: str, literal: Literal, position: int, hint: str | None = None) -> FilterError:
    found = quoted(literal) if isinstance(literal, str) else render_literal(literal)
    return FilterError(
        f"{quoted(name)} is compared with {_WANTED[attribute.type]}, not with {found}", position=position, hint=hint
    )


def _number(kind: AttrType, literal: Literal) -> int | Decimal | None:
    if isinstance(literal, bool) or not isinstance(literal, int | Decimal):
        return None
    if kind is AttrType.DECIMAL:
        return Decimal(literal)
    if -_BIGINT <= literal < _BIGINT and literal == int(literal):
        return int(literal)
    return None


def _time(
    attribute: Attribute, name: str, literal: str, position: int, *, relative_dates: bool
) -> datetime | date | Relative:
    relative = _RELATIVE.fullmatch(literal)
    if relative is not None:
        if not relative_dates:
            raise _mismatch(attribute, name, literal, position, "Relative dates are not allowed here.")
        amount, unit = int(relative[1]), relative[2]
        if abs(amount) > _MOST[unit]:
            raise FilterError("A relative date reaches no further than 100 years", position=position)
        if unit == "h" and attribute.type is AttrType.DATE:
            raise FilterError(f"{quoted(name)} is a date: hours cannot be counted on it", position=position)
        return Relative(amount, unit)
    found = parse_datetime(literal) if attribute.type is AttrType.DATETIME else parse_date(literal)
    if found is None:
        hint = 'Or a relative one, such as "-90d".' if relative_dates else None
        raise _mismatch(attribute, name, literal, position, hint)
    return found


def parse_datetime(text: str) -> datetime | None:
    """An RFC 3339 date-time in UTC, cut to microseconds, or None for any other text."""
    if _DATETIME.fullmatch(text) is None:
        return None
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def parse_date(text: str) -> date | None:
    """An RFC 3339 full-date, or None for any other text."""
    if _DATE.fullmatch(text) is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def parse_uuid(text: str) -> UUID | None:
    """A UUID in its canonical form of 36 characters in any case, or None for any other text."""
    return UUID(text) if _UUID.fullmatch(text) is not None else None
