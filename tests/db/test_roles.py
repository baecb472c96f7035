"""The roles and the database, made by a superuser and by one who is none, on the oldest and newest version found."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import asyncpg
import pytest

from stoa.db import embedded, roles
from stoa.db.embedded import EmbeddedConfig
from stoa.db.keyring import KeyRing
from stoa.db.roles import LOGINS, MIGRATOR, OWNER, SERVING, RolesProblem, dsn_for, init_roles
from tests.db.embedded.conftest import BY_MAJOR, OLDEST_AND_NEWEST

ADMIN_PASSWORD = "p@ss:w/rd"


@dataclass(frozen=True, slots=True)
class Bare:
    """A server without Stoa's roles and database.

    superuser and admin are URLs; admin is the superuser's or that of `house_admin`, who may create roles and databases.
    """

    server: embedded.Server
    superuser: str
    admin: str
    path: Path

    async def init(self) -> KeyRing:
        await init_roles(self.admin, self.path)
        return KeyRing.load(self.path)

    async def connect(self, role: str) -> asyncpg.Connection:
        return await asyncpg.connect(**dsn_for(self.server.url, role, KeyRing.load(self.path)))


@pytest.fixture(scope="module", params=OLDEST_AND_NEWEST)
def cluster(request: pytest.FixtureRequest) -> Generator[embedded.Server]:
    with ThreadPoolExecutor(1) as thread:
        config = EmbeddedConfig(bin_dir=BY_MAJOR[request.param].bin_dir)
        server = thread.submit(asyncio.run, embedded.start(config)).result()
        yield server
        thread.submit(asyncio.run, embedded.stop(server)).result()


async def _strip(connection: asyncpg.Connection) -> None:
    await connection.execute("DROP DATABASE IF EXISTS stoa WITH (FORCE)")
    for role in (*LOGINS, OWNER, "house_admin", "outsider"):
        await connection.execute(f"DROP ROLE IF EXISTS {role}")


@pytest.fixture(params=["superuser", "creator"])
async def bare(request: pytest.FixtureRequest, cluster: embedded.Server, tmp_path: Path) -> AsyncGenerator[Bare]:
    superuser = await asyncpg.connect(cluster.admin_dsn)
    await _strip(superuser)
    admin = cluster.admin_dsn
    if request.param == "creator":
        await superuser.execute(f"CREATE ROLE house_admin LOGIN CREATEROLE CREATEDB PASSWORD '{ADMIN_PASSWORD}'")
        socket = quote(str(cluster.socket_dir))
        admin = f"postgresql://house_admin:{quote(ADMIN_PASSWORD, safe='')}@/postgres?host={socket}"
    yield Bare(cluster, cluster.admin_dsn, admin, tmp_path / "keyring.json")
    await _strip(superuser)
    await superuser.close()


@pytest.fixture
async def root(bare: Bare) -> AsyncGenerator[asyncpg.Connection]:
    """The superuser, whoever the administrator is."""
    connection = await asyncpg.connect(bare.superuser)
    yield connection
    await connection.close()


async def test_the_roles_have_no_right_beyond_their_login(bare: Bare, root: asyncpg.Connection) -> None:
    await bare.init()
    rows = await root.fetch(
        "SELECT * FROM pg_roles WHERE rolname LIKE 'stoa\\_%' AND rolname <> $1", embedded.SUPERUSER
    )
    assert {row["rolname"] for row in rows} == {OWNER, *LOGINS}
    for row in rows:
        rights = ("rolsuper", "rolbypassrls", "rolcreaterole", "rolcreatedb", "rolreplication")
        assert not any(row[right] for right in rights), row
        login = row["rolname"] in LOGINS
        assert (row["rolcanlogin"], row["rolinherit"]) == (login, not login)


async def test_only_the_migrator_may_become_the_owner(bare: Bare, root: asyncpg.Connection) -> None:
    await bare.init()
    for member in (*LOGINS, "house_admin"):
        if await root.fetchval("SELECT to_regrole($1) IS NULL", member):
            continue
        for role in (OWNER, *LOGINS):
            kind = "SET" if bare.server.major >= 16 else "MEMBER"
            allowed = await root.fetchval("SELECT pg_has_role($1, $2, $3)", member, role, kind)
            assert allowed == (member == role or (member, role) == (MIGRATOR, OWNER)), (member, role)
            inherits = await root.fetchval("SELECT pg_has_role($1, $2, 'USAGE')", member, role)
            assert inherits == (member == role), (member, role)


async def test_no_login_may_set_the_role_of_another(bare: Bare) -> None:
    await bare.init()
    for login in LOGINS:
        connection = await bare.connect(login)
        assert await connection.fetchval("SELECT current_user") == login
        for other in (OWNER, *LOGINS):
            if other == login or (login, other) == (MIGRATOR, OWNER):
                continue
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"SET ROLE {other}")
        await connection.close()


async def test_the_migrator_makes_things_as_the_owner_alone(bare: Bare) -> None:
    await bare.init()
    connection = await bare.connect(MIGRATOR)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("CREATE TABLE public.thing ()")
    await connection.execute(f"SET ROLE {OWNER}")
    await connection.execute("CREATE TABLE public.thing (); CREATE SCHEMA stage; CREATE TABLE stage.thing ()")
    await connection.close()


async def test_the_serving_roles_make_nothing(bare: Bare) -> None:
    await bare.init()
    for login in SERVING:
        connection = await bare.connect(login)
        for statement in ("CREATE TABLE public.t ()", "CREATE TEMP TABLE t ()", "CREATE SCHEMA s", "CREATE ROLE r"):
            # The backup role is refused sooner: its transactions only read.
            with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.ReadOnlySQLTransactionError)):
                await connection.execute(statement)
        assert await connection.fetchval("SELECT has_schema_privilege('public', 'USAGE')")
        await connection.close()


async def test_other_roles_cannot_connect(bare: Bare, root: asyncpg.Connection) -> None:
    await bare.init()
    await root.execute("CREATE ROLE outsider LOGIN PASSWORD 'x'")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied for database"):
        await asyncpg.connect(bare.server.url, user="outsider", password="x")


async def test_the_database_compares_by_code_point_in_utf8(bare: Bare, root: asyncpg.Connection) -> None:
    await bare.init()
    row = await root.fetchrow(
        "SELECT pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datctype, datlocprovider::text"
        " FROM pg_database WHERE datname = 'stoa'"
    )
    assert row is not None
    assert tuple(row) == (OWNER, "UTF8", "C", "C", "c")


async def _snapshot(root: asyncpg.Connection, bare: Bare) -> list[str]:
    """Every row that init may write, with the transaction that wrote it, and the key ring's file."""
    inside = await asyncpg.connect(bare.superuser, database="stoa")
    queries = {
        "SELECT xmin::text, a::text FROM pg_authid a ORDER BY 2": root,
        "SELECT xmin::text, m::text FROM pg_auth_members m ORDER BY 2": root,
        "SELECT xmin::text, s::text FROM pg_db_role_setting s ORDER BY 2": root,
        "SELECT xmin::text, datname, datacl::text FROM pg_database ORDER BY 2": root,
        "SELECT xmin::text, nspname, nspacl::text FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY 2": inside,
    }
    rows = [str(row) for query, connection in queries.items() for row in await connection.fetch(query)]
    await inside.close()
    status = bare.path.stat()
    return [*rows, bare.path.read_text(), str(status.st_ino), str(status.st_mtime_ns)]


