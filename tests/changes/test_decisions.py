"""Approving, rejecting, and asking for an undo."""

from datetime import timedelta

import asyncpg
import pytest

from stoa.changes import actions, queries
from stoa.changes.model import NewRun, NoSuchRun, Run, RunKind, RunState, WrongState
from stoa.changes.undoing import TARGETS
from stoa.db.database import Database
from stoa.kernel.ids import RunId, SourceId, TenantId, new_id

from ..conftest import MakeTenant
from ..people.making import apply, plan, report, source, sync, worker


@pytest.fixture
async def hr(database: Database, tenant_id: TenantId) -> SourceId:
    return await source(database, tenant_id)


async def run_in(database: Database, tenant_id: TenantId, source_id: SourceId, state: RunState) -> Run:
    """A run in any state, put there by SQL."""
    async with database.tenant(tenant_id) as tx:
        run = await queries.insert_run(tx, NewRun(RunKind.SYNC, "person", source_id))
        await tx.execute("UPDATE run SET state = $2, planned_at = created_at WHERE run_id = $1", run.run_id, state)
        return await queries.run_by_id(tx, run.run_id)


async def wanted(database: Database, tenant_id: TenantId, source_id: SourceId) -> int:
    async with database.tenant(tenant_id) as tx:
        sql = "SELECT coalesce(sum(wanted), 0) FROM job WHERE kind = $1 AND key = $2"
        return await tx.fetchval(sql, actions.SOURCE_JOB, str(source_id))


@pytest.mark.parametrize("state", list(RunState))
async def test_approving(database: Database, tenant_id: TenantId, hr: SourceId, state: RunState) -> None:
    run = await run_in(database, tenant_id, hr, state)
    if state in {RunState.HELD, RunState.PLANNED}:
        async with database.tenant(tenant_id) as tx:
            approved = await actions.approve(tx, run.run_id)
        assert (approved.state, approved.decided_by, approved.plan_only) == (RunState.APPROVED, "system", False)
        assert await wanted(database, tenant_id, hr) == 1
        return
    async with database.tenant(tenant_id) as tx:
        with pytest.raises(WrongState, match=f"is {state}; only a held or planned run can be approved") as refused:
            await actions.approve(tx, run.run_id)
    assert refused.value.hint
    assert await wanted(database, tenant_id, hr) == 0


@pytest.mark.parametrize("state", list(RunState))
async def test_rejecting(database: Database, tenant_id: TenantId, hr: SourceId, state: RunState) -> None:
    run = await run_in(database, tenant_id, hr, state)
    async with database.tenant(tenant_id) as tx:
        if state in {RunState.HELD, RunState.PLANNED, RunState.QUEUED, RunState.APPROVED}:
            rejected = await actions.reject(tx, run.run_id)
            assert rejected.state is RunState.REJECTED
            assert rejected.finished_at == tx.now
        else:
            with pytest.raises(WrongState):
                await actions.reject(tx, run.run_id)


async def test_another_tenants_run_is_not_there(
    database: Database, tenant_id: TenantId, hr: SourceId, make_tenant: MakeTenant
) -> None:
    run = await run_in(database, tenant_id, hr, RunState.HELD)
    other = await make_tenant()
    for run_id in (run.run_id, RunId(new_id())):
        async with database.tenant(other) as tx:
            for act in (actions.approve, actions.reject, actions.queue_rollback):
                with pytest.raises(NoSuchRun):
                    await act(tx, run_id)


async def test_a_plan_that_was_overtaken_is_stale(database: Database, tenant_id: TenantId, hr: SourceId) -> None:
    await sync(database, tenant_id, hr, report([worker(1)]))
    older = await plan(database, tenant_id, hr, report([worker(1, title="Older")]))
    await sync(database, tenant_id, hr, report([worker(1, title="Newer")]))
    async with database.tenant(tenant_id) as tx:
        approved = await actions.approve(tx, older.run_id)
    ended = await apply(database, tenant_id, approved)
    assert ended.state is RunState.STALE
    assert ended.reasons[-1]["code"] == "overtaken"
    async with database.tenant(tenant_id) as tx:
        assert await tx.fetchval("SELECT title FROM source_record") == "Newer"


