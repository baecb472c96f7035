"""Rows that were set aside: stored beside their run, and read for the administrator of the source."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from stoa.db.transactions import Row, TenantTx
from stoa.kernel.cursors import Position, number_mark, read_position
from stoa.kernel.filters import Attribute, AttrType, Binding, Catalogue, Column, Exists, Operator, Typed, sql
from stoa.kernel.ids import RunId
from stoa.sync.model import QuarantinedRow, RowReason

_BATCH: Final = 2000
_LONGEST_CELL: Final = 2000


# What filters over the rows of a run may ask. A row's alias is `q`.
_WORD: Final = frozenset({Operator.EQ, Operator.NE})
CATALOGUE: Final = Catalogue(
    (
        Attribute("external_id", case_exact=True),
        Attribute("row", AttrType.INTEGER),
        Attribute(
            "reasons",
            AttrType.COMPLEX,
            multi_valued=True,
            sub_attributes=(
                Attribute("code", case_exact=True, operators=_WORD),
                Attribute("column", case_exact=True, operators=_WORD | {Operator.SW}),
            ),
        ),
    )
)
BINDING: Final[Binding] = {
    "external_id": Column("q.external_id"),
    "row": Column("q.row_no"),
    "reasons": Exists(
        "jsonb_array_elements(q.reasons) AS f(reason)",
        {"code": Column("f.reason->>'code'"), "column": Column("f.reason->>'column'")},
    ),
}
_LAST_ROW: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """How many rows of a run were set aside for one reason, with one row as an example."""

    code: str
    column: str
    rows: int
    example: str


@dataclass(frozen=True, slots=True)
class RowsAsk:
    """What is asked of the rows that a run set aside.

    Attributes:
        search: the row's number, or what is within its external id; empty for all.
        where: a filter, checked against CATALOGUE; None for none.
        descending: the last first.
        after: the row number at which the last page ended; None for the first page.
    """

    search: str = ""
    where: Typed | None = None
    descending: bool = False
    after: Position | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class RowsPage:
    """Rows, and where the next page begins; None at the end."""

    rows: Sequence[QuarantinedRow]
    next: tuple[int] | None


async def write(tx: TenantTx, run_id: RunId, rows: Sequence[QuarantinedRow]) -> None:
    """Writes the rows that a run set aside. Writing them again changes nothing."""
    for start in range(0, len(rows), _BATCH):
        batch = [_to_json(row) for row in rows[start : start + _BATCH]]
        await tx.execute(
            "INSERT INTO quarantine (tenant_id, run_id, row_no, external_id, reasons, raw) "
            "SELECT $1, $2, (row->>'row_no')::bigint, row->>'external_id', row->'reasons', row->'raw' "
            "FROM jsonb_array_elements($3::jsonb) AS sent(row) "
            "ON CONFLICT (tenant_id, run_id, row_no) DO NOTHING",
            tx.tenant_id,
            run_id,
            batch,
        )


async def clear(tx: TenantTx, run_id: RunId) -> None:
    """Forgets what a run set aside, because it is planned anew."""
    await tx.execute("DELETE FROM quarantine WHERE tenant_id = $1 AND run_id = $2", tx.tenant_id, run_id)


async def rows_of_run(tx: TenantTx, run_id: RunId, *, after: int = 0, limit: int = 100) -> list[QuarantinedRow]:
    """The rows that a run set aside, in the order of the feed, from the one after row number `after`."""
    rows = await tx.fetch(
        "SELECT row_no, external_id, reasons, raw FROM quarantine "
        "WHERE tenant_id = $1 AND run_id = $2 AND row_no > $3 ORDER BY row_no LIMIT $4",
        tx.tenant_id,
        run_id,
        after,
        limit,
    )
    return [_from_row(row) for row in rows]


async def rows_found(tx: TenantTx, run_id: RunId, ask: RowsAsk) -> RowsPage:
    """A page of the rows that a run set aside, in the order of the feed. Raises BadCursor for a wrong position."""
    where, params = _where(tx, run_id, ask)
    if ask.after is not None:
        where = f"{where} AND q.row_no {'<' if ask.descending else '>'} ${len(params) + 1}"
        params = (*params, *read_position(ask.after, number_mark()))
    rows = await tx.fetch(
        f"SELECT q.row_no, q.external_id, q.reasons, q.raw FROM quarantine q WHERE {where} "  # noqa: S608 - the text is code; values are bound
        f"ORDER BY q.row_no{' DESC' if ask.descending else ''} LIMIT ${len(params) + 1}",
        *params,
        ask.limit + 1,
    )
    found = [_from_row(row) for row in rows[: ask.limit]]
    return RowsPage(found, (found[-1].row_no,) if len(rows) > ask.limit else None)


async def all_rows(tx: TenantTx, run_id: RunId, ask: RowsAsk) -> AsyncGenerator[QuarantinedRow]:
    """Every row that fits, page by page, from the beginning."""
    page = await rows_found(tx, run_id, replace(ask, after=None, limit=_BATCH))
    while True:
        for row in page.rows:
            yield row
        if page.next is None:
            return
        page = await rows_found(tx, run_id, replace(ask, after=page.next, limit=_BATCH))


async def columns_of_run(tx: TenantTx, run_id: RunId) -> list[str]:
    """The columns that the rows set aside by a run have, by name."""
    rows = await tx.fetch(
        "SELECT DISTINCT name FROM quarantine, jsonb_object_keys(raw) AS name "
        "WHERE tenant_id = $1 AND run_id = $2 ORDER BY name",
        tx.tenant_id,
        run_id,
    )
    return [row["name"] for row in rows]


def _where(tx: TenantTx, run_id: RunId, ask: RowsAsk) -> tuple[str, tuple[object, ...]]:
    where, params = "q.tenant_id = $1 AND q.run_id = $2", (tx.tenant_id, run_id)
    search = ask.search.strip()
    if "\0" in search:
        where += " AND FALSE"
    elif search.isascii() and search.isdigit() and int(search) <= _LAST_ROW:
        where = f"{where} AND (q.row_no = $3 OR strpos(q.external_id, $4) > 0)"
        params = (*params, int(search), search)
    elif search:
        where, params = f"{where} AND strpos(lower(q.external_id), lower($3)) > 0", (*params, search)
    if ask.where is not None:
        condition = sql(ask.where, BINDING, first_param=len(params) + 1)
        where, params = f"{where} AND ({condition.text})", (*params, *condition.params)
    return where, params


async def reasons_of_run(tx: TenantTx, run_id: RunId) -> list[ReasonCount]:
    """Why rows were set aside, the commonest reason first."""
    rows = await tx.fetch(
        "SELECT reason->>'code' AS code, reason->>'column' AS source, count(*) AS n, "
        "(array_agg(reason->>'detail' ORDER BY row_no))[1] AS example "
        "FROM quarantine, jsonb_array_elements(reasons) AS reason WHERE tenant_id = $1 AND run_id = $2 "
        "GROUP BY 1, 2 ORDER BY n DESC, 1, 2",
        tx.tenant_id,
        run_id,
    )
    return [ReasonCount(row["code"], row["source"], row["n"], row["example"]) for row in rows]


async def count_of_run(tx: TenantTx, run_id: RunId) -> int:
    """How many rows a run set aside."""
    return await tx.fetchval(
        "SELECT count(*) FROM quarantine WHERE tenant_id = $1 AND run_id = $2", tx.tenant_id, run_id
    )


def _to_json(row: QuarantinedRow) -> dict[str, Any]:
    return {
        "row_no": row.row_no,
        "external_id": None if row.external_id is None else _storable(row.external_id),
        "reasons": [
            {"code": reason.code, "column": _storable(reason.column), "detail": _storable(reason.detail)}
            for reason in row.reasons
        ],
        "raw": {_storable(name): _storable(cell) for name, cell in row.raw.items()},
    }


def _storable(text: str) -> str:
    """PostgreSQL stores no NUL; its picture (U+2400) shows where it stood. Very long cells are cut."""
    shown = text[:_LONGEST_CELL].replace("\0", "\N{SYMBOL FOR NULL}")
    return shown if len(text) <= _LONGEST_CELL else shown + "…"


def _from_row(row: Row) -> QuarantinedRow:
    reasons: Sequence[Mapping[str, str]] = row["reasons"]
    return QuarantinedRow(
        row_no=row["row_no"],
        external_id=row["external_id"],
        reasons=tuple(RowReason(r["code"], r["column"], r["detail"]) for r in reasons),
        raw=row["raw"],
    )
