"""Too many deactivations over SCIM wait for an admin, although each gets the protocol's success."""

import asyncio
import signal
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from stoa.changes import actions
from stoa.changes.model import RunState
from stoa.db.database import Database
from stoa.outbound.http import HttpClient
from stoa.tenants.sealing import Sealer
from tests.identity.conftest import MakeScim, patch_body
from tests.identity.scim.holding import OFF, ON, Hall, in_parts, worker_of

_ROOT = Path(__file__).parents[3]
OpenHall = Callable[..., Awaitable[Hall]]


@pytest.fixture
async def open_hall(make_scim: MakeScim, database: Database, sealer: Sealer) -> AsyncGenerator[OpenHall]:
    """Makes a tenant with so many users."""
    async with HttpClient() as client:

        async def make(users: int, **guard: int) -> Hall:
            hall = Hall(await make_scim(), database, worker_of(database, sealer, client))
            await hall.fill(users)
            if guard:
                await hall.guard(**guard)
            return hall

        yield make


async def test_four_hundred_deactivations_wait_and_are_applied_when_approved(open_hall: OpenHall) -> None:
    hall = await open_hall(440)
    gone, stay = hall.ids[:400], set(hall.ids[400:])
    await hall.deactivate(gone, at_once=8)
    run = await hall.held()
    # Ten pass whatever their share; then a tenth of 440 is 44; those of the very same moment do not count each other.
    passed = set(hall.ids) - await hall.active()
    assert 44 <= len(passed) <= 44 + 7
    assert await hall.said() == stay
    assert [reason["code"] for reason in run.reasons] == ["deactivate_over_threshold"]
    assert "Okta deactivated 4" in run.reasons[0]["detail"]
    assert run.reasons[0]["figures"]["population"] == 440
    assert await hall.alerts() == [("run_held", "open", 1)]
    plan = await hall.fetch("SELECT subject, state FROM change WHERE tenant_id = $1 AND run_id = $2", run.run_id)
    assert {row["subject"] for row in plan} == set(gone) - passed
    epochs = "SELECT count(*) AS n FROM person WHERE tenant_id = $1 AND access_epoch > 1"
    assert (await hall.fetch(epochs))[0]["n"] == len(passed)

    done = await hall.decide(run, approve=True)
    assert (done.state, done.counts) == (RunState.APPLIED, {"deactivate": 400 - len(passed)})
    assert await hall.active() == stay
    assert await hall.holds() == {"released": 400 - len(passed)}
    assert (await hall.fetch(epochs))[0]["n"] == 400
    assert await hall.alerts() == [("run_held", "resolved", 1)]
    told = await hall.fetch("SELECT count(*) AS n FROM effect WHERE tenant_id = $1 AND run_id = $2", run.run_id)
    assert told[0]["n"] == 400 - len(passed)
    # What was approved is not counted against the next one, and can be taken back like any run.
    await hall.deactivate(hall.ids[400:405])
    assert len(await hall.active()) == 35
    undone = await hall.roll_back(done)
    assert (undone.state, undone.counts) == (RunState.APPLIED, {"reactivate": 400 - len(passed)})
    assert (await hall.run(run.run_id)).state is RunState.UNDONE
    assert await hall.active() == await hall.said() == set(hall.ids) - passed - set(hall.ids[400:405])


