import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest

from stoa.db.database import Database
from stoa.db.keyring import SealingKey
from stoa.db.transactions import TenantTx
from stoa.events.actions import number_entries
from stoa.events.queries import read_events
from stoa.kernel.ids import ConnectionId, SourceId, TenantId
from stoa.kernel.problems import BadInput, Conflict, NotFound
from stoa.tenants import actions, queries
from stoa.tenants.clock import clock_offset_reader
from stoa.tenants.model import NewConnection, NewTenant
from stoa.tenants.sealing import Sealer, SecretUnreadable

MakeTenant = Callable[..., Awaitable[TenantId]]


def a_slug() -> str:
    return f"s{uuid4().hex}"


async def events_of(database: Database, tenant_id: TenantId) -> list[str]:
    async with database.tenant(tenant_id) as tx:
        await number_entries(tx)
        return [event.type for event in await read_events(tx, 0, 100)]


async def a_source(tx: TenantTx) -> SourceId:
    return (await actions.ensure_source(tx, "hris", "Workday")).source_id


async def test_a_tenant_is_made_whole(database: Database) -> None:
    new = NewTenant(
        slug=a_slug(),
        name="Acme",
        time_zone="Europe/Berlin",
        owner_name="Ada",
        owner_email="ada@acme.example",
        domains=("acme.example", "ACME.example"),
    )
    made = await actions.create_tenant(database, new)
    assert (made.slug, made.name, made.time_zone, made.sandbox) == (new.slug, "Acme", "Europe/Berlin", False)
    assert (made.owner_name, made.owner_email, made.clock_offset) == ("Ada", "ada@acme.example", timedelta(0))
    async with database.tenant(made.tenant_id) as tx:
        assert await queries.tenant(tx) == made
        assert [(source.kind, source.name) for source in await queries.sources(tx)] == [("console", "console")]
        assert await queries.proven_domains(tx) == {"acme.example"}
    async with database.platform() as tx:
        assert await queries.tenant_id_of_slug(tx, new.slug) == made.tenant_id
        assert await queries.tenant_id_of_slug(tx, "nobody") is None
        assert new.slug in [listing.slug for listing in await queries.list_tenants(tx)]
    assert await events_of(database, made.tenant_id) == ["tenant.created", "source.created", "domain.proven"]


async def test_a_taken_slug_is_a_conflict_and_leaves_nothing(database: Database) -> None:
    slug = a_slug()
    first = await actions.create_tenant(database, NewTenant(slug, "First"))
    with pytest.raises(actions.SlugTaken, match=slug) as refusal:
        await actions.create_tenant(database, NewTenant(slug, "Second"))
    assert refusal.value.status == 409
    async with database.platform() as tx:
        assert [one.tenant_id for one in await queries.list_tenants(tx) if one.slug == slug] == [first.tenant_id]


async def test_of_many_who_want_a_slug_at_once_one_gets_it(database: Database) -> None:
    slug = a_slug()
    made = await asyncio.gather(
        *(actions.create_tenant(database, NewTenant(slug, f"Number {number}")) for number in range(6)),
        return_exceptions=True,
    )
    assert sum(isinstance(one, actions.SlugTaken) for one in made) == 5


async def test_bad_input_is_refused_before_the_database_is_asked(database: Database) -> None:
    for new in (NewTenant("Bad Slug", "X"), NewTenant(a_slug(), "X", time_zone="Mars/Olympus")):
        with pytest.raises(BadInput):
            await actions.create_tenant(database, new)


async def test_a_source_is_made_once_whatever_the_case_of_its_name(database: Database, tenant_id: TenantId) -> None:
    async with database.tenant(tenant_id) as tx:
        made = await actions.ensure_source(tx, "idp", "Okta")
        assert await actions.ensure_source(tx, "idp", " OKTA ") == made
        assert await queries.source(tx, made.source_id) == made
        assert await queries.source_by_name(tx, "okta") == made
        assert await queries.source_by_name(tx, "entra") is None
        with pytest.raises(Conflict, match="idp"):
            await actions.ensure_source(tx, "hris", "okta")


