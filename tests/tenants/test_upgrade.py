"""Tenants that were there before the board get their row, and a job that fills it."""

import shutil
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from stoa.db import embedded
from stoa.db.database import open_database
from stoa.db.keyring import KeyRing
from stoa.db.migrations import migrate, migrations_on_disk
from stoa.db.roles import dsn_for
from stoa.jobs.worker import Worker
from stoa.kernel.ids import TenantId
from stoa.people.counting import recount_all
from stoa.tenants.model import Phase
from stoa.tenants.phases import PhaseStatus
from stoa.tenants.status import RECOUNT_JOB, status
from tests.db.conftest import drop_database, make_database

TENANT, SOURCE, CONNECTION, OTHER = (UUID(int=number) for number in range(1, 5))
MIGRATIONS = Path(__file__).parents[2] / "migrations"
BEFORE = f"""
INSERT INTO tenant (tenant_id, slug, name, created_at) VALUES ('{TENANT}', 'acme', 'ACME Straße', '2025-01-01'),
  ('{OTHER}', 'other', 'Other', '2025-01-01');
INSERT INTO source (tenant_id, source_id, kind, name, name_key, created_at)
VALUES ('{TENANT}', '{SOURCE}', 'hris', 'Workday', 'workday', '2025-01-01');
INSERT INTO connection (tenant_id, connection_id, source_id, connector, name, config, created_at)
VALUES ('{TENANT}', '{CONNECTION}', '{SOURCE}', 'workday', 'Workday', '{{}}', '2025-01-01');
INSERT INTO freshness (tenant_id, connection_id, source_id, last_attempt_at, last_success_at)
VALUES ('{TENANT}', '{CONNECTION}', '{SOURCE}', '2025-02-02T12:00Z', '2025-02-01T12:00Z');
INSERT INTO person (tenant_id, person_id, active, created_run, created_at, updated_at)
SELECT '{TENANT}', gen_random_uuid(), n > 1, gen_random_uuid(), '2025-01-01', '2025-01-01' FROM generate_series(1, 3) n;
"""


@pytest.fixture
async def url(server: embedded.Server) -> AsyncGenerator[str]:
    yield await make_database(server, "upgraded")
    await drop_database(server, "upgraded")


async def test_tenants_that_are_there_already_get_their_standing(
    server: embedded.Server, keyring: KeyRing, url: str, tmp_path: Path
) -> None:
    old = [one.name for one in migrations_on_disk(MIGRATIONS) if one.name < "0011"]
    for name in old:
        (found,) = MIGRATIONS.glob(f"{name}*")
        shutil.copy(found, tmp_path)
    await migrate(dsn_for(url, "stoa_migrator", keyring), tmp_path)
    root = await asyncpg.connect(server.admin_dsn, database="upgraded")
    await root.execute(BEFORE)
    await root.close()
    await migrate(dsn_for(url, "stoa_migrator", keyring))

    database = await open_database(lambda role: dict(dsn_for(url, role, keyring)))
    worker = Worker(database, {RECOUNT_JOB: recount_all})
    for tenant_id in (TENANT, OTHER):
        assert await worker.claim_one(RECOUNT_JOB, "all", TenantId(tenant_id))
    async with database.tenant(TenantId(TENANT), read_only=True) as tx:
        found = await status(tx)
        key = await tx.fetchval("SELECT name_key FROM tenant WHERE tenant_id = $1", TENANT)
    await database.close()
    assert (found.people, found.active_people) == (3, 2)
    moment = datetime(2025, 2, 1, 12, tzinfo=UTC)
    assert found.phases[Phase.HRIS] == PhaseStatus(connected=True, contact_at=moment, success_at=moment)
    assert key == "acme strasse"
