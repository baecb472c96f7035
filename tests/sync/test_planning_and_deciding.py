"""When a report is skipped, when a run waits, what overtakes it, and who is told."""

from pathlib import Path

import polars as pl
import pytest
from pydantic import BaseModel

from stoa.alerts.actions import MAIL_JOB
from stoa.changes import actions
from stoa.changes.apply import Working
from stoa.changes.model import RunKind, RunState, WrongState
from stoa.db.transactions import SYSTEM, TenantTx
from stoa.jobs.queries import job_state
from stoa.kernel.problems import BadInput, Conflict
from stoa.outbound.http import HttpClient
from stoa.people.target import People
from stoa.sync import freshness
from stoa.sync.actions import SYNC_JOB, connect, schedule
from stoa.sync.feeds import Feed
from stoa.sync.jobs import SourceWorker
from stoa.sync.model import FeedMapping
from stoa.sync.opening import Opener
from stoa.sync.planning import Planner
from tests.people.making import no_fence, state
from tests.sync.conftest import HASH_KEY, PEOPLE, Office, OpenOffice


async def test_the_same_bytes_are_not_compared_again(office: Office) -> None:
    again = await office.sync()
    assert (again.state, again.figures["same_input"], again.figures["unchanged"]) == ("applied", True, PEOPLE)
    assert not any(again.counts.values())


async def test_dates_that_have_come_are_applied_although_the_bytes_are_the_same(office: Office) -> None:
    leaver = office.someone_leaves_in(days=10)
    noted = await office.sync()
    assert (noted.counts["update"], noted.counts.get("deactivate", 0)) == (1, 0)
    office.time_passes(10)
    assert not any((await office.sync()).counts.values())
    office.time_passes(1)
    run = await office.sync()
    assert run.figures["same_input"]
    assert run.counts == {"deactivate": 1}
    changes = await office.fetch(f"SELECT subject FROM change WHERE tenant_id = $1 AND run_id = '{run.run_id}'")
    assert changes == [{"subject": leaver}]


async def test_leavers_lose_access_on_their_day_although_a_run_is_held(office: Office) -> None:
    office.someone_leaves_in(days=10)
    await office.sync()
    office.fault("half_rows")
    held = await office.sync()
    office.time_passes(11)
    due = await office.due()
    assert (due.kind, due.state, due.counts) == (RunKind.DUE, RunState.APPLIED, {"deactivate": 1})
    # The world has moved: what was planned before cannot be approved any more.
    stale = await office.approve(held)
    assert stale.state is RunState.STALE
    assert stale.reasons[-1]["code"] == "overtaken"


async def test_after_a_change_by_another_hand_the_same_bytes_are_compared(office: Office) -> None:
    office.a_day_passes()
    before = await state(office.database, office.tenant_id)
    day = await office.sync()
    assert (await office.roll_back(day)).state is RunState.APPLIED
    assert await state(office.database, office.tenant_id) == before
    redone = await office.sync()
    assert redone.state is RunState.HELD
    assert "redoes_undone_run" in {reason["code"] for reason in redone.reasons}
    assert (await office.approve(redone)).state is RunState.APPLIED
    assert not any((await office.sync()).counts.values())
    with pytest.raises(WrongState, match="undone"):
        await office.roll_back(await office.run(day.run_id))


async def test_a_rollback_pauses_the_schedule_of_its_connection(office: Office) -> None:
    async with office.database.tenant(office.tenant_id) as tx:
        await schedule(tx, office.connection, "0 3 * * *")
    office.a_day_passes()
    await office.roll_back(await office.sync())
    rows = await office.fetch("SELECT kind, paused_reason FROM schedule WHERE tenant_id = $1 AND kind LIKE 'sync.%'")
    paused = {row["kind"]: row["paused_reason"] for row in rows}
    assert paused[SYNC_JOB]
    assert [reason for kind, reason in paused.items() if kind != SYNC_JOB] == [None]


