"""A worker that applies two batches of five changes of a run, says so, and waits within the third to be killed.

Run as `python -m tests.identity.scim.halting_worker TENANT SOURCE`, with STOA_DATABASE_URL and STOA_KEY_RING set.
"""

import asyncio
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from stoa.changes.actions import SOURCE_JOB
from stoa.changes.target import Batch
from stoa.db.database import open_database
from stoa.db.keyring import KeyRing
from stoa.db.roles import dsn_for
from stoa.db.transactions import TenantTx
from stoa.kernel.ids import TenantId
from stoa.outbound.http import HttpClient
from stoa.people.target import People
from stoa.tenants.sealing import Sealer
from tests.identity.scim.holding import worker_of


@dataclass
class Halting(People):
    """People, of whom two batches can be applied."""

    applied: list[int] = field(default_factory=list[int])

    async def apply(self, tx: TenantTx, batch: Batch) -> int:
        done = await super().apply(tx, batch)
        if len(self.applied) == 2:
            print("halfway", flush=True)  # noqa: T201 - read by the test
            await asyncio.Event().wait()
        self.applied.append(batch.first)
        return done


async def main(tenant: str, source: str) -> None:
    ring = KeyRing.load(Path(os.environ["STOA_KEY_RING"]))
    url = os.environ["STOA_DATABASE_URL"]
    database = await open_database(lambda role: dict(dsn_for(url, role, ring)))
    async with HttpClient() as client:
        worker = worker_of(database, Sealer(ring.sealing_keys), client, batch_rows=5, people=Halting())
        await worker.claim_one(SOURCE_JOB, source, TenantId(UUID(tenant)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
