"""The limit of a first load: COPY of the very rows that it left, into tables of the same columns, keys and indexes."""

from io import BytesIO

import asyncpg

from bench.ground import Ground
from bench.measuring import Taken, timed
from stoa.kernel.ids import TenantId

_TABLES = ("source_record", "person", "change", "effect", "due_change")


async def copy_same_rows(ground: Ground, tenant_id: TenantId) -> tuple[Taken, int]:
    """Takes the tenant's rows into memory, untimed, then COPYs them back in one transaction. Gives what that took, and
    the bytes.

    The tables have neither row-level security nor foreign keys.
    """
    admin = await asyncpg.connect(ground.admin_dsn)
    try:
        rows = {table: await _taken_out(admin, table, tenant_id) for table in _TABLES}
        await admin.execute("DROP SCHEMA IF EXISTS bench_limit CASCADE; CREATE SCHEMA bench_limit")
        for table in _TABLES:
            await admin.execute(f"CREATE TABLE bench_limit.{table} (LIKE public.{table} INCLUDING ALL)")

        async def copy() -> None:
            async with admin.transaction():
                for table, (columns, lines) in rows.items():
                    await admin.copy_to_table(
                        table, schema_name="bench_limit", columns=columns, source=BytesIO(lines), format="binary"
                    )

        _, taken = await timed(copy, ground.server.pid)
        await admin.execute("DROP SCHEMA bench_limit CASCADE")
    finally:
        await admin.close()
    return taken, sum(len(lines) for _, lines in rows.values())


async def _taken_out(
    admin: "asyncpg.Connection[asyncpg.Record]", table: str, tenant_id: TenantId
) -> tuple[list[str], bytes]:
    columns = [
        row["attname"]
        for row in await admin.fetch(
            """SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0
            AND NOT attisdropped AND attgenerated = '' ORDER BY attnum""",
            f"public.{table}",
        )
    ]
    out = BytesIO()
    query = f"SELECT {', '.join(columns)} FROM public.{table} WHERE tenant_id = $1"
    await admin.copy_from_query(query, tenant_id, output=out, format="binary")
    return columns, out.getvalue()
