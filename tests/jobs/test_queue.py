"""Asking for jobs and running them: once for many wishes, and never one wish lost."""

import asyncio
from datetime import timedelta

import pytest

from stoa.db.database import Database
from stoa.jobs.actions import enqueue
from stoa.jobs.model import Outcome
from stoa.jobs.run import JobRun
from stoa.jobs.worker import Worker
from stoa.kernel.ids import TenantId
from tests.jobs.recorder import Recorder, make_due, state


async def test_many_wishes_for_one_key_run_once_with_the_last_arguments(
    database: Database, tenant_id: TenantId, kind: str
) -> None:
    for number in range(3):
        async with database.tenant(tenant_id) as tx:
            await enqueue(tx, kind, "k", {"number": number})
            await enqueue(tx, kind, "k", {"number": number + 10})
    handler = Recorder().open()
    worker = Worker(database, {kind: handler})
    assert await worker.run_due_once() == 1
    assert [(run.key, run.args, run.attempt, run.tenant_id) for run in handler.runs] == [
        ("k", {"number": 12}, 1, tenant_id)
    ]
    assert await state(database, tenant_id, kind, "k") is None
    assert await worker.run_due_once() == 0


async def test_a_job_of_a_rolled_back_transaction_was_never_asked_for(
    database: Database, tenant_id: TenantId, kind: str
) -> None:
    async def give_up() -> None:
        async with database.tenant(tenant_id) as tx:
            await enqueue(tx, kind, "")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await give_up()
    assert await state(database, tenant_id, kind) is None


async def test_a_wish_during_the_run_is_not_lost(database: Database, tenant_id: TenantId, kind: str) -> None:
    async with database.tenant(tenant_id) as tx:
        await enqueue(tx, kind, "")
    handler = Recorder()
    worker = Worker(database, {kind: handler})
    running = asyncio.create_task(worker.run_due_once())
    await handler.begun.wait()
    async with database.tenant(tenant_id) as tx:
        await enqueue(tx, kind, "", {"second": True})
    handler.open()
    assert await running == 1
    assert await worker.run_due_once() == 1
    assert [run.args for run in handler.runs] == [{}, {"second": True}]
    assert await worker.run_due_once() == 0


async def test_no_wish_is_lost_between_many_askers_and_two_workers(
    database: Database, tenant_id: TenantId, kind: str
) -> None:
    """Each wish makes something to do, in its own transaction; at the end nothing is left undone."""
    async with database.tenant(tenant_id) as tx:
        await tx.execute(
            "INSERT INTO source (tenant_id, source_id, kind, name, name_key, created_at) "
            "SELECT $1, gen_random_uuid(), 'import', 'todo', 'todo ' || n, $2 FROM generate_series(1, 60) n",
            tenant_id,
            tx.now,
        )
        await tx.execute("UPDATE source SET name = 'idle' WHERE tenant_id = $1 AND name = 'todo'", tenant_id)

    async def work_off(run: JobRun) -> None:
        async with database.tenant(tenant_id) as tx:
            await run.fence(tx)
            await tx.execute("UPDATE source SET name = 'done' WHERE tenant_id = $1 AND name = 'todo'", tenant_id)

    async def ask(number: int) -> None:
        async with database.tenant(tenant_id) as tx:
            sql = "UPDATE source SET name = 'todo' WHERE tenant_id = $1 AND name_key = 'todo ' || $2::text"
            await tx.execute(sql, tenant_id, str(number))
            await enqueue(tx, kind, "")

    stop = asyncio.Event()
    workers = [asyncio.create_task(Worker(database, {kind: work_off}).run(stop)) for _ in range(2)]
    for first in range(1, 61, 6):
        await asyncio.gather(*map(ask, range(first, first + 6)))
    async with asyncio.timeout(20):
        while await state(database, tenant_id, kind) is not None:
            await asyncio.wait({workers[0]}, timeout=0.02)
    stop.set()
    await asyncio.gather(*workers)
    async with database.tenant(tenant_id) as tx:
        sql = "SELECT count(*) FROM source WHERE tenant_id = $1 AND name_key LIKE 'todo %' AND name <> 'done'"
        assert await tx.fetchval(sql, tenant_id) == 0


async def test_a_handler_that_asks_for_a_later_day_runs_then_and_not_at_once(
    database: Database, tenant_id: TenantId, kind: str
) -> None:
    async def again_tomorrow(run: JobRun) -> None:
        async with run.database.tenant(run.tenant_id, run.origin) as tx:
            await enqueue(tx, kind, "", due_at=tx.now + timedelta(days=1))

    async with database.tenant(tenant_id) as tx:
        await enqueue(tx, kind, "")
        now = tx.now
    worker = Worker(database, {kind: again_tomorrow})
    assert await worker.run_due_once() == 1
    assert await worker.run_due_once() == 0
    waiting = await state(database, tenant_id, kind)
    assert waiting is not None
    assert timedelta(hours=23) < waiting.due_at - now < timedelta(hours=25)
    assert waiting.attempts == 0


