"""The runner of migrations: in order, once, whole or not at all, and never against what it does not know."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from stoa.db import embedded
from stoa.db.connecting import DatabaseUnreachable
from stoa.db.keyring import KeyRing
from stoa.db.migrations import MigrationFailed, MigrationRefused, migrate, migrations_on_disk, pending
from stoa.db.roles import dsn_for
from tests.db.conftest import empty_database

Args = dict[str, Any]


@pytest.fixture(params=["server", pytest.param("newest_server", marks=pytest.mark.all)])
async def args(request: pytest.FixtureRequest) -> AsyncGenerator[Args]:
    """How stoa_migrator connects to an empty database: of the tests' server, and of the newest PostgreSQL."""
    server: embedded.Server = request.getfixturevalue(request.param)
    async with empty_database(server) as url:
        yield dict(dsn_for(url, "stoa_migrator", KeyRing.load(server.keyring_path)))


@pytest.fixture
async def owner(args: Args) -> AsyncGenerator[asyncpg.Connection]:
    connection = await asyncpg.connect(**args)
    await connection.execute("SET ROLE stoa_owner")
    yield connection
    await connection.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three small migrations, of which the second is taken away later than the third is needed."""
    (tmp_path / "0001_shelf.pre.sql").write_text("CREATE TABLE shelf (width int); INSERT INTO shelf VALUES (1);")
    (tmp_path / "0002_old.post.sql").write_text("UPDATE shelf SET width = width * 10;")
    (tmp_path / "0002_new.pre.sql").write_text("UPDATE shelf SET width = width + 1;")
    return tmp_path


async def _applied(owner: asyncpg.Connection) -> list[str]:
    return [row["name"] for row in await owner.fetch("SELECT name FROM schema_migration ORDER BY applied_at, name")]


async def test_all_of_them_are_applied_once(args: Args, owner: asyncpg.Connection) -> None:
    names = [migration.name for migration in migrations_on_disk()]
    assert await pending(args) == names
    assert await migrate(args) == names
    before = await owner.fetch("SELECT xmin::text, * FROM schema_migration ORDER BY name")
    assert await migrate(args) == []
    assert await owner.fetch("SELECT xmin::text, * FROM schema_migration ORDER BY name") == before
    assert await pending(args) == []


async def test_by_number_and_what_is_needed_before_what_is_taken_away(
    args: Args, owner: asyncpg.Connection, folder: Path
) -> None:
    assert await migrate(args, folder) == ["0001_shelf.pre.sql", "0002_new.pre.sql", "0002_old.post.sql"]
    assert await owner.fetchval("SELECT width FROM shelf") == 20


async def test_a_later_one_is_applied_alone(args: Args, owner: asyncpg.Connection, folder: Path) -> None:
    await migrate(args, folder)
    (folder / "0003_more.pre.sql").write_text("ALTER TABLE shelf ADD depth int")
    assert await pending(args, folder) == ["0003_more.pre.sql"]
    assert await migrate(args, folder) == ["0003_more.pre.sql"]
    assert dict(*await owner.fetch("SELECT * FROM shelf")) == {"width": 20, "depth": None}


async def test_of_runners_at_once_one_does_the_work(args: Args, owner: asyncpg.Connection, folder: Path) -> None:
    done = await asyncio.gather(*(migrate(args, folder) for _ in range(4)))
    assert sorted(map(len, done)) == [0, 0, 0, 3]
    assert await owner.fetchval("SELECT width FROM shelf") == 20


async def test_a_runner_waits_while_another_is_at_work(args: Args, owner: asyncpg.Connection, folder: Path) -> None:
    await owner.execute("SELECT pg_advisory_lock(x'73746f61'::int)")
    task = asyncio.create_task(migrate(args, folder))
    while not await owner.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):
        pass
    assert await owner.fetchval("SELECT to_regclass('shelf')") is None
    await owner.execute("SELECT pg_advisory_unlock_all()")
    assert len(await task) == 3


async def test_an_edited_one_is_refused_before_anything_is_done(
    args: Args, owner: asyncpg.Connection, folder: Path
) -> None:
    await migrate(args, folder)
    (folder / "0001_shelf.pre.sql").write_text("CREATE TABLE shelf (width int); -- edited")
    (folder / "0003_more.pre.sql").write_text("ALTER TABLE shelf ADD depth int")
    with pytest.raises(MigrationRefused, match=r"0001_shelf\.pre\.sql was edited"):
        await migrate(args, folder)
    assert len(await _applied(owner)) == 3


async def test_one_that_this_version_does_not_know_is_refused(
    args: Args, owner: asyncpg.Connection, folder: Path
) -> None:
    await migrate(args, folder)
    (folder / "0002_old.post.sql").unlink()
    with pytest.raises(MigrationRefused, match=r"0002_old\.post\.sql, which this version of Stoa does not know"):
        await migrate(args, folder)


async def test_one_that_fails_leaves_nothing_and_those_before_it_stay(
    args: Args, owner: asyncpg.Connection, folder: Path
) -> None:
    (folder / "0003_broken.pre.sql").write_text("CREATE TABLE half (); SELECT 1 / 0;")
    (folder / "0004_never.pre.sql").write_text("CREATE TABLE never ()")
    with pytest.raises(MigrationFailed, match=r"0003_broken\.pre\.sql was not applied: division by zero"):
        await migrate(args, folder)
    assert len(await _applied(owner)) == 3
    assert await owner.fetchrow("SELECT to_regclass('half'), to_regclass('never')") == (None, None)
    (folder / "0003_broken.pre.sql").write_text("CREATE TABLE half ()")
    assert await migrate(args, folder) == ["0003_broken.pre.sql", "0004_never.pre.sql"]


async def test_one_that_does_not_get_its_table_gives_way(args: Args, owner: asyncpg.Connection, folder: Path) -> None:
    await migrate(args, folder)
    (folder / "0003_more.pre.sql").write_text("SET LOCAL lock_timeout = '20ms'; ALTER TABLE shelf ADD depth int")
    async with owner.transaction():
        await owner.execute("LOCK TABLE shelf IN ACCESS SHARE MODE")
        with pytest.raises(MigrationFailed, match="Somebody holds a table that it needs; run it again"):
            await migrate(args, folder)
    assert await migrate(args, folder) == ["0003_more.pre.sql"]


@pytest.mark.parametrize("name", ["1_short.pre.sql", "0001_shelf.sql", "0001-shelf.pre.sql", "0001_Shelf.pre.sql"])
def test_a_file_with_another_name_is_refused_and_not_passed_over(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("SELECT 1")
    with pytest.raises(MigrationRefused, match="not named as a migration is"):
        migrations_on_disk(tmp_path)


def test_a_folder_without_any_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MigrationRefused, match="no migrations in"):
        migrations_on_disk(tmp_path)


async def test_a_database_out_of_reach_is_explained(place: Path) -> None:
    nowhere = {"dsn": f"postgresql:///stoa?host={place}", "user": "stoa_migrator", "password": "x"}
    with pytest.raises(DatabaseUnreachable):
        await migrate(nowhere)
    with pytest.raises(DatabaseUnreachable):
        await pending(nowhere)
