"""What a run's life tells the event log: every step, who took it, and what it was before."""

import pytest

from stoa.changes import actions
from stoa.changes.model import NewRun, RunKind, RunState
from stoa.changes.queries import enter, insert_run
from stoa.db.database import Database
from stoa.db.transactions import Origin
from stoa.events.trail import TrailAsk, TrailLine, trail_page
from stoa.kernel.ids import RunId, SourceId, TenantId
from tests.people.making import report, source, sync, worker

ADA = Origin("operator:ada", "console", "trace", "192.0.2.4")


@pytest.fixture
async def hr(database: Database, tenant_id: TenantId) -> SourceId:
    return await source(database, tenant_id)


async def told(database: Database, tenant_id: TenantId, run_id: RunId) -> list[TrailLine]:
    """The lines about a run, the oldest first, without its bulk entries."""
    async with database.tenant(tenant_id, read_only=True) as tx:
        found = await trail_page(tx, TrailAsk(descending=False, limit=200))
    return [line for line in found.lines if line.subject == f"run:{run_id}"]


async def test_a_sync_is_told_from_its_beginning_to_its_end(
    database: Database, tenant_id: TenantId, hr: SourceId
) -> None:
    done = await sync(database, tenant_id, hr, report(worker(n) for n in range(3)))
    lines = await told(database, tenant_id, done.run_id)
    assert [line.type for line in lines] == ["run.queued", "run.planned", "run.applied"]
    assert {line.run_id for line in lines} == {done.run_id}
    last = lines[-1].body
    assert last is not None
    assert (last["before"], last["after"]) == ({"state": "applying"}, {"state": "applied"})
    assert last["counts"] == dict(done.counts)


@pytest.mark.parametrize("decision", ["approve", "reject"])
async def test_a_decision_says_who_took_it_and_keeps_its_reason_to_the_run(
    database: Database, tenant_id: TenantId, hr: SourceId, decision: str
) -> None:
    async with database.tenant(tenant_id) as tx:
        run = await insert_run(tx, NewRun(RunKind.SYNC, "person", hr))
        run = await enter(tx, run, RunState.PLANNING)
        await enter(tx, run, RunState.HELD, reasons=[{"code": "deactivate_over_threshold", "detail": "", "hint": ""}])
    async with database.tenant(tenant_id, ADA) as tx:
        await getattr(actions, decision)(tx, run.run_id, note="Because Bo left.")
    *_, held, decided = await told(database, tenant_id, run.run_id)
    assert (held.type, held.body and held.body["reasons"]) == ("run.held", ["deactivate_over_threshold"])
    assert decided.type == ("run.approved" if decision == "approve" else "run.rejected")
    assert (decided.actor, decided.via, decided.request_id, decided.address) == (
        "operator:ada",
        "console",
        "trace",
        "192.0.2.4",
    )
    assert decided.body is not None
    assert decided.body["before"] == {"state": "held"}
    assert "Bo" not in str(decided.body)


async def test_a_rollback_names_the_run_that_it_undoes(database: Database, tenant_id: TenantId, hr: SourceId) -> None:
    done = await sync(database, tenant_id, hr, report([worker(1)]))
    async with database.tenant(tenant_id, ADA) as tx:
        rollback = await actions.queue_rollback(tx, done.run_id)
    [line] = await told(database, tenant_id, rollback.run_id)
    assert (line.type, line.actor) == ("run.queued", "operator:ada")
    assert line.body is not None
    assert (line.body["kind"], line.body["of_run"], line.body["before"]) == ("rollback", str(done.run_id), None)
