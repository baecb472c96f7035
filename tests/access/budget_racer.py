"""One of several processes that use up the same budget as fast as they can.

Run as `python -m tests.access.budget_racer TENANT HOLDER,HOLDER... ATTEMPTS`, with STOA_DATABASE_URL and STOA_KEY_RING
set. Says `ready`, waits for a line on standard input, and then says how many of its attempts were let through, for each
holder, as a JSON object.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from uuid import UUID

from stoa.access.budgets import Budgets
from stoa.db.database import open_database
from stoa.db.keyring import KeyRing
from stoa.db.roles import dsn_for
from stoa.kernel.ids import TenantId

# The same minute for every process, however long the race takes.
AT = 1_800_000_030.0
_AT_ONCE = 20


async def main(tenant_id: TenantId, holders: list[str], attempts: int) -> None:
    ring = KeyRing.load(Path(os.environ["STOA_KEY_RING"]))
    url = os.environ["STOA_DATABASE_URL"]
    database = await open_database(lambda role: dict(dsn_for(url, role, ring)), sizes={"app": 4})
    budgets = Budgets(database, clock=lambda: AT)
    allowed = dict.fromkeys(holders, 0)
    print("ready", flush=True)  # noqa: T201 - read by the test
    await asyncio.to_thread(sys.stdin.readline)

    async def ask(first: int) -> None:
        for number in range(first, attempts, _AT_ONCE):
            holder = holders[number % len(holders)]
            spent = await budgets.spend(tenant_id, holder)
            allowed[holder] += spent.allowed
            assert all(0 <= one.remaining <= one.quota for one in spent.standings)
            await asyncio.sleep(0)

    await asyncio.gather(*(ask(first) for first in range(_AT_ONCE)))
    print(json.dumps(allowed), flush=True)  # noqa: T201 - read by the test
    await database.close()


if __name__ == "__main__":
    asyncio.run(main(TenantId(UUID(sys.argv[1])), sys.argv[2].split(","), int(sys.argv[3])))
