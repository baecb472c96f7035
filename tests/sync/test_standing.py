"""What runs leave on the tenant's standing, which the operator's board reads."""

from stoa.changes import actions
from stoa.jobs.worker import Worker
from stoa.kernel.ids import RunId
from stoa.people.counting import recount_all
from stoa.sync.actions import resume, schedule
from stoa.tenants.model import Phase
from stoa.tenants.phases import PhaseState, PhaseStatus, due_by
from stoa.tenants.status import RECOUNT_JOB, TenantStatus, status

from .conftest import PEOPLE, Office, OpenOffice


async def standing(office: Office) -> TenantStatus:
    async with office.database.tenant(office.tenant_id, read_only=True) as tx:
        return await status(tx)


async def hris(office: Office) -> tuple[PhaseState, PhaseStatus]:
    found = await standing(office)
    return found.state(Phase.HRIS), found.phases[Phase.HRIS]


async def test_a_new_connection_waits_for_its_first_report(open_office: OpenOffice) -> None:
    office = await open_office()
    assert await hris(office) == (PhaseState.WAITING, PhaseStatus(connected=True))


async def test_an_applied_run_is_a_contact_and_a_success(office: Office) -> None:
    state, phase = await hris(office)
    assert (state, phase.held, phase.failing) == ("ok", 0, None)
    assert phase.contact_at is not None
    assert phase.success_at is not None
    assert phase.contact_at <= phase.success_at


async def test_a_run_that_cannot_be_read_fails_the_phase_until_one_can(office: Office) -> None:
    office.fault("status_500", requests=100)
    assert (await office.sync()).state == "errored"
    state, phase = await hris(office)
    assert (state, phase.failing) == ("failing", "remote_down")
    office.mend()
    office.a_day_passes()
    assert (await office.sync()).state == "applied"
    assert (await hris(office))[0] == "ok"


async def test_a_held_run_is_counted_until_somebody_decides(office: Office) -> None:
    office.fault("empty")
    held = await office.sync()
    assert held.state == "held"
    state, phase = await hris(office)
    assert (state, phase.held) == ("held", 1)
    async with office.database.tenant(office.tenant_id) as tx:
        await actions.reject(tx, RunId(held.run_id))
    assert (await hris(office))[1].held == 0


async def test_a_newer_run_takes_the_place_of_the_one_that_waited(office: Office) -> None:
    office.fault("empty")
    await office.sync()
    await office.sync()
    assert (await hris(office))[1].held == 1
    office.mend()
    await office.sync()
    assert (await hris(office))[1].held == 0


async def test_a_plan_that_was_asked_for_alone_waits_for_a_person(office: Office) -> None:
    office.a_day_passes()
    assert (await office.sync(plan_only=True)).state == "planned"
    assert (await hris(office))[1].held == 1


async def test_a_success_moves_the_moment_by_which_the_next_is_due(office: Office) -> None:
    async with office.database.tenant(office.tenant_id) as tx:
        await schedule(tx, office.connection, "30 2 * * *")
    first = (await hris(office))[1].expected_by
    office.time_passes(3)
    assert (await hris(office))[0] == "stale"
    await office.sync()
    state, phase = await hris(office)
    async with office.database.tenant(office.tenant_id) as tx:
        assert phase.expected_by == due_by("30 2 * * *", "UTC", tx.now)
    assert state == "ok"
    assert first is not None
    assert phase.expected_by is not None
    assert phase.expected_by > first


async def test_a_rollback_pauses_the_schedule_and_nothing_is_due_until_it_is_resumed(office: Office) -> None:
    async with office.database.tenant(office.tenant_id) as tx:
        await schedule(tx, office.connection, "30 2 * * *")
    office.a_day_passes()
    applied = await office.sync()
    await office.roll_back(applied)
    assert (await hris(office))[1].expected_by is None
    async with office.database.tenant(office.tenant_id) as tx:
        assert await resume(tx, office.connection)
    assert (await hris(office))[1].expected_by is not None


async def test_people_are_counted_after_a_run(office: Office) -> None:
    assert await Worker(office.database, {RECOUNT_JOB: recount_all}).claim_one(RECOUNT_JOB, "now", office.tenant_id)
    found = await standing(office)
    assert found.people == PEOPLE
    assert 0 < found.active_people <= PEOPLE
    assert found.people_at is not None


async def test_alerts_of_runs_are_counted(office: Office) -> None:
    office.fault("status_500", requests=100)
    await office.sync()
    found = await standing(office)
    assert (found.open_alerts, found.critical_alerts) == (1, 1)
