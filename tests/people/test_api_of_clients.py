"""API clients as writers of people: their name is the source's, and what ends them ends their work."""

import httpx2
import pytest

from stoa.access import client_credentials, clients
from stoa.access.clients_rules import Terms
from stoa.db import embedded
from stoa.db.database import Database
from stoa.jobs.worker import Worker
from stoa.kernel.ids import ClientId, TenantId
from stoa.people.importing import IMPORT_JOB, importing_jobs
from tests.api.calling import serving, token_of
from tests.people.api import created, key

WRITES = Terms("Learning portal: EU", ["people:read", "people:write", "jobs:read"])


async def a_client(database: Database, tenant_id: TenantId) -> tuple[ClientId, str]:
    """A client that may change people, and a key of it."""
    async with database.tenant(tenant_id) as tx:
        client_id = (await clients.create_client(tx, WRITES)).client_id
        return client_id, (await client_credentials.issue(tx, client_id, "api_key")).token


async def test_what_a_client_says_stands_in_its_name(
    server: embedded.Server, database: Database, tenant_id: TenantId
) -> None:
    client_id, token = await a_client(database, tenant_id)
    async with serving(server, token) as client:
        ada = await created(client, external_id="E1", display_name="Ada")
        (record,) = (await client.get(f"/v1/people/{ada['id']}/records")).json()["items"]
    assert (record["source"]["name"], record["source"]["kind"], record["external_id"]) == (WRITES.name, "api", "E1")
    async with database.tenant(tenant_id) as tx:
        actor = await tx.fetchval(
            "SELECT actor FROM entry WHERE tenant_id = $1 AND via = 'api' ORDER BY entry_no DESC LIMIT 1", tenant_id
        )
    assert actor == f"client:{client_id}"


async def test_two_keys_of_a_client_share_their_idempotency_keys(
    server: embedded.Server, database: Database, tenant_id: TenantId
) -> None:
    client_id, token = await a_client(database, tenant_id)
    async with database.tenant(tenant_id) as tx:
        other = (await client_credentials.issue(tx, client_id, "api_key")).token
    async with serving(server, token) as client:
        first = await client.post("/v1/people", json={"external_id": "E1"}, headers=key("once"))
        rotated = {**key("once"), "Authorization": f"Bearer {other}"}
        again = await client.post("/v1/people", json={"external_id": "E1"}, headers=rotated)
    assert (first.status_code, again.status_code, again.content) == (201, 201, first.content)


@pytest.mark.parametrize("end", [clients.disable_client, clients.delete_client])
async def test_an_import_ends_with_its_client(
    server: embedded.Server, database: Database, tenant_id: TenantId, end: object
) -> None:
    assert callable(end)
    client_id, token = await a_client(database, tenant_id)
    async with serving(server, token) as client:
        asked = await client.post(
            "/v1/imports/people", json={"items": [{"action": "create", "person": {}}]}, headers=key()
        )
        assert asked.status_code == 202
        async with database.tenant(tenant_id) as tx:
            await end(tx, client_id)
        assert (await client.get(asked.headers["location"])).status_code == 401
    await Worker(database, importing_jobs()).claim_one(IMPORT_JOB, asked.json()["id"], tenant_id)
    async with serving(server, await token_of(database, tenant_id)) as admin:
        job = (await admin.get(asked.headers["location"])).json()
        assert (job["state"], job["problem"]["code"], job["done"]) == ("failed", "client_ended", 0)
        assert (await admin.get("/v1/people")).json()["items"] == []


async def test_a_token_of_another_kind_of_source_may_not_speak_for_it(
    server: embedded.Server, database: Database, tenant_id: TenantId
) -> None:
    token = await token_of(database, tenant_id, source="Okta")
    async with database.tenant(tenant_id) as tx:
        await tx.execute("UPDATE source SET kind = 'idp' WHERE tenant_id = $1 AND name = 'Okta'", tenant_id)
    async with serving(server, token) as client:
        refused: httpx2.Response = await client.put("/v1/people/external:Okta:E1", json={})
    assert (refused.status_code, refused.json()["code"]) == (403, "no_source")
    assert "Okta" in refused.json()["detail"]
