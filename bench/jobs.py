"""The job queue: jobs that do nothing, by one worker, against a bare SKIP LOCKED queue that takes 50 at a time."""

import asyncio
import time
from statistics import median

import asyncpg

from bench.ground import Ground
from bench.model import Figure, Plan
from stoa.jobs.actions import enqueue
from stoa.jobs.run import JobRun
from stoa.jobs.worker import Worker
from stoa.kernel.ids import TenantId

JOBS = 2_000
ROUNDS = 3
_TENANTS = 10
_CONCURRENCY = 10
_KIND = "bench.nothing"
_LONGEST_SECONDS = 120
# A job is claimed, and the claim committed, before it is worked on.
_CLAIM = """
UPDATE bench_queue.job SET lease_until = now() + interval '30 s' WHERE id IN (
  SELECT id FROM bench_queue.job WHERE lease_until IS NULL ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED)
RETURNING id, payload"""
_END = "DELETE FROM bench_queue.job WHERE id = ANY($1)"


async def run(ground: Ground, plan: Plan) -> list[Figure]:
    """Rounds of both queues."""
    n = max(_TENANTS, plan.size or JOBS)
    tenants = [(await ground.tenant())[0] for _ in range(_TENANTS)]
    wanted, done, bare, single = list[float](), list[float](), list[float](), list[float]()
    for number in range(plan.rounds or ROUNDS):
        plan.report(f"jobs: round {number + 1}")
        wanted.append(await _enqueue(ground, tenants, n // _TENANTS))
        done.append(await _work(ground, n // _TENANTS * _TENANTS))
        bare.append(await _bare(ground, n, 50))
        single.append(await _bare(ground, n, 1))
    against = "bare SKIP LOCKED, 1 connection"
    title = f"{n:,} jobs of {_TENANTS} tenants, one worker, {_CONCURRENCY} at a time"
    return [
        Figure("jobs", title, median(done), "jobs/s", median(bare), f"{against}, 50 a transaction", 0.25),
        Figure("jobs", title, median(done), "jobs/s", median(single), f"{against}, 1 a transaction"),
        Figure("jobs", "enqueued, 100 a transaction", median(wanted), "jobs/s"),
    ]


async def _enqueue(ground: Ground, tenants: list[TenantId], each: int) -> float:
    began = time.perf_counter()
    for tenant_id in tenants:
        for start in range(0, each, 100):
            async with ground.database.tenant(tenant_id) as tx:
                for number in range(start, min(each, start + 100)):
                    await enqueue(tx, _KIND, f"{number}", {"number": number})
    return each * len(tenants) / (time.perf_counter() - began)


async def _work(ground: Ground, n: int) -> float:
    stop, left = asyncio.Event(), n

    async def nothing(_: JobRun) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            stop.set()

    worker = Worker(ground.database, {_KIND: nothing}, concurrency=_CONCURRENCY)
    began = time.perf_counter()
    async with asyncio.timeout(_LONGEST_SECONDS):
        await worker.run(stop)
    return n / (time.perf_counter() - began)


async def _bare(ground: Ground, n: int, each: int) -> float:
    admin = await asyncpg.connect(ground.admin_dsn)
    try:
        await admin.execute(
            """DROP SCHEMA IF EXISTS bench_queue CASCADE; CREATE SCHEMA bench_queue;
            CREATE TABLE bench_queue.job (id bigint PRIMARY KEY, payload jsonb NOT NULL, lease_until timestamptz)"""
        )
        await admin.execute("INSERT INTO bench_queue.job SELECT i, '{}', NULL FROM generate_series(1, $1::int) AS i", n)
        began, taken = time.perf_counter(), 0
        while rows := await admin.fetch(_CLAIM, each):
            await admin.execute(_END, [row["id"] for row in rows])
            taken += len(rows)
        seconds = time.perf_counter() - began
        await admin.execute("DROP SCHEMA bench_queue CASCADE")
    finally:
        await admin.close()
    assert taken == n
    return n / seconds
