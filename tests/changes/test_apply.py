"""Batches: fenced, resumed, each change applied once, one entry of the log for each."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from stoa.changes import queries
from stoa.changes.apply import Working, apply_run
from stoa.changes.model import Run, RunState
from stoa.changes.rendering import render_changes
from stoa.db.database import Database
from stoa.db.transactions import SYSTEM, TenantTx
from stoa.events.actions import number_entries
from stoa.jobs import leases
from stoa.jobs.actions import enqueue
from stoa.jobs.model import LeaseLost
from stoa.jobs.run import JobRun
from stoa.kernel.ids import SourceId, TenantId, new_id
from stoa.people.queries import headcount
from stoa.people.target import People

from ..people.making import apply, plan, report, source, state, sync, worker


class Killed(Exception):
    """The worker is gone."""


async def at_end(tx: TenantTx, run: Run) -> None:
    del tx, run


@pytest.fixture
async def hr(database: Database, tenant_id: TenantId) -> SourceId:
    return await source(database, tenant_id)


def dies_after(batches: int) -> Callable[[TenantTx], Awaitable[None]]:
    """A fence behind which the worker dies: one look for the claim, then one for each batch."""
    left = [batches + 1]

    async def fence(tx: TenantTx) -> None:
        del tx
        if left[0] == 0:
            raise Killed
        left[0] -= 1

    return fence


@pytest.mark.parametrize("batches", range(5))
async def test_a_killed_workers_successor_goes_on_where_it_stopped(
    database: Database, tenant_id: TenantId, hr: SourceId, batches: int
) -> None:
    await sync(database, tenant_id, hr, report(worker(n) for n in range(8)))
    rows = [worker(n, title="Chief") for n in range(2, 14)]
    run = await plan(database, tenant_id, hr, report(rows))
    work = Working(database, tenant_id, SYSTEM, 1, dies_after(batches))
    with pytest.raises(Killed):
        await apply_run(work, run, People(), at_end, batch_rows=3)
    async with database.tenant(tenant_id) as tx:
        stopped = await queries.run_by_id(tx, run.run_id)
        assert stopped.state is RunState.APPLYING
        applied = await tx.fetchval(
            "SELECT count(*) FROM change WHERE run_id = $1 AND ord <= $2", run.run_id, stopped.applied_through
        )
        assert applied == 3 * batches
    done = await apply(database, tenant_id, stopped, batch_rows=4)
    assert done.state is RunState.APPLIED
    async with database.tenant(tenant_id) as tx:
        assert await tx.fetchval("SELECT max(version) FROM source_record WHERE last_run = $1", run.run_id) == 2
        assert await headcount(tx) == (14, 12)
        batches = "SELECT sum(n) FROM entry WHERE run_id = $1 AND ord_from IS NOT NULL"
        told = await tx.fetchval(batches, run.run_id)
        assert told == 2 * sum(done.counts.values()) == 28
    assert (await sync(database, tenant_id, hr, report(rows))).counts == {}


async def test_applying_what_is_applied_changes_nothing(database: Database, tenant_id: TenantId, hr: SourceId) -> None:
    run = await sync(database, tenant_id, hr, report(worker(n) for n in range(5)))
    before = await state(database, tenant_id)
    with pytest.raises(queries.WrongState):
        await apply(database, tenant_id, run)
    assert await state(database, tenant_id) == before


async def claim(database: Database, tenant_id: TenantId, hr: SourceId, *, later: timedelta = timedelta(0)) -> JobRun:
    """A worker's claim of the source's job; one hour later it has expired for the worker before."""
    async with database.tenant(tenant_id) as tx:
        now = database.clock() + later
        claimed = await leases.claim_one(tx, "changes.source", str(hr), now, timedelta(minutes=30))
        assert claimed is not None
    key = (claimed.job_id, claimed.kind, claimed.key, {}, claimed.lease_epoch, claimed.attempt, new_id().hex)
    return JobRun(database, tenant_id, *key)


async def test_a_worker_whose_lease_was_taken_over_writes_nothing_more(
    database: Database, tenant_id: TenantId, hr: SourceId
) -> None:
    async with database.tenant(tenant_id) as tx:
        await enqueue(tx, "changes.source", str(hr))
    older = await claim(database, tenant_id, hr)
    run = await plan(database, tenant_id, hr, report(worker(n) for n in range(6)))
    newer: list[JobRun] = []
    looks = [0]

    async def fence(tx: TenantTx) -> None:
        looks[0] += 1
        if looks[0] == 3:
            newer.append(await claim(database, tenant_id, hr, later=timedelta(hours=1)))
        await older.fence(tx)

    work = Working(database, tenant_id, SYSTEM, older.lease_epoch, fence)
    with pytest.raises(LeaseLost):
        await apply_run(work, run, People(), at_end, batch_rows=2)
    async with database.tenant(tenant_id) as tx:
        assert await headcount(tx) == (2, 2)
        stopped = await queries.run_by_id(tx, run.run_id)
        assert stopped.lease_epoch == older.lease_epoch
    work = Working(database, tenant_id, SYSTEM, newer[0].lease_epoch, newer[0].fence)
    done = await apply_run(work, stopped, People(), at_end, batch_rows=2)
    assert (done.state, done.lease_epoch) == (RunState.APPLIED, older.lease_epoch + 1)
    async with database.tenant(tenant_id) as tx:
        assert await headcount(tx) == (6, 6)


async def test_every_batch_is_told_in_one_entry_and_rendered_in_order(
    database: Database, tenant_id: TenantId, hr: SourceId
) -> None:
    run = await sync(database, tenant_id, hr, report(worker(n) for n in range(7)), batch_rows=3)
    async with database.tenant(tenant_id) as tx:
        entries = await tx.fetch(
            "SELECT * FROM entry WHERE run_id = $1 AND ord_from IS NOT NULL ORDER BY entry_no", run.run_id
        )
        assert sorted(e["n"] for e in entries) == [1, 1, 3, 3, 3, 3]
        assert await number_entries(tx) >= 3
        spans = [(entry["ord_from"], entry["ord_to"]) for entry in entries]
        told = [event for span in spans for event in await render_changes(tx, run.run_id, *span, 0, 100)]
        whole_span = min(first for first, _ in spans), max(last for _, last in spans)
        whole = await render_changes(tx, run.run_id, *whole_span, 0, 100)
        parts = [await render_changes(tx, run.run_id, *whole_span, offset, 2) for offset in (0, 6, 13)]
    assert parts == [whole[:2], whole[6:8], whole[13:]]
    events = [event for event in told if event.type == "person_record.created"]
    assert sorted(event.type for event in whole) == ["person.created"] * 7 + ["person_record.created"] * 7
    assert {e.subject for e in events} == {e.subject for e in told if e.type == "person.created"}
    assert [e.body["external_id"] for e in events] == [f"E{n:05}" for n in range(7)]
    after = events[3].body["after"]
    assert (after["given_name"], after["hire_date"]) == ("Given3", "2020-01-04")
    assert not {"row_hash", "raw", "email_key"} & after.keys()
