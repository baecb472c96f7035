"""Leases: a lost one cannot write, a renewed one is not lost, a stopped worker gives its jobs back."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from stoa.db.database import Database
from stoa.jobs.actions import enqueue
from stoa.jobs.model import LeaseLost, Outcome
from stoa.jobs.run import JobRun
from stoa.jobs.worker import Worker
from stoa.kernel.ids import TenantId
from tests.jobs.recorder import Recorder, lapse, state

MakeTenant = Callable[[], Awaitable[TenantId]]


async def ask(database: Database, tenant_id: TenantId, kind: str, *keys: str) -> None:
    async with database.tenant(tenant_id) as tx:
        for key in keys or ("",):
            await enqueue(tx, kind, key)


async def running(database: Database, tenant_id: TenantId, kind: str) -> tuple[Recorder, asyncio.Task[Outcome | None]]:
    """A worker in the middle of the job."""
    handler = Recorder()
    task = asyncio.create_task(Worker(database, {kind: handler}).claim_one(kind, "", tenant_id))
    await handler.begun.wait()
    return handler, task


async def test_a_lost_lease_cannot_write(database: Database, tenant_id: TenantId, kind: str) -> None:
    await ask(database, tenant_id, kind)
    first, first_task = await running(database, tenant_id, kind)
    await lapse(database, tenant_id, kind)
    second, second_task = await running(database, tenant_id, kind)

    async def write(run: JobRun) -> None:
        async with run.database.tenant(run.tenant_id, run.origin) as tx:
            await run.fence(tx)

    await write(second.runs[0])
    with pytest.raises(LeaseLost):
        await write(first.runs[0])
    first.open()
    assert await first_task is Outcome.LOST
    assert await state(database, tenant_id, kind) is not None
    second.open()
    assert await second_task is Outcome.DONE
    assert [run.lease_epoch for run in (*first.runs, *second.runs)] == [1, 2]


async def test_a_lease_that_ran_out_is_lost_even_if_nobody_took_it(
    database: Database, tenant_id: TenantId, kind: str
) -> None:
    await ask(database, tenant_id, kind)
    handler, task = await running(database, tenant_id, kind)
    await lapse(database, tenant_id, kind)
    async with database.tenant(tenant_id) as tx:
        with pytest.raises(LeaseLost):
            await handler.runs[0].fence(tx)
    handler.open()
    await task


async def test_a_fenced_transaction_keeps_others_from_claiming_and_lets_wishes_pass(
    database: Database, tenant_id: TenantId, kind: str
) -> None:
    await ask(database, tenant_id, kind)
    handler, task = await running(database, tenant_id, kind)
    other = Worker(database, {kind: Recorder().open()})
    async with database.tenant(tenant_id) as tx:
        await handler.runs[0].fence(tx)
        await lapse(database, tenant_id, kind)
        async with asyncio.timeout(5):
            await ask(database, tenant_id, kind)
            assert await other.claim_one(kind, "", tenant_id) is None
            assert await other.run_due_once() == 0
    assert await other.claim_one(kind, "", tenant_id) is Outcome.AGAIN
    handler.open()
    assert await task is Outcome.LOST


async def test_a_lease_is_renewed_while_the_handler_runs(database: Database, tenant_id: TenantId, kind: str) -> None:
    await ask(database, tenant_id, kind)
    handler = Recorder()
    lease = timedelta(seconds=0.3)
    task = asyncio.create_task(Worker(database, {kind: handler}, lease=lease).claim_one(kind, "", tenant_id))
    await handler.begun.wait()
    first = await state(database, tenant_id, kind)
    async with asyncio.timeout(10):
        while True:
            now = await state(database, tenant_id, kind)
            assert now is not None
            assert first is not None
            assert now.lease_until is not None
            assert first.lease_until is not None
            if now.lease_until > first.lease_until + 3 * lease:
                break
    handler.open()
    assert await task is Outcome.DONE


async def test_a_handler_is_stopped_when_its_lease_is_found_lost(
    database: Database, tenant_id: TenantId, kind: str
) -> None:
    await ask(database, tenant_id, kind)
    handler = Recorder()
    lease = timedelta(seconds=0.3)
    task = asyncio.create_task(Worker(database, {kind: handler}, lease=lease).claim_one(kind, "", tenant_id))
    await handler.begun.wait()
    async with database.tenant(tenant_id) as tx:
        await tx.execute(
            "UPDATE job SET lease_epoch = lease_epoch + 1 WHERE tenant_id = $1 AND kind = $2", tenant_id, kind
        )
    async with asyncio.timeout(10):
        assert await task is Outcome.LOST


async def test_a_stopped_worker_claims_no_more_and_lets_handlers_end(
    database: Database, tenant_id: TenantId, kind: str
) -> None:
    await ask(database, tenant_id, kind, "a", "b")
    handler = Recorder()
    stop = asyncio.Event()
    task = asyncio.create_task(Worker(database, {kind: handler}, concurrency=1).run(stop))
    await handler.begun.wait()
    stop.set()
    handler.open()
    async with asyncio.timeout(10):
        await task
    assert len(handler.runs) == 1
    left = [await state(database, tenant_id, kind, key) for key in ("a", "b")]
    assert left.count(None) == 1


async def test_a_stopped_worker_gives_back_what_does_not_end_in_time(
    database: Database, tenant_id: TenantId, kind: str
) -> None:
    await ask(database, tenant_id, kind)
    handler = Recorder()
    stop = asyncio.Event()
    task = asyncio.create_task(Worker(database, {kind: handler}, grace=timedelta(seconds=0.05)).run(stop))
    await handler.begun.wait()
    stop.set()
    async with asyncio.timeout(10):
        await task
    left = await state(database, tenant_id, kind)
    assert left is not None
    assert (left.lease_until, left.attempts) == (None, 0)
    assert await Worker(database, {kind: Recorder().open()}).run_due_once() == 1


async def test_a_running_worker_is_woken_by_the_commit(database: Database, tenant_id: TenantId, kind: str) -> None:
    handler = Recorder().open()
    stop = asyncio.Event()
    task = asyncio.create_task(Worker(database, {kind: handler}).run(stop))
    async with asyncio.timeout(10):
        for number in range(5):
            handler.begun.clear()
            await ask(database, tenant_id, kind, str(number))
            await handler.begun.wait()
        stop.set()
        await task
    assert [run.key for run in handler.runs] == ["0", "1", "2", "3", "4"]


async def test_a_tenant_with_very_many_jobs_does_not_keep_others_waiting(
    database: Database, make_tenant: MakeTenant, kind: str
) -> None:
    hog, modest, late = await make_tenant(), await make_tenant(), await make_tenant()
    async with database.tenant(hog) as tx:
        await tx.execute(
            "INSERT INTO job (tenant_id, job_id, kind, key, args, due_at, created_at) "
            "SELECT $1, gen_random_uuid(), $2, n::text, '{}', $3, $3 FROM generate_series(1, 100000) n",
            hog,
            kind,
            tx.now - timedelta(hours=1),
        )
    await ask(database, modest, kind, "a", "b", "c")
    handler = Recorder().open()
    worker = Worker(database, {kind: handler}, concurrency=4)
    assert await worker.run_due_once() == 4
    await ask(database, late, kind)
    for _ in range(3):
        await worker.run_due_once()
    order = [run.tenant_id for run in handler.runs]
    # Four each while there is a second tenant, then three: the rest is kept free.
    assert len(order) == 14
    assert order.count(modest) == 3
    assert late in order[4:8]
    async with database.tenant(hog) as tx:
        await tx.execute("DELETE FROM job WHERE tenant_id = $1", hog)


async def test_long_jobs_of_one_tenant_leave_room_for_another(
    database: Database, make_tenant: MakeTenant, kind: str
) -> None:
    hog, modest = await make_tenant(), await make_tenant()
    await ask(database, hog, kind, *map(str, range(20)))
    handler = Recorder()
    stop = asyncio.Event()
    task = asyncio.create_task(Worker(database, {kind: handler}, concurrency=4).run(stop))
    async with asyncio.timeout(10):
        while len(handler.runs) < 3:
            await handler.begun.wait()
            handler.begun.clear()
        await ask(database, modest, kind)
        await handler.begun.wait()
    assert [run.tenant_id for run in handler.runs] == [hog, hog, hog, modest]
    stop.set()
    handler.open()
    await task
