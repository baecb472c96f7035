"""A process of concurrent writers of one tenant: `python -m bench.writers` answers a line of JSON with a line of JSON.

In: {"tenant_id", "source_id", "resources": [ids of records that are this process's alone], "writers", "seconds",
"path": "assert" or "update", "events": whether the log's entry is written}. Out: {"commits", "seconds", "cpu"}.
"""

import asyncio
import json
import sys
import time
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import uvloop

from stoa.cli.children import die_with_parent
from stoa.composition import Store
from stoa.db.database import Database, open_database
from stoa.db.transactions import TenantTx
from stoa.events.actions import emit
from stoa.events.model import Event
from stoa.kernel.ids import SourceId, TenantId
from stoa.people.actions import assert_record
from stoa.people.model import Asserted, Changed
from stoa.people.queries import record_by_resource
from stoa.settings import Settings


@dataclass(frozen=True, slots=True)
class Job:
    """What the writers do until the deadline (time.perf_counter)."""

    database: Database
    tenant_id: TenantId
    source_id: SourceId
    path: str
    events: bool
    deadline: float


async def no_entry(_: TenantTx) -> None:
    """Stands in for the writing of the log's entry: the hook of that name is replaced, all else is as it is."""


async def _write(job: Job, resource_id: UUID, turn: int) -> None:
    async with job.database.tenant(job.tenant_id) as tx:
        if job.path == "assert":
            await _assert(tx, job.source_id, resource_id, turn)
        else:
            await tx.execute(
                "UPDATE source_record SET title = $3, version = version + 1 WHERE tenant_id = $1 AND resource_id = $2",
                tx.tenant_id, resource_id, f"Title {turn}",
            )  # fmt: skip
            emit(tx, Event("person.updated", f"person:{resource_id}", {"title": f"Title {turn}"}))
        if not job.events:
            tx.before_commit("events", no_entry)


async def _assert(tx: TenantTx, source_id: SourceId, resource_id: UUID, turn: int) -> None:
    record = await record_by_resource(tx, source_id, resource_id, lock=True)
    assert record is not None
    wanted = Asserted({**record.values, "title": f"Title {turn}"}, record.asserted_active, record.scim_external_id)
    changed = await assert_record(tx, replace(record, raw=None), wanted)
    if not isinstance(changed, Changed):
        raise RuntimeError(f"a write of the benchmark changed nothing: {changed}")


async def _writer(job: Job, resources: list[UUID]) -> int:
    commits = 0
    while time.perf_counter() < job.deadline:
        await _write(job, resources[commits % len(resources)], time.perf_counter_ns())
        commits += 1
    return commits


async def _answered(database: Database, asked: dict[str, Any]) -> dict[str, Any]:
    began, cpu = time.perf_counter(), time.process_time()
    job = Job(
        database, TenantId(UUID(asked["tenant_id"])), SourceId(UUID(asked["source_id"])), asked["path"],
        asked["events"], began + asked["seconds"],
    )  # fmt: skip
    resources = [UUID(text) for text in asked["resources"]]
    n = asked["writers"]
    commits = sum(await asyncio.gather(*(_writer(job, resources[number::n]) for number in range(n))))
    return {"commits": commits, "seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}


async def main() -> None:
    """Answers jobs until its input ends."""
    settings = Settings()
    store = Store(str(settings.database_url), settings.key_ring_path)
    database = await open_database(store.connect_args, sizes={"app": 32})
    try:
        while line := await asyncio.to_thread(sys.stdin.readline):
            answer = await _answered(database, json.loads(line))
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
    finally:
        await database.close()


if __name__ == "__main__":
    die_with_parent()
    uvloop.run(main())
