"""The roles of the database, and the database itself: made by an administrator once, never by the application.

`stoa_owner` owns everything and cannot log in. `stoa_migrator` is its only member. The application's four logins own
nothing, and none of them
may become another: a fault in one room cannot reach what is granted to the next. None is a superuser or passes
row-level security, so that managed servers can hold them.
"""

import secrets
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias, TypedDict
from urllib.parse import parse_qs, urlsplit

import asyncpg

from stoa.db import roles_sql as sql
from stoa.db.keyring import KeyRing, KeyRingMissing
from stoa.kernel.problems import Problem

OWNER: Final = "stoa_owner"
MIGRATOR: Final = "stoa_migrator"
APP: Final = "stoa_app"
SYNC: Final = "stoa_sync"
PLATFORM: Final = "stoa_platform"
BACKUP: Final = "stoa_backup"
SERVING: Final = (APP, SYNC, PLATFORM, BACKUP)
LOGINS: Final = (MIGRATOR, *SERVING)

# What each session starts with. An operator who has set another value keeps it.
SETTINGS: Final[Mapping[str, Mapping[str, str]]] = {
    MIGRATOR: {"search_path": "public", "lock_timeout": "4s"},
    APP: {
        "search_path": "public",
        "statement_timeout": "30s",
        "idle_in_transaction_session_timeout": "60s",
        "lock_timeout": "5s",
    },
    SYNC: {
        "search_path": "public",
        "statement_timeout": "15min",
        "idle_in_transaction_session_timeout": "10min",
        "lock_timeout": "30s",
    },
    PLATFORM: {
        "search_path": "public",
        "statement_timeout": "30s",
        "idle_in_transaction_session_timeout": "60s",
        "lock_timeout": "5s",
    },
    BACKUP: {"search_path": "public", "lock_timeout": "60s", "default_transaction_read_only": "on"},
}
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

_OLDEST: Final = 15
_CONNECT_SECONDS: Final = 15.0
_LOCK: Final = 0x73746F61  # "stoa": one initialisation at a time


class RolesProblem(Problem):
    """The roles or the database cannot be made, or are not as they must be.

    `stoa db init` with an administrator's URL makes them, and mends what has changed.
    """

    code = "database_roles"
    status = 503


class DatabaseUrlProblem(Problem):
    """A database URL does not name a host and a database alone.

    Write it as postgresql://host:5432/name. Roles and passwords come from the key ring.
    """

    code = "database_url"
    status = 500


class ConnectArguments(TypedDict):
    """Keyword arguments of `asyncpg.connect` and `asyncpg.create_pool`."""

    dsn: str
    user: str
    password: str


@dataclass(frozen=True, slots=True)
class _Admin:
    """Who makes the roles: a superuser, or one who may create roles and databases."""

    name: str
    superuser: bool
    major: int


async def init_roles(admin_dsn: str, keyring_path: Path, database: str = "stoa") -> None:
    """Makes the roles, their passwords and the database, each only where it is missing. A second call changes nothing.

    Args:
        admin_dsn: URL of an existing database, with an administrator's name and password: a superuser, or a role with
            CREATEROLE and CREATEDB. Such a role lends itself `stoa_owner` while it works and gives it back.
        keyring_path: gets the passwords; made if it is missing. A role that has a password there keeps it, any other
            gets a new one.
        database: its name. If it exists it must be UTF-8, and belong to `stoa_owner` or to the administrator.

    Raises:
        RolesProblem: the server cannot be reached, is older than PostgreSQL 15, the administrator lacks a right, or one
            of the roles may do more than it should.
        KeyRingProblem: the key ring cannot be read or written.
    """
    connection = await _connected(admin_dsn)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        admin = await _admin(connection)
        ring = _load_or_create(keyring_path)
        async with connection.transaction():
            fresh = await _make_roles(connection, admin, ring)
        # After the commit: if it is lost here, the next call finds no password in the key ring and sets a new one.
        if fresh:
            ring.with_passwords(fresh).save(keyring_path)
        await _make_database(connection, admin, admin_dsn, database)
    except asyncpg.InsufficientPrivilegeError as error:
        raise RolesProblem(
            f"The administrator may not do what making Stoa's roles needs: {error}.",
            hint="It needs CREATEROLE and CREATEDB; since PostgreSQL 16 it must be the one who made the roles.",
        ) from error
    finally:
        await connection.close()


