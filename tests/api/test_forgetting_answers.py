"""Kept answers are forgotten once their time is over, also of a tenant whose clients have fallen silent."""

from datetime import datetime, timedelta
from uuid import uuid4

from stoa.api.idempotency import FORGET_JOB, answer_jobs
from stoa.db import embedded
from stoa.db.database import Database
from stoa.jobs.queries import JobState, job_state
from stoa.jobs.worker import Worker
from stoa.kernel.ids import TenantId
from tests.api.calling import serving, token_of


async def kept(database: Database, tenant_id: TenantId) -> tuple[int, JobState | None, datetime]:
    """How many answers there are, the job that will forget them, and the time."""
    async with database.tenant(tenant_id) as tx:
        count = await tx.fetchval("SELECT count(*) FROM idempotency_key WHERE tenant_id = $1", tenant_id)
        return count, await job_state(tx, FORGET_JOB, ""), tx.now


async def age(database: Database, tenant_id: TenantId, hours: int) -> None:
    """Makes answers older."""
    async with database.tenant(tenant_id) as tx:
        await tx.execute(
            "UPDATE idempotency_key SET made_at = made_at - $2::interval WHERE tenant_id = $1",
            *(tenant_id, timedelta(hours=hours)),
        )


async def work(database: Database, tenant_id: TenantId) -> None:
    await Worker(database, answer_jobs()).claim_one(FORGET_JOB, "", tenant_id)


async def test_answers_are_forgotten_after_a_day(
    server: embedded.Server, database: Database, tenant_id: TenantId
) -> None:
    async with serving(server, await token_of(database, tenant_id, source="HR")) as client:
        for n in range(3):
            headers = {"Idempotency-Key": uuid4().hex}
            made = await client.post("/v1/people", json={"external_id": f"E{n}"}, headers=headers)
            assert made.status_code == 201, made.text
    count, job, now = await kept(database, tenant_id)
    assert count == 3
    assert job is not None
    assert timedelta(hours=23) < job.due_at - now <= timedelta(days=1)
    await age(database, tenant_id, 23)
    await work(database, tenant_id)
    count, job, now = await kept(database, tenant_id)
    assert (count, job is not None) == (3, True)
    await age(database, tenant_id, 2)
    await work(database, tenant_id)
    count, job, now = await kept(database, tenant_id)
    # Somebody may have stored one at the same moment: it looks once more, and then no longer.
    assert (count, job is not None) == (0, True)
    await work(database, tenant_id)
    assert (await kept(database, tenant_id))[:2] == (0, None)
