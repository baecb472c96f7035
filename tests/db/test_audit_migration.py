"""Tenants that were there before the audit log had a chain to check have it checked too."""

from pathlib import Path
from typing import Any

import asyncpg

from stoa.db import embedded
from stoa.db.keyring import KeyRing
from stoa.db.migrations import migrate
from stoa.db.roles import dsn_for
from stoa.jobs.rules import next_time
from stoa.kernel.clock import system_clock
from stoa.kernel.ids import new_id
from tests.db.conftest import empty_database

MIGRATIONS = Path(__file__).parents[2] / "migrations"


async def test_existing_tenants_are_scheduled_not_all_at_once(server: embedded.Server, tmp_path: Path) -> None:
    async with empty_database(server) as url:
        args: dict[str, Any] = dict(dsn_for(url, "stoa_migrator", KeyRing.load(server.keyring_path)))
        for path in MIGRATIONS.glob("*.sql"):
            if path.name < "0017":
                (tmp_path / path.name).write_bytes(path.read_bytes())
        await migrate(args, tmp_path)
        owner = await asyncpg.connect(**args)
        await owner.execute("SET ROLE stoa_owner")
        tenants = [new_id() for _ in range(30)]
        await owner.executemany(
            """INSERT INTO tenant (tenant_id, slug, name, time_zone, sandbox, created_at)
               VALUES ($1, $2, 'Old', 'Asia/Tokyo', false, now())""",
            [(tenant_id, str(tenant_id)) for tenant_id in tenants],
        )
        await migrate(args)
        rows = await owner.fetch("SELECT tenant_id, cron, time_zone, next_at FROM schedule WHERE kind = 'audit.check'")
        await owner.close()
    assert {row["tenant_id"] for row in rows} == {*tenants}
    assert {row["time_zone"] for row in rows} == {"Asia/Tokyo"}
    assert len({row["next_at"] for row in rows}) > 10
    for row in rows:
        assert next_time(row["cron"], row["time_zone"], system_clock()) > system_clock()
