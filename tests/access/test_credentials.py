import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest

from stoa.access import actions, queries
from stoa.access.model import Issued
from stoa.access.rules import token_hash
from stoa.db.database import Database
from stoa.events.actions import number_entries
from stoa.events.queries import read_events
from stoa.kernel.ids import CredentialId, SourceId, TenantId
from stoa.kernel.problems import BadInput, NotFound
from stoa.tenants.actions import ensure_source, move_clock
from stoa.tenants.clock import clock_offset_reader

MakeTenant = Callable[..., Awaitable[TenantId]]


async def a_token(database: Database, tenant_id: TenantId, expires_at: datetime | None = None) -> Issued:
    async with database.tenant(tenant_id) as tx:
        return await actions.issue_token(tx, ["scim"], "Okta", expires_at=expires_at)


async def last_used(database: Database, tenant_id: TenantId) -> datetime | None:
    async with database.tenant(tenant_id) as tx:
        return (await queries.credentials(tx))[0].last_used_at


async def test_a_token_leads_to_its_tenant_and_credential(database: Database, tenant_id: TenantId) -> None:
    async with database.tenant(tenant_id) as tx:
        source_id = (await ensure_source(tx, "idp", "Okta")).source_id
        issued = await actions.issue_token(tx, ["scim", "api:read"], " Okta ", source_id)
    async with database.platform() as tx:
        assert await queries.tenant_of_token(tx, issued.token) == tenant_id
    async with database.tenant(tenant_id) as tx:
        found = await queries.credential_by_token(tx, issued.token)
    assert found is not None
    assert (found.credential_id, found.name, found.source_id) == (issued.credential_id, "Okta", source_id)
    assert found.scopes == {"scim", "api:read"}
    assert found.permits("scim")
    assert not found.permits("api:write")
    assert issued.token.startswith(found.prefix)
    assert len(issued.token) - len(found.prefix) == 37


async def test_the_token_is_nowhere_but_in_the_answer(database: Database, tenant_id: TenantId) -> None:
    issued = await a_token(database, tenant_id)
    async with database.tenant(tenant_id) as tx:
        row = await tx.fetchrow("SELECT * FROM credential WHERE tenant_id = $1", tenant_id)
        await number_entries(tx)
        events = await read_events(tx, 0, 100)
    assert row["token_hash"] == token_hash(issued.token)
    secret = issued.token.rsplit("_", 1)[-1]
    assert secret not in repr(row) + repr(events) + repr(issued)
    assert "credential.issued" in [event.type for event in events]


async def test_no_two_tokens_are_alike(database: Database, tenant_id: TenantId) -> None:
    assert (await a_token(database, tenant_id)).token != (await a_token(database, tenant_id)).token


async def test_an_unknown_or_malformed_token_answers_nothing(database: Database, tenant_id: TenantId) -> None:
    issued = await a_token(database, tenant_id)
    wrong = issued.token[:-1] + ("A" if issued.token[-1] != "A" else "B")
    for token in ("", "x", wrong, issued.token + "x", issued.token.upper()):
        async with database.platform() as tx:
            assert await queries.tenant_of_token(tx, token) is None
        async with database.tenant(tenant_id) as tx:
            assert await queries.credential_by_token(tx, token) is None


async def test_another_tenants_token_answers_nothing(database: Database, make_tenant: MakeTenant) -> None:
    mine, theirs = await make_tenant(), await make_tenant()
    issued = await a_token(database, theirs)
    async with database.tenant(mine) as tx:
        assert await queries.credential_by_token(tx, issued.token) is None
        with pytest.raises(NotFound):
            await actions.revoke(tx, issued.credential_id)


async def test_a_revoked_token_answers_nothing_and_revoking_again_changes_nothing(
    database: Database, tenant_id: TenantId
) -> None:
    issued = await a_token(database, tenant_id)
    for _ in range(2):
        async with database.tenant(tenant_id) as tx:
            await actions.revoke(tx, issued.credential_id)
            assert await queries.credential_by_token(tx, issued.token) is None
    async with database.tenant(tenant_id) as tx:
        (listed,) = await queries.credentials(tx)
        assert listed.revoked_at is not None
        await number_entries(tx)
        told = [event.type for event in await read_events(tx, 0, 100)]
        assert told.count("credential.revoked") == 1
        with pytest.raises(NotFound):
            await actions.revoke(tx, CredentialId(uuid4()))


