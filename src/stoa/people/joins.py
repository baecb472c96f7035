"""How PostgreSQL joins a bulk statement's rows.

Statistics lag behind a bulk load: of a source that has just been filled, or a tenant that has just been made, the
planner believes that it has one row, takes
any index that begins with the tenant and the source, and reads the whole source again for each row of the batch. With
10,000 people that turned a tenth
of a second into minutes.
"""

from stoa.db.transactions import TenantTx

# Below this many rows a bad nested loop costs less than reading the tenant's records once.
FEW_ROWS = 50


async def join_by_hash(tx: TenantTx, rows: int) -> None:
    """Until the end of the transaction, joins read each side once, whatever the statistics say, if `rows` are not few.

    Where only a nested loop can do it (a function of the row), PostgreSQL still takes one. Its cost is then a fiction
    that would have the statement
    compiled, which pays off for none of them.
    """
    if rows > FEW_ROWS:
        await tx.execute("SET LOCAL enable_nestloop = off")
        await tx.execute("SET LOCAL jit = off")
