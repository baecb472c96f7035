"""What follows from a failure."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoa.db.database import Database
from stoa.db.transactions import TenantTx
from stoa.jobs.actions import enqueue, revive
from stoa.jobs.model import DeadJob, Fatal, Outcome, Retriable
from stoa.jobs.queries import dead_jobs
from stoa.jobs.rules import ATTEMPTS, PATIENT_ATTEMPTS, delay_after, tell
from stoa.jobs.worker import Worker
from stoa.kernel.ids import TenantId
from tests.jobs.recorder import Recorder, lapse, make_due, state

PERSONAL = "ada@example.com"


async def ask(database: Database, tenant_id: TenantId, kind: str) -> None:
    async with database.tenant(tenant_id) as tx:
        await enqueue(tx, kind, "")


async def test_an_unexpected_failure_is_tried_again_then_dead_and_told_once_without_its_message(
    database: Database, tenant_id: TenantId, kind: str
) -> None:
    told: list[DeadJob] = []

    async def on_dead(tx: TenantTx, dead: DeadJob) -> None:
        assert tx.tenant_id == tenant_id
        told.append(dead)

    await ask(database, tenant_id, kind)
    handler = Recorder(fails=lambda _: ValueError(PERSONAL)).open()
    worker = Worker(database, {kind: handler}, on_dead=on_dead)
    for _ in range(ATTEMPTS):
        assert told == []
        assert await worker.run_due_once() == 1
        await make_due(database, tenant_id, kind)
    assert await worker.run_due_once() == 0
    assert [run.attempt for run in handler.runs] == list(range(1, ATTEMPTS + 1))
    async with database.tenant(tenant_id) as tx:
        assert await dead_jobs(tx) == told
    assert [(dead.kind, dead.attempts, dead.error) for dead in told] == [(kind, ATTEMPTS, "ValueError")]


async def test_a_fatal_failure_is_dead_at_once_with_its_message(
    database: Database, tenant_id: TenantId, kind: str
) -> None:
    await ask(database, tenant_id, kind)
    worker = Worker(database, {kind: Recorder(fails=lambda _: Fatal("The connection was removed.")).open()})
    assert await worker.run_due_once() == 1
    dead = await state(database, tenant_id, kind)
    assert dead is not None
    assert dead.dead_at is not None
    assert dead.last_error == "Fatal: The connection was removed."


async def test_a_dead_job_comes_back_when_it_is_asked_for_or_revived(
    database: Database, tenant_id: TenantId, kind: str
) -> None:
    await ask(database, tenant_id, kind)
    handler = Recorder(fails=lambda _: Fatal("No.") if len(handler.runs) < 3 else None).open()
    worker = Worker(database, {kind: handler})
    await worker.run_due_once()
    await ask(database, tenant_id, kind)
    assert await worker.run_due_once() == 1
    async with database.tenant(tenant_id) as tx:
        dead = (await dead_jobs(tx))[0]
        assert await revive(tx, dead.job_id)
        assert not await revive(tx, dead.job_id)
    assert await worker.run_due_once() == 1
    assert [run.attempt for run in handler.runs] == [1, 1, 1]
    assert await state(database, tenant_id, kind) is None


async def test_a_wish_during_the_fatal_run_begins_a_new_life(
    database: Database, tenant_id: TenantId, kind: str
) -> None:
    async def handler(_: object) -> None:
        await ask(database, tenant_id, kind)
        raise Fatal("No.")

    await ask(database, tenant_id, kind)
    worker = Worker(database, {kind: handler})
    assert await worker.run_due_once() == 1
    assert await worker.run_due_once() == 1


async def test_retry_after_is_kept(database: Database, tenant_id: TenantId, kind: str) -> None:
    await ask(database, tenant_id, kind)
    worker = Worker(
        database, {kind: Recorder(fails=lambda _: Retriable("Busy.", retry_after=timedelta(hours=1))).open()}
    )
    before = datetime.now(UTC)
    await worker.run_due_once()
    waiting = await state(database, tenant_id, kind)
    assert waiting is not None
    assert timedelta(hours=1) <= waiting.due_at - before < timedelta(hours=1, seconds=30)
    assert waiting.lease_until is None
    assert waiting.last_error == "Retriable: Busy."


async def test_a_wish_for_later_survives_a_failed_run(database: Database, tenant_id: TenantId, kind: str) -> None:
    async def handler(run: object) -> None:
        runs.append(run)
        if len(runs) == 1:
            async with database.tenant(tenant_id) as tx:
                await enqueue(tx, kind, "", due_at=tx.now + timedelta(days=1))
            raise ValueError

    runs: list[object] = []
    await ask(database, tenant_id, kind)
    worker = Worker(database, {kind: handler})
    await worker.run_due_once()
    await make_due(database, tenant_id, kind)
    assert await worker.run_due_once() == 1
    waiting = await state(database, tenant_id, kind)
    assert waiting is not None
    assert waiting.due_at > datetime.now(UTC) + timedelta(hours=23)


async def test_a_job_that_kills_its_worker_again_and_again_is_buried_without_being_run(
    database: Database, tenant_id: TenantId, kind: str
) -> None:
    await ask(database, tenant_id, kind)
    async with database.tenant(tenant_id) as tx:
        sql = "UPDATE job SET attempts = $3, lease_until = $4 WHERE tenant_id = $1 AND kind = $2"
        await tx.execute(sql, tenant_id, kind, ATTEMPTS, tx.now)
    await lapse(database, tenant_id, kind)
    handler = Recorder().open()
    assert await Worker(database, {kind: handler}).claim_one(kind, "", tenant_id) is Outcome.DEAD
    assert handler.runs == []
    dead = await state(database, tenant_id, kind)
    assert dead is not None
    assert dead.last_error == f"WorkerLost: The worker was lost {ATTEMPTS} times in the middle of this job."


async def test_a_failing_alarm_leaves_the_job_to_be_buried_later(
    database: Database, tenant_id: TenantId, kind: str
) -> None:
    async def on_dead(tx: TenantTx, dead: DeadJob) -> None:
        raise ValueError(dead.kind)

    await ask(database, tenant_id, kind)
    handler = Recorder(fails=lambda _: Fatal("No.")).open()
    assert await Worker(database, {kind: handler}, on_dead=on_dead).claim_one(kind, "", tenant_id) is Outcome.LOST
    await lapse(database, tenant_id, kind)
    assert await Worker(database, {kind: handler}).claim_one(kind, "", tenant_id) is Outcome.DEAD


@given(st.integers(1, PATIENT_ATTEMPTS - 1), st.floats(0, 1, exclude_max=True), st.integers(-5, 10**6))
def test_a_retry_waits_at_least_as_long_as_asked_up_to_a_day(attempt: int, luck: float, seconds: int) -> None:
    asked = timedelta(seconds=seconds)
    delay = delay_after(Retriable("Busy.", retry_after=asked), attempt, luck)
    assert delay is not None
    assert min(asked, timedelta(days=1)) <= delay <= timedelta(days=1, seconds=2)
    assert delay > timedelta(0)


def test_the_delay_doubles_up_to_its_bound_and_ends_with_the_attempts() -> None:
    delays = [delay_after(Retriable("Busy."), attempt, 0.5) for attempt in range(1, PATIENT_ATTEMPTS + 1)]
    assert delays[:3] == [timedelta(seconds=2), timedelta(seconds=4), timedelta(seconds=8)]
    assert delays[-2:] == [timedelta(minutes=15), None]
    assert delay_after(ValueError(), ATTEMPTS - 1, 0) is not None
    assert delay_after(ValueError(), ATTEMPTS, 0) is None
    assert delay_after(Fatal("No."), 1, 0) is None


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError(PERSONAL), "ValueError"),
        (Fatal("Gone.", hint=PERSONAL), "Fatal: Gone."),
        (Retriable("x" * 900), "Retriable: " + "x" * 489),
    ],
)
def test_only_a_problem_tells_its_message(error: Exception, told: str) -> None:
    assert tell(error) == told