async def test_a_newer_plan_overtakes_the_one_that_waits(office: Office) -> None:
    office.fault("half_rows")
    first = await office.sync()
    second = await office.sync()
    assert second.state is RunState.HELD
    overtaken = await office.run(first.run_id)
    assert overtaken.state is RunState.STALE
    assert str(second.run_id) in overtaken.reasons[-1]["detail"]
    with pytest.raises(WrongState, match="stale"):
        await office.approve(overtaken)
    assert await office.alerts() == [("run_held", "open")]


async def test_thresholds_of_the_connection_decide(open_office: OpenOffice) -> None:
    office = await open_office(guards={"update": {"percent": 0, "absolute": 0, "floor": 0}})
    assert (await office.sync()).state is RunState.APPLIED
    office.a_day_passes(20)
    run = await office.sync()
    assert run.state is RunState.HELD
    assert "update_over_threshold" in {reason["code"] for reason in run.reasons}


async def test_a_report_that_shuts_out_the_last_admin_is_held(office: Office) -> None:
    leaver = office.someone_leaves_in(days=-1)
    async with office.database.tenant(office.tenant_id) as tx:
        await tx.execute(
            """INSERT INTO person_role (tenant_id, person_id, role, since)
            SELECT tenant_id, person_id, 'admin', $3 FROM source_record WHERE tenant_id = $1 AND external_id = $2""",
            *(tx.tenant_id, leaver, tx.now),
        )
    held = await office.sync()
    assert (held.state, [reason["code"] for reason in held.reasons]) == (RunState.HELD, ["last_admin"])
    assert ("run_held", "open") in await office.alerts()
    assert (await office.approve(held)).state is RunState.APPLIED


async def test_an_undo_that_shuts_out_the_last_admin_is_held(office: Office) -> None:
    (first,) = await office.fetch("SELECT run_id FROM run WHERE tenant_id = $1 AND kind = 'sync'")
    async with office.database.tenant(office.tenant_id) as tx:
        await tx.execute(
            """INSERT INTO person_role (tenant_id, person_id, role, since)
            SELECT tenant_id, person_id, 'admin', $2 FROM person WHERE tenant_id = $1 AND active LIMIT 1""",
            *(tx.tenant_id, tx.now),
        )
    held = await office.roll_back(await office.run(first["run_id"]))
    assert (held.state, [reason["code"] for reason in held.reasons]) == (RunState.HELD, ["last_admin"])
    assert held.reasons[0]["detail"].startswith("Undoing what ")
    assert ("run_held", "open") in await office.alerts()
    assert (await office.approve(held)).state is RunState.APPLIED
    assert ("run_held", "open") not in await office.alerts()


async def test_the_owner_is_mailed_when_a_run_is_held(office: Office) -> None:
    office.fault("half_rows")
    held = await office.sync()
    alert = (await office.fetch("SELECT alert_id, owner_email, run_id, hint FROM alert WHERE tenant_id = $1"))[0]
    assert alert["run_id"] == held.run_id
    assert str(held.run_id) in alert["hint"]
    async with office.database.tenant(office.tenant_id) as tx:
        assert await job_state(tx, MAIL_JOB, str(alert["alert_id"])) is not None
        await actions.reject(tx, held.run_id)
    assert await office.alerts() == [("run_held", "resolved")]


async def test_a_planned_run_waits_for_its_approval(office: Office) -> None:
    office.a_day_passes()
    before = await state(office.database, office.tenant_id)
    planned = await office.sync(plan_only=True)
    assert planned.state is RunState.PLANNED
    assert await office.work() is None
    assert await state(office.database, office.tenant_id) == before
    applied = await office.approve(planned)
    assert (applied.state, applied.counts) == (RunState.APPLIED, planned.counts)


async def test_runs_of_one_source_are_worked_off_one_after_the_other(office: Office) -> None:
    office.a_day_passes()
    first, second = await office.ask(), await office.ask()
    await office.work()
    assert any((await office.run(first.run_id)).counts.values())
    done = await office.run(second.run_id)
    assert done.state is RunState.APPLIED
    assert not any(done.counts.values())