async def test_what_is_rejected_is_as_if_it_had_never_been_asked(open_hall: OpenHall) -> None:
    hall = await open_hall(30, floor=2, absolute=3)
    await hall.deactivate(hall.ids[:3])
    removed = await hall.scim("DELETE", f"/Users/{hall.ids[3]}")
    assert removed.status_code == 204
    assert (await hall.scim("GET", f"/Users/{hall.ids[3]}")).status_code == 404
    await hall.deactivate(hall.ids[4:10])
    # Deleted after it was deactivated: one row, which puts both back.
    assert (await hall.scim("DELETE", f"/Users/{hall.ids[4]}")).status_code == 204
    # Other fields go on as usual.
    await hall.scim.patch(hall.ids[5], {"op": "replace", "path": "title", "value": "Chief"})
    run = await hall.held()
    assert await hall.active() == set(hall.ids[3:])
    rejected = await hall.decide(run, approve=False)
    assert (rejected.state, rejected.counts) == (RunState.REJECTED, {"deactivate": 7})
    (rollback,) = await hall.runs("rollback")
    assert (rollback.state, rollback.of_run) == (RunState.APPLIED, run.run_id)
    assert await hall.active() == await hall.said() == set(hall.ids[3:])
    assert await hall.holds() == {"rejected": 7}
    assert [(await hall.scim.get(one))["active"] for one in hall.ids[4:6]] == [True, True]
    assert (await hall.scim.get(hall.ids[5]))["title"] == "Chief"
    no_epoch = "SELECT count(*) AS n FROM person WHERE tenant_id = $1 AND access_epoch > 1"
    assert (await hall.fetch(no_epoch))[0]["n"] == 3
    # The wrong is still wrong: what comes next within the window waits again.
    await hall.deactivate(hall.ids[10:11])
    assert (await hall.held()).run_id != run.run_id


async def test_whoever_is_reactivated_meanwhile_is_left_out(open_hall: OpenHall) -> None:
    hall = await open_hall(20, floor=0, absolute=0)
    await hall.deactivate(hall.ids[:3])
    run = await hall.held()
    await hall.scim.patch(hall.ids[0], ON)
    assert await hall.holds() == {"held": 2, "withdrawn": 1}
    done = await hall.decide(run, approve=True)
    assert done.counts == {"deactivate": 2}
    assert await hall.active() == set(hall.ids) - set(hall.ids[1:3])
    # Everything taken back before anybody decided: nothing is left to decide.
    await hall.deactivate(hall.ids[5:7])
    run = await hall.held()
    for one in hall.ids[5:7]:
        await hall.scim.patch(one, ON)
    assert (await hall.run(run.run_id)).state is RunState.STALE
    assert (await hall.alerts())[-1][:2] == ("run_held", "resolved")


async def test_everything_since_a_moment_is_undone_with_what_waits(open_hall: OpenHall) -> None:
    hall = await open_hall(12, floor=2, absolute=2)
    await hall.scim.patch(hall.ids[11], {"op": "replace", "path": "title", "value": "Before"})
    before = await hall.fetch("SELECT now() AS now WHERE $1::uuid IS NOT NULL")
    since = before[0]["now"]
    await hall.deactivate(hall.ids[:6])
    await hall.scim.patch(hall.ids[11], {"op": "replace", "path": "title", "value": "After"})
    made = await hall.scim.make("late@acme.example")
    run = await hall.held()
    done = await hall.undo_since(since)
    assert done.state is RunState.APPLIED
    assert done.counts == {"reactivate": 6, "update": 1, "remove": 1}
    assert await hall.active() == await hall.said() == set(hall.ids)
    assert (await hall.scim.get(hall.ids[11]))["title"] == "Before"
    assert (await hall.scim("GET", f"/Users/{made['id']}")).status_code == 404
    assert (await hall.run(run.run_id)).state is RunState.STALE
    assert await hall.holds() == {"rejected": 4}
    marked = await hall.fetch(
        "SELECT count(*) AS n FROM change WHERE tenant_id = $1 AND state = 'undone' AND at >= $2", since
    )
    assert marked[0]["n"] == 8
    # Twice is once: a run that has nothing to do ends by itself.
    again = await hall.plan_undo(since)
    assert (again.state, again.counts) == (RunState.APPLIED, {})


