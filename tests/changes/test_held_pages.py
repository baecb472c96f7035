"""The pages of effects that wait, and of undoing what a source did from a moment on."""

from datetime import UTC, datetime, timedelta

import pytest

from stoa.access.permissions import Role
from stoa.changes import queries
from stoa.changes.model import Run, RunState
from stoa.db.database import Database
from stoa.kernel.ids import RunId, SourceId
from stoa.people import actions
from stoa.people.guard_rules import Guard, GuardKind
from stoa.people.model import Asserted, Changed, Provisioned, Record
from stoa.people.target import People
from stoa.people.thresholds import set_guard
from tests.changes.conftest import Desk, desk_of
from tests.conftest import MakeTenant
from tests.people import making
from tests.web.signed_in import Browsers, text_of

from .test_deciding_pages import run_at


@pytest.fixture
async def okta(desk: Desk) -> SourceId:
    """An identity provider of whom nothing passes."""
    source_id = await making.source(desk.database, desk.tenant_id, "idp", "Okta")
    async with desk.database.tenant(desk.tenant_id) as tx:
        await set_guard(tx, GuardKind.DEACTIVATE, source_id, Guard(absolute=0, percent=0, floor=0))
    return source_id


async def make(desk: Desk, source_id: SourceId, users: int) -> list[Record]:
    made: list[Record] = []
    for number in range(users):
        async with desk.database.tenant(desk.tenant_id) as tx:
            given = Asserted({"user_name": f"user{number}", "display_name": f"User {number}"}, True, None, {})
            one = await actions.provision(tx, source_id, given)
            assert isinstance(one, Provisioned)
            made.append(one.record)
    return made


async def deactivate(desk: Desk, records: list[Record]) -> RunId:
    """The run that collects them."""
    held: set[RunId] = set()
    for record in records:
        async with desk.database.tenant(desk.tenant_id) as tx:
            done = await actions.assert_record(tx, record, Asserted(record.values, False, None, record.raw))
            assert isinstance(done, Changed)
            assert done.held is not None
            held.add(done.held)
    (run_id,) = held
    return run_id


async def plan(desk: Desk, run_id: RunId) -> Run:
    """What the worker does with a run that was asked for."""
    async with desk.database.tenant(desk.tenant_id, role="sync") as tx:
        run = await queries.enter(tx, await queries.run_by_id(tx, run_id), RunState.PLANNING)
        assert run.since is not None
        await People().plan_undo_since(tx, run, run.since)
        counts, _ = await queries.count_plan(tx, run_id)
        return await queries.enter(tx, run, RunState.PLANNED, counts=counts, planned_at=tx.now)


async def test_a_held_run_says_what_happened_and_what_each_choice_does(
    desk: Desk, viewer: Desk, okta: SourceId
) -> None:
    records = await make(desk, okta, 5)
    run_id = await deactivate(desk, records[:3])
    text = text_of(await desk.get(f"/runs/{run_id}"))
    assert "Held: It would deactivate unusually many people" in text
    assert "3 people keep their access until you decide" in text
    assert "reject it, and what the source said is put back" in text
    assert "User 1" in text
    waiting = await desk.get("/approvals")
    assert "Held effects · Okta" in text_of(waiting)
    assert f'action="{desk.base}/runs/{run_id}/reject"' in waiting.text
    assert "Deactivate: 3" in text_of(await desk.get("/runs"))
    plan_page = text_of(await desk.get(f"/runs/{run_id}/changes"))
    assert "User 0" in plan_page
    # Whoever may only look has no button.
    seen = await viewer.get(f"/runs/{run_id}")
    assert "/approve" not in seen.text

    answer = await desk.post(f"/runs/{run_id}/approve", reason="They were contractors.")
    assert answer.status_code == 303
    done = await desk.apply(await desk.run(run_id))
    assert (done.state, done.counts, done.decided_note) == (
        *(RunState.APPLIED, {"deactivate": 3}),
        "They were contractors.",
    )
    assert "3 changes took effect" in text_of(await desk.get(f"/runs/{run_id}"))


async def test_a_rejected_one_leads_to_the_rollback_that_puts_it_back(desk: Desk, okta: SourceId) -> None:
    run_id = await deactivate(desk, (await make(desk, okta, 3))[:2])
    assert (await desk.post(f"/runs/{run_id}/reject", reason="A wrong mapping.")).status_code == 303
    page = await desk.get(f"/runs/{run_id}")
    assert "What the source said is put back by a rollback" in text_of(page)
    async with desk.database.tenant(desk.tenant_id) as tx:
        rollback_id = await tx.fetchval(
            "SELECT run_id FROM run WHERE tenant_id = $1 AND of_run = $2", tx.tenant_id, run_id
        )
    assert f"/runs/{rollback_id}" in page.text
    done = await desk.apply(await desk.plan_rollback(rollback_id))
    assert (done.state, done.counts) == (RunState.APPLIED, {"reactivate": 2})
    assert "has been rolled back" not in text_of(await desk.get(f"/runs/{rollback_id}"))


async def test_undoing_since_a_moment_shows_what_was_done_then_plans_it(desk: Desk, okta: SourceId) -> None:
    records = await make(desk, okta, 4)
    await deactivate(desk, records[:2])
    path = f"/sources/{okta}/undo"
    shown = text_of(await desk.get(path))
    assert "6 changes:" in shown
    assert "2 effects of it wait for a decision, and are put back as well." in shown
    assert "Plan how to undo it" in shown
    assert "It changed nothing since then." in text_of(await desk.get(f"/sources/{desk.source_id}/undo"))
    for wrong in ("yesterday", "2026-13-01T00:00", "0001-01-01T00:00", _local(timedelta(minutes=-30))):
        assert (await desk.get(path, since=wrong)).status_code == 422
    assert (await desk.post(path, since="yesterday")).status_code == 422
    assert (await desk.post(path, since="2020-01-01T00:00")).status_code == 422

    asked = await desk.post(path, since=_local(timedelta(hours=1)))
    assert asked.status_code == 303
    run = await desk.run(run_at(asked.headers["location"]))
    assert (run.since is not None, run.plan_only, run.of_run) == (True, True, None)
    again = await desk.post(path, since=_local(timedelta(hours=1)))
    assert again.status_code == 409
    planned = await plan(desk, run.run_id)
    assert planned.counts == {"remove": 4}
    assert "Undoing what was done by Okta" in text_of(await desk.get(f"/runs/{run.run_id}"))
    assert "It undoes what the source did from this moment on" in text_of(await desk.get("/approvals"))


async def test_nobody_else_sees_or_decides(
    desk: Desk, okta: SourceId, database: Database, people_at: Browsers, make_tenant: MakeTenant
) -> None:
    run_id = await deactivate(desk, await make(desk, okta, 1))
    other = await desk_of(database, people_at, await make_tenant(), Role.TENANT_ADMIN)
    assert (await other.get(f"/runs/{run_id}")).status_code == 404
    assert (await other.post(f"/runs/{run_id}/approve")).status_code == 404
    assert (await other.get(f"/sources/{okta}/undo")).status_code == 404
    assert (await other.post(f"/sources/{okta}/undo", since=_local(timedelta(hours=1)))).status_code == 404
    assert (await desk.run(run_id)).state is RunState.HELD


def _local(ago: timedelta) -> str:
    """A moment as a browser's field has it, in the tenants' zone, UTC."""
    return (datetime.now(UTC) - ago).strftime("%Y-%m-%dT%H:%M")
