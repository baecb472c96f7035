"""A worker process that never ends its job: it says that it has begun, and waits to be killed.

Run as `python -m tests.jobs.doomed_worker KIND LEASE_SECONDS`, with STOA_DATABASE_URL and STOA_KEY_RING set.
"""

import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path

from stoa.db.database import open_database
from stoa.db.keyring import KeyRing
from stoa.db.roles import dsn_for
from stoa.jobs.run import JobRun
from stoa.jobs.worker import Worker


async def begin_and_hang(run: JobRun) -> None:
    async with run.database.tenant(run.tenant_id, run.origin) as tx:
        await run.fence(tx)
    print(f"begun {run.lease_epoch}", flush=True)  # noqa: T201 - read by the test
    await asyncio.Event().wait()


async def main(kind: str, lease: float) -> None:
    ring = KeyRing.load(Path(os.environ["STOA_KEY_RING"]))
    url = os.environ["STOA_DATABASE_URL"]
    database = await open_database(lambda role: dict(dsn_for(url, role, ring)))
    await Worker(database, {kind: begin_and_hang}, lease=timedelta(seconds=lease)).run(asyncio.Event())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2])))
