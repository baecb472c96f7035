"""The runner of `migrations/NNNN_what.{pre,post}.sql`: plain SQL, in order, each in a transaction of its own, with checksums.

It connects as stoa_migrator and becomes stoa_owner, which owns every table. Two runners at once wait for each other on an advisory lock.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import asyncpg

from stoa.kernel.problems import Misconfigured

# Any fixed number will do; it spells "stoa".
_ADVISORY_LOCK = 0x73746F61
_MADE = """
CREATE TABLE IF NOT EXISTS schema_migration (
  name text COLLATE "C" PRIMARY KEY,
  checksum bytea NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
)
"""


class MigrationRefused(Misconfigured):
    """The migrations on disk and those applied do not fit together."""

    code = "migration_refused"


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: `name` is its file name, `checksum` the SHA-256 of its bytes."""

    name: str
    sql: str
    checksum: bytes


def migrations_on_disk(folder: Path | None = None) -> list[Migration]:
    """The migrations in their order. Raises MigrationRefused when the folder has none."""
    place = folder or _folder()
    files = sorted(place.glob("[0-9][0-9][0-9][0-9]_*.sql"))
    if not files:
        raise MigrationRefused(f"There are no migrations in {place}.", hint="Reinstall Stoa.")
    return [Migration(f.name, f.read_text("utf-8"), sha256(f.read_bytes()).digest()) for f in files]


def _folder() -> Path:
    packaged = Path(__file__).resolve().parent.parent / "_migrations"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[3] / "migrations"


async def migrate(connect_args: Mapping[str, Any], folder: Path | None = None) -> list[str]:
    """Applies what is missing and gives the names of what it applied.

    connect_args: asyncpg's arguments for stoa_migrator.
    Raises MigrationRefused when an applied file was edited or is unknown here (a newer version of Stoa ran).
    """
    wanted = migrations_on_disk(folder)
    connection = cast("asyncpg.Connection[asyncpg.Record]", await asyncpg.connect(**connect_args))
    try:
        await connection.execute("SET ROLE stoa_owner; SET lock_timeout = '4s'; SET search_path = public")
        await connection.execute("SELECT pg_advisory_lock($1)", _ADVISORY_LOCK)
        await connection.execute(_MADE)
        done = {row["name"]: bytes(row["checksum"]) for row in await connection.fetch("SELECT name, checksum FROM schema_migration")}
        _refuse_misfits(wanted, done)
        fresh = [m for m in wanted if m.name not in done]
        for migration in fresh:
            async with connection.transaction():
                await connection.execute(migration.sql)
                await connection.execute(
                    "INSERT INTO schema_migration (name, checksum) VALUES ($1, $2)", migration.name, migration.checksum
                )
        return [m.name for m in fresh]
    finally:
        await connection.close()


def _refuse_misfits(wanted: list[Migration], done: Mapping[str, bytes]) -> None:
    known = {m.name: m.checksum for m in wanted}
    for name, checksum in done.items():
        if name not in known:
            raise MigrationRefused(
                f"The database has the migration {name}, which this version of Stoa does not know.",
                hint="Run the version that applied it, or a newer one.",
            )
        if known[name] != checksum:
            raise MigrationRefused(
                f"The migration {name} was edited after it had been applied.", hint="Restore the file and write a new migration."
            )


async def pending(connect_args: Mapping[str, Any], folder: Path | None = None) -> list[str]:
    """Names of migrations that have not been applied; what `/readyz` asks."""
    connection = cast("asyncpg.Connection[asyncpg.Record]", await asyncpg.connect(**connect_args))
    try:
        await connection.execute("SET ROLE stoa_owner")
        if await connection.fetchval("SELECT to_regclass('public.schema_migration')") is None:
            return [m.name for m in migrations_on_disk(folder)]
        done = {row["name"] for row in await connection.fetch("SELECT name FROM schema_migration")}
        return [m.name for m in migrations_on_disk(folder) if m.name not in done]
    finally:
        await connection.close()
