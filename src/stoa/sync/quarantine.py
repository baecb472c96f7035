"""Rows that were set aside: stored beside their run, and read for the administrator of the source."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stoa.db.transactions import Row, TenantTx
from stoa.kernel.ids import RunId
from stoa.sync.model import QuarantinedRow, RowReason

_BATCH: Final = 2000
_LONGEST_CELL: Final = 2000


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """How many rows of a run were set aside for one reason, with one row as an example."""

    code: str
    column: str
    rows: int
    example: str


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
