"""A report broken in each known way: rows are set aside or the run is held, and nothing is applied by halves."""

import pytest

from stoa.changes import actions
from stoa.changes.model import RunState, WrongState
from stoa.sync import quarantine
from tests.people.making import state
from tests.sync.conftest import PEOPLE, Office, OpenOffice

UNUSABLE = {"html", "truncated", "empty", "latin1", "renamed_column"}


@pytest.mark.parametrize("form", ["json", "csv"])
@pytest.mark.parametrize("fault", [*sorted(UNUSABLE), "half_rows", "empty_column", "missing_column"])
async def test_a_broken_report_is_held_and_changes_nobody(open_office: OpenOffice, fault: str, form: str) -> None:
    office = await open_office(format=form)
    assert (await office.sync()).state is RunState.APPLIED
    before = await state(office.database, office.tenant_id)
    office.fault(fault)
    held = await office.sync()
    assert held.state is RunState.HELD
    assert all(reason["code"] and reason["detail"] and reason["hint"] for reason in held.reasons)
    assert await state(office.database, office.tenant_id) == before
    assert await office.alerts() == [("run_held", "open")]
    if fault in UNUSABLE:
        assert held.figures["blocked"]
        async with office.database.tenant(office.tenant_id) as tx:
            with pytest.raises(WrongState, match="nothing to apply"):
                await actions.approve(tx, held.run_id)
    office.mend()
    office.a_day_passes()
    mended = await office.sync()
    assert mended.state is RunState.APPLIED
    assert any(mended.counts.values())
    assert (await office.run(held.run_id)).state is RunState.STALE
    assert await office.alerts() == [("run_held", "resolved")]


async def test_a_report_that_is_as_before_overtakes_what_was_held(office: Office) -> None:
    office.fault("half_rows")
    held = await office.sync()
    office.mend()
    assert (await office.sync()).figures["same_input"]
    assert (await office.run(held.run_id)).state is RunState.STALE
    assert await office.alerts() == [("run_held", "resolved")]


async def test_half_a_report_can_be_approved_by_a_person(office: Office) -> None:
    office.fault("half_rows")
    held = await office.sync()
    approved = await office.approve(held)
    assert approved.state is RunState.APPLIED
    assert approved.counts["deactivate"] == held.counts["deactivate"] > 0


async def test_duplicate_ids_are_set_aside_and_their_people_stay(office: Office) -> None:
    before = await state(office.database, office.tenant_id)
    office.fault("duplicate_ids")
    run = await office.sync()
    assert run.state is RunState.APPLIED
    assert run.figures["quarantined"] > 0
    assert not any(run.counts.values())
    async with office.database.tenant(office.tenant_id, read_only=True) as tx:
        reasons = await quarantine.reasons_of_run(tx, run.run_id)
    assert [reason.code for reason in reasons] == ["duplicate_id"]
    assert await state(office.database, office.tenant_id) == before


async def test_a_manager_cycle_does_not_stop_the_run(office: Office) -> None:
    office.fault("manager_cycle")
    run = await office.sync()
    assert run.state is RunState.APPLIED
    rows = await office.fetch(
        """WITH RECURSIVE up AS (
             SELECT person_id AS start, manager_id AS at, 1 AS depth FROM person WHERE tenant_id = $1
             UNION ALL
             SELECT up.start, p.manager_id, up.depth + 1 FROM up
             JOIN person p ON p.tenant_id = $1 AND p.person_id = up.at WHERE up.depth < 200)
           SELECT count(*) AS n FROM up WHERE at = start"""
    )
    assert rows[0]["n"] == 0
    office.mend()
    assert (await office.sync()).state is RunState.APPLIED
    assert not any((await office.sync()).counts.values())


@pytest.mark.parametrize("fault", ["status_429", "status_500"])
async def test_a_server_that_stumbles_is_asked_again(office: Office, fault: str) -> None:
    office.fault(fault, requests=2)
    assert (await office.sync()).state is RunState.APPLIED


@pytest.mark.parametrize("fault", ["status_429", "status_500"])
async def test_a_server_that_stays_down_ends_the_run_with_its_reason(office: Office, fault: str) -> None:
    office.fault(fault, requests=100)
    failed = await office.sync()
    assert failed.state is RunState.ERRORED
    assert fault.removeprefix("status_") in failed.reasons[0]["detail"]
    assert failed.reasons[0]["hint"]
    assert await office.alerts() == [("run_failed", "open")]
    office.mend()
    assert (await office.sync()).state is RunState.APPLIED
    assert await office.alerts() == [("run_failed", "resolved")]


async def test_a_wrong_password_ends_the_run_and_says_so(open_office: OpenOffice) -> None:
    office = await open_office(password="wrong")
    failed = await office.sync()
    assert failed.state is RunState.ERRORED
    assert "401" in failed.reasons[0]["detail"]
    assert "password" in failed.reasons[0]["hint"]
    assert "wrong" not in failed.reasons[0]["detail"]


async def test_the_first_report_of_all_may_be_broken_too(open_office: OpenOffice) -> None:
    office = await open_office()
    office.fault("html")
    assert (await office.sync()).state is RunState.HELD
    office.mend()
    assert (await office.sync()).counts["create"] == PEOPLE
