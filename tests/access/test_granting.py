"""Access tokens that are given at the very moment at which what was shown for them is ended."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest

from stoa.access import client_credentials, clients, queries
from stoa.access.clients_model import Client
from stoa.access.clients_rules import Terms
from stoa.access.granting import ClientRefused, Grant, Proof, ScopeRefused, grant_token, prove, wanted_scopes
from stoa.access.model import Issued
from stoa.access.scopes import SCOPES
from stoa.db.database import Database
from stoa.db.transactions import TenantTx
from stoa.kernel.ids import ClientId, TenantId

HERE = frozenset({"https://stoa.example"})
Ending = Callable[[TenantTx, Client, Issued], Awaitable[object]]


async def revoked(tx: TenantTx, client: Client, secret: Issued) -> object:
    return await client_credentials.revoke_of(tx, client.client_id, secret.credential_id)


async def disabled(tx: TenantTx, client: Client, _: Issued) -> object:
    return await clients.disable_client(tx, client.client_id)


async def deleted(tx: TenantTx, client: Client, _: Issued) -> object:
    return await clients.delete_client(tx, client.client_id)


@pytest.mark.parametrize("ending", [revoked, disabled, deleted])
async def test_a_token_that_is_given_meanwhile_ends_too(
    database: Database, tenant_id: TenantId, ending: Ending
) -> None:
    async with database.tenant(tenant_id) as tx:
        client = await clients.create_client(tx, Terms("Portal", ["people:read"]))
        secret = await client_credentials.issue(tx, client.client_id, "client_secret")

    async def end() -> None:
        async with database.tenant(tenant_id) as tx:
            await ending(tx, client, secret)

    async with database.tenant(tenant_id) as tx:
        proof = Proof(client.client_id, "client_secret_post", secret.token)
        proven = await prove(tx, proof, audiences=HERE, clock_now=tx.now, address=None)
        ended = asyncio.create_task(end())
        # Whoever ends it waits for the token, which it cannot see yet.
        while not await is_waited_for(database, tx.connection.get_server_pid()):
            assert not ended.done()
        grant = await grant_token(tx, proven, None)
    await ended
    async with database.tenant(tenant_id) as tx:
        left = await tx.fetchval("SELECT count(*) FROM access_token WHERE tenant_id = $1", tenant_id)
        assert left == 0
        assert await queries.credential_by_token(tx, grant.token) is None
        with pytest.raises(ClientRefused):
            await prove(tx, proof, audiences=HERE, clock_now=tx.now, address=None)


async def is_waited_for(database: Database, pid: int) -> bool:
    async with database.platform() as tx:
        return await tx.fetchval(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE $1 = any(pg_blocking_pids(pid)))", pid
        )


def test_a_token_may_be_asked_for_what_the_client_holds() -> None:
    everything = frozenset({"api:read", "api:write"})
    assert wanted_scopes(None, everything) == ["api:read", "api:write"]
    for scope in SCOPES:
        assert wanted_scopes(f" {scope} ", everything) == [scope]
    for asked in ("people:write", "api:write", "people:read people:write", "scim", "\u00a0x"):
        with pytest.raises(ScopeRefused):
            wanted_scopes(asked, frozenset({"api:read"}))


def test_what_is_shown_is_not_in_a_repr() -> None:
    proof = Proof(ClientId(uuid4()), "client_secret_post", "hidden-secret")
    assert "hidden" not in repr(proof) + repr(Grant("hidden-token", ["people:read"], 3600))
