"""A worker that is killed in the middle of a job."""

import asyncio
import sys
from pathlib import Path

from stoa.db.database import Database
from stoa.jobs.actions import enqueue
from stoa.jobs.worker import Worker
from stoa.kernel.ids import TenantId
from tests.jobs.recorder import Recorder, state

_ROOT = Path(__file__).parents[2]
_LEASE_SECONDS = "0.6"


async def test_a_job_whose_worker_was_killed_is_finished_by_another(
    database: Database, tenant_id: TenantId, kind: str, process_env: dict[str, str]
) -> None:
    async with database.tenant(tenant_id) as tx:
        await enqueue(tx, kind, "", {"what": "to do"})
    command = (sys.executable, "-m", "tests.jobs.doomed_worker", kind, _LEASE_SECONDS)
    child = await asyncio.create_subprocess_exec(
        *command, cwd=_ROOT, env=process_env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    stop = asyncio.Event()
    handler = Recorder().open()
    async with asyncio.timeout(30):
        assert child.stdout is not None
        while b"begun 1" not in await child.stdout.readline():
            assert not child.stdout.at_eof()
        other = asyncio.create_task(Worker(database, {kind: handler}).run(stop))
        assert await Worker(database, {kind: handler}).claim_one(kind, "", tenant_id) is None
        child.kill()
        await child.wait()
        await handler.begun.wait()
        stop.set()
        await other
    assert [(run.attempt, run.lease_epoch, run.args) for run in handler.runs] == [(2, 2, {"what": "to do"})]
    assert await state(database, tenant_id, kind) is None
