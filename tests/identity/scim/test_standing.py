"""What requests leave on the tenant's standing, which the operator's board reads."""

from datetime import timedelta

from stoa.access.actions import revoke
from stoa.access.queries import USE_NOTED_EVERY
from stoa.db.database import Database
from stoa.jobs.worker import Worker
from stoa.kernel.ids import TenantId
from stoa.people.counting import recount_all
from stoa.tenants.model import Phase
from stoa.tenants.phases import PhaseState, PhaseStatus
from stoa.tenants.status import RECOUNT_JOB, TenantStatus, status
from tests.identity.conftest import Scim


async def standing(database: Database, tenant_id: TenantId) -> TenantStatus:
    async with database.tenant(tenant_id, read_only=True) as tx:
        return await status(tx)


async def identity(database: Database, scim: Scim) -> tuple[PhaseState, PhaseStatus]:
    found = await standing(database, scim.tenant_id)
    return found.state(Phase.IDENTITY), found.phases[Phase.IDENTITY]


async def test_a_token_connects_identity_and_its_end_disconnects_it(database: Database, scim: Scim) -> None:
    assert await identity(database, scim) == (PhaseState.WAITING, PhaseStatus(connected=True))
    async with database.tenant(scim.tenant_id) as tx:
        await revoke(tx, scim.issued.credential_id)
    assert (await identity(database, scim))[0] == "off"


async def test_a_request_is_a_contact_and_a_success(database: Database, scim: Scim) -> None:
    assert (await scim("GET", "/Users")).status_code == 200
    state, phase = await identity(database, scim)
    assert state == "ok"
    assert phase.contact_at == phase.success_at is not None


async def test_a_refused_request_is_none(database: Database, scim: Scim) -> None:
    assert (await scim("POST", "/Users", {})).status_code == 400
    assert (await identity(database, scim))[0] == "waiting"


async def test_requests_are_noted_once_a_minute(database: Database, scim: Scim) -> None:
    await scim("GET", "/Users")
    first = (await identity(database, scim))[1].contact_at
    await scim("GET", "/Users")
    assert (await identity(database, scim))[1].contact_at == first
    async with database.tenant(scim.tenant_id) as tx:
        await tx.execute(
            "UPDATE credential SET last_used_at = last_used_at - $2::interval WHERE tenant_id = $1",
            *(tx.tenant_id, USE_NOTED_EVERY + timedelta(seconds=1)),
        )
    await scim("GET", "/Users")
    later = (await identity(database, scim))[1].contact_at
    assert first is not None
    assert later is not None
    assert later > first


async def test_people_are_counted_when_requests_have_come_to_rest(database: Database, scim: Scim) -> None:
    for name in ("a", "b"):
        assert (await scim("POST", "/Users", {"userName": f"{name}@x.example"})).status_code == 201
    async with database.tenant(scim.tenant_id) as tx:
        asked = await tx.fetchrow(
            "SELECT key, due_at, args FROM job WHERE tenant_id = $1 AND kind = $2", tx.tenant_id, RECOUNT_JOB
        )
        assert asked is not None
        assert asked["due_at"] > tx.now + timedelta(seconds=60)
    assert await Worker(database, {RECOUNT_JOB: recount_all}).claim_one(RECOUNT_JOB, asked["key"], scim.tenant_id)
    found = await standing(database, scim.tenant_id)
    assert (found.people, found.active_people) == (2, 2)
