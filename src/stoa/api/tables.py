"""Lists whose items are the rows of one statement: filtered, ordered and paged by keyset."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from stoa.api.lists import ListAsk
from stoa.db.transactions import Row, TenantTx
from stoa.kernel.cursors import Mark, Position, id_mark, mark_of, moment_mark, read_position
from stoa.kernel.filters import Attribute, AttrType, Binding, Catalogue, Column, sql

Reader = Callable[[Mark], object]
MOMENT: Final[Reader] = moment_mark


@dataclass(frozen=True, slots=True)
class Table:
    """A list.

    Attributes:
        select: a statement whose WHERE ends with the tenant ($1), to which conditions can be added.
        key: the column of the id, in the statement and as `id` in its rows.
        sorts: by the name of an order, its column and what reads a place in it; the rows have it under the name, or
            under the name with `_key` behind it.
    """

    select: str
    key: str
    binding: Binding
    sorts: Mapping[str, tuple[str, Reader]]


async def rows_of(
    tx: TenantTx, table: Table, ask: ListAsk, *more: object, condition: str = ""
) -> tuple[list[Row], Position | None]:
    """The rows of a page, and the position of the last one if there are more.

    more, condition: parameters from $2 on, and what they are compared with.

    Raises BadCursor.
    """
    column, reader = table.sorts[ask.sort]
    params: tuple[object, ...] = (tx.tenant_id, *more)
    where = condition
    if ask.where is not None:
        filtered = sql(ask.where, table.binding, first_param=len(params) + 1, now=tx.now)
        where += f" AND {filtered.text}"
        params = (*params, *filtered.params)
    if ask.after is not None:
        mark = len(params) + 1
        where += f" AND ({column}, {table.key}) {'<' if ask.descending else '>'} (${mark}, ${mark + 1})"
        params = (*params, *read_position(ask.after, reader, id_mark))
    way = " DESC" if ask.descending else ""
    rows = await tx.fetch(
        f"{table.select}{where} ORDER BY {column}{way}, {table.key}{way} LIMIT {ask.limit + 1}", *params
    )
    shown = rows[: ask.limit]
    return shown, _position(shown[-1], ask.sort) if len(rows) > ask.limit else None


def _position(row: Row, sort: str) -> Position:
    value = row[f"{sort}_key"] if f"{sort}_key" in row else row[sort]
    return (mark_of(value) if isinstance(value, datetime) else value, str(row["id"]))


def with_change_time(catalogue: Catalogue) -> Catalogue:
    """The catalogue of a page's list, and `updated_at` beside it, which `updated_since` compares."""
    return Catalogue((*catalogue.attributes, Attribute("updated_at", AttrType.DATETIME)))


def with_change_column(binding: Binding, column: str) -> Binding:
    """The binding that goes with `with_change_time`."""
    return {**binding, "updated_at": Column(column)}
