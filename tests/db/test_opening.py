"""What is said when the database cannot be opened, and how it is opened and closed."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from stoa.db import embedded
from stoa.db.connecting import DatabaseNotMigrated, DatabaseRefusesUs, DatabaseUnreachable
from stoa.db.database import Database, open_database
from stoa.db.embedded import EmbeddedConfig
from stoa.db.keyring import KeyRing
from stoa.db.migrations import migrate, pending
from stoa.db.roles import dsn_for
from stoa.kernel.problems import Misconfigured
from tests.conftest import ConnectArgs
from tests.db.conftest import empty_database


def with_(args: ConnectArgs, **changed: Any) -> Callable[[str], dict[str, Any]]:
    """The arguments for each role with some of them changed."""
    return lambda role: args(role) | changed


async def test_nobody_at_the_address_is_said_with_the_address_alone(place: Path) -> None:
    def args(role: str) -> dict[str, Any]:
        return {"dsn": f"postgresql:///stoa?host={place}&options=-cx", "user": role, "password": "hunter2"}

    with pytest.raises(DatabaseUnreachable, match=f"stoa at {place} cannot be reached") as caught:
        await open_database(args)
    assert isinstance(caught.value, Misconfigured)
    assert caught.value.hint is not None
    assert "hunter2" not in str(caught.value)


async def test_a_port_where_nobody_listens_is_said() -> None:
    def args(role: str) -> dict[str, Any]:
        return {"dsn": "postgresql://127.0.0.1:1/stoa", "user": role, "password": "x"}

    with pytest.raises(DatabaseUnreachable, match=r"stoa at 127\.0\.0\.1:1 cannot be reached"):
        await open_database(args)


async def test_a_wrong_password_is_said_and_not_shown(connect_args: ConnectArgs) -> None:
    with pytest.raises(DatabaseRefusesUs, match="does not let stoa_app in") as caught:
        await open_database(with_(connect_args, password="hunter2"), wait_seconds=60)
    assert "hunter2" not in str(caught.value)
    assert "key ring" in (caught.value.hint or "")


async def test_a_missing_role_is_said(connect_args: ConnectArgs) -> None:
    with pytest.raises(DatabaseRefusesUs, match="does not let stoa_nobody in"):
        await open_database(with_(connect_args, user="stoa_nobody"))


async def test_a_missing_database_is_said(connect_args: ConnectArgs) -> None:
    with pytest.raises(DatabaseRefusesUs, match=r"no such database.*stoa db init"):
        await open_database(with_(connect_args, database="atlantis"))


async def test_a_database_that_was_never_migrated_is_said(server: embedded.Server, keyring: KeyRing) -> None:
    async with empty_database(server) as url:

        def args(role: str) -> dict[str, Any]:
            return dict(dsn_for(url, role, keyring))

        with pytest.raises(DatabaseNotMigrated, match=r"from 0001_boundary\.pre\.sql on.*stoa db migrate"):
            await open_database(args)
        applied = await migrate(args("stoa_migrator"))
        assert await pending(args("stoa_platform")) == []
        await (await open_database(args)).close()
        # As a database that the version before left.
        owner = await asyncpg.connect(server.admin_dsn, database="empty")
        await owner.execute("DELETE FROM schema_migration WHERE name = $1", applied[-1])
        await owner.close()
        with pytest.raises(DatabaseNotMigrated, match=f"from {applied[-1]} on"):
            await open_database(args)
        assert await pending(args("stoa_platform")) == applied[-1:]


async def test_it_waits_for_a_server_that_is_starting_if_asked_to(place: Path) -> None:
    config = EmbeddedConfig(data_dir=place / "db", keyring_path=place / "keys" / "keyring.json", run_dir=place / "run")
    server = await embedded.start(config)
    ring = KeyRing.load(server.keyring_path)
    await migrate(dsn_for(server.url, "stoa_migrator", ring))
    await embedded.stop(server)

    def args(role: str) -> dict[str, Any]:
        return dict(dsn_for(server.url, role, ring))

    with pytest.raises(DatabaseUnreachable):
        await open_database(args, wait_seconds=0.5)
    opening = asyncio.create_task(open_database(args, wait_seconds=60))
    server = await embedded.start(config)
    try:
        opened = await opening
        async with opened.platform() as tx:
            assert await tx.fetchval("SELECT count(*) FROM tenant") == 0
        await opened.close()
    finally:
        await embedded.stop(server)


async def test_nothing_stays_open_when_the_last_pool_fails(connect_args: ConnectArgs, server: embedded.Server) -> None:
    def args(role: str) -> dict[str, Any]:
        marked = connect_args(role)
        marked["dsn"] += "&options=-c%20stoa.mark%3Dhalf"
        return marked | ({"password": "wrong"} if role == "stoa_platform" else {})

    root = await asyncpg.connect(server.admin_dsn)
    before = await root.fetchval("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'stoa app'")
    with pytest.raises(DatabaseRefusesUs):
        await open_database(args)
    async with asyncio.timeout(20):
        while await root.fetchval("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'stoa app'") > before:
            pass
    await root.close()


async def test_closing_twice_and_at_once_is_the_same_as_closing_once(database: Database) -> None:
    async with database.platform() as tx:
        tx.wake("anything")
    await asyncio.gather(database.close(), database.close())
    await database.close()
    with pytest.raises(ConnectionError):
        await database.platform().__aenter__()
