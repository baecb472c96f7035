"""Infrastructure that every test may ask for: one real PostgreSQL for each test process, migrated, spoken to as the
unprivileged roles.
"""

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from itertools import count
from typing import Any

import asyncpg
import hypothesis
import pytest
import structlog

from stoa.db import embedded
from stoa.db.database import Database, Pool, open_database
from stoa.db.keyring import KeyRing
from stoa.db.migrations import migrate
from stoa.db.notify import Notifier
from stoa.db.roles import dsn_for
from stoa.kernel.clock import system_clock
from stoa.kernel.ids import TenantId
from stoa.tenants.actions import create_tenant
from stoa.tenants.model import NewTenant
from stoa.tenants.sealing import Sealer
from tests.hosting import Host, hosting

# The same examples on every machine and every day: what fails in one run fails in the next.
hypothesis.settings.register_profile("stoa", derandomize=True, deadline=None, print_blob=True)
hypothesis.settings.load_profile("stoa")
# As structlog does by itself, but a traceback without every local variable, which takes seconds to draw.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)

ConnectArgs = Callable[[str], dict[str, Any]]
MakeTenant = Callable[..., Awaitable[TenantId]]
_numbers = count(1)


class _Loop(threading.Thread):
    """A loop in a thread that lives as long as the tests of this process: the server's shim watches the thread that
    started it.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True, name="test infrastructure")
        self.loop = asyncio.new_event_loop()

    def run(self) -> None:
        self.loop.run_forever()
        self.loop.close()

    def call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout=90)


@pytest.fixture(scope="session")
def server() -> Generator[embedded.Server]:
    """An ephemeral server with the roles made and the migrations applied."""
    thread = _Loop()
    thread.start()

    async def begin() -> embedded.Server:
        started = await embedded.start(embedded.EmbeddedConfig())
        await migrate(dsn_for(started.url, "stoa_migrator", KeyRing.load(started.keyring_path)))
        return started

    started = thread.call(begin())
    yield started
    thread.call(embedded.stop(started))
    thread.loop.call_soon_threadsafe(thread.loop.stop)
    thread.join(5)


@pytest.fixture(scope="session")
def keyring(server: embedded.Server) -> KeyRing:
    """The server's key ring."""
    return KeyRing.load(server.keyring_path)


@pytest.fixture(scope="session")
def connect_args(server: embedded.Server, keyring: KeyRing) -> ConnectArgs:
    """asyncpg's arguments for a role by its full name."""
    return lambda role: dict(dsn_for(server.url, role, keyring))


@pytest.fixture(scope="session")
def database_url(server: embedded.Server) -> str:
    """Names host and database alone."""
    return server.url


@pytest.fixture(scope="session")
def process_env(server: embedded.Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a child process that uses the tests' server."""
    return {
        **os.environ,
        "STOA_DATABASE_URL": server.url,
        "STOA_KEY_RING": str(server.keyring_path),
        "STOA_STATE_DIR": str(tmp_path_factory.mktemp("state")),
    }


@pytest.fixture(scope="session")
def sealer(keyring: KeyRing) -> Sealer:
    """Seals secrets with the server's keys."""
    return Sealer(keyring.sealing_keys)


class _Pools:
    """Connections that outlast a test: PostgreSQL starts a process for each, which learns the tables anew."""

    def __init__(self, connect_args: ConnectArgs) -> None:
        self._connect_args = connect_args
        self._opened: Database | None = None

    async def lent(self) -> Database:
        """The pools for one test, with a notifier of its own."""
        if self._opened is None:
            self._opened = await open_database(self._connect_args)
        return Database(self._opened._pools, Notifier(self._connect_args("stoa_platform")), clock=system_clock)

    async def back(self, lent: Database) -> None:
        """Takes them back. If the test closed them, or still holds a connection, the next gets others."""
        await lent.notifier.close()
        if self._opened is not None and not all(_at_rest(pool) for pool in self._opened._pools.values()):
            await self.close()

    async def close(self) -> None:
        """Ends all connections."""
        if self._opened is not None:
            self._opened, ended = None, self._opened
            await ended.notifier.close()
            for pool in ended._pools.values():
                pool.terminate()


def _at_rest(pool: Pool) -> bool:
    return not pool.is_closing() and pool.get_idle_size() == pool.get_size()


@pytest.fixture(scope="session")
async def _pools(connect_args: ConnectArgs) -> AsyncGenerator[_Pools]:
    pools = _Pools(connect_args)
    yield pools
    await pools.close()


@pytest.fixture
async def database(_pools: _Pools) -> AsyncGenerator[Database]:
    """Pools of the application's roles."""
    before = asyncio.all_tasks()
    lent = await _pools.lent()
    yield lent
    # The loop lasts as long as the connections do; what a test has left running does not.
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await _pools.back(lent)


@pytest.fixture(scope="session")
async def host() -> AsyncGenerator[Host]:
    """A server for the applications of tests."""
    async with hosting() as made:
        yield made


@pytest.fixture
async def make_tenant(database: Database) -> MakeTenant:
    """Makes a fresh tenant; keyword arguments are those of NewTenant."""

    async def make(**given: Any) -> TenantId:
        number = next(_numbers)
        fresh = NewTenant(**{"slug": f"t{os.getpid()}-{number}", "name": f"Tenant {number}"} | given)
        return TenantId((await create_tenant(database, fresh)).tenant_id)

    return make


@pytest.fixture
async def tenant_id(make_tenant: MakeTenant) -> TenantId:
    """A fresh tenant."""
    return await make_tenant()


@pytest.fixture
async def scratch_dsn(server: embedded.Server) -> AsyncGenerator[str]:
    """An empty database that lasts for one test."""
    name = f"scratch_{next(_numbers)}"
    admin = await asyncpg.connect(server.admin_dsn)
    await admin.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    yield server.admin_dsn.replace("/postgres?", f"/{name}?")
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()
