"""What each role sees and changes, tried on every table with rows of two tenants (docs/architecture.md, section 2)."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
import pytest

from stoa.db import embedded
from stoa.db.keyring import KeyRing
from stoa.db.migrations import migrate
from stoa.db.roles import LOGINS, OWNER, dsn_for
from tests.db.conftest import drop_database, make_database, on_another_loop
from tests.db.expected import REFERENCE, SEQUENCES, STAGING, TENANTED
from tests.db.rows import Shape, shape

OURS, THEIRS = UUID("00000000-0000-7000-8000-00000000000a"), UUID("00000000-0000-7000-8000-00000000000b")
Connect = Callable[[str], Awaitable[asyncpg.Connection]]
Shapes = dict[str, Shape]
REFUSED = asyncpg.InsufficientPrivilegeError


@pytest.fixture(scope="module")
def filled(server: embedded.Server) -> Generator[tuple[str, Shapes]]:
    """A database with a row of each of two tenants in every tenant table: its url, and how rows are made."""

    async def fill() -> tuple[str, Shapes]:
        url = await make_database(server, "filled")
        await migrate(dsn_for(url, "stoa_migrator", KeyRing.load(server.keyring_path)))
        root = await asyncpg.connect(server.admin_dsn, database="filled")
        shapes = {table: await shape(root, table) for table in TENANTED}
        # References are not looked at, so that a row needs no other. A superuser passes the policies.
        await root.execute("SET session_replication_role = replica")
        for made in shapes.values():
            for tenant_id in (OURS, THEIRS):
                await root.execute(made.insert(tenant_id))
        for table in STAGING:
            await root.execute((await shape(root, f"stage.{table}")).insert(THEIRS))
        await root.close()
        return url, shapes

    yield on_another_loop(fill())
    on_another_loop(drop_database(server, "filled"))


@pytest.fixture
def shapes(filled: tuple[str, Shapes]) -> Shapes:
    return filled[1]


@pytest.fixture
async def connect(filled: tuple[str, Shapes], keyring: KeyRing) -> AsyncGenerator[Connect]:
    """Connects as a role to the filled database."""
    opened: list[asyncpg.Connection] = []

    async def one(role: str) -> asyncpg.Connection:
        opened.append(await asyncpg.connect(**dsn_for(filled[0], role, keyring)))
        return opened[-1]

    yield one
    for connection in opened:
        await connection.close()


@pytest.fixture
async def root(filled: tuple[str, Shapes], server: embedded.Server) -> AsyncGenerator[asyncpg.Connection]:
    connection = await asyncpg.connect(server.admin_dsn, database="filled")
    yield connection
    await connection.close()


@asynccontextmanager
async def undone(connection: asyncpg.Connection, tenant_id: UUID | None) -> AsyncGenerator[None]:
    """A transaction of this tenant that is rolled back."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        if tenant_id is not None:
            await connection.execute(f"SET LOCAL stoa.tenant = '{tenant_id}'")
        yield
    finally:
        await transaction.rollback()


async def outcome(connection: asyncpg.Connection, statement: str, tenant_id: UUID | None) -> str:
    """What becomes of a statement, which is undone: rows it touched, or why it was refused."""
    async with undone(connection, tenant_id):
        try:
            return await connection.execute(statement)
        except asyncpg.InsufficientPrivilegeError as error:
            return "policy" if "row-level security" in str(error) else "privilege"


async def contents(root: asyncpg.Connection) -> dict[str, str]:
    """A digest of each tenant table."""
    return {
        table: await root.fetchval(f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} t")
        for table in TENANTED
    }


def updatable(made: Shape) -> str | None:
    """A column that the application may update."""
    expected = TENANTED[made.table]
    if "U" in expected.verbs:
        return next(name for name in made.columns if name != "tenant_id") if len(made.columns) > 1 else "tenant_id"
    return expected.updates[0] if expected.updates else None


@pytest.mark.parametrize("role", ["stoa_app", "stoa_sync"])
async def test_a_tenant_sees_its_own_rows_alone(connect: Connect, shapes: Shapes, role: str) -> None:
    connection = await connect(role)
    for table in shapes:
        async with undone(connection, OURS):
            seen = [row["tenant_id"] for row in await connection.fetch(f"SELECT tenant_id FROM {table}")]
            assert seen == [OURS], table
            asked = await connection.fetchval(f"SELECT count(*) FROM {table} WHERE tenant_id = $1", THEIRS)
            assert asked == 0, table


