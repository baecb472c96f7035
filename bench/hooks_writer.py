"""Commits at a steady rate: `python -m bench.hooks_writer` answers a line of JSON with a line of JSON.

In: {"tenants": [ids], "path": "stoa" or "bare", "rate": commits a second, "seconds", "first": the first number}.
Out: {"sent": {number: nanoseconds of the monotonic clock just after its commit}}.
"""

import asyncio
import json
import sys
import time
from typing import Any
from uuid import UUID

import asyncpg
import uvloop

from stoa.cli.children import die_with_parent
from stoa.composition import Store
from stoa.db.database import Database, open_database
from stoa.events.actions import emit
from stoa.events.model import Event
from stoa.kernel.ids import TenantId
from stoa.settings import Settings

_BARE = "INSERT INTO bench_hooks.outbox (tenant_id, body) VALUES ($1, $2)"


async def _stoa(database: Database, tenant_id: UUID, number: int) -> None:
    async with database.tenant(TenantId(tenant_id)) as tx:
        emit(tx, Event("bench.happened", str(number), {"n": number, "text": "x" * 200}))


async def _bare(pool: "asyncpg.Pool[asyncpg.Record]", tenant_id: UUID, number: int) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(_BARE, tenant_id, json.dumps({"n": number, "text": "x" * 200}))
        await connection.execute("SELECT pg_notify('bench_hooks', '')")


async def _answered(database: Database, pool: "asyncpg.Pool[asyncpg.Record]", asked: dict[str, Any]) -> dict[str, Any]:
    tenants = [UUID(text) for text in asked["tenants"]]
    sent: dict[int, int] = {}

    async def write(number: int) -> None:
        tenant_id = tenants[number % len(tenants)]
        await (_stoa(database, tenant_id, number) if asked["path"] == "stoa" else _bare(pool, tenant_id, number))
        sent[number] = time.monotonic_ns()

    began, first = time.monotonic(), asked["first"]
    async with asyncio.TaskGroup() as group:
        for number in range(first, first + int(asked["rate"] * asked["seconds"])):
            await asyncio.sleep(max(0.0, began + (number - first) / asked["rate"] - time.monotonic()))
            group.create_task(write(number))
    return {"sent": sent}


async def main() -> None:
    """Answers jobs until its input ends."""
    settings = Settings()
    store = Store(str(settings.database_url), settings.key_ring_path)
    database = await open_database(store.connect_args, sizes={"app": 16})
    async with asyncpg.create_pool(sys.argv[1], min_size=16, max_size=16) as pool:
        while line := await asyncio.to_thread(sys.stdin.readline):
            answer = await _answered(database, pool, json.loads(line))
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
    await database.close()


if __name__ == "__main__":
    die_with_parent()
    uvloop.run(main())