async def test_a_second_call_changes_nothing(bare: Bare, root: asyncpg.Connection) -> None:
    await bare.init()
    before = await _snapshot(root, bare)
    await bare.init()
    assert await _snapshot(root, bare) == before


async def test_two_calls_at_once_agree(bare: Bare) -> None:
    await asyncio.gather(bare.init(), bare.init())
    for login in LOGINS:
        await (await bare.connect(login)).close()


async def test_a_password_that_the_key_ring_lost_is_made_anew_and_the_others_stay(bare: Bare) -> None:
    ring = await bare.init()
    kept = {role: password for role, password in ring.passwords.items() if role != "stoa_sync"}
    KeyRing(kept, ring.sealing_keys, ring.hash_key).save(bare.path)
    again = await bare.init()
    assert again.passwords["stoa_sync"] != ring.passwords["stoa_sync"]
    assert {role: again.passwords[role] for role in kept} == kept
    for login in LOGINS:
        await (await bare.connect(login)).close()


async def test_a_lost_database_is_made_again_with_the_passwords_of_the_key_ring(
    bare: Bare, root: asyncpg.Connection
) -> None:
    ring = await bare.init()
    await root.execute("DROP DATABASE stoa")
    for role in LOGINS:
        await root.execute(f"DROP ROLE {role}")
    assert (await bare.init()).passwords == ring.passwords
    for login in LOGINS:
        await (await bare.connect(login)).close()