async def test_a_source_wanted_twice_at_once_is_one(database: Database, tenant_id: TenantId) -> None:
    async def ensure() -> SourceId:
        async with database.tenant(tenant_id) as tx:
            return (await actions.ensure_source(tx, "idp", "Entra")).source_id

    assert len(set(await asyncio.gather(*(ensure() for _ in range(6))))) == 1
    assert (await events_of(database, tenant_id)).count("source.created") == 2


async def test_a_connection_keeps_its_secrets_sealed(database: Database, tenant_id: TenantId, sealer: Sealer) -> None:
    config = {"url": "https://workday.example/report", "columns": ["a", "b"], "limit": 5}
    async with database.tenant(tenant_id) as tx:
        new = NewConnection(await a_source(tx), "workday", "Workday nightly", config, {"password": "hunter2"})
        made = await actions.create_connection(tx, sealer, new)
        assert made.config == config
        assert (made.connector, made.state, made.has_secret) == ("workday", "active", True)
        assert await queries.connections(tx) == [made]
        assert await actions.open_secret(tx, sealer, made.connection_id) == {"password": "hunter2"}
        stored = await tx.fetchrow("SELECT * FROM connection WHERE tenant_id = $1", tenant_id)
    assert "hunter2" not in repr(made)
    assert b"hunter2" not in stored["sealed_secret"]
    async with database.tenant(tenant_id) as tx:
        await number_entries(tx)
        assert "hunter2" not in repr(await read_events(tx, 0, 100))


async def test_a_secret_copied_to_another_connection_does_not_open(
    database: Database, tenant_id: TenantId, sealer: Sealer
) -> None:
    async with database.tenant(tenant_id) as tx:
        source_id = await a_source(tx)
        one = await actions.create_connection(tx, sealer, NewConnection(source_id, "workday", "A", {}, {"p": "1"}))
        two = await actions.create_connection(tx, sealer, NewConnection(source_id, "workday", "B", {}, {"p": "2"}))
        await tx.execute(
            """UPDATE connection SET sealed_secret = (SELECT sealed_secret FROM connection WHERE connection_id = $2)
               WHERE tenant_id = $1 AND connection_id = $3""",
            *(tenant_id, one.connection_id, two.connection_id),
        )
        with pytest.raises(SecretUnreadable):
            await actions.open_secret(tx, sealer, two.connection_id)


async def test_a_rotation_reseals_what_older_keys_sealed(database: Database, tenant_id: TenantId) -> None:
    old, new = SealingKey("old", b"o" * 32), SealingKey("new", b"n" * 32)
    async with database.tenant(tenant_id) as tx:
        source_id = await a_source(tx)
        first = NewConnection(source_id, "workday", "A", {}, {"p": "1"})
        made = await actions.create_connection(tx, Sealer([old]), first)
        await actions.create_connection(tx, Sealer([new]), NewConnection(source_id, "workday", "B", {}, {"p": "2"}))
        await actions.create_connection(tx, Sealer([new]), NewConnection(source_id, "workday", "C", {}))
        assert await actions.open_secret(tx, Sealer([new, old]), made.connection_id) == {"p": "1"}
        assert await actions.reseal_connections(tx, Sealer([new, old])) == 1
        assert await actions.reseal_connections(tx, Sealer([new, old])) == 0
        assert await actions.open_secret(tx, Sealer([new]), made.connection_id) == {"p": "1"}


async def test_a_secret_can_be_replaced_or_absent(database: Database, tenant_id: TenantId, sealer: Sealer) -> None:
    async with database.tenant(tenant_id) as tx:
        new = NewConnection(await a_source(tx), "workday", "Workday", {})
        made = await actions.create_connection(tx, sealer, new)
        assert not made.has_secret
        assert await actions.open_secret(tx, sealer, made.connection_id) == {}
        assert (await actions.replace_secret(tx, sealer, made.connection_id, {"password": "x"})).has_secret
        assert await actions.open_secret(tx, sealer, made.connection_id) == {"password": "x"}


