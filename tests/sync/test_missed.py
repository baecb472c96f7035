"""A connection whose success does not come when it is due."""

from datetime import timedelta

import pytest

from stoa.alerts import handling
from stoa.alerts.model import Alert
from stoa.alerts.queries import current_alert
from stoa.changes import actions
from stoa.jobs.actions import enqueue
from stoa.jobs.model import Outcome
from stoa.jobs.queries import job_state
from stoa.jobs.schedules import pause_schedule, remove_schedule
from stoa.sync.actions import SYNC_JOB, resume, schedule
from stoa.sync.missed import MISSED_ALERT, MISSED_JOB
from stoa.tenants import queries
from stoa.tenants.actions import pause_connection
from stoa.tenants.model import Connection

from .conftest import Office

DAILY = "30 2 * * *"
LONG_PAST = timedelta(days=2)


async def scheduled(office: Office, cron: str = DAILY) -> Connection:
    async with office.database.tenant(office.tenant_id) as tx:
        await schedule(tx, office.connection, cron)
        found = await queries.connection(tx, office.connection.connection_id)
    assert found is not None
    return found


async def look(office: Office) -> Outcome | None:
    return await office.worker.claim_one(MISSED_JOB, str(office.connection.connection_id), office.tenant_id)


async def missed(office: Office) -> Alert | None:
    async with office.database.tenant(office.tenant_id) as tx:
        return await current_alert(tx, MISSED_ALERT, str(office.connection.connection_id))


async def due_in(office: Office) -> timedelta | None:
    async with office.database.tenant(office.tenant_id) as tx:
        state = await job_state(tx, MISSED_JOB, str(office.connection.connection_id))
        return None if state is None else state.due_at - tx.now


async def test_it_is_looked_at_when_the_success_is_due(office: Office) -> None:
    connection = await scheduled(office)
    assert connection.expected_by is not None
    async with office.database.tenant(office.tenant_id) as tx:
        state = await job_state(tx, MISSED_JOB, str(connection.connection_id))
    assert state is not None
    assert state.due_at == connection.expected_by
    assert await look(office) is Outcome.AGAIN
    assert await missed(office) is None


async def test_nothing_ran_so_an_alert_tells_once_and_the_next_success_resolves_it(office: Office) -> None:
    connection = await scheduled(office)
    office.time_passes(2)
    due = await due_in(office)
    assert due is not None
    assert due < timedelta(0)
    assert await look(office) is Outcome.AGAIN
    alert = await missed(office)
    assert alert is not None
    assert (alert.severity, alert.occurrences) == ("warning", 1)
    assert connection.expected_by is not None
    assert f"was due by {connection.expected_by:%Y-%m-%d %H:%M}" in alert.detail
    assert "The last one was 20" in alert.detail
    assert "stoa sync run" in alert.hint
    # The next look is at the next due time, and counts.
    due = await due_in(office)
    assert due is not None
    assert timedelta(0) < due < LONG_PAST
    office.time_passes(2)
    await look(office)
    again = await missed(office)
    assert again is not None
    assert (again.alert_id, again.occurrences) == (alert.alert_id, 2)
    assert (await office.sync()).state == "applied"
    assert await missed(office) is None
    due = await due_in(office)
    assert due is not None
    assert await look(office) is Outcome.AGAIN
    assert await missed(office) is None


async def test_a_run_that_still_works_is_named(office: Office) -> None:
    await scheduled(office)
    office.time_passes(2)
    await office.ask()
    await look(office)
    alert = await missed(office)
    assert alert is not None
    assert "A run is under way and is queued." in alert.detail


@pytest.mark.parametrize("muted", [False, True])
async def test_a_failed_run_has_its_own_alert(office: Office, muted: bool) -> None:
    await scheduled(office)
    office.fault("status_500", requests=100)
    run = await office.sync()
    assert run.state == "errored"
    if muted:
        async with office.database.tenant(office.tenant_id) as tx:
            failed = await current_alert(tx, actions.FAILED_ALERT, str(office.connection.source_id))
            assert failed is not None
            await handling.mute(tx, failed.alert_id, "They know.", tx.now + timedelta(days=30))
    office.time_passes(2)
    assert await look(office) is Outcome.AGAIN
    assert await missed(office) is None


async def test_a_held_run_has_its_own_alert_until_it_is_rejected(office: Office) -> None:
    await scheduled(office)
    office.fault("truncated")
    run = await office.sync()
    assert run.state == "held"
    office.time_passes(2)
    assert await look(office) is Outcome.AGAIN
    assert await missed(office) is None
    async with office.database.tenant(office.tenant_id) as tx:
        await actions.reject(tx, run.run_id)
    office.time_passes(2)
    await look(office)
    assert await missed(office) is not None


async def test_while_paused_nothing_is_missed(office: Office) -> None:
    connection = await scheduled(office)
    office.time_passes(2)
    await look(office)
    assert await missed(office) is not None
    async with office.database.tenant(office.tenant_id) as tx:
        await pause_connection(tx, connection.connection_id, "Moving.")
    assert await look(office) is Outcome.DONE
    assert await missed(office) is None


async def test_a_resumed_schedule_is_waited_for_from_then_on(office: Office) -> None:
    connection = await scheduled(office)
    key = str(connection.connection_id)
    async with office.database.tenant(office.tenant_id) as tx:
        await pause_schedule(tx, SYNC_JOB, key, "Rolled back.")
    office.time_passes(5)
    async with office.database.tenant(office.tenant_id) as tx:
        assert await resume(tx, connection)
    assert await look(office) is Outcome.AGAIN
    assert await missed(office) is None
    office.time_passes(2)
    await look(office)
    assert await missed(office) is not None


async def test_without_a_schedule_nothing_is_due(office: Office) -> None:
    assert await look(office) is None
    connection = await scheduled(office)
    office.time_passes(2)
    await look(office)
    async with office.database.tenant(office.tenant_id) as tx:
        await remove_schedule(tx, SYNC_JOB, str(connection.connection_id))
    office.time_passes(2)
    assert await look(office) is Outcome.DONE


async def test_each_time_the_clock_asks_for_a_run_its_success_is_waited_for(office: Office) -> None:
    connection = await scheduled(office)
    async with office.database.tenant(office.tenant_id) as tx:
        # As a version before this one left it.
        await tx.execute("DELETE FROM job WHERE tenant_id = $1 AND kind = $2", tx.tenant_id, MISSED_JOB)
        await enqueue(tx, SYNC_JOB, str(connection.connection_id))
    assert await due_in(office) is None
    await office.worker.claim_one(SYNC_JOB, str(connection.connection_id), office.tenant_id)
    assert await due_in(office) is not None
