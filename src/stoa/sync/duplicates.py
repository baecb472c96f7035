# Polars' signatures name types of NumPy, which is not installed.
# pyright: reportUnknownMemberType=false
"""Rows of a feed that have the same key."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from stoa.sync.drift import shown

_ROWS_SHOWN: Final = 5
_NONE: Final[Mapping[int, str]] = {}


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Rows that repeat a key.

    Attributes:
        copies: numbers of rows that say exactly what an earlier row says.
        different: for every other row whose key is repeated, its number and what is wrong with it.
    """

    copies: tuple[int, ...]
    different: Mapping[int, str]


def find_duplicates(cells: pl.DataFrame, row_no: str, key: str, titles: Mapping[str, str]) -> Duplicates:
    """Compares rows with the same key in every column of `titles` (column of `cells` to its name for people)."""
    repeated = cells.filter(pl.col(key).is_not_null() & pl.col(key).is_duplicated())
    if repeated.is_empty():
        return Duplicates((), _NONE)
    distinct = repeated.unique(subset=list(titles), keep="first", maintain_order=True)
    copies = repeated.filter(~pl.col(row_no).is_in(distinct.get_column(row_no).implode())).get_column(row_no)
    different = distinct.filter(pl.col(key).is_duplicated())
    groups = different.group_by(key).agg(
        pl.col(row_no).sort(),
        *(pl.col(name).n_unique().gt(1).alias(f"differs {name}") for name in titles if name != key),
    )
    details: dict[int, str] = {}
    for group in groups.iter_rows(named=True):
        differing = [title for name, title in titles.items() if group.get(f"differs {name}")]
        detail = _told(titles[key], group[key], group[row_no], differing)
        details |= dict.fromkeys(group[row_no], detail)
    return Duplicates(tuple(copies.to_list()), details)


def _told(title: str, key: str, rows: list[int], differing: list[str]) -> str:
    numbers = [str(row) for row in rows[:_ROWS_SHOWN]]
    if len(rows) > _ROWS_SHOWN:
        numbers.append(f"{len(rows) - _ROWS_SHOWN} more")
    places = f"{', '.join(numbers[:-1])} and {numbers[-1]}"
    names = ", ".join(shown(name) for name in differing)
    return f"{title} {shown(key)} is in rows {places}, which differ in {names}."