async def test_the_last_admin_is_never_shut_out_at_once(open_hall: OpenHall) -> None:
    hall = await open_hall(6, enabled=False)
    async with hall.database.tenant(hall.scim.tenant_id) as tx:
        await tx.execute(
            """INSERT INTO person_role (tenant_id, person_id, role, since)
            SELECT tenant_id, person_id, 'admin', $2 FROM source_record
            WHERE tenant_id = $1 AND resource_id::text = ANY($3)""",
            *(tx.tenant_id, tx.now, hall.ids[:2]),
        )
    # Both at the same moment: one of them stays.
    await asyncio.gather(*(hall.scim("PATCH", f"/Users/{one}", patch_body(OFF)) for one in hall.ids[:2]))
    run = await hall.held()
    assert [reason["code"] for reason in run.reasons] == ["last_admin"]
    assert len(await hall.active() & set(hall.ids[:2])) == 1
    # Nobody else waits for that.
    await hall.deactivate(hall.ids[2:4])
    assert len(await hall.active()) == 3
    assert (await hall.alerts())[0][0] == "run_held"


async def test_one_run_collects_what_comes_on_many_connections_at_once(
    open_hall: OpenHall, make_scim: MakeScim
) -> None:
    hall = await open_hall(40, floor=0, absolute=0)
    await in_parts([hall.scim("PATCH", f"/Users/{one}", patch_body(OFF)) for one in hall.ids], at_once=40)
    assert len(await hall.runs("scim_hold")) == 1
    assert await hall.active() == set(hall.ids)
    assert await hall.holds() == {"held": 40}
    assert [alert[0] for alert in await hall.alerts()] == ["run_held"]
    # Nothing of it is seen or decided upon by another tenant.
    other = await make_scim()
    async with hall.database.tenant(other.tenant_id) as tx:
        assert await tx.fetchval("SELECT count(*) FROM run WHERE tenant_id = $1", tx.tenant_id) == 0


async def test_a_decision_comes_before_or_after_each_request(open_hall: OpenHall) -> None:
    hall = await open_hall(60, floor=0, absolute=0)
    await hall.deactivate(hall.ids[:2])
    run = await hall.held()
    sent = asyncio.create_task(hall.deactivate(hall.ids[2:], at_once=10))
    while (await hall.holds())["held"] < 12:
        assert not sent.done()
    done = await hall.decide(run, approve=True)
    await sent
    released = (await hall.holds())["released"]
    assert done.counts == {"deactivate": released}
    assert len(await hall.active()) == 60 - released
    if released < 60:
        # Who came after the decision waits for the next one.
        assert await hall.holds() == {"released": released, "held": 60 - released}
        await hall.decide(await hall.held(), approve=True)
    assert await hall.active() == set()


@pytest.mark.all
async def test_killed_in_the_middle_of_applying_another_worker_goes_on(
    open_hall: OpenHall, process_env: dict[str, str]
) -> None:
    hall = await open_hall(60, floor=0, absolute=0)
    await hall.deactivate(hall.ids[:50])
    run = await hall.held()
    async with hall.database.tenant(hall.scim.tenant_id) as tx:
        await actions.approve(tx, run.run_id)
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.identity.scim.halting_worker", str(hall.scim.tenant_id), str(hall.source_id)),
        cwd=_ROOT, env=process_env, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(60):
        assert child.stdout is not None
        assert await child.stdout.readline() == b"halfway\n"
    child.send_signal(signal.SIGKILL)
    await child.wait()
    half = await hall.run(run.run_id)
    assert (half.state, half.changes_done) == (RunState.APPLYING, 10)
    assert len(await hall.active()) == 50
    async with hall.database.tenant(hall.scim.tenant_id) as tx:
        await tx.execute("UPDATE job SET lease_until = $2 WHERE tenant_id = $1", tx.tenant_id, tx.now)
    await hall.work()
    assert (await hall.run(run.run_id)).state is RunState.APPLIED
    assert await hall.active() == set(hall.ids[50:])
    assert await hall.holds() == {"released": 50}


async def test_a_moment_that_makes_no_sense_is_refused(open_hall: OpenHall) -> None:
    hall = await open_hall(1)
    now: datetime = (await hall.fetch("SELECT now() AS now WHERE $1::uuid IS NOT NULL"))[0]["now"]
    for since in (now + timedelta(hours=1), now - timedelta(days=31)):
        with pytest.raises(Exception, match="moment"):
            await hall.undo_since(since)
