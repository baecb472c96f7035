# Polars' signatures name types of NumPy, which is not installed.
# pyright: reportUnknownMemberType=false
"""Whether a feed still looks like the mapping, and like the last one. Pure.

A missing permission in the source's system shows as a column that is silently empty, a renamed alias as a column that
is missing beside one that is new; both would otherwise be taken for news about people.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

import polars as pl

from stoa.sync.model import ColumnClass, ColumnProfile, Drift, FeedMapping, Profile, Severity

_SHAPE_ROWS: Final = 1000
_SHAPE_LENGTH: Final = 40
_ALIKE: Final = 0.8
_ALIKE_WITH_SHAPE: Final = 0.5


@dataclass(frozen=True, slots=True)
class DriftLimits:
    """From where on a difference counts.

    Attributes:
        emptied_rows: a column must have been filled in at least this many rows before.
        emptied_to: it counts as emptied when its share of filled cells fell below this part of what it was.
        rows_dropped: share of the rows gone that is told.
        quarantined_share: share of the rows set aside above which the run is held, if at least `quarantined_rows` are.
    """

    emptied_rows: int = 5
    emptied_to: float = 0.1
    rows_dropped: float = 0.3
    quarantined_share: float = 0.1
    quarantined_rows: int = 5


def profile_of(frame: pl.DataFrame) -> Profile:
    """What a feed looks like. `frame` holds text; white space alone counts as empty."""
    trimmed = frame.select(pl.all().str.strip_chars())
    counts = trimmed.select((pl.all().str.len_bytes() > 0).sum())
    rows = frame.height
    columns = {
        name: ColumnProfile(counts.item(0, name) / rows if rows else 0.0, _shape(trimmed.get_column(name)))
        for name in frame.columns
    }
    return Profile(rows, columns)


def _shape(column: pl.Series) -> str | None:
    """The commonest shape of up to 1000 values: letters as `a`, digits as `9`, runs as one; no value is kept."""
    values = column.drop_nulls()
    sample = values.filter(values.str.len_bytes() > 0).head(_SHAPE_ROWS)
    if sample.is_empty():
        return None
    shapes = (
        sample.str.slice(0, 200)
        .str.replace_all(r"[\p{L}\p{M}]+", "a")
        .str.replace_all(r"\p{N}+", "9")
        .str.replace_all(r"[^a9 @._/:+,;()'&-]", "?")
        .str.slice(0, _SHAPE_LENGTH)
    )
    modes: list[str] = shapes.mode().sort().to_list()
    return modes[0]


def columns_drift(
    profile: Profile, mapping: FeedMapping, previous: Profile | None, limits: DriftLimits
) -> tuple[Drift, ...]:
    """Columns that are missing, new, or suddenly empty, and rows that are suddenly few.

    A required column that is missing (`required_column_missing`) leaves nothing to admit.
    """
    classes = mapping.classes()
    new = [name for name in profile.columns if name not in classes]
    found: list[Drift] = []
    for name, column_class in classes.items():
        if column_class is ColumnClass.IGNORED:
            continue
        drift = _column_drift(name, column_class, profile, previous, new, limits)
        if drift is not None:
            found.append(drift)
    found += [_unclassified(name, previous) for name in new]
    return (*found, *_rows_drift(profile, previous, limits))


def _unclassified(name: str, previous: Profile | None) -> Drift:
    known = previous is not None and name in previous.columns
    detail = (
        f"The report has {'a' if known or previous is None else 'a new'} column {shown(name)}, which the mapping does "
        "not know. Map it to a field or list it as ignored."
    )
    return Drift("column_unclassified", name, detail, Severity.WARN)


def _column_drift(
    name: str,
    column_class: ColumnClass,
    profile: Profile,
    previous: Profile | None,
    new: Sequence[str],
    limits: DriftLimits,
) -> Drift | None:
    before = previous.columns.get(name) if previous else None
    now = profile.columns.get(name)
    if now is None:
        guess = _renamed(name, before, profile, new)
        if column_class is ColumnClass.REQUIRED:
            detail = f"The required column {shown(name)} is missing{guess}"
            return Drift("required_column_missing", name, detail, Severity.HOLD)
        if before is None and previous is not None:
            return None
        if previous is None or before is None or not _was_filled(before, previous, limits):
            return Drift("column_missing", name, f"The column {shown(name)} is missing{guess}", Severity.WARN)
        detail = f"The column {shown(name)}, filled in {_percent(before.filled)} of the rows before, is missing{guess}"
        return Drift("column_emptied", name, detail, Severity.HOLD)
    if previous is None or before is None or not _was_filled(before, previous, limits):
        return None
    if now.filled >= before.filled * limits.emptied_to:
        return None
    detail = (
        f"The column {shown(name)} was filled in {_percent(before.filled)} of the rows and now is in "
        f"{_percent(now.filled)}. Was the permission to read it taken away?"
    )
    return Drift("column_emptied", name, detail, Severity.HOLD)


def _was_filled(before: ColumnProfile, previous: Profile, limits: DriftLimits) -> bool:
    return before.filled * previous.rows >= limits.emptied_rows


def _renamed(name: str, before: ColumnProfile | None, profile: Profile, new: Sequence[str]) -> str:
    """`; X is new: was it renamed?` for the new column most alike in name, or in name and shape; else a full stop."""

    def likeness(other: str) -> float:
        alike = SequenceMatcher(None, _plain(name), _plain(other)).ratio()
        shape = profile.columns[other].shape
        same_shape = before is not None and before.shape is not None and before.shape == shape
        return alike if alike >= _ALIKE or (same_shape and alike >= _ALIKE_WITH_SHAPE) else 0.0

    best = max(new[:200], key=likeness, default=None)
    if best is None or not likeness(best):
        return "."
    return f"; {shown(best)} is new: was it renamed?"


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name[:200].casefold())


def _rows_drift(profile: Profile, previous: Profile | None, limits: DriftLimits) -> Iterable[Drift]:
    if previous is None or not previous.rows:
        return ()
    gone = 1 - profile.rows / previous.rows
    if gone < limits.rows_dropped:
        return ()
    detail = f"The report has {profile.rows} rows; the last one had {previous.rows} ({_percent(gone)} fewer)."
    return (Drift("rows_dropped", None, detail, Severity.WARN),)


def quarantine_drift(rows: int, admitted: int, quarantined: int, limits: DriftLimits) -> tuple[Drift, ...]:
    """Whether so many rows were set aside that the report itself must be at fault."""
    if rows and not admitted:
        return (Drift("none_admitted", None, f"Not one of the {rows} rows could be accepted.", Severity.HOLD),)
    if quarantined >= limits.quarantined_rows and quarantined > rows * limits.quarantined_share:
        detail = (
            f"{quarantined} of {rows} rows were set aside, more than the {_percent(limits.quarantined_share)} "
            "that is taken for single mistakes."
        )
        return (Drift("many_quarantined", None, detail, Severity.HOLD),)
    return ()


def shown(text: str, most: int = 80) -> str:
    """Text of a feed as it may stand in a message: on one line, no control characters, not too long."""
    plain = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[: most + 1])
    return plain if len(plain) <= most else plain[: most - 1] + "…"


def _percent(share: float) -> str:
    """A share in percent, rounded so that neither `0 %` nor `100 %` is said of less than that."""
    percent = share * 100
    if 0 < percent < 1:
        return "under 1 %"
    return f"{math.floor(percent) if percent > 99 else round(percent)} %"