@pytest.mark.parametrize("role", ["stoa_app", "stoa_sync"])
async def test_a_tenant_changes_nothing_of_another(
    connect: Connect, shapes: Shapes, root: asyncpg.Connection, role: str
) -> None:
    connection = await connect(role)
    before = await contents(root)
    for table, made in shapes.items():
        verbs = TENANTED[table].verbs
        assert await outcome(connection, made.insert(THEIRS), OURS) == "policy", table
        deleted = await outcome(connection, f"DELETE FROM {table} WHERE tenant_id = '{THEIRS}'", OURS)
        assert deleted == ("DELETE 0" if "D" in verbs else "privilege"), table
        column = updatable(made)
        changed = await outcome(
            connection,
            f"UPDATE {table} SET {column or 'tenant_id'} = {column or 'tenant_id'} WHERE tenant_id = '{THEIRS}'",
            OURS,
        )
        assert changed == ("UPDATE 0" if column else "privilege"), table
        moved = await outcome(connection, f"UPDATE {table} SET tenant_id = '{THEIRS}'", OURS)
        assert moved == ("policy" if "U" in verbs else "privilege"), table
        assert await outcome(connection, f"TRUNCATE {table}", OURS) == "privilege", table
    assert await contents(root) == before


@pytest.mark.parametrize("role", ["stoa_app", "stoa_sync"])
async def test_a_tenant_may_do_with_its_own_rows_what_it_was_granted(
    connect: Connect, shapes: Shapes, role: str
) -> None:
    """Else the refusals above would prove nothing."""
    connection = await connect(role)
    for table, made in shapes.items():
        column = updatable(made)
        if column is not None:
            assert await outcome(connection, f"UPDATE {table} SET {column} = {column}", OURS) == "UPDATE 1", table


@pytest.mark.parametrize("role", ["stoa_app", "stoa_sync"])
async def test_without_a_tenant_nothing_is_seen_or_written(connect: Connect, shapes: Shapes, role: str) -> None:
    connection = await connect(role)
    # Never set, and as it stands after a transaction that had set it.
    for _ in range(2):
        for table, made in shapes.items():
            assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0, table
            assert await outcome(connection, made.insert(OURS), None) == "policy", table
        async with undone(connection, OURS):
            assert await connection.fetchval("SELECT count(*) FROM tenant") == 1


@pytest.mark.parametrize("role", ["stoa_app", "stoa_sync"])
async def test_the_policies_cannot_be_switched_off(connect: Connect, shapes: Shapes, role: str) -> None:
    connection = await connect(role)
    for table in shapes:
        async with undone(connection, OURS):
            await connection.execute("SET LOCAL row_security = off")
            with pytest.raises(REFUSED, match="row-level security"):
                await connection.fetch(f"SELECT tenant_id FROM {table}")
        for change in ("DISABLE ROW LEVEL SECURITY", "NO FORCE ROW LEVEL SECURITY"):
            assert await outcome(connection, f"ALTER TABLE {table} {change}", OURS) == "privilege"


async def test_a_reference_to_another_tenants_row_is_refused_as_one_to_nothing(
    connect: Connect, root: asyncpg.Connection, shapes: Shapes
) -> None:
    connection = await connect("stoa_app")
    theirs = await root.fetchval("SELECT source_id FROM source WHERE tenant_id = $1", THEIRS)
    given = shapes["connection"].given | {"source_id": f"'{theirs}'"}
    statement = Shape("connection", (), given).insert(OURS)
    async with undone(connection, OURS):
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await connection.execute(statement)


@pytest.mark.parametrize("role", ["stoa_app", "stoa_sync", "stoa_platform"])
async def test_tables_of_no_tenant_open_to_what_is_granted_alone(connect: Connect, role: str) -> None:
    connection = await connect(role)
    for table, by_role in REFERENCE.items():
        verbs = by_role.get(role, "")
        statements = {
            "S": f"SELECT * FROM {table}",
            "U": f"UPDATE {table} SET {'slug = slug' if table == 'tenant_slug' else 'name = name'}",
            "D": f"DELETE FROM {table}",
        }
        for verb, statement in statements.items():
            assert (await outcome(connection, statement, None) != "privilege") == (verb in verbs), (table, verb)
    added = await outcome(connection, f"INSERT INTO tenant_slug VALUES ('fresh', '{OURS}')", OURS)
    assert added == ("INSERT 0 1" if role == "stoa_app" else "privilege")


