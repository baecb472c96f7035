# Polars' signatures name types of NumPy, which is not installed.
# pyright: reportUnknownMemberType=false
"""The contract of a feed: what of it is accepted, and what is set aside with every reason.

Everything is done by column; Python sees only rows that are set aside. Good rows are never blocked by bad ones. Takes
CPU time in proportion to the feed (about half a second for 100,000 rows of 20 columns): call it in a thread.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from stoa.kernel.problems import Misconfigured
from stoa.sync.cells import Reading, dtype_of, reading, suits, trimmed
from stoa.sync.drift import DriftLimits, columns_drift, profile_of, quarantine_drift, shown
from stoa.sync.duplicates import Duplicates, find_duplicates
from stoa.sync.managers import cycles
from stoa.sync.model import (
    ACTIVE,
    EXTERNAL_ID,
    Admitted,
    Column,
    Default,
    Drift,
    FeedMapping,
    Fields,
    FieldType,
    Joined,
    Profile,
    QuarantinedRow,
    RowReason,
    Severity,
)

ROW_NO: Final = "row_no"
_CIRCLE_SHOWN: Final = 20
_DEFAULT_LIMITS: Final = DriftLimits()
_Reasons = defaultdict[int, list[RowReason]]


@dataclass(frozen=True, slots=True)
class _Read:
    """A feed being judged.

    Attributes:
        sent: the cells of the columns that the mapping reads, as sent, with `row_no`.
        cells: the same, trimmed, empty cells null; a column's name here is `names[source]`.
        readings: each column of the mapping, the key first, with how it is read.
    """

    sent: pl.DataFrame
    cells: pl.DataFrame
    names: Mapping[str, str]
    readings: tuple[tuple[Column, Reading], ...]
    key: str


def admit(
    feed: pl.DataFrame,
    mapping: FeedMapping,
    fields: Fields,
    *,
    previous: Profile | None = None,
    limits: DriftLimits = _DEFAULT_LIMITS,
) -> Admitted:
    """Judges a feed of text columns against its mapping, and against what the last accepted one looked like.

    Raises Misconfigured if the mapping itself does not fit the fields; nothing that a feed says makes it raise.
    """
    check_mapping(mapping, fields)
    feed = feed.cast(pl.String)
    profile = profile_of(feed)
    drift = columns_drift(profile, mapping, previous, limits)
    read = _read(feed, mapping, fields)
    if any(found.code == "required_column_missing" for found in drift):
        return _blocked(read, profile, drift, fields)
    typed, reasons, left_out = _judged(read)
    same = find_duplicates(read.cells, ROW_NO, read.key, {name: source for source, name in read.names.items()})
    _tell_duplicates(same, mapping.key, reasons)
    _tell_cycles(_without(typed, [*reasons, *same.copies]), mapping, fields, reasons)
    frame = _with_defaults(_without(typed, [*reasons, *same.copies]), mapping, fields)
    quarantined = _quarantined(read, reasons)
    figures = {
        "rows": feed.height,
        "admitted": frame.height,
        "quarantined": len(quarantined),
        "identical_duplicates": len(same.copies),
        "manager_absent": _references_absent(frame, read, fields),
        "values_left_out": left_out,
    }
    told = (*drift, *_told(figures), *quarantine_drift(feed.height, frame.height, len(quarantined), limits))
    kept = frozenset(row.external_id for row in quarantined if row.external_id is not None)
    return Admitted(frame, quarantined, kept, profile, told, blocked=False, figures=figures)


def check_mapping(mapping: FeedMapping, fields: Fields) -> None:
    """Raises Misconfigured if the mapping names an unknown field, fills one twice or wrongly, or never `active`."""
    for column in mapping.columns:
        _check_column(column, mapping, fields)
    filled = [column.field for column in mapping.columns]
    for name in filled:
        if filled.count(name) > 1:
            raise Misconfigured(f"The mapping fills {name!r} from two columns.")
    if mapping.key in mapping.ignored:
        raise Misconfigured(f"The mapping ignores its own key {mapping.key!r}.")
    for name, default in mapping.defaults.items():
        _check_default(name, default, fields)
    required = {column.field for column in mapping.columns if column.required}
    if ACTIVE not in required and ACTIVE not in mapping.defaults:
        raise Misconfigured("The mapping neither requires a column for 'active' nor has a default for it.")


def _check_column(column: Column, mapping: FeedMapping, fields: Fields) -> None:
    if column.field == EXTERNAL_ID or column.field not in {ACTIVE, *fields}:
        raise Misconfigured(f"The mapping fills {column.field!r}, which is no field of the target.")
    if not suits(column, fields):
        raise Misconfigured(f"The mapping reads {column.source!r} as {column.type.value}, unlike {column.field!r}.")
    if column.required and column.field in mapping.defaults:
        raise Misconfigured(f"The mapping both requires {column.field!r} and has a default for it.")
    if column.source in mapping.ignored:
        raise Misconfigured(f"The mapping both reads and ignores {column.source!r}.")


def _check_default(name: str, default: Default, fields: Fields) -> None:
    if name == EXTERNAL_ID or name not in {ACTIVE, *fields}:
        raise Misconfigured(f"The mapping has a default for {name!r}, which is no field of the target.")
    parts = default.fields if isinstance(default, Joined) else ()
    takes = pl.Boolean if isinstance(default, bool) else pl.String
    if dtype_of(name, fields) != takes or any(part not in fields or dtype_of(part, fields) != takes for part in parts):
        raise Misconfigured(f"The default of {name!r} is not of the field's type.")


def _read(feed: pl.DataFrame, mapping: FeedMapping, fields: Fields) -> _Read:
    columns = (Column(EXTERNAL_ID, mapping.key, required=True), *mapping.columns)
    names = {source: f"c{n}" for n, source in enumerate(dict.fromkeys(column.source for column in columns))}
    sent = feed.select(
        pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias(ROW_NO),
        *(
            (pl.col(source) if source in feed.columns else pl.lit(None, pl.String)).alias(name)
            for source, name in names.items()
        ),
    )
    cells = sent.with_columns(trimmed(name).alias(name) for name in names.values())
    readings = tuple((column, reading(column, fields, names[column.source])) for column in columns)
    return _Read(sent, cells, names, readings, names[mapping.key])


def _judged(read: _Read) -> tuple[pl.DataFrame, _Reasons, int]:
    """The typed values of every row under the names of the fields, the reasons against rows, and values left out."""
    flags = [
        (column, flaw, f"f{n}")
        for n, (column, flaw) in enumerate((column, flaw) for column, how in read.readings for flaw in how.flaws)
    ]
    typed = read.cells.select(
        ROW_NO,
        *(_value(column, how).alias(column.field) for column, how in read.readings),
    )
    found = read.cells.select(ROW_NO, *(flaw.found.fill_null(value=False).alias(flag) for _, flaw, flag in flags))
    counts = found.select(pl.exclude(ROW_NO).sum())
    reasons: _Reasons = defaultdict(list)
    left_out = 0
    for column, flaw, flag in flags:
        if not counts.item(0, flag):
            continue
        if column.unchecked:
            left_out += counts.item(0, flag)
            continue
        at = read.names[column.source]
        hit = read.cells.filter(found.get_column(flag)).select(ROW_NO, pl.col(at).fill_null(""))
        for row_no, text in hit.iter_rows():
            reason = RowReason(flaw.code, column.source, flaw.told(column.source, text))
            if all((known.code, known.column) != (reason.code, reason.column) for known in reasons[row_no]):
                reasons[row_no].append(reason)
    return typed, reasons, left_out


def _value(column: Column, how: Reading) -> pl.Expr:
    """The typed value; of an unchecked column only if nothing is wrong with it."""
    if not column.unchecked or not how.flaws:
        return how.value
    wrong = pl.any_horizontal([flaw.found.fill_null(value=False) for flaw in how.flaws])
    return pl.when(~wrong).then(how.value)


def _without(rows: pl.DataFrame, numbers: list[int]) -> pl.DataFrame:
    return rows.filter(~pl.col(ROW_NO).is_in(pl.Series(numbers, dtype=pl.Int64).implode()))


def _tell_duplicates(same: Duplicates, key: str, reasons: _Reasons) -> None:
    for row_no, detail in same.different.items():
        reasons[row_no].append(RowReason("duplicate_id", key, detail))


def _tell_cycles(good: pl.DataFrame, mapping: FeedMapping, fields: Fields, reasons: _Reasons) -> None:
    for column in mapping.columns:
        if column.field == ACTIVE or fields[column.field].type is not FieldType.REFERENCE:
            continue
        circles = cycles(good.get_column(EXTERNAL_ID), good.get_column(column.field))
        details = {name: _circle_told(circle) for circle in circles for name in circle}
        hit = good.filter(pl.col(EXTERNAL_ID).is_in(list(details))).select(ROW_NO, EXTERNAL_ID)
        for row_no, name in hit.iter_rows():
            reasons[row_no].append(RowReason("manager_cycle", column.source, details[name]))


def _circle_told(circle: tuple[str, ...]) -> str:
    names = [shown(name) for name in circle[:_CIRCLE_SHOWN]]
    if len(circle) == 1:
        return f"{names[0]} is named as their own manager."
    more = f" → … ({len(circle)} in all)" if len(circle) > _CIRCLE_SHOWN else ""
    return f"The managers go round in a circle: {' → '.join(names)}{more} → {names[0]}."


def _with_defaults(good: pl.DataFrame, mapping: FeedMapping, fields: Fields) -> pl.DataFrame:
    """The admitted frame: every field of the target in order, typed, defaults filled in."""
    targets = (EXTERNAL_ID, ACTIVE, *(name for name in fields if name not in (EXTERNAL_ID, ACTIVE)))
    full = good.select(
        (pl.col(name) if name in good.columns else pl.lit(None)).cast(dtype_of(name, fields)).alias(name)
        for name in targets
    )
    plain = {name: value for name, value in mapping.defaults.items() if not isinstance(value, Joined)}
    joined = {name: value for name, value in mapping.defaults.items() if isinstance(value, Joined)}
    full = full.with_columns(pl.col(name).fill_null(pl.lit(value)) for name, value in plain.items())
    return full.with_columns(_joined(name, value, fields) for name, value in joined.items())


def _joined(name: str, default: Joined, fields: Fields) -> pl.Expr:
    text = pl.concat_str([pl.col(part) for part in default.fields], separator=default.separator, ignore_nulls=True)
    cut = text.str.slice(0, fields[name].max_length)
    return pl.col(name).fill_null(pl.when(cut.str.len_bytes() > 0).then(cut))


def _references_absent(frame: pl.DataFrame, read: _Read, fields: Fields) -> int:
    """How many admitted rows refer to a key that no row of the feed has."""
    known = read.cells.get_column(read.key).drop_nulls().unique()
    references = [name for name, spec in fields.items() if spec.type is FieldType.REFERENCE]
    absent = frame.select(
        (pl.col(name).is_not_null() & ~pl.col(name).is_in(known.implode())).sum() for name in references
    )
    return sum(absent.row(0)) if references else 0


def _quarantined(read: _Read, reasons: _Reasons) -> tuple[QuarantinedRow, ...]:
    if not reasons:
        return ()
    picked = pl.col(ROW_NO).is_in(pl.Series(sorted(reasons), dtype=pl.Int64).implode())
    keys: list[str | None] = read.cells.filter(picked).get_column(read.key).to_list()
    sources = list(read.names)
    rows = read.sent.filter(picked).iter_rows()
    return tuple(
        QuarantinedRow(
            row_no=row[0],
            external_id=key,
            reasons=tuple(reasons[row[0]]),
            raw={source: cell for source, cell in zip(sources, row[1:], strict=True) if cell},
        )
        for key, row in zip(keys, rows, strict=True)
    )


def _told(figures: Mapping[str, int]) -> tuple[Drift, ...]:
    """What was put right or left open, as warnings."""
    twice, absent, left_out = (figures[code] for code in ("identical_duplicates", "manager_absent", "values_left_out"))
    told = (
        ("identical_duplicates", twice, f"{twice} rows say exactly what another row says; one of each was kept."),
        ("manager_absent", absent, f"{absent} rows name a manager who is not in the report."),
        ("values_left_out", left_out, f"{left_out} values that could not be read were left out."),
    )
    return tuple(Drift(code, None, detail, Severity.WARN) for code, n, detail in told if n)


def _blocked(read: _Read, profile: Profile, drift: tuple[Drift, ...], fields: Fields) -> Admitted:
    """Nothing is admitted, and nobody counts as having left."""
    targets = (EXTERNAL_ID, ACTIVE, *(name for name in fields if name not in (EXTERNAL_ID, ACTIVE)))
    frame = pl.DataFrame(schema={name: dtype_of(name, fields) for name in targets})
    kept: list[str] = read.cells.get_column(read.key).drop_nulls().unique().to_list()
    figures = dict.fromkeys(("admitted", "quarantined", "identical_duplicates", "manager_absent", "values_left_out"), 0)
    figures = {"rows": profile.rows, **figures}
    return Admitted(frame, (), frozenset(kept), profile, drift, blocked=True, figures=figures)