async def test_a_connection_pauses_with_its_first_reason_and_resumes(
    database: Database, tenant_id: TenantId, sealer: Sealer
) -> None:
    async with database.tenant(tenant_id) as tx:
        new = NewConnection(await a_source(tx), "workday", "Workday", {})
        connection_id = (await actions.create_connection(tx, sealer, new)).connection_id
        await actions.pause_connection(tx, connection_id, "run undone")
        paused = await actions.pause_connection(tx, connection_id, "again")
        assert (paused.state, paused.paused_reason) == ("paused", "run undone")
        resumed = await actions.resume_connection(tx, connection_id)
        assert (resumed.state, resumed.paused_reason) == ("active", None)
        await actions.resume_connection(tx, connection_id)
    told = [event for event in await events_of(database, tenant_id) if event.startswith("connection.")]
    assert told == ["connection.created", "connection.paused", "connection.resumed"]


async def test_another_tenants_source_and_connection_are_not_found(
    database: Database, make_tenant: MakeTenant, sealer: Sealer
) -> None:
    mine, theirs = await make_tenant(), await make_tenant()
    async with database.tenant(theirs) as tx:
        source_id = await a_source(tx)
        new = NewConnection(source_id, "workday", "Workday", {}, {"p": "1"})
        connection_id = (await actions.create_connection(tx, sealer, new)).connection_id
    async with database.tenant(mine) as tx:
        assert await queries.source(tx, source_id) is None
        assert await queries.connection(tx, connection_id) is None
        for attempt in (
            actions.create_connection(tx, sealer, new),
            actions.open_secret(tx, sealer, connection_id),
            actions.pause_connection(tx, connection_id, "x"),
            actions.resume_connection(tx, connection_id),
            actions.replace_secret(tx, sealer, connection_id, {"p": "2"}),
            actions.open_secret(tx, sealer, ConnectionId(uuid4())),
        ):
            with pytest.raises(NotFound):
                await attempt


async def test_the_application_cannot_read_which_slug_is_whose(database: Database, tenant_id: TenantId) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with database.tenant(tenant_id) as tx:
            await tx.fetch("SELECT * FROM tenant_slug")


async def test_the_platform_cannot_read_who_owns_a_tenant(database: Database) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with database.platform() as tx:
            await tx.fetch("SELECT owner_email FROM tenant")


async def test_a_sandbox_clock_moves_and_its_transactions_follow(database: Database, make_tenant: MakeTenant) -> None:
    sandbox, other = await make_tenant(sandbox=True), await make_tenant()
    seconds = [100.0]
    database.use_clock_offset(clock_offset_reader(database, monotonic=lambda: seconds[0]))
    async with database.tenant(sandbox) as tx:
        before = tx.now
        assert await actions.move_clock(tx, timedelta(days=2)) == timedelta(days=2)
        assert await actions.move_clock(tx, timedelta(hours=1)) == timedelta(days=2, hours=1)
    async with database.tenant(sandbox) as tx:
        assert tx.now - before < timedelta(minutes=1)
    seconds[0] += 1.0
    async with database.tenant(sandbox) as tx:
        assert timedelta(0) <= tx.now - before - timedelta(days=2, hours=1) < timedelta(minutes=1)
        with pytest.raises(BadInput):
            await actions.move_clock(tx, timedelta(seconds=-1))
    async with database.tenant(other) as tx:
        assert tx.now - before < timedelta(minutes=1)
        with pytest.raises(Conflict):
            await actions.move_clock(tx, timedelta(days=1))


async def test_a_clock_offset_is_kept_for_a_second_without_asking_again(
    database: Database, make_tenant: MakeTenant
) -> None:
    tenant_id = await make_tenant(sandbox=True)
    async with database.tenant(tenant_id) as tx:
        await actions.move_clock(tx, timedelta(days=3))
    seconds = [5.0]
    reader = clock_offset_reader(database, monotonic=lambda: seconds[0])
    assert await asyncio.gather(*(reader(tenant_id) for _ in range(20))) == [timedelta(days=3)] * 20
    await database.close()
    seconds[0] = 5.9
    assert await reader(tenant_id) == timedelta(days=3)
    seconds[0] = 6.0
    with pytest.raises(ConnectionError):
        await reader(tenant_id)