async def test_passwords_are_stored_as_scram_verifiers(bare: Bare, root: asyncpg.Connection) -> None:
    ring = await bare.init()
    rows = await root.fetch("SELECT rolname, rolpassword FROM pg_authid WHERE rolname = any($1::text[])", [*LOGINS])
    assert len(rows) == len(LOGINS)
    for row in rows:
        assert row["rolpassword"].startswith("SCRAM-SHA-256$4096:")
        assert ring.passwords[row["rolname"]] not in row["rolpassword"]
    log = bare.server.log_path.read_text()
    assert not any(password in log for password in ring.passwords.values())


async def test_sessions_start_with_the_roles_settings_and_an_operators_value_stays(
    bare: Bare, root: asyncpg.Connection
) -> None:
    await bare.init()
    await root.execute("ALTER ROLE stoa_platform SET statement_timeout = '7s'")
    await bare.init()
    expected = {
        "stoa_app": ("30s", "1min", "5s", "public"),
        "stoa_sync": ("15min", "10min", "30s", "public"),
        "stoa_platform": ("7s", "1min", "5s", "public"),
        "stoa_backup": ("0", "0", "1min", "public"),
        MIGRATOR: ("0", "0", "4s", "public"),
    }
    names = ("statement_timeout", "idle_in_transaction_session_timeout", "lock_timeout", "search_path")
    for login, values in expected.items():
        connection = await bare.connect(login)
        assert tuple([await connection.fetchval(f"SHOW {name}") for name in names]) == values, login
        await connection.close()


@pytest.mark.parametrize("right", ["BYPASSRLS", "SUPERUSER", "CREATEROLE"])
async def test_a_role_that_may_do_more_is_refused(bare: Bare, root: asyncpg.Connection, right: str) -> None:
    await root.execute(f"CREATE ROLE stoa_app LOGIN {right}")
    with pytest.raises(RolesProblem, match="rights that none of Stoa's roles may have: stoa_app"):
        await bare.init()
    assert await root.fetchval("SELECT to_regrole('stoa_owner')") is None


async def test_a_login_that_is_a_member_of_another_is_refused(bare: Bare, root: asyncpg.Connection) -> None:
    await bare.init()
    await root.execute("GRANT stoa_sync TO stoa_app")
    with pytest.raises(RolesProblem, match="stoa_app in stoa_sync"):
        await bare.init()


async def test_an_administrator_without_the_rights_is_told_which(bare: Bare, root: asyncpg.Connection) -> None:
    await root.execute("CREATE ROLE outsider LOGIN PASSWORD 'x'")
    dsn = f"postgresql://outsider:x@/postgres?host={bare.server.socket_dir}"
    with pytest.raises(RolesProblem, match="CREATEROLE CREATEDB"):
        await init_roles(dsn, bare.path)
    assert not bare.path.exists()