async def test_the_platform_reads_the_columns_it_was_granted_of_all_tenants(connect: Connect, shapes: Shapes) -> None:
    connection = await connect("stoa_platform")
    for table, made in shapes.items():
        for column in made.columns:
            statement = f"SELECT {column} FROM {table}"
            if column in TENANTED[table].seen:
                assert len(await connection.fetch(statement)) == 2, (table, column)
            else:
                with pytest.raises(REFUSED):
                    await connection.fetch(statement)
        # A whole row would be a way around the columns.
        if set(made.columns) - set(TENANTED[table].seen):
            assert await outcome(connection, f"SELECT t FROM {table} t", None) == "privilege", table


@pytest.mark.parametrize("column", ["owner_name", "owner_email"])
async def test_the_platform_reads_nothing_personal_of_a_tenant(connect: Connect, column: str) -> None:
    connection = await connect("stoa_platform")
    assert await outcome(connection, f"SELECT 1 FROM tenant WHERE {column} IS NOT NULL", None) == "privilege"


async def test_the_platform_writes_the_columns_of_a_claim_alone(connect: Connect, shapes: Shapes) -> None:
    connection = await connect("stoa_platform")
    for table, made in shapes.items():
        assert await outcome(connection, made.insert(OURS), OURS) == "privilege", table
        assert await outcome(connection, f"DELETE FROM {table}", OURS) == "privilege", table
        for column in made.columns:
            found = await outcome(connection, f"UPDATE {table} SET {column} = DEFAULT", OURS)
            allowed = column in TENANTED[table].claimed
            assert found == ("UPDATE 2" if allowed else "privilege"), (table, column)


@pytest.mark.parametrize("role", ["stoa_app", "stoa_sync", "stoa_platform", "stoa_backup"])
async def test_no_serving_role_becomes_another(connect: Connect, role: str) -> None:
    connection = await connect(role)
    for other in {OWNER, *LOGINS, embedded.SUPERUSER} - {role}:
        assert await outcome(connection, f"SET ROLE {other}", None) == "privilege"
        assert await outcome(connection, f"SET SESSION AUTHORIZATION {other}", None) == "privilege"


@pytest.mark.parametrize("role", ["stoa_app", "stoa_platform", "stoa_backup"])
async def test_staging_is_for_the_sync_alone(connect: Connect, role: str) -> None:
    connection, sync = await connect(role), await connect("stoa_sync")
    for table in STAGING:
        assert await outcome(connection, f"SELECT * FROM stage.{table}", THEIRS) == "privilege"
        assert await outcome(sync, f"SELECT * FROM stage.{table}", OURS) == "SELECT 1"


async def test_the_backup_reads_everything_but_staging_and_writes_nothing(connect: Connect, shapes: Shapes) -> None:
    connection = await connect("stoa_backup")
    for table in shapes:
        rows = await connection.fetch(f"SELECT * FROM {table}")
        assert {row["tenant_id"] for row in rows} == {OURS, THEIRS}, table
    for table in REFERENCE:
        await connection.fetch(f"SELECT * FROM {table}")
    for sequence in SEQUENCES:
        assert await connection.fetchval(f"SELECT last_value FROM {sequence}") >= 1
    # Its sessions start read-only; that is a convenience, and the grants are the wall.
    await connection.execute("SET default_transaction_read_only = off")
    for table, made in shapes.items():
        for statement in (
            made.insert(OURS),
            f"UPDATE {table} SET tenant_id = tenant_id",
            f"DELETE FROM {table}",
            f"TRUNCATE {table}",
        ):
            assert await outcome(connection, statement, OURS) == "privilege", statement
    for sequence in SEQUENCES:
        assert await outcome(connection, f"SELECT nextval('{sequence}')", None) == "privilege"


async def test_the_owner_sees_all_rows_so_that_a_migration_can_change_them(connect: Connect, shapes: Shapes) -> None:
    connection = await connect("stoa_migrator")
    assert await outcome(connection, "SELECT * FROM public.person", None) == "privilege"
    await connection.execute(f"SET ROLE {OWNER}")
    for table in shapes:
        assert await outcome(connection, f"UPDATE {table} SET tenant_id = tenant_id", None) == "UPDATE 2", table
