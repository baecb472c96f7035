"""Jobs by the clock, in the tenant's zone."""

from datetime import UTC, datetime, timedelta

import pytest

from stoa.db.database import Database
from stoa.jobs.model import BadSchedule
from stoa.jobs.rules import next_time
from stoa.jobs.schedules import (
    enqueue_due,
    pause_schedule,
    put_schedule,
    remove_schedule,
    resume_schedule,
    schedule,
    schedules,
)
from stoa.jobs.worker import Worker
from stoa.kernel.ids import TenantId
from stoa.tenants.actions import CHAIN_JOB
from tests.jobs.recorder import Recorder


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "zone", "after", "moments"),
    [
        # Summer time begins on 2026-03-29 at 02:00: 02:30 does not exist, so it is due right after the gap.
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-03-28T12:00",
            ["2026-03-29T01:00", "2026-03-30T00:30", "2026-03-31T00:30"],
        ),
        # It ends on 2026-10-25 at 03:00: 02:30 comes twice, and is due once.
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00", ["2026-10-25T00:30", "2026-10-26T01:30"]),
        # The wall clock counts, whatever its distance from UTC.
        ("0 6 * * *", "America/New_York", "2026-03-07T12:00", ["2026-03-08T10:00", "2026-03-09T10:00"]),
        ("0 6 * * *", "America/New_York", "2026-03-06T12:00", ["2026-03-07T11:00", "2026-03-08T10:00"]),
        # Half an hour of summer time.
        ("0 9 * * *", "Australia/Lord_Howe", "2026-04-03T23:00", ["2026-04-04T22:30", "2026-04-05T22:30"]),
        # A step follows elapsed time through both changes.
        ("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:30", ["2026-03-29T01:00", "2026-03-29T01:30"]),
        ("*/30 * * * *", "Europe/Berlin", "2026-10-25T00:30", ["2026-10-25T01:00", "2026-10-25T01:30"]),
    ],
)
def test_a_schedule_keeps_to_its_zone_across_summer_time(cron: str, zone: str, after: str, moments: list[str]) -> None:
    found: list[datetime] = []
    last = utc(after)
    for _ in moments:
        last = next_time(cron, zone, last)
        found.append(last)
    assert found == [utc(moment) for moment in moments]


@pytest.mark.parametrize(
    ("cron", "zone"),
    [
        ("61 * * * *", "UTC"),
        ("nonsense", "UTC"),
        ("0 0 30 2 *", "UTC"),
        ("0 0 * * *", "Mars/Olympus"),
        ("0 0 * * *", "../etc"),
    ],
)
def test_a_schedule_that_says_nothing_is_refused(cron: str, zone: str) -> None:
    with pytest.raises(BadSchedule):
        next_time(cron, zone, utc("2026-01-01T00:00"))


async def rewind(database: Database, tenant_id: TenantId, kind: str, by: timedelta) -> None:
    """Puts the next moment of the schedule into the past."""
    async with database.tenant(tenant_id) as tx:
        sql = "UPDATE schedule SET next_at = $3 WHERE tenant_id = $1 AND kind = $2"
        await tx.execute(sql, tenant_id, kind, tx.now - by)


async def test_a_due_schedule_enqueues_once_however_long_the_worker_was_away(
    database: Database, tenant_id: TenantId, kind: str
) -> None:
    async with database.tenant(tenant_id) as tx:
        await put_schedule(tx, kind, "k", "0 3 * * *", "Europe/Berlin", {"nightly": True})
    handler = Recorder().open()
    worker = Worker(database, {kind: handler})
    assert await worker.run_due_once() == 0
    await rewind(database, tenant_id, kind, timedelta(days=5))
    assert await worker.run_due_once() == 1
    assert await worker.run_due_once() == 0
    assert [(run.key, run.args) for run in handler.runs] == [("k", {"nightly": True})]
    async with database.tenant(tenant_id) as tx:
        after = await schedule(tx, kind, "k")
        assert after is not None
        assert after.next_at == next_time("0 3 * * *", "Europe/Berlin", tx.now)


async def test_two_workers_enqueue_a_due_schedule_once(database: Database, tenant_id: TenantId, kind: str) -> None:
    async with database.tenant(tenant_id) as tx:
        await put_schedule(tx, kind, "", "0 3 * * *", "UTC")
    await rewind(database, tenant_id, kind, timedelta(minutes=1))
    async with database.tenant(tenant_id) as one, database.tenant(tenant_id) as other:
        assert [await enqueue_due(one), await enqueue_due(other)] == [1, 0]


async def test_a_paused_schedule_rests_and_is_not_made_up_for(
    database: Database, tenant_id: TenantId, kind: str
) -> None:
    async with database.tenant(tenant_id) as tx:
        await put_schedule(tx, kind, "", "0 3 * * *", "UTC")
        assert await pause_schedule(tx, kind, "", "The last run was undone.")
        assert await pause_schedule(tx, kind, "", "Another reason.")
        assert not await pause_schedule(tx, kind, "other", "None such.")
    await rewind(database, tenant_id, kind, timedelta(days=1))
    worker = Worker(database, {kind: Recorder().open()})
    assert await worker.run_due_once() == 0
    async with database.tenant(tenant_id) as tx:
        paused = await put_schedule(tx, kind, "", "0 3 * * *", "UTC")
        assert paused.paused_reason == "The last run was undone."
        assert await resume_schedule(tx, kind, "")
        assert not await resume_schedule(tx, kind, "other")
        resumed = await schedule(tx, kind, "")
        assert resumed is not None
        assert resumed.paused_reason is None
        assert resumed.next_at > tx.now
    assert await worker.run_due_once() == 0


async def test_a_schedule_is_changed_in_place_and_removed(database: Database, tenant_id: TenantId, kind: str) -> None:
    async with database.tenant(tenant_id) as tx:
        first = await put_schedule(tx, kind, "", "0 3 * * *", "UTC")
        same = await put_schedule(tx, kind, "", "0 3 * * *", "UTC", {"new": 1})
        other = await put_schedule(tx, kind, "", "0 4 * * *", "Asia/Tokyo")
        assert first.schedule_id == same.schedule_id == other.schedule_id
        assert (same.next_at, same.args) == (first.next_at, {"new": 1})
        assert other.next_at == next_time("0 4 * * *", "Asia/Tokyo", tx.now)
        # Beside the one that every tenant has: the check of its audit log.
        assert {one.kind for one in await schedules(tx)} == {kind, CHAIN_JOB}
        assert await remove_schedule(tx, kind, "")
        assert [one.kind for one in await schedules(tx)] == [CHAIN_JOB]