async def test_a_plan_that_was_broken_off_is_made_anew(office: Office) -> None:
    """As after kill -9 of a worker: the run is left in `planning`."""
    office.a_day_passes()
    asked = await office.ask()
    async with office.database.tenant(office.tenant_id) as tx:
        await tx.execute(
            "UPDATE run SET state = 'planning' WHERE tenant_id = $1 AND run_id = $2", tx.tenant_id, asked.run_id
        )
    await office.work()
    assert (await office.run(asked.run_id)).state is RunState.APPLIED


class FaultyConnector:
    """A connector with a mistake in it."""

    name = "faulty"
    title = "Faulty"
    source_kind = "hris"

    class config_model(BaseModel):  # noqa: N801 - a connector's attribute
        """No settings."""

    def mapping(self, config: BaseModel) -> FeedMapping:
        return FeedMapping(version=1, key="id", columns=())

    async def read(
        self, config: BaseModel, client: HttpClient, into: Path, *, allow: frozenset[str] = frozenset()
    ) -> Feed:
        raise ZeroDivisionError("person@acme.example")

    def frame(self, feed: Feed, config: BaseModel) -> pl.DataFrame:
        raise ZeroDivisionError("person@acme.example")


async def test_what_nobody_foresaw_ends_the_run_and_names_a_trace_but_no_person(office: Office) -> None:
    planner = office.source_worker.planner
    opener = Opener({"faulty": FaultyConnector()}, planner.opener.sealer, planner.opener.client)
    worker = SourceWorker(Planner(People(), opener, HASH_KEY))
    async with office.database.tenant(office.tenant_id) as tx:
        connection = await connect(tx, opener, "faulty", None, {})
    broken = Office(office.database, office.tenant_id, office.tenancy, connection, office.worker, worker, {})
    asked = await broken.ask()
    working = Working(office.database, office.tenant_id, SYSTEM, 1, no_fence)
    failed = await worker.step(working, asked)
    assert failed.state is RunState.ERRORED
    assert failed.reasons[0]["code"] == "plan_failed"
    assert "ZeroDivisionError" in failed.reasons[0]["detail"]
    assert "person@acme.example" not in str(failed.reasons)
    assert ("run_failed", "open") in await office.alerts()


async def test_two_connections_never_speak_for_one_source(office: Office) -> None:
    opener = office.source_worker.planner.opener
    async with office.database.tenant(office.tenant_id) as tx:
        with pytest.raises(Conflict, match="Workday"):
            await connect(tx, opener, "workday", "workday", office.config)
        other = await connect(tx, opener, "workday", "Workday of the subsidiary", office.config)
    assert other.source_id != office.connection.source_id


@pytest.mark.parametrize(
    ("guards", "told"),
    [
        ([], "object"),
        ({"delete": {}}, "delete"),
        ({"update": {"pct": 3}}, "pct"),
        ({"update": {"percent": -1}}, "percent"),
        ({"update": {"percent": "10"}}, "percent"),
        ({"update": {"floor": True}}, "floor"),
    ],
)
async def test_wrong_thresholds_are_refused_by_name(office: Office, guards: object, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        office.source_worker.planner.opener.split("workday", office.config | {"guards": guards})


async def test_freshness_tells_how_old_the_word_of_a_connection_is(office: Office) -> None:
    async def last(tx: TenantTx) -> freshness.Last:
        found = await freshness.last(tx, office.connection.connection_id)
        assert found is not None
        return found

    async with office.database.tenant(office.tenant_id) as tx:
        first = await last(tx)
    office.fault("status_500", requests=100)
    await office.sync()
    async with office.database.tenant(office.tenant_id) as tx:
        failed = await last(tx)
    assert failed.last_success_at == first.last_success_at
    assert failed.last_attempt_at > first.last_attempt_at
    assert failed.versions == first.versions
    office.a_day_passes()
    office.mend()
    day = await office.sync()
    await office.roll_back(day)
    async with office.database.tenant(office.tenant_id) as tx:
        assert (await last(tx)).versions is None
