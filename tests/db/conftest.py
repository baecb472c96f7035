"""Databases with Stoa's roles and tables, looked at from outside."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from stoa.db import embedded
from stoa.db.embedded import EmbeddedConfig
from stoa.db.keyring import KeyRing
from stoa.db.migrations import migrate
from stoa.db.roles import dsn_for, init_roles
from tests.db.embedded.conftest import BY_MAJOR
from tests.db.embedded.conftest import place as place


def on_another_loop(work: Coroutine[Any, Any, Any]) -> Any:
    """Runs `work` to its end on a thread of its own, for fixtures that outlive a test's loop."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


@pytest.fixture(scope="session")
def newest_server() -> Generator[embedded.Server]:
    """A migrated server of the newest major version on this machine."""

    async def begin() -> embedded.Server:
        started = await embedded.start(EmbeddedConfig(bin_dir=BY_MAJOR[max(BY_MAJOR)].bin_dir))
        await migrate(dsn_for(started.url, "stoa_migrator", KeyRing.load(started.keyring_path)))
        return started

    # One thread for start and stop: the server's watch goes by the thread that started it.
    with ThreadPoolExecutor(1) as thread:
        started = thread.submit(asyncio.run, begin()).result()
        yield started
        thread.submit(asyncio.run, embedded.stop(started)).result()


@pytest.fixture(params=["server", pytest.param("newest_server", marks=pytest.mark.all)])
async def root(request: pytest.FixtureRequest) -> AsyncGenerator[asyncpg.Connection]:
    """The superuser in the database `stoa`: of the tests' server, and of the newest version of PostgreSQL."""
    chosen: embedded.Server = request.getfixturevalue(request.param)
    connection = await asyncpg.connect(chosen.admin_dsn, database="stoa")
    yield connection
    await connection.close()


async def make_database(server: embedded.Server, name: str) -> str:
    """Makes a database as `stoa db init` makes one, without any migration. Gives its url."""
    await init_roles(server.admin_dsn, server.keyring_path, name)
    return server.url.replace("/stoa?", f"/{name}?")


async def drop_database(server: embedded.Server, name: str) -> None:
    """Removes it, whoever is connected."""
    admin = await asyncpg.connect(server.admin_dsn)
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


@asynccontextmanager
async def empty_database(server: embedded.Server) -> AsyncGenerator[str]:
    """The url of a database `empty`, for the length of the block."""
    url = await make_database(server, "empty")
    try:
        yield url
    finally:
        await drop_database(server, "empty")
