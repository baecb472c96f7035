"""Providers that fall silent, and lines of the log that go with their time."""

from datetime import UTC, datetime, timedelta

import pytest

from stoa.access.actions import revoke
from stoa.alerts.queries import recent_alerts
from stoa.composition import expiring_credential
from stoa.db.database import Database
from stoa.identity.scim.http import Answer, Request
from stoa.identity.scim.log.keeping import keep_for, log_jobs
from stoa.identity.scim.log.model import Arrival
from stoa.identity.scim.log.silence import LONGEST, RETENTION_JOB, SHORTEST, SILENCE_JOB, SILENT_ALERT, rhythm
from stoa.identity.scim.log.writer import RequestLog, vault_of
from stoa.jobs.model import Outcome
from stoa.jobs.worker import Worker
from stoa.kernel.ids import TenantId
from stoa.kernel.problems import BadInput
from stoa.tenants.sealing import Sealer
from tests.identity.conftest import Issued, issue

MONDAY = datetime(2026, 3, 2, 8, tzinfo=UTC)


def spoken(*starts: datetime) -> list[tuple[datetime, datetime]]:
    return [(one, one + timedelta(minutes=45)) for one in starts]


def test_the_rhythm_is_the_sources_own() -> None:
    cycles = spoken(*(MONDAY + timedelta(hours=n) for n in range(24 * 20)))
    assert rhythm(cycles).patience == SHORTEST
    # One outage of a day is no rhythm.
    assert rhythm([*cycles[:200], *cycles[224:]]).patience == SHORTEST
    office = spoken(*(MONDAY + timedelta(days=d, hours=h) for d in range(26) if d % 7 < 5 for h in range(0, 9, 3)))
    weekend = rhythm(office).pause
    assert weekend is not None
    assert timedelta(days=2) < weekend < timedelta(days=3)
    assert timedelta(days=6) < rhythm(office).patience < timedelta(days=9)
    seldom = spoken(*(MONDAY + timedelta(days=3 * n) for n in range(9)))
    young = spoken(*(MONDAY + timedelta(hours=n) for n in range(100)))
    for past in ([], seldom, young):
        assert rhythm(past).pause is None
        assert rhythm(past).patience == LONGEST
    rare = spoken(*(MONDAY + timedelta(days=20 * n) for n in range(30)))
    assert rhythm(rare).patience == LONGEST


async def at_clock(database: Database, days: float) -> None:
    async def moved(_: TenantId) -> timedelta:
        return timedelta(days=days)

    database.use_clock_offset(moved)


async def speak(database: Database, sealer: Sealer, tenant_id: TenantId, issued: Issued, status: int = 200) -> None:
    log = RequestLog(database, vault_of(sealer, bytes(32)))
    request = Request("GET", ("Users",), {}, {}, b"")
    arrival = Arrival(
        tenant_id=tenant_id, source_id=issued.source_id, credential_id=issued.credential_id, request=request
    )
    log.note(arrival, Answer(status))
    await log.flush()
    await log.close()


async def states(database: Database, tenant_id: TenantId) -> list[tuple[str, str]]:
    async with database.tenant(tenant_id) as tx:
        return [(one.title, one.state) for one in await recent_alerts(tx) if one.kind == SILENT_ALERT]


async def test_silence_is_told_and_the_next_request_resolves_it(
    database: Database, tenant_id: TenantId, sealer: Sealer
) -> None:
    issued = await issue(database, tenant_id, source="Entra ID")
    worker = Worker(database, log_jobs())
    for hour in range(8 * 24):
        await at_clock(database, hour / 24)
        await speak(database, sealer, tenant_id, issued)
    await at_clock(database, 8 + 2 / 24)
    assert await worker.claim_one(SILENCE_JOB, str(issued.source_id), tenant_id) is Outcome.AGAIN
    assert await states(database, tenant_id) == []
    await at_clock(database, 8 + 5 / 24)
    await worker.claim_one(SILENCE_JOB, str(issued.source_id), tenant_id)
    assert await states(database, tenant_id) == [("Entra ID has fallen silent", "open")]
    async with database.tenant(tenant_id) as tx:
        (alert,) = [one for one in await recent_alerts(tx) if one.kind == SILENT_ALERT]
    assert "hardly ever silent for longer than" in alert.detail
    await speak(database, sealer, tenant_id, issued)
    assert await states(database, tenant_id) == [("Entra ID has fallen silent", "resolved")]


async def test_nobody_waits_for_a_source_that_was_never_heard_or_has_no_token(
    database: Database, tenant_id: TenantId, sealer: Sealer
) -> None:
    issued = await issue(database, tenant_id)
    async with database.tenant(tenant_id) as tx:
        assert (
            await tx.fetchval("SELECT count(*) FROM job WHERE tenant_id = $1 AND kind = $2", tx.tenant_id, SILENCE_JOB)
            == 0
        )
    await speak(database, sealer, tenant_id, issued)
    worker = Worker(database, log_jobs())
    await at_clock(database, 20)
    await worker.claim_one(SILENCE_JOB, str(issued.source_id), tenant_id)
    assert await states(database, tenant_id) == []
    async with database.tenant(tenant_id) as tx:
        await revoke(tx, issued.credential_id)
    await at_clock(database, 40)
    await worker.claim_one(SILENCE_JOB, str(issued.source_id), tenant_id)
    assert await states(database, tenant_id) == []


async def test_lines_go_when_their_days_are_over_and_hours_stay(
    database: Database, tenant_id: TenantId, sealer: Sealer
) -> None:
    issued = await issue(database, tenant_id)

    async def counts() -> tuple[int, int]:
        async with database.tenant(tenant_id) as tx:
            found = [
                await tx.fetchval(f"SELECT count(*) FROM {one} WHERE tenant_id = $1", tx.tenant_id)
                for one in ("scim_request", "scim_hour")
            ]
        return found[0], found[1]

    for day in (0, 10):
        await at_clock(database, day)
        await speak(database, sealer, tenant_id, issued)
    worker = Worker(database, log_jobs())
    await at_clock(database, 15)
    await worker.claim_one(RETENTION_JOB, "all", tenant_id)
    assert await counts() == (1, 2)
    async with database.tenant(tenant_id) as tx:
        await keep_for(tx, 3)
        with pytest.raises(BadInput):
            await keep_for(tx, 91)
    await worker.claim_one(RETENTION_JOB, "all", tenant_id)
    assert await counts() == (0, 2)
    await at_clock(database, 71)
    async with database.tenant(tenant_id) as tx:
        assert (
            await tx.fetchval(
                "SELECT count(*) FROM job WHERE tenant_id = $1 AND kind = $2", tx.tenant_id, RETENTION_JOB
            )
            == 0
        )


async def test_an_expiring_token_is_told_with_its_provider_and_who_can_act(
    database: Database, tenant_id: TenantId
) -> None:
    issued = await issue(database, tenant_id, source="Okta of the group")
    async with database.tenant(tenant_id) as tx:
        found = await expiring_credential(tx, str(issued.credential_id))
    assert found is not None
    assert "of the identity provider Okta of the group" in found.name
    assert "An administrator of the tenant issues a second token" in found.remedy