async def test_a_wrong_password_is_not_shown(bare: Bare) -> None:
    dsn = f"postgresql://{embedded.SUPERUSER}:hunter2@/postgres?host={bare.server.socket_dir}"
    with pytest.raises(RolesProblem, match="does not let the administrator in") as caught:
        await init_roles(dsn, bare.path)
    assert "hunter2" not in str(caught.value)


async def test_nobody_at_the_address_is_explained(tmp_path: Path) -> None:
    with pytest.raises(RolesProblem, match="Check host, port"):
        await init_roles(f"postgresql://a:b@/postgres?host={tmp_path}", tmp_path / "keyring.json")


async def test_a_database_that_the_administrator_made_is_taken_over(bare: Bare) -> None:
    connection = await asyncpg.connect(bare.admin)
    await connection.execute("CREATE DATABASE stoa TEMPLATE template0 ENCODING 'UTF8'")
    await connection.close()
    await bare.init()
    for login in LOGINS:
        await (await bare.connect(login)).close()


async def test_somebody_elses_database_is_left_alone(bare: Bare, root: asyncpg.Connection) -> None:
    await root.execute("CREATE ROLE outsider")
    await root.execute("CREATE DATABASE stoa OWNER outsider TEMPLATE template0")
    with pytest.raises(RolesProblem, match="belongs to outsider"):
        await bare.init()


async def test_a_database_in_another_encoding_is_refused(bare: Bare) -> None:
    connection = await asyncpg.connect(bare.admin)
    await connection.execute("CREATE DATABASE stoa TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    await connection.close()
    with pytest.raises(RolesProblem, match="LATIN1"):
        await bare.init()


async def test_a_database_may_have_any_name(bare: Bare, root: asyncpg.Connection) -> None:
    name = 'odd "name" é'
    await init_roles(bare.admin, bare.path, name)
    url = f"postgresql:///{quote(name, safe='')}?host={bare.server.socket_dir}"
    connection = await asyncpg.connect(**dsn_for(url, "stoa_app", KeyRing.load(bare.path)))
    assert await connection.fetchval("SELECT current_database()") == name
    await connection.close()
    await root.execute('DROP DATABASE "odd ""name"" é" WITH (FORCE)')


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    return KeyRing.create(tmp_path / "keyring.json").with_passwords({"stoa_app": "secret"})


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///stoa?host=/run/stoa",
        "postgres://db.example:6432/stoa?sslmode=verify-full&sslrootcert=/etc/ca.pem",
        "postgresql://[::1]:5432/stoa",
        "postgresql://one.example,two.example/stoa?target_session_attrs=read-write",
        "postgresql://db.example/?dbname=stoa",
    ],
)
def test_a_role_is_added_to_the_url_and_the_options_stay(url: str, ring: KeyRing) -> None:
    assert dsn_for(url, roles.APP, ring) == {"dsn": url, "user": "stoa_app", "password": "secret"}


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("postgresql://me@db.example/stoa", "user or a password"),
        ("postgresql://me:hunter2@db.example/stoa", "user or a password"),
        ("postgresql://db.example/stoa?password=hunter2", "user or a password"),
        ("postgresql://db.example/stoa?user=me", "user or a password"),
        ("postgresql://db.example", "names no database"),
        ("postgresql://db.example/", "names no database"),
        ("mysql://db.example/stoa", "mysql"),
        ("stoa", "nothing"),
    ],
)
def test_a_url_that_says_too_much_or_too_little_is_refused(url: str, complaint: str, ring: KeyRing) -> None:
    with pytest.raises(roles.DatabaseUrlProblem, match=complaint) as caught:
        dsn_for(url, roles.APP, ring)
    assert "hunter2" not in str(caught.value)


def test_a_role_without_a_password_says_what_to_run(ring: KeyRing) -> None:
    with pytest.raises(RolesProblem, match="stoa db init"):
        dsn_for("postgresql:///stoa", roles.SYNC, ring)