async def test_an_approved_plan_is_applied_as_it_was_planned(
    database: Database, tenant_id: TenantId, hr: SourceId
) -> None:
    await sync(database, tenant_id, hr, report([worker(1)]))
    run = await plan(database, tenant_id, hr, report([worker(1, title="Newer")]))
    async with database.tenant(tenant_id) as tx:
        approved = await actions.approve(tx, run.run_id)
    assert (await apply(database, tenant_id, approved)).state is RunState.APPLIED


@pytest.mark.parametrize("state", [s for s in RunState if s is not RunState.APPLIED])
async def test_only_an_applied_run_is_undone(
    database: Database, tenant_id: TenantId, hr: SourceId, state: RunState
) -> None:
    run = await run_in(database, tenant_id, hr, state)
    async with database.tenant(tenant_id) as tx:
        with pytest.raises(WrongState, match="only an applied run can be rolled back"):
            await actions.queue_rollback(tx, run.run_id)


async def test_one_undo_at_a_time(database: Database, tenant_id: TenantId, hr: SourceId) -> None:
    run = await sync(database, tenant_id, hr, report([worker(1)]))
    async with database.tenant(tenant_id) as tx:
        first = await actions.queue_rollback(tx, run.run_id, plan_only=True)
        assert (first.state, first.of_run, first.plan_only) == (RunState.QUEUED, run.run_id, True)
        with pytest.raises(WrongState, match="exists already"):
            await actions.queue_rollback(tx, run.run_id)
        # Whoever gets past the question meets the index.
        new = NewRun(RunKind.ROLLBACK, "person", hr, of_run=run.run_id)
        with pytest.raises(asyncpg.UniqueViolationError):
            async with tx.savepoint():
                await queries.insert_run(tx, new)
        await actions.reject(tx, first.run_id)
        assert (await actions.queue_rollback(tx, run.run_id)).state is RunState.QUEUED
    assert await wanted(database, tenant_id, hr) == 1


async def test_what_goes_on_first(database: Database, tenant_id: TenantId, hr: SourceId) -> None:
    async with database.tenant(tenant_id) as tx:
        assert await queries.next_open_run(tx, hr) is None
    for state in (RunState.HELD, RunState.APPLIED, RunState.REJECTED):
        await run_in(database, tenant_id, hr, state)
    queued = await run_in(database, tenant_id, hr, RunState.QUEUED)
    approved = await run_in(database, tenant_id, hr, RunState.APPROVED)
    async with database.tenant(tenant_id) as tx:
        waiting = await queries.insert_run(tx, NewRun(RunKind.SYNC, "person", hr, plan_only=True))
        await tx.execute(
            "UPDATE run SET state = 'planned', created_at = $2 WHERE run_id = $1",
            *(waiting.run_id, tx.now - timedelta(days=1)),
        )
        found = await queries.next_open_run(tx, hr)
        assert found is not None
        assert found.run_id == approved.run_id
        await queries.enter(tx, found, RunState.REJECTED)
        found = await queries.next_open_run(tx, hr)
        assert found is not None
        assert found.run_id == queued.run_id


async def test_of_two_who_decide_at_once_one_is_told(database: Database, tenant_id: TenantId, hr: SourceId) -> None:
    run = await run_in(database, tenant_id, hr, RunState.HELD)
    async with database.tenant(tenant_id) as tx:
        await queries.enter(tx, run, RunState.REJECTED)
    async with database.tenant(tenant_id) as tx:
        with pytest.raises(WrongState, match="is rejected and cannot become approved"):
            await queries.enter(tx, run, RunState.APPROVED)


async def test_what_is_undone_of_groups_waits_until_people_are_decided(
    database: Database, tenant_id: TenantId, hr: SourceId
) -> None:
    async with database.tenant(tenant_id) as tx:
        people, groups = await actions.queue_undo_since(tx, hr, tx.now, TARGETS)
        await tx.execute("UPDATE run SET state = 'planned' WHERE run_id = ANY($1)", [people.run_id, groups.run_id])
        with pytest.raises(WrongState, match=f"the run {people.run_id}, which comes before it") as refused:
            await actions.approve(tx, groups.run_id)
        assert refused.value.hint
        await actions.approve(tx, people.run_id)
        assert (await actions.approve(tx, groups.run_id)).state is RunState.APPROVED
        found = await queries.next_open_run(tx, hr)
        assert found is not None
        assert found.run_id == people.run_id
