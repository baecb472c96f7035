"""How PostgreSQL joins a bulk statement's rows.

Statistics lag behind a bulk load: of a source that has just been filled, or a tenant that has just been made, the
planner
believes that it has one row, takes any index that begins with the tenant and the source, and reads the whole source
again for each row of the batch. With 10,000 people that turned a tenth of a second into minutes.
"""

from typing import Final

import msgspec

from stoa.db.transactions import TenantTx
from stoa.kernel.ids import SourceId

# Below this many rows a bad nested loop costs less than finding out.
FEW_ROWS: Final = 50
# How far the planner may be off, and how many rows are too few to matter.
_TOLERANCE: Final = 10
_HARMLESS: Final = 1_000
# Of so small a part of the records or more, reading all of them is no loss: then the statistics need not be trusted.
_PART: Final = 20
_RECORDS: Final = "SELECT FROM source_record WHERE tenant_id = $1 AND source_id = $2"
_PERSONS: Final = "SELECT FROM person WHERE tenant_id = $1"


async def join_as_fits(tx: TenantTx, source_id: SourceId, rows: int) -> None:
    """Until the end of the transaction, joins read each side once if `rows` are a good part of it, or if the statistics
    are out of date.

    Where only a nested loop can do it (a function of the row), PostgreSQL still takes one. Its cost is then a fiction
    that would have the statement compiled, which pays off for none of them.
    """
    if rows <= FEW_ROWS:
        return
    of_source, of_tenant = (tx.tenant_id, source_id), (tx.tenant_id,)
    if await _read_whole(tx, rows, _RECORDS, of_source) or await _read_whole(tx, rows, _PERSONS, of_tenant):
        await tx.execute("SET LOCAL enable_nestloop = off")
        await tx.execute("SET LOCAL jit = off")


async def _read_whole(tx: TenantTx, rows: int, sql: str, params: tuple[object, ...]) -> bool:
    """Whether `rows` are a good part of what `sql` gives, or that is far more than the planner believes.

    No more are counted than it takes to tell.
    """
    told = msgspec.json.decode(await tx.fetchval(f"EXPLAIN (FORMAT JSON) {sql}", *params))
    believable = _HARMLESS + _TOLERANCE * int(told[0]["Plan"]["Plan Rows"])
    limit = max(believable, _PART * rows) + 1
    counted = f"SELECT count(*) FROM ({sql} LIMIT {limit}) AS counted"  # noqa: S608 - a constant above, and a number
    there = await tx.fetchval(counted, *params)
    return there <= _PART * rows or there > believable
