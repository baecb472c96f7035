"""Rows of other tables that name a person: each room declares in its `refs.py` what a merge does to them.

What is declared to move is moved here, whatever room it is of, and noted row by row, so that a split brings exactly
those back. Links and holds, which follow their record, are not among them (`links`).
"""

# ruff: noqa: S608 - identifiers are declared in code, and are checked to be such; every value is a bound parameter

from collections.abc import Iterable, Sequence
from typing import Final

from stoa.db.transactions import TenantTx
from stoa.kernel.ids import PersonId, RunId
from stoa.kernel.references import OnMerge, Reference

Column = tuple[str, str]
# Whose these are follows from the record.
FOLLOWING: Final[frozenset[Column]] = frozenset({("source_record", "person_id"), ("hold", "person_id")})

_KEY: Final = """
SELECT a.attname FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, n)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE i.indrelid = $1::text::regclass AND i.indisprimary AND a.attname <> 'tenant_id' ORDER BY k.n"""
_FORGET: Final = "DELETE FROM person_merge_row WHERE tenant_id = $1 AND run_id = $2"


def moving(references: Iterable[Reference]) -> list[Column]:
    """Columns whose rows a merge moves one by one."""
    declared = [(one.table, one.column) for one in references if one.on_merge is OnMerge.MOVE]
    return [column for column in declared if column not in FOLLOWING]


async def move_rows(
    tx: TenantTx, run_id: RunId, columns: Sequence[Column], absorbed: PersonId, survivor: PersonId
) -> None:
    """Has rows that name the absorbed person name the survivor, and notes which."""
    for table, column in columns:
        await tx.execute(
            f"""WITH moved AS (
              UPDATE {table} t SET {column} = $4 WHERE t.tenant_id = $1 AND t.{column} = $3
              RETURNING {await _key_of(tx, table, column)} AS row_key)
            INSERT INTO person_merge_row (tenant_id, run_id, of_table, of_column, row_key)
            SELECT $1, $2, $5, $6, row_key FROM moved""",
            *(tx.tenant_id, run_id, absorbed, survivor, table, column),
        )


async def bring_back_rows(
    tx: TenantTx, run_id: RunId, columns: Sequence[Column], absorbed: PersonId, survivor: PersonId
) -> None:
    """Has the rows that a merge moved name the absorbed person again, unless they name somebody else by now.

    survivor: who the survivor of the merge is after all merges since.
    """
    for table, column in columns:
        await tx.execute(
            f"""UPDATE {table} t SET {column} = $3 FROM person_merge_row m
            WHERE t.tenant_id = $1 AND t.{column} = $4 AND m.tenant_id = $1 AND m.run_id = $2 AND m.of_table = $5
              AND m.of_column = $6 AND m.row_key = {await _key_of(tx, table, column)}""",
            *(tx.tenant_id, run_id, absorbed, survivor, table, column),
        )
    await tx.execute(_FORGET, tx.tenant_id, run_id)


async def _key_of(tx: TenantTx, table: str, column: str) -> str:
    assert table.isidentifier()
    assert column.isidentifier()
    names = [row["attname"] for row in await tx.fetch(_KEY, table)]
    pairs = ", ".join(f"'{name}', t.{name}" for name in names)
    return f'jsonb_build_object({pairs})::text COLLATE "C"'
