"""The runner of `migrations/NNNN_what.{pre,post}.sql`: plain SQL, in order, each in a transaction of its own, with
checksums.

It connects as stoa_migrator and becomes stoa_owner, which owns every table. Two runners at once wait for each other on
an advisory lock. A `pre` migration is what the new version needs before it serves; a `post` one takes away what only
the old version used.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from stoa.db.connecting import explained
from stoa.db.roles import MIGRATOR, OWNER
from stoa.kernel.problems import Misconfigured

# Any fixed number will do; it spells "stoa".
_ADVISORY_LOCK: Final = 0x73746F61
_NAME: Final = re.compile(r"(?P<number>\d{4})_[a-z0-9_]+\.(?P<step>pre|post)\.sql")
# What is applied is nobody's secret: every role may ask whether the database fits its version of Stoa.
_MADE: Final = """
CREATE TABLE IF NOT EXISTS schema_migration (
  name text COLLATE "C" PRIMARY KEY,
  checksum bytea NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT ON schema_migration TO stoa_app, stoa_sync, stoa_platform, stoa_backup
"""
_APPLIED: Final = "SELECT name, checksum FROM schema_migration"
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"


class MigrationRefused(Misconfigured):
    """The migrations on disk and those applied do not fit together.

    The database was changed by another version. Run the version that fits, or put the database back from its backup.
    """

    code = "migration_refused"


class MigrationFailed(Misconfigured):
    """A migration could not be applied.

    It left nothing; those before it stay applied. Mend what the detail names, then run `stoa db migrate` again.
    """

    code = "migration_failed"


@dataclass(frozen=True, slots=True)
class Migration:
    """One file.

    Attributes:
        name: its file name.
        sql: its statements.
        checksum: SHA-256 of its bytes.
    """

    name: str
    sql: str
    checksum: bytes


def migrations_on_disk(folder: Path | None = None) -> list[Migration]:
    """The migrations in their order: by number, `pre` before `post`.

    folder: where they are; None is where this version of Stoa keeps its own.
    Raises MigrationRefused when the folder has none, or a file that is not named as a migration is.
    """
    place = folder or _folder()
    files = {path: _NAME.fullmatch(path.name) for path in place.glob("*.sql")}
    if not files:
        raise MigrationRefused(f"There are no migrations in {place}.", hint="Reinstall Stoa.")
    ordered: list[tuple[str, bool, str, Path]] = []
    for path, match in files.items():
        if match is None:
            raise MigrationRefused(f"{path} is not named as a migration is: NNNN_what.pre.sql or NNNN_what.post.sql.")
        ordered.append((match["number"], match["step"] == "post", path.name, path))
    return [_read(path) for *_, path in sorted(ordered)]


def _read(path: Path) -> Migration:
    content = path.read_bytes()
    return Migration(path.name, content.decode("utf-8"), sha256(content).digest())


def _folder() -> Path:
    packaged = Path(__file__).resolve().parent.parent / "_migrations"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[3] / "migrations"


async def migrate(connect_args: Mapping[str, Any], folder: Path | None = None) -> list[str]:
    """Applies what is missing and gives the names of what it applied.

    connect_args: asyncpg's arguments for stoa_migrator.

    Raises:
        DatabaseUnreachable: the database does not let stoa_migrator in.
        MigrationRefused: an applied file was edited or is unknown here (a newer version of Stoa ran).
        MigrationFailed: the database refused a statement; that migration left nothing.
    """
    wanted = migrations_on_disk(folder)
    connection = await _connected(connect_args)
    try:
        await connection.execute(f"SET ROLE {OWNER}; SET search_path = public; SET lock_timeout = 0")
        # Waits for as long as another runner takes. Only the migrations themselves must not queue up for locks.
        await connection.execute("SELECT pg_advisory_lock($1)", _ADVISORY_LOCK)
        await connection.execute("SET lock_timeout = '4s'; SET client_min_messages = warning")
        await connection.execute(_MADE)
        done = {str(row["name"]): bytes(row["checksum"]) for row in await connection.fetch(_APPLIED)}
        _refuse_misfits(wanted, done)
        fresh = [migration for migration in wanted if migration.name not in done]
        for migration in fresh:
            await _apply(connection, migration)
        return [migration.name for migration in fresh]
    finally:
        await connection.close()


async def _connected(connect_args: Mapping[str, Any]) -> "asyncpg.Connection[asyncpg.Record]":
    with explained(connect_args):
        return await asyncpg.connect(**connect_args)


async def _apply(connection: "asyncpg.Connection[asyncpg.Record]", migration: Migration) -> None:
    try:
        async with connection.transaction():
            await connection.execute(migration.sql)
            await connection.execute(
                "INSERT INTO schema_migration (name, checksum) VALUES ($1, $2)", migration.name, migration.checksum
            )
    except asyncpg.PostgresError as error:
        busy = isinstance(error, asyncpg.LockNotAvailableError)
        raise MigrationFailed(
            f"The migration {migration.name} was not applied: {error}.",
            hint="Somebody holds a table that it needs; run it again." if busy else None,
        ) from error


def _refuse_misfits(wanted: list[Migration], done: Mapping[str, bytes]) -> None:
    known = {migration.name: migration.checksum for migration in wanted}
    for name, checksum in done.items():
        if name not in known:
            raise MigrationRefused(
                f"The database has the migration {name}, which this version of Stoa does not know.",
                hint="Run the version that applied it, or a newer one.",
            )
        if known[name] != checksum:
            raise MigrationRefused(
                f"The migration {name} was edited after it had been applied.",
                hint="Restore the file and write a new migration.",
            )


async def missing(connection: Connection, folder: Path | None = None, *, before_serving: bool = False) -> list[str]:
    """Names of migrations that have not been applied, asked by any of our roles.

    before_serving: leave out the `post` migrations, without which one may serve.
    """
    wanted = [m.name for m in migrations_on_disk(folder) if not (before_serving and m.name.endswith(".post.sql"))]
    if await connection.fetchval("SELECT to_regclass('public.schema_migration') IS NULL"):
        return wanted
    done = {row["name"] for row in await connection.fetch("SELECT name FROM public.schema_migration")}
    return [name for name in wanted if name not in done]


async def pending(connect_args: Mapping[str, Any], folder: Path | None = None) -> list[str]:
    """As `missing`, on a connection of its own. Raises DatabaseUnreachable."""
    connection = await _connected(connect_args)
    try:
        if connect_args.get("user") == MIGRATOR:
            await connection.execute(f"SET ROLE {OWNER}")
        return await missing(connection, folder)
    finally:
        await connection.close()