def dsn_for(url: str, role: str, keyring: KeyRing) -> ConnectArguments:
    """What `asyncpg.connect(**...)` needs to connect as `role`: the URL's host, database and options, and the role's
    password.

    Args:
        url: "postgresql://host:port/stoa?sslmode=verify-full" or "postgresql:///stoa?host=/folder/of/the/socket".
        role: one of `LOGINS`.
        keyring: holds its password.

    Raises:
        DatabaseUrlProblem: the URL is another database's, names no database, or carries a user or password.
        RolesProblem: the key ring has no password for the role.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres"):
        raise DatabaseUrlProblem(f"A database URL begins with postgresql://, not with {parts.scheme or 'nothing'}://.")
    options = parse_qs(parts.query)
    if "@" in parts.netloc or options.keys() & {"user", "password", "passfile"}:
        raise DatabaseUrlProblem(
            "The database URL has a user or a password in it.",
            hint="Name host and database alone: Stoa connects as its own roles, with the passwords of the key ring.",
        )
    if len(parts.path) < 2 and not options.keys() & {"dbname", "database"}:
        raise DatabaseUrlProblem("The database URL names no database.", hint="For example postgresql://host/stoa.")
    password = keyring.passwords.get(role)
    if password is None:
        raise RolesProblem(
            f"The key ring has no password for {role}.",
            hint="An administrator of the database makes the roles: stoa db init --admin-url URL",
        )
    return ConnectArguments(dsn=url, user=role, password=password)


async def _connected(dsn: str, database: str | None = None) -> Connection:
    try:
        connection = await asyncpg.connect(dsn, database=database, timeout=_CONNECT_SECONDS)
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        # The address stays out of the message: it holds the administrator's password.
        raise RolesProblem(
            f"The database server does not let the administrator in: {error or type(error).__name__}.",
            hint="Check host, port, name and password of the administrator's URL.",
        ) from error
    return connection


def _load_or_create(path: Path) -> KeyRing:
    try:
        return KeyRing.load(path)
    except KeyRingMissing:
        return KeyRing.create(path)


async def _admin(connection: Connection) -> _Admin:
    row = await connection.fetchrow(sql.ADMIN)
    if row is None or row["major"] < _OLDEST:
        raise RolesProblem(f"Stoa needs PostgreSQL {_OLDEST} or later; this is {row['major'] if row else 'unknown'}.")
    if not (row["rolsuper"] or (row["rolcreaterole"] and row["rolcreatedb"])):
        raise RolesProblem(
            f"The role {row['name']} may not make roles and databases.",
            hint=f'ALTER ROLE "{row["name"]}" CREATEROLE CREATEDB, or use another administrator.',
        )
    return _Admin(row["name"], row["rolsuper"], row["major"])


async def _make_roles(connection: Connection, admin: _Admin, ring: KeyRing) -> dict[str, str]:
    """Makes and mends the roles. Returns the passwords that are new."""
    present = {row["name"]: row for row in await connection.fetch(sql.ROLES, [OWNER, *LOGINS])}
    privileged = sorted(name for name, row in present.items() if row["privileged"])
    if privileged:
        raise RolesProblem(
            f"These roles have rights that none of Stoa's roles may have: {', '.join(privileged)}.",
            hint="ALTER ROLE ... NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB NOREPLICATION, then try again.",
        )
    fresh: dict[str, str] = {}
    for role in (OWNER, *LOGINS):
        login = role in LOGINS
        row = present.get(role)
        password = ring.passwords.get(role)
        if login and password is None:
            password = fresh[role] = secrets.token_urlsafe(32)
        if row is None:
            await connection.execute(sql.create_role(role, login=login, password=password if login else None))
        else:
            if row["rolcanlogin"] != login or row["rolinherit"] == login:
                await connection.execute(sql.alter_role(role, login=login))
            if role in fresh:
                await connection.execute(sql.set_password(role, fresh[role]))
        known = {setting.partition("=")[0] for setting in (row["settings"] if row is not None else ())}
        for name, value in SETTINGS.get(role, {}).items():
            if name not in known:
                await connection.execute(sql.set_setting(role, name, value))
    await _make_memberships(connection, admin)
    return fresh


async def _make_memberships(connection: Connection, admin: _Admin) -> None:
    memberships = await connection.fetch(sql.MEMBERSHIPS, [OWNER, *LOGINS], OWNER)
    ours = [row for row in memberships if row["member"] in (OWNER, *LOGINS)]
    wrong = [f"{row['member']} in {row['role']}" for row in ours if (row["member"], row["role"]) != (MIGRATOR, OWNER)]
    if wrong:
        raise RolesProblem(
            f"Stoa's roles are members of roles they must not be in: {', '.join(sorted(wrong))}.",
            hint="REVOKE these memberships, then try again.",
        )
    settled = any(row["sets"] and not row["inherits"] for row in ours)
    if not settled:
        await connection.execute(sql.grant_membership(OWNER, MIGRATOR, admin.major))


@asynccontextmanager
async def _lent_ownership(connection: Connection, admin: _Admin) -> AsyncGenerator[None]:
    """Lets an administrator who is no superuser SET ROLE stoa_owner for the length of the block."""
    if admin.superuser:
        yield
        return
    await connection.execute(sql.grant_membership(OWNER, "CURRENT_USER", admin.major))
    try:
        yield
    finally:
        await connection.execute(f"REVOKE {OWNER} FROM CURRENT_USER")


async def _make_database(connection: Connection, admin: _Admin, admin_dsn: str, database: str) -> None:
    """Makes and closes the database. That PUBLIC may not connect is done last, and tells that all of it is done."""
    row = await connection.fetchrow(sql.DATABASE, database, list(LOGINS))
    if row is not None and row["encoding"] != "UTF8":
        raise RolesProblem(f"The database {database} is encoded in {row['encoding']}; Stoa needs UTF8.")
    if row is not None and row["owner"] not in (OWNER, admin.name):
        raise RolesProblem(
            f"There is a database {database} already, and it belongs to {row['owner']}.",
            hint=f"Choose another name, or hand it over: ALTER DATABASE {sql.identifier(database)} OWNER TO {OWNER}",
        )
    finished = row is not None and row["owner"] == OWNER and not row["open"] and not row["shut_out"]
    if finished and not admin.superuser:
        return
    if finished and await _schema_is_closed(admin_dsn, database):
        return
    async with _lent_ownership(connection, admin):
        if row is None:
            await connection.execute(sql.create_database(database, OWNER))
        elif row["owner"] != OWNER:
            await connection.execute(f"ALTER DATABASE {sql.identifier(database)} OWNER TO {OWNER}")
        if row is None or row["reachable"]:
            await _close_schema(admin_dsn, database)
        async with connection.transaction():
            await connection.execute(f"SET LOCAL ROLE {OWNER}")
            await connection.execute(f"REVOKE ALL ON DATABASE {sql.identifier(database)} FROM PUBLIC")
            await connection.execute(f"GRANT CONNECT ON DATABASE {sql.identifier(database)} TO {', '.join(LOGINS)}")


async def _schema_is_closed(admin_dsn: str, database: str) -> bool:
    connection = await _connected(admin_dsn, database)
    try:
        row = await connection.fetchrow(sql.SCHEMA, list(SERVING))
    finally:
        await connection.close()
    return row is not None and row["owner"] == OWNER and not row["open"] and not row["shut_out"]


async def _close_schema(admin_dsn: str, database: str) -> None:
    """Gives schema public to stoa_owner; the serving roles may look names up in it, and nobody else."""
    connection = await _connected(admin_dsn, database)
    try:
        async with connection.transaction():
            await connection.execute(f"SET LOCAL ROLE {OWNER}")
            exists = await connection.fetchval("SELECT to_regnamespace('public') IS NOT NULL")
            make = f"ALTER SCHEMA public OWNER TO {OWNER}" if exists else f"CREATE SCHEMA public AUTHORIZATION {OWNER}"
            await connection.execute(make)
            await connection.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
            await connection.execute(f"GRANT USAGE ON SCHEMA public TO {', '.join(SERVING)}")
    finally:
        await connection.close()
