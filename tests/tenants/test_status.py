"""What is noted of a tenant's standing, when it is written, and that no writer loses another's figures."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stoa.db.database import Database
from stoa.db.transactions import TenantTx
from stoa.jobs.actions import enqueue
from stoa.jobs.schedules import pause_schedule, put_schedule, resume_schedule
from stoa.kernel.ids import ConnectionId, TenantId
from stoa.tenants import actions, queries, status
from stoa.tenants.model import NewConnection, Phase
from stoa.tenants.phases import PhaseState, PhaseStatus, due_by
from stoa.tenants.sealing import Sealer

AT = datetime(2030, 3, 4, 12, tzinfo=UTC)


async def standing(database: Database, tenant_id: TenantId) -> status.TenantStatus:
    async with database.tenant(tenant_id, read_only=True) as tx:
        return await status.status(tx)


async def count_domains(tx: TenantTx) -> None:
    """Counts something that many add to at once."""
    n = await tx.fetchval("SELECT count(*) FROM domain WHERE tenant_id = $1", tx.tenant_id)
    await status.note_people(tx, n, 0)


async def connection(database: Database, tenant_id: TenantId, sealer: Sealer, name: str = "Workday") -> ConnectionId:
    async with database.tenant(tenant_id) as tx:
        source = await actions.ensure_source(tx, "hris", name)
        made = await actions.create_connection(tx, sealer, NewConnection(source.source_id, "workday", name, {}))
    return made.connection_id


async def test_a_new_tenant_has_a_standing_with_every_phase_off(database: Database, tenant_id: TenantId) -> None:
    found = await standing(database, tenant_id)
    assert list(found.phases) == list(Phase)
    assert {found.state(phase) for phase in Phase} == {PhaseState.OFF}
    assert (found.worst, found.open_alerts, found.people, found.people_at) == ("off", 0, 0, None)


async def test_only_what_is_given_changes(database: Database, tenant_id: TenantId) -> None:
    async with database.tenant(tenant_id) as tx:
        await status.note_phase(tx, Phase.CRM, connected=True, failing="remote_down", held=2)
    async with database.tenant(tenant_id) as tx:
        await status.note_phase(tx, Phase.CRM, success_at=AT)
        await status.note_phase(tx, Phase.CRM, failing=None)
        await status.note_alerts(tx, 3, 1)
    found = await standing(database, tenant_id)
    assert found.phases[Phase.CRM] == PhaseStatus(connected=True, success_at=AT, held=2)
    assert (found.open_alerts, found.critical_alerts) == (3, 1)
    assert found.phases[Phase.HRIS] == PhaseStatus()


async def noting_in_vain(tx: TenantTx) -> None:
    async with tx.savepoint():
        await status.note_phase(tx, Phase.CRM, failing="x")
        await status.note_alerts(tx, 9, 9)
        raise LookupError


async def test_what_was_undone_is_not_noted(database: Database, tenant_id: TenantId) -> None:
    async with database.tenant(tenant_id) as tx:
        await status.note_phase(tx, Phase.CRM, connected=True)
        with pytest.raises(LookupError):
            await noting_in_vain(tx)
    found = await standing(database, tenant_id)
    assert found.phases[Phase.CRM] == PhaseStatus(connected=True)
    assert found.open_alerts == 0


async def test_concurrent_writers_count_each_others_rows(database: Database, tenant_id: TenantId) -> None:
    begun = asyncio.Barrier(12)

    async def add(number: int) -> None:
        async with database.tenant(tenant_id) as tx:
            await actions.prove_domain(tx, f"d{number}.example")
            status.recount(tx, "domains", count_domains)
            await begun.wait()

    await asyncio.gather(*(add(number) for number in range(12)))
    assert (await standing(database, tenant_id)).people == 12


async def test_concurrent_notes_of_different_phases_are_all_kept(database: Database, tenant_id: TenantId) -> None:
    begun = asyncio.Barrier(len(Phase))

    async def note(phase: Phase) -> None:
        async with database.tenant(tenant_id) as tx:
            await status.note_phase(tx, phase, connected=True, success_at=AT)
            await begun.wait()

    await asyncio.gather(*map(note, Phase))
    found = await standing(database, tenant_id)
    assert set(found.phases.values()) == {PhaseStatus(connected=True, success_at=AT)}


async def test_the_row_is_locked_after_the_jobs_whichever_was_asked_for_first(
    database: Database, tenant_id: TenantId
) -> None:
    seen: list[int] = []

    async def count_jobs(tx: TenantTx) -> None:
        seen.append(await tx.fetchval("SELECT count(*) FROM job WHERE tenant_id = $1", tx.tenant_id))

    async with database.tenant(tenant_id) as tx:
        status.recount(tx, "jobs", count_jobs)
        await enqueue(tx, "test.kind", "k")
    assert seen == [1]


async def test_a_contact_is_a_success_and_ends_a_failure(database: Database, tenant_id: TenantId) -> None:
    async with database.tenant(tenant_id) as tx:
        await status.note_phase(tx, Phase.IDENTITY, connected=True, failing="refused")
    async with database.tenant(tenant_id) as tx:
        await status.note_contact(tx, Phase.IDENTITY)
        now = tx.now
    found = await standing(database, tenant_id)
    assert found.phases[Phase.IDENTITY] == PhaseStatus(connected=True, contact_at=now, success_at=now)


async def test_a_contact_never_waits(database: Database, tenant_id: TenantId) -> None:
    async with database.tenant(tenant_id) as holder:
        await holder.execute("SELECT FROM tenant_status WHERE tenant_id = $1 FOR UPDATE", tenant_id)
        async with asyncio.timeout(5), database.tenant(tenant_id) as tx:
            await status.note_contact(tx, Phase.IDENTITY)
    assert (await standing(database, tenant_id)).phases[Phase.IDENTITY] == PhaseStatus()


async def test_a_contact_beside_other_notes_is_written_with_them(database: Database, tenant_id: TenantId) -> None:
    async with database.tenant(tenant_id) as tx:
        await status.note_contact(tx, Phase.IDENTITY)
        await status.note_alerts(tx, 1, 0)
        now = tx.now
    found = await standing(database, tenant_id)
    assert (found.phases[Phase.IDENTITY].contact_at, found.open_alerts) == (now, 1)


# ------------------------------------------------------------------ connections


async def test_a_phase_follows_its_connection(database: Database, tenant_id: TenantId, sealer: Sealer) -> None:
    connection_id = await connection(database, tenant_id, sealer)
    assert (await standing(database, tenant_id)).state(Phase.HRIS) is PhaseState.WAITING
    async with database.tenant(tenant_id) as tx:
        await status.note_connection(tx, connection_id, contact_at=AT, success_at=AT)
        await status.note_connection(tx, connection_id, failing="remote_down")
    found = await standing(database, tenant_id)
    assert found.phases[Phase.HRIS] == PhaseStatus(True, contact_at=AT, success_at=AT, failing="remote_down")
    async with database.tenant(tenant_id) as tx:
        stored = await queries.connection(tx, connection_id)
        await actions.pause_connection(tx, connection_id, "being moved")
    assert stored is not None
    assert (stored.success_at, stored.failing) == (AT, "remote_down")
    assert (await standing(database, tenant_id)).state(Phase.HRIS) is PhaseState.PAUSED


async def test_one_paused_connection_of_two_does_not_pause_the_phase(
    database: Database, tenant_id: TenantId, sealer: Sealer
) -> None:
    first = await connection(database, tenant_id, sealer, "One")
    await connection(database, tenant_id, sealer, "Two")
    async with database.tenant(tenant_id) as tx:
        await actions.pause_connection(tx, first, "being moved")
    assert not (await standing(database, tenant_id)).phases[Phase.HRIS].paused


async def test_a_schedule_says_by_when_the_next_success_is_due(
    database: Database, tenant_id: TenantId, sealer: Sealer
) -> None:
    connection_id = await connection(database, tenant_id, sealer)
    key = str(connection_id)

    async def expected() -> datetime | None:
        async with database.tenant(tenant_id) as tx:
            await status.note_expected(tx, connection_id)
        return (await standing(database, tenant_id)).phases[Phase.HRIS].expected_by

    async with database.tenant(tenant_id) as tx:
        due = due_by("30 2 * * *", "Europe/Berlin", tx.now)
        await put_schedule(tx, "sync", key, "30 2 * * *", "Europe/Berlin", {"connection_id": key})
    assert await expected() == due
    async with database.tenant(tenant_id) as tx:
        await pause_schedule(tx, "sync", key, "rolled back")
    assert await expected() is None
    async with database.tenant(tenant_id) as tx:
        await resume_schedule(tx, "sync", key)
    assert await expected() == due


async def test_what_was_due_during_a_pause_is_not_missed(
    database: Database, tenant_id: TenantId, sealer: Sealer
) -> None:
    connection_id = await connection(database, tenant_id, sealer)
    async with database.tenant(tenant_id) as tx:
        args = {"connection_id": str(connection_id)}
        await put_schedule(tx, "sync", str(connection_id), "0 3 * * *", "UTC", args)
        await status.note_connection(tx, connection_id, expected_by=tx.now - timedelta(days=1))
        await actions.pause_connection(tx, connection_id, "being moved")
    async with database.tenant(tenant_id) as tx:
        await actions.resume_connection(tx, connection_id)
    assert (await standing(database, tenant_id)).state(Phase.HRIS) is PhaseState.WAITING


# ------------------------------------------------------------------ the recount


async def jobs(database: Database, tenant_id: TenantId) -> dict[str, tuple[timedelta, dict[str, Any]]]:
    async with database.tenant(tenant_id) as tx:
        rows = await tx.fetch("SELECT key, due_at, args FROM job WHERE tenant_id = $1", tenant_id)
        return {row["key"]: (row["due_at"] - tx.now, row["args"]) for row in rows}


async def test_a_recount_is_asked_for_now_or_for_when_changes_have_come_to_rest(
    database: Database, tenant_id: TenantId
) -> None:
    async with database.tenant(tenant_id) as tx:
        await status.ask_recount(tx)
        await status.ask_recount(tx, lasting=timedelta(minutes=1))
        until = tx.now + timedelta(minutes=1)
    found = await jobs(database, tenant_id)
    assert found["now"][0] <= timedelta(0)
    assert timedelta(minutes=1) < found["requests"][0] <= timedelta(seconds=75)
    assert found["requests"][1] == {"until": until.isoformat()}
