# Polars' signatures name types of NumPy, which is not installed.
# pyright: reportUnknownMemberType=false
"""How the cells of one column are read: expressions that give the typed value and, for each way to be wrong, a flag."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, assert_never

import polars as pl

from stoa.sync import model
from stoa.sync.drift import shown
from stoa.sync.model import EXTERNAL_ID, EXTERNAL_ID_LENGTH, Column, ColumnType, Fields, FieldSpec, FieldType

# C0 but for tab, line feed and carriage return, which are white space, and C1, which Latin-1 read wrongly turns into.
_CONTROL: Final = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x{9f}]"
_CONTROL_IN_NAME: Final = r"[\x00-\x1f\x7f-\x{9f}]"
_BREAK: Final = r"\s*[\t\r\n]\s*"
# xs:date and xs:dateTime (XML Schema 1.1, 3.3.7 and 3.3.9), also with a space for the T; the date is taken as written.
_TIME: Final = r"[T ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?"
_ZONE: Final = r"Z|[+-](?:0\d|1[0-4]):?[0-5]\d"
_DATE: Final = rf"^(\d{{4}}-\d{{2}}-\d{{2}})(?:{_TIME})?(?:{_ZONE})?$"
_EMAIL: Final = r'^[^@\s,;:<>"()\[\]\\]+@[^@\s,;:<>"()\[\]\\.]+(?:\.[^@\s,;:<>"()\[\]\\.]+)+$'
_TRUE: Final = ("1", "true", "yes")
_FALSE: Final = ("0", "false", "no")

# From the column's name and the cell's text: whole sentences, so that they can be translated as such.
Told = Callable[[str, str], str]


@dataclass(frozen=True, slots=True)
class Flaw:
    """One way in which a cell can be wrong: its code, the expression that finds such cells, and the words for it."""

    code: str
    found: pl.Expr
    told: Told


@dataclass(frozen=True, slots=True)
class Reading:
    """How one column is read. The expressions stand on a text column called `at`, trimmed, empty cells null."""

    value: pl.Expr
    flaws: tuple[Flaw, ...]


def trimmed(name: str) -> pl.Expr:
    """A column of text without white space at the ends; what is then empty is null."""
    stripped = pl.col(name).str.strip_chars()
    return pl.when(stripped.str.len_bytes() > 0).then(stripped)


def reading(column: Column, fields: Fields, at: str) -> Reading:
    """How `column` is read from the text column `at`."""
    spec = _spec(column.field, fields)
    text = pl.col(at)
    is_name = spec.type is FieldType.REFERENCE or column.field == EXTERNAL_ID
    control = text.str.contains(_CONTROL_IN_NAME if is_name else _CONTROL)
    flaws = [
        Flaw("control_character", control, lambda name, _: f"{name} contains a control character, such as a NUL byte.")
    ]
    value, flaw = _typed(column, text)
    if flaw is not None:
        flaws.append(Flaw(flaw.code, flaw.found & ~control, flaw.told))
    if column.type in (ColumnType.TEXT, ColumnType.EMAIL):
        most = min(column.max_length or spec.max_length, spec.max_length)
        flaws.append(_too_long(text, most))
    if column.required:
        flaws.append(
            Flaw("required_missing", text.is_null(), lambda name, _: f"{name} is empty; every row must have it.")
        )
    return Reading(value, tuple(flaws))


def _spec(field: str, fields: Fields) -> FieldSpec:
    match field:
        case model.EXTERNAL_ID:
            return FieldSpec(max_length=EXTERNAL_ID_LENGTH)
        case model.ACTIVE:
            return FieldSpec(FieldType.BOOLEAN)
        case _:
            return fields[field]


def _too_long(text: pl.Expr, most: int) -> Flaw:
    return Flaw(
        "too_long",
        text.str.len_chars() > most,
        lambda name, value: f"{name} has {len(value)} characters; at most {most} are possible.",
    )


def _typed(column: Column, text: pl.Expr) -> tuple[pl.Expr, Flaw | None]:
    match column.type:
        case ColumnType.TEXT:
            return pl.when(text.str.contains(r"[\t\r\n]")).then(text.str.replace_all(_BREAK, " ")).otherwise(text), None
        case ColumnType.EMAIL:
            return text, Flaw(
                "not_an_email",
                ~text.str.contains(_EMAIL),
                lambda name, v: f'{name} is "{shown(v)}", not an e-mail address.',
            )
        case ColumnType.BOOLEAN:
            return _boolean(text)
        case ColumnType.DATE:
            return _date(text)
        case ColumnType.ENUM:
            return _enum(column, text)
        case _:
            assert_never(column.type)


def _boolean(text: pl.Expr) -> tuple[pl.Expr, Flaw]:
    lowered = text.str.to_lowercase()
    value = pl.when(lowered.is_in(_TRUE)).then(True).when(lowered.is_in(_FALSE)).then(False)
    return value, Flaw(
        "not_a_boolean",
        text.is_not_null() & ~lowered.is_in((*_TRUE, *_FALSE)),
        lambda name, v: f'{name} is "{shown(v)}"; it must be 1 or 0, true or false, Yes or No.',
    )


def _date(text: pl.Expr) -> tuple[pl.Expr, Flaw]:
    found = text.str.extract(_DATE, 1).str.to_date("%Y-%m-%d", strict=False)
    # The year 0 is in ISO 8601, but neither in Python nor in PostgreSQL.
    value = pl.when(found.dt.year() >= 1).then(found)
    return value, Flaw(
        "not_a_date",
        text.is_not_null() & value.is_null(),
        lambda name, v: f'{name} is "{shown(v)}"; a date must be written like 2024-12-31.',
    )


def _enum(column: Column, text: pl.Expr) -> tuple[pl.Expr, Flaw]:
    values = {name.lower(): value for name, value in (column.values or {}).items()}
    dtype = pl.Boolean if all(isinstance(value, bool) for value in values.values()) else pl.String
    lowered = text.str.to_lowercase()
    value = lowered.replace_strict(list(values), list(values.values()), default=None, return_dtype=dtype)
    allowed = ", ".join(column.values or ())
    return value, Flaw(
        "unknown_value",
        text.is_not_null() & ~lowered.is_in(list(values)),
        lambda name, v: f'{name} is "{shown(v)}"; known values are {allowed}.',
    )


def dtype_of(field: str, fields: Fields) -> type[pl.DataType]:
    """The type of a target field's column in the admitted frame."""
    match _spec(field, fields).type:
        case FieldType.DATE:
            return pl.Date
        case FieldType.BOOLEAN:
            return pl.Boolean
        case FieldType.TEXT | FieldType.REFERENCE:
            return pl.String


def suits(column: Column, fields: Fields) -> bool:
    """Whether what the column is read as can stand in its field."""
    match column.type:
        case ColumnType.TEXT | ColumnType.EMAIL:
            held: tuple[FieldType, ...] = (FieldType.TEXT, FieldType.REFERENCE)
        case ColumnType.BOOLEAN:
            held = (FieldType.BOOLEAN,)
        case ColumnType.DATE:
            held = (FieldType.DATE,)
        case ColumnType.ENUM:
            are_booleans = {isinstance(value, bool) for value in (column.values or {}).values()}
            held = (FieldType.BOOLEAN,) if are_booleans == {True} else (FieldType.TEXT,)
            if len(are_booleans) != 1:
                return False
        case _:
            assert_never(column.type)
    return _spec(column.field, fields).type in held