async def test_the_earliest_moment_asked_for_counts(database: Database, tenant_id: TenantId, kind: str) -> None:
    async with database.tenant(tenant_id) as tx:
        now = tx.now
        await enqueue(tx, kind, "", due_at=now + timedelta(days=3))
    for days in (2, 4):
        async with database.tenant(tenant_id) as tx:
            await enqueue(tx, kind, "", due_at=now + timedelta(days=days))
    waiting = await state(database, tenant_id, kind)
    assert waiting is not None
    assert waiting.due_at == now + timedelta(days=2)


async def test_transactions_that_ask_for_the_same_jobs_in_opposite_order_do_not_deadlock(
    database: Database, tenant_id: TenantId, kind: str
) -> None:
    async def ask(keys: list[str]) -> None:
        for _ in range(10):
            async with database.tenant(tenant_id) as tx:
                for key in keys:
                    await enqueue(tx, kind, key)

    keys = [str(number) for number in range(20)]
    await asyncio.gather(*(ask(order) for order in (keys, keys[::-1]) * 3))
    handler = Recorder().open()
    worker = Worker(database, {kind: handler}, concurrency=40)
    assert await worker.run_due_once() == 20
    assert sorted(run.key for run in handler.runs) == sorted(keys)


async def test_one_job_is_run_here_and_now(database: Database, tenant_id: TenantId, kind: str) -> None:
    async with database.tenant(tenant_id) as tx:
        await enqueue(tx, kind, "wanted", due_at=tx.now + timedelta(days=1))
        await enqueue(tx, kind, "other")
    handler = Recorder().open()
    worker = Worker(database, {kind: handler})
    assert await worker.claim_one(kind, "wanted", tenant_id) is Outcome.DONE
    assert await worker.claim_one(kind, "wanted", tenant_id) is None
    assert [run.key for run in handler.runs] == ["wanted"]


async def test_a_job_that_runs_elsewhere_is_not_run_here(database: Database, tenant_id: TenantId, kind: str) -> None:
    async with database.tenant(tenant_id) as tx:
        await enqueue(tx, kind, "")
    handler = Recorder()
    running = asyncio.create_task(Worker(database, {kind: handler}).run_due_once())
    await handler.begun.wait()
    assert await Worker(database, {kind: handler}).claim_one(kind, "", tenant_id) is None
    handler.open()
    await running
    assert len(handler.runs) == 1


async def test_a_kind_without_a_handler_is_left_for_a_worker_that_has_one(
    database: Database, tenant_id: TenantId, kind: str
) -> None:
    async with database.tenant(tenant_id) as tx:
        await enqueue(tx, kind, "")
    assert await Worker(database, {f"{kind}.other": Recorder().open()}).run_due_once() == 0
    assert await Worker(database, {kind: Recorder().open()}).run_due_once() == 1


async def test_a_sandbox_whose_clock_was_moved_finds_its_jobs_due(
    database: Database, tenant_id: TenantId, kind: str
) -> None:
    async with database.tenant(tenant_id) as tx:
        await tx.execute("UPDATE tenant SET sandbox = true WHERE tenant_id = $1", tenant_id)
        await enqueue(tx, kind, "", due_at=tx.now + timedelta(days=30))
    worker = Worker(database, {kind: Recorder().open()})
    assert await worker.run_due_once() == 0
    async with database.tenant(tenant_id) as tx:
        await tx.execute("UPDATE tenant SET clock_offset = '31 days' WHERE tenant_id = $1", tenant_id)
    assert await worker.run_due_once() == 1


async def test_a_job_in_back_off_is_not_hurried_by_a_new_wish(
    database: Database, tenant_id: TenantId, kind: str
) -> None:
    async with database.tenant(tenant_id) as tx:
        await enqueue(tx, kind, "")
    handler = Recorder(fails=lambda _: ValueError("once") if len(handler.runs) == 1 else None).open()
    worker = Worker(database, {kind: handler})
    await worker.run_due_once()
    async with database.tenant(tenant_id) as tx:
        await enqueue(tx, kind, "")
    assert await worker.run_due_once() == 0
    await make_due(database, tenant_id, kind)
    assert await worker.run_due_once() == 1
    assert await state(database, tenant_id, kind) is None
