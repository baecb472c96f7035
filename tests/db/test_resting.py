"""The end of a read goes with the beginning of the next transaction on its connection, and carries nothing over."""

import asyncio

import asyncpg
import pytest

from stoa.db import embedded
from stoa.db.database import Database
from stoa.db.resting import LINGER_SECONDS
from stoa.kernel.ids import TenantId

from ..conftest import MakeTenant

_STANDING = "SELECT pid, state FROM pg_stat_activity WHERE pid = $1"


async def pid_of(database: Database, tenant_id: TenantId, *, read_only: bool = True) -> int:
    """The server process behind one transaction."""
    async with database.tenant(tenant_id, read_only=read_only) as tx:
        return await tx.fetchval("SELECT pg_backend_pid()")


async def test_reads_that_follow_each_other_share_a_connection(database: Database, tenant_id: TenantId) -> None:
    assert len({await pid_of(database, tenant_id) for _ in range(5)}) == 1


async def test_a_read_is_ended_soon_by_itself(database: Database, tenant_id: TenantId, server: embedded.Server) -> None:
    pid = await pid_of(database, tenant_id)
    admin = await asyncpg.connect(server.admin_dsn)
    try:
        async with asyncio.timeout(10):
            while (row := await admin.fetchrow(_STANDING, pid)) is None or row["state"] != "idle":
                await admin.execute("SELECT pg_sleep($1)", LINGER_SECONDS)
    finally:
        await admin.close()


async def test_the_next_tenant_sees_its_own_rows_alone(
    database: Database, tenant_id: TenantId, make_tenant: MakeTenant
) -> None:
    other = await make_tenant()
    for one in (tenant_id, other, tenant_id, other):
        async with database.tenant(one, read_only=True) as tx:
            assert [row["tenant_id"] for row in await tx.fetch("SELECT tenant_id FROM tenant")] == [one]


async def test_a_write_after_a_read_is_no_read(database: Database, tenant_id: TenantId) -> None:
    pid = await pid_of(database, tenant_id)
    async with database.tenant(tenant_id) as tx:
        assert await tx.fetchval("SELECT pg_backend_pid()") == pid
        assert await tx.fetchval("SELECT current_setting('transaction_read_only')") == "off"
        await tx.execute("UPDATE tenant SET owner_name = 'Ada' WHERE tenant_id = $1", tenant_id)
    async with database.tenant(tenant_id, read_only=True) as tx:
        assert await tx.fetchval("SELECT owner_name FROM tenant WHERE tenant_id = $1", tenant_id) == "Ada"


async def test_a_limit_of_one_read_is_not_that_of_the_next(database: Database, tenant_id: TenantId) -> None:
    async with database.tenant(tenant_id, read_only=True, limit_seconds=1) as tx:
        assert await tx.fetchval("SELECT current_setting('statement_timeout')") == "1s"
    async with database.tenant(tenant_id, read_only=True) as tx:
        assert await tx.fetchval("SELECT current_setting('statement_timeout')") != "1s"


async def test_a_read_that_failed_leaves_a_sound_connection(database: Database, tenant_id: TenantId) -> None:
    with pytest.raises(asyncpg.PostgresError):
        async with database.tenant(tenant_id, read_only=True) as tx:
            await tx.fetch("SELECT 1 / 0")
    async with database.tenant(tenant_id, read_only=True) as tx:
        with pytest.raises(asyncpg.PostgresError):
            await tx.fetch("SELECT 1 / 0")
    assert await pid_of(database, tenant_id)


async def test_a_connection_that_the_server_ended_meanwhile_is_not_used(
    database: Database, tenant_id: TenantId, server: embedded.Server
) -> None:
    pids = [await pid_of(database, tenant_id)]
    admin = await asyncpg.connect(server.admin_dsn)
    try:
        await admin.execute("SELECT pg_terminate_backend($1)", pids[0])
    finally:
        await admin.close()
    async with asyncio.timeout(10):
        # The news of it may come while the next statement is on its way: then that one is told, and nothing else.
        while len(pids) < 2:
            try:
                pids.append(await pid_of(database, tenant_id))
            except (asyncpg.PostgresConnectionError, OSError):
                continue
    assert pids[0] != pids[1]


async def test_more_readers_than_connections_wait_for_each_other(database: Database, tenant_id: TenantId) -> None:
    async with asyncio.timeout(30):
        pids = await asyncio.gather(*(pid_of(database, tenant_id, read_only=n % 3 > 0) for n in range(200)))
    assert len(pids) == 200


async def test_who_waits_comes_before_who_comes_later(database: Database, tenant_id: TenantId) -> None:
    over = asyncio.Event()

    async def read_on() -> None:
        while not over.is_set():
            await pid_of(database, tenant_id)

    readers = [asyncio.create_task(read_on()) for _ in range(40)]
    try:
        async with asyncio.timeout(30):
            for _ in range(20):
                await pid_of(database, tenant_id, read_only=False)
    finally:
        over.set()
        await asyncio.gather(*readers)


async def test_a_database_that_is_closed_ends_what_rests(database: Database, tenant_id: TenantId) -> None:
    await pid_of(database, tenant_id)
    await database.close()
    with pytest.raises(ConnectionError):
        await pid_of(database, tenant_id)
