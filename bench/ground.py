"""The ground that both sides of a comparison stand on: one PostgreSQL that syncs to disk, migrated, and its tenants."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import asyncpg

from stoa.composition import Store
from stoa.db import embedded
from stoa.db.database import Database, open_database
from stoa.db.migrations import migrate
from stoa.kernel.ids import TenantId
from stoa.tenants.actions import create_tenant
from stoa.tenants.model import NewTenant

_numbers = count(1)
_LOOK_SECONDS = 0.5
_LOOKS = 600
# Whether a job is due or being done, or an entry of a log has no number yet.
_AT_WORK = """
SELECT EXISTS (SELECT FROM job WHERE dead_at IS NULL AND (due_at <= now() OR lease_until > now()))
  OR EXISTS (SELECT FROM entry WHERE first_seq IS NULL)"""


@dataclass(frozen=True, slots=True)
class Ground:
    """A running, durable server (fsync and synchronous_commit on).

    Attributes:
        folder: a temporary folder for files.
        admin_dsn: the superuser's, in Stoa's database: for limits that go past Stoa.
    """

    server: embedded.Server
    store: Store
    database: Database
    folder: Path
    admin_dsn: str

    async def tenant(self) -> tuple[TenantId, str]:
        """A fresh tenant and its slug."""
        slug = f"bench-{next(_numbers)}"
        made = await create_tenant(self.database, NewTenant(slug, slug))
        return TenantId(made.tenant_id), slug

    def env(self) -> Mapping[str, str]:
        """The environment of Stoa's processes on this ground."""
        return {
            **os.environ,
            "STOA_DATABASE_URL": self.store.url,
            "STOA_KEY_RING": str(self.store.key_ring),
            "STOA_STATE_DIR": str(self.folder / "state"),
            "STOA_LOG_LEVEL": "warning",
        }

    async def settle(self) -> None:
        """Has the server write out what earlier work left, so that nobody's round pays for another's."""
        admin = await asyncpg.connect(self.admin_dsn)
        try:
            await admin.execute("CHECKPOINT")
        finally:
            await admin.close()

    async def tidy(self) -> None:
        """For whoever filled the server: waits until the workers have done what follows from that, and has statistics
        made and space cleared, as the server does by itself in a while.
        """
        admin = await asyncpg.connect(self.admin_dsn)
        try:
            for _ in range(_LOOKS):
                if not await admin.fetchval(_AT_WORK):
                    break
                await asyncio.sleep(_LOOK_SECONDS)
            await admin.execute("VACUUM ANALYZE")
        finally:
            await admin.close()


def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="stoa-bench-"))
    # The server's account must be able to pass through; what is in it has modes of its own.
    folder.chmod(0o755)
    return folder


@asynccontextmanager
async def ground(*, app_connections: int = 40) -> AsyncGenerator[Ground]:
    """A server in a temporary folder, removed at the end."""
    async with AsyncExitStack() as exits:
        folder = _folder()
        exits.callback(shutil.rmtree, folder, ignore_errors=True)
        config = embedded.EmbeddedConfig(data_dir=folder / "db", keyring_path=folder / "keys" / "keyring.json")
        server = await exits.enter_async_context(embedded.running(config))
        store = Store(server.url, server.keyring_path)
        await migrate(store.connect_args("stoa_migrator"))
        database = await open_database(store.connect_args, sizes={"app": app_connections})
        exits.push_async_callback(database.close)
        yield Ground(server, store, database, folder, server.admin_dsn.replace("/postgres?", "/stoa?"))
