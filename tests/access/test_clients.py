"""API clients: made, changed, disabled and deleted, each with effect at once."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

import asyncpg
import pytest

from stoa.access import client_credentials, clients, clients_queries, queries
from stoa.access.clients_model import ClientNameTaken, NoClient, TooManySecrets
from stoa.access.clients_rules import Terms
from stoa.access.rules import token_hash
from stoa.db.database import Database
from stoa.db.transactions import TenantTx
from stoa.events.actions import number_entries
from stoa.events.model import StoredEvent
from stoa.events.queries import read_events
from stoa.kernel.ids import ClientId, CredentialId, TenantId
from stoa.kernel.problems import BadInput, Conflict, NotFound
from stoa.tenants.actions import ensure_source
from stoa.tenants.queries import source as source_of
from stoa.tenants.rules import BadFields
from tests.access.conftest import MovingClock

MakeTenant = Callable[..., Awaitable[TenantId]]
READS = Terms("Learning portal", ["people:read"])


async def events_of(tx: TenantTx) -> list[StoredEvent]:
    await number_entries(tx)
    return [event for event in await read_events(tx, 0, 100) if event.type.startswith(("client.", "credential."))]


async def a_client(database: Database, tenant_id: TenantId, terms: Terms = READS) -> ClientId:
    async with database.tenant(tenant_id) as tx:
        return (await clients.create_client(tx, terms)).client_id


async def a_key(database: Database, tenant_id: TenantId, client_id: ClientId) -> str:
    async with database.tenant(tenant_id) as tx:
        return (await client_credentials.issue(tx, client_id, "api_key")).token


async def opens(database: Database, tenant_id: TenantId, token: str) -> bool:
    async with database.tenant(tenant_id) as tx:
        return await queries.credential_by_token(tx, token) is not None


async def test_a_client_is_made_as_it_was_asked_for(database: Database, tenant_id: TenantId) -> None:
    terms = Terms(" Portal ", ["people:read", "events:read", "people:read"], ["203.0.113.7"], "2026-11-23", 600)
    async with database.tenant(tenant_id) as tx:
        made = await clients.create_client(tx, terms)
        assert (made.name, made.scopes) == ("Portal", {"people:read", "events:read"})
        assert (made.allowed_addresses, made.version, made.per_minute) == (("203.0.113.7/32",), "2026-11-23", 600)
        assert (made.source_id, made.keys, made.used_at, made.disabled_at) == (None, (), None, None)
        assert made.created_at == made.updated_at == tx.now
        (line,), further = await clients_queries.clients(tx)
        assert (line.client, line.api_keys, line.secrets, further) == (made, 0, 0, None)
    async with database.tenant(tenant_id) as tx:
        (event,) = await events_of(tx)
    assert (event.type, event.subject) == ("client.created", f"client:{made.client_id}")
    assert event.body["after"]["allowed_addresses"] == ["203.0.113.7/32"]
    async with database.platform() as tx:
        assert await clients_queries.tenant_of_client(tx, made.client_id) == tenant_id


async def test_all_that_is_wrong_is_said_at_once(database: Database, tenant_id: TenantId) -> None:
    async with database.tenant(tenant_id) as tx:
        with pytest.raises(BadFields) as caught:
            await clients.create_client(tx, Terms(" ", ["scim"], ["10.0.0.1/8"], "today", 0))
    assert set(caught.value.by_field) == {"name", "scopes", "allowed_addresses", "version", "per_minute"}


async def test_a_client_that_writes_people_speaks_for_a_source_of_its_own(
    database: Database, tenant_id: TenantId
) -> None:
    async with database.tenant(tenant_id) as tx:
        reading = await clients.create_client(tx, READS)
        writing = await clients.create_client(tx, Terms("Importer", ["api:write"]))
        assert reading.source_id is None
        assert writing.source_id is not None
        found = await source_of(tx, writing.source_id)
        assert found is not None
        assert (found.kind, found.name) == ("api", "Importer")
        later = await clients.change_client(tx, reading.client_id, Terms("Portal", ["people:write"]))
        assert later.source_id not in {None, writing.source_id}
        # A new name and fewer scopes leave the source as it is: it has spoken in that name.
        renamed = await clients.change_client(tx, reading.client_id, Terms("Reader", ["people:read"]))
        assert renamed.source_id == later.source_id


async def test_names_are_given_once(database: Database, make_tenant: MakeTenant) -> None:
    mine, other = await make_tenant(), await make_tenant()
    first = await a_client(database, mine, Terms("Portal", ["people:write"]))
    assert await a_client(database, other, Terms("Portal", ["people:write"])) != first
    for name in ("Portal", "PORTAL"):
        with pytest.raises(ClientNameTaken):
            await a_client(database, mine, Terms(name, ["people:read"]))
    second = await a_client(database, mine, Terms("Second", ["people:read"]))
    with pytest.raises(ClientNameTaken):
        async with database.tenant(mine) as tx:
            await clients.change_client(tx, second, Terms("portal", ["people:read"]))
    async with database.tenant(mine) as tx:
        await clients.change_client(tx, first, Terms("First", ["people:write"]))
    # The name is free, but the source of that name is still the first client's.
    with pytest.raises(ClientNameTaken):
        await a_client(database, mine, Terms("Portal", ["people:write"]))
    assert await a_client(database, mine, Terms("Portal", ["people:read"]))


async def test_a_client_never_speaks_for_an_identity_provider(database: Database, tenant_id: TenantId) -> None:
    async with database.tenant(tenant_id) as tx:
        await ensure_source(tx, "idp", "Okta")
    with pytest.raises(Conflict):
        await a_client(database, tenant_id, Terms("Okta", ["people:write"]))


async def test_a_change_is_told_with_before_and_after(database: Database, tenant_id: TenantId) -> None:
    client_id = await a_client(database, tenant_id)
    async with database.tenant(tenant_id) as tx:
        await clients.change_client(tx, client_id, READS)
        changed = await clients.change_client(tx, client_id, Terms("Learning portal", ["api:read"]))
        assert changed.scopes == {"api:read"}
    async with database.tenant(tenant_id) as tx:
        _, last = await events_of(tx)
    assert last.type == "client.changed"
    assert last.body == {"before": {"scopes": ["people:read"]}, "after": {"scopes": ["api:read"]}}


async def test_a_key_may_what_its_client_may_now(database: Database, tenant_id: TenantId) -> None:
    client_id = await a_client(database, tenant_id)
    key = await a_key(database, tenant_id, client_id)
    async with database.tenant(tenant_id) as tx:
        terms = Terms("Portal", ["events:read", "people:write"], ["203.0.113.0/24"], "2026-11-23")
        changed = await clients.change_client(tx, client_id, terms)
        found = await queries.credential_by_token(tx, key)
    assert found is not None
    assert (found.kind, found.client_id, found.source_id) == ("api_key", client_id, changed.source_id)
    assert (found.scopes, found.version) == ({"events:read", "people:write"}, "2026-11-23")
    assert found.allowed_addresses == ("203.0.113.0/24",)
    assert key.startswith("stoa_api_")
    assert key.startswith(found.prefix)


async def test_a_secret_is_nobodys_bearer_token(database: Database, tenant_id: TenantId) -> None:
    client_id = await a_client(database, tenant_id)
    async with database.tenant(tenant_id) as tx:
        secret = (await client_credentials.issue(tx, client_id, "client_secret")).token
    assert secret.startswith("stoa_secret_")
    assert not await opens(database, tenant_id, secret)


async def test_a_disabled_client_is_shut_out_at_once_and_let_in_again(database: Database, tenant_id: TenantId) -> None:
    client_id = await a_client(database, tenant_id)
    key = await a_key(database, tenant_id, client_id)
    for _ in range(2):
        async with database.tenant(tenant_id) as tx:
            assert (await clients.disable_client(tx, client_id)).disabled_at is not None
        assert not await opens(database, tenant_id, key)
    for _ in range(2):
        async with database.tenant(tenant_id) as tx:
            assert (await clients.enable_client(tx, client_id)).disabled_at is None
        assert await opens(database, tenant_id, key)
    async with database.tenant(tenant_id) as tx:
        told = [event.type for event in await events_of(tx)]
    assert told == ["client.created", "credential.issued", "client.disabled", "client.enabled"]


async def test_a_deleted_client_is_gone_with_all_that_it_showed(database: Database, tenant_id: TenantId) -> None:
    client_id = await a_client(database, tenant_id)
    key = await a_key(database, tenant_id, client_id)
    async with database.tenant(tenant_id) as tx:
        await clients.delete_client(tx, client_id)
    assert not await opens(database, tenant_id, key)
    async with database.tenant(tenant_id) as tx:
        assert await clients_queries.clients(tx) == ([], None)
        assert all(one.revoked_at for one in await clients_queries.credentials_of(tx, client_id))
        for act in (clients.delete_client, clients.disable_client, clients.enable_client):
            with pytest.raises(NoClient):
                await act(tx, client_id)
        with pytest.raises(NoClient):
            await client_credentials.issue(tx, client_id, "api_key")
    # Its name can be used again.
    assert await a_client(database, tenant_id) != client_id


async def test_two_keys_and_two_secrets_open_at_a_time(database: Database, tenant_id: TenantId) -> None:
    client_id = await a_client(database, tenant_id)
    async with database.tenant(tenant_id) as tx:
        for kind in ("api_key", "client_secret"):
            first = await client_credentials.issue(tx, client_id, kind, "First")
            await client_credentials.issue(tx, client_id, kind, days=30)
            with pytest.raises(TooManySecrets):
                await client_credentials.issue(tx, client_id, kind)
            await client_credentials.revoke_of(tx, client_id, first.credential_id)
            await client_credentials.issue(tx, client_id, kind)
        line = await clients_queries.client_line(tx, client_id)
        assert (line.api_keys, line.secrets) == (2, 2)
        assert line.expires_at is not None
        assert {one.name for one in await clients_queries.credentials_of(tx, client_id)} >= {
            "First",
            "Learning portal key",
            "Learning portal secret",
        }
        # The tokens of the tenant are others.
        assert await queries.credentials(tx) == []


async def test_an_expired_key_opens_nothing_and_makes_room(
    database: Database, tenant_id: TenantId, clock: MovingClock
) -> None:
    client_id = await a_client(database, tenant_id)
    async with database.tenant(tenant_id) as tx:
        keys = [(await client_credentials.issue(tx, client_id, "api_key", days=1)).token for _ in range(2)]
    assert await opens(database, tenant_id, keys[0])
    clock.move(days=1)
    assert not await opens(database, tenant_id, keys[0])
    async with database.tenant(tenant_id) as tx:
        assert (await clients_queries.client_line(tx, client_id)).api_keys == 0
        assert await client_credentials.issue(tx, client_id, "api_key")


async def test_two_who_issue_at_once_make_no_third(database: Database, tenant_id: TenantId) -> None:
    client_id = await a_client(database, tenant_id)
    await a_key(database, tenant_id, client_id)

    async def one() -> bool:
        try:
            await a_key(database, tenant_id, client_id)
        except TooManySecrets:
            return False
        return True

    assert sorted(await asyncio.gather(*(one() for _ in range(4)))) == [False, False, False, True]


async def test_what_cannot_be_issued_or_revoked(database: Database, make_tenant: MakeTenant) -> None:
    mine, other = await make_tenant(), await make_tenant()
    client_id, another = await a_client(database, mine), await a_client(database, mine, Terms("B", ["people:read"]))
    theirs = await a_client(database, other)
    async with database.tenant(mine) as tx:
        issued = await client_credentials.issue(tx, client_id, "api_key")
        for days in (0, 3_651):
            with pytest.raises(BadInput):
                await client_credentials.issue(tx, client_id, "api_key", days=days)
        with pytest.raises(BadInput):
            await client_credentials.issue(tx, client_id, "api_key", "x" * 201)
        for owner, key in ((another, issued.credential_id), (client_id, CredentialId(uuid4()))):
            with pytest.raises(NotFound):
                await client_credentials.revoke_of(tx, owner, key)
        for act in (clients_queries.client, clients.disable_client, clients.delete_client):
            with pytest.raises(NoClient):
                await act(tx, theirs)
        with pytest.raises(NoClient):
            await client_credentials.issue(tx, theirs, "api_key")


async def test_a_key_is_nowhere_but_in_the_answer(database: Database, tenant_id: TenantId) -> None:
    client_id = await a_client(database, tenant_id)
    async with database.tenant(tenant_id) as tx:
        issued = await client_credentials.issue(tx, client_id, "client_secret", days=90)
    async with database.tenant(tenant_id) as tx:
        rows = await tx.fetch("SELECT * FROM credential WHERE tenant_id = $1", tenant_id)
        jobs = await tx.fetch("SELECT kind, key FROM job WHERE tenant_id = $1", tenant_id)
        told = await events_of(tx)
    secret = issued.token.rsplit("_", 1)[-1]
    assert secret not in repr(rows) + repr(told) + repr(issued)
    assert ("access.expiry", str(issued.credential_id)) in {tuple(job) for job in jobs}
    assert told[-1].body["kind"] == "client_secret"


async def test_the_list_is_searched_sorted_and_paged(database: Database, tenant_id: TenantId) -> None:
    for name in ("beta", "Alpha", "gamma", "Delta"):
        await a_client(database, tenant_id, Terms(name, ["people:read"]))
    async with database.tenant(tenant_id) as tx:

        async def names(**asked: object) -> list[str]:
            found: list[str] = []
            after: tuple[object, ...] | None = None
            while True:
                page, further = await clients_queries.clients(tx, limit=2, after=after, **asked)  # pyright: ignore[reportArgumentType] - the test's own
                found += [line.client.name for line in page]
                if further is None:
                    return found
                last = page[-1].client
                after = (further[0] if asked.get("sort") != "created_at" else last.created_at, last.client_id)

        assert await names() == ["Alpha", "beta", "Delta", "gamma"]
        assert await names(descending=True) == ["gamma", "Delta", "beta", "Alpha"]
        assert await names(sort="created_at") == ["beta", "Alpha", "gamma", "Delta"]
        assert await names(search="ELT") == ["Delta"]
        assert await names(search="100%") == []


async def test_the_list_reads_an_index(database: Database, tenant_id: TenantId) -> None:
    await a_client(database, tenant_id)
    async with database.tenant(tenant_id) as tx:
        await tx.execute("SET LOCAL enable_seqscan = off")
        statement = clients_queries.LISTINGS["name", False]
        plan = await tx.fetch(f"EXPLAIN {statement}", tenant_id, tx.now, "", None, None, 51)
    text = "\n".join(row[0] for row in plan)
    assert "api_client_name" in text or "api_client_pkey" in text, text
    assert "credential_client" in text, text


async def test_each_look_up_reads_one_row_by_an_index(database: Database, tenant_id: TenantId) -> None:
    client_id = await a_client(database, tenant_id)
    key = await a_key(database, tenant_id, client_id)
    async with database.tenant(tenant_id) as tx:
        await tx.execute("SET LOCAL enable_seqscan = off")
        # In a table of a few rows any index is as good as another.
        await tx.execute(
            """INSERT INTO access_token
                 (tenant_id, token_id, client_id, token_hash, prefix, scopes, created_at, expires_at)
               SELECT $1, gen_random_uuid(), $2, sha256(n::text::bytea), 'x', '{people:read}', $3::timestamptz,
                 $3 + interval '1 hour'
               FROM generate_series(1, 2000) n""",
            *(tenant_id, client_id, tx.now),
        )
        await tx.execute(
            """INSERT INTO credential (tenant_id, credential_id, name, prefix, token_hash, scopes, created_at)
               SELECT $1, gen_random_uuid(), 'x', 'x', sha256(n::text::bytea), '{people:read}', $2
               FROM generate_series(1, 2000) n""",
            *(tenant_id, tx.now),
        )
        for statement, table in ((queries.LOOK_UP, "credential"), (queries.LOOK_UP_ACCESS, "access_token")):
            plan = await tx.fetch(f"EXPLAIN {statement}", tenant_id, token_hash(key), tx.now)
            text = "\n".join(row[0] for row in plan)
            assert f"Index Scan using {table}" in text, text
            assert "token_hash = " in next(line for line in text.splitlines() if "Index Cond" in line), text
            assert "Seq Scan" not in text, text


async def test_the_platform_sees_no_more_than_whose_client_it_is(database: Database) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with database.platform() as tx:
            await tx.fetch("SELECT name FROM api_client")