async def test_a_token_expires_on_the_tenants_clock(database: Database, make_tenant: MakeTenant) -> None:
    tenant_id = await make_tenant(sandbox=True)
    issued = await a_token(database, tenant_id, database.clock() + timedelta(days=30))
    seconds = [0.0]
    database.use_clock_offset(clock_offset_reader(database, monotonic=lambda: seconds[0]))
    async with database.tenant(tenant_id) as tx:
        assert await queries.credential_by_token(tx, issued.token) is not None
        await move_clock(tx, timedelta(days=30))
    seconds[0] = 2.0
    async with database.tenant(tenant_id) as tx:
        assert await queries.credential_by_token(tx, issued.token) is None


async def test_what_cannot_be_issued_is_refused(database: Database, make_tenant: MakeTenant) -> None:
    mine, theirs = await make_tenant(), await make_tenant()
    async with database.tenant(theirs) as tx:
        foreign = (await ensure_source(tx, "idp", "Okta")).source_id
    async with database.tenant(mine) as tx:
        with pytest.raises(BadInput):
            await actions.issue_token(tx, ["scim"], "Okta", expires_at=tx.now)
        with pytest.raises(BadInput):
            await actions.issue_token(tx, [], "Okta")
        with pytest.raises(BadInput):
            await actions.issue_token(tx, ["scim"], "  ")
        for source_id in (foreign, SourceId(uuid4())):
            with pytest.raises(NotFound):
                await actions.issue_token(tx, ["scim"], "Okta", source_id)


async def test_a_use_is_noted_at_most_once_a_minute(database: Database, make_tenant: MakeTenant) -> None:
    tenant_id = await make_tenant(sandbox=True)
    issued = await a_token(database, tenant_id)
    offset = [timedelta(0)]

    async def read_offset(_: TenantId) -> timedelta:
        return offset[0]

    async def use() -> None:
        async with database.tenant(tenant_id) as tx:
            await queries.credential_by_token(tx, issued.token)

    database.use_clock_offset(read_offset)
    assert await last_used(database, tenant_id) is None
    await use()
    first = await last_used(database, tenant_id)
    assert first is not None
    offset[0] = timedelta(seconds=50)
    await use()
    assert await last_used(database, tenant_id) == first
    offset[0] = timedelta(seconds=61)
    await use()
    assert (await last_used(database, tenant_id) or first) - first >= timedelta(seconds=61)


async def test_noting_a_use_never_waits(database: Database, tenant_id: TenantId) -> None:
    issued = await a_token(database, tenant_id)
    async with database.tenant(tenant_id) as holder:
        assert await queries.credential_by_token(holder, issued.token) is not None
        async with asyncio.timeout(5), database.tenant(tenant_id) as tx:
            assert await queries.credential_by_token(tx, issued.token) is not None


async def test_a_read_only_transaction_finds_the_credential_and_notes_nothing(
    database: Database, tenant_id: TenantId
) -> None:
    issued = await a_token(database, tenant_id)
    async with database.tenant(tenant_id, read_only=True) as tx:
        assert await queries.credential_by_token(tx, issued.token) is not None
    assert await last_used(database, tenant_id) is None


async def test_the_look_up_reads_one_index_under_row_level_security(database: Database, tenant_id: TenantId) -> None:
    issued = await a_token(database, tenant_id)
    async with database.tenant(tenant_id) as tx:
        await tx.execute("SET LOCAL enable_seqscan = off")
        plan = await tx.fetch(f"EXPLAIN {queries.LOOK_UP}", tenant_id, token_hash(issued.token), tx.now)
    text = "\n".join(row[0] for row in plan)
    # Either index of the digest serves; which one depends on the tokens that other tests have made.
    assert re.search(r"Index Scan using credential_(tenant_id_token_hash_key|token) ", text), text
    assert "token_hash = " in next(line for line in text.splitlines() if "Index Cond" in line)


async def test_the_platform_sees_no_more_than_whose_token_it_is(database: Database) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with database.platform() as tx:
            await tx.fetch("SELECT scopes FROM credential")


async def test_a_credential_cannot_be_deleted(database: Database, tenant_id: TenantId) -> None:
    await a_token(database, tenant_id)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with database.tenant(tenant_id) as tx:
            await tx.execute("DELETE FROM credential WHERE tenant_id = $1", tenant_id)
