"""Roles over the public API."""

from collections.abc import AsyncGenerator

import httpx2
import pytest

from stoa.db import embedded
from stoa.db.database import Database
from stoa.kernel.ids import TenantId, new_id
from tests.api.calling import serving, token_of
from tests.conftest import MakeTenant
from tests.people.api import client_of, key, names, people
from tests.people.grouping import make_group, make_person
from tests.people.making import source


@pytest.fixture
async def client(
    server: embedded.Server, database: Database, tenant_id: TenantId
) -> AsyncGenerator[httpx2.AsyncClient]:
    """Of the tenant."""
    async with client_of(server, database, tenant_id) as opened:
        yield opened


async def test_a_rule_is_tried_made_read_and_removed(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId
) -> None:
    okta = await source(database, tenant_id, "idp", "Okta")
    async with database.tenant(tenant_id) as tx:
        (ada, ada_id), (bob, _) = await make_person(tx, okta, "ada"), await make_person(tx, okta, "bob")
        await make_person(tx, okta, "cid")
        authors = str(await make_group(tx, okta, "Authors", [ada, bob]))
        staff = str(await make_group(tx, okta, "Staff", [ada]))
        gone = str(await make_group(tx, okta, "Gone", present=False))
    wanted = {"group_id": authors, "role": "author"}
    tried = (await client.post("/v1/role-rules/preview", json=wanted)).json()
    assert (tried["members"], tried["gains"], tried["loses"], names_of(tried["gaining"])) == (2, 2, 0, ["ada", "bob"])
    assert await people(client, filter="roles pr") == []
    same = key()
    made = await client.post("/v1/role-rules", json=wanted, headers=same)
    assert made.status_code == 201
    again = await client.post("/v1/role-rules", json=wanted, headers=same)
    assert again.json() == made.json()
    rule = made.json()
    assert (rule["role"], rule["group"]["name"], rule["group"]["source_name"]) == ("author", "Authors", "Okta")
    assert (await client.get(made.headers["location"])).json() == rule
    exists = await client.post("/v1/role-rules", json=wanted, headers=key())
    assert (exists.status_code, exists.json()["code"]) == (409, "role_rule_exists")
    await client.post("/v1/role-rules", json={"group_id": staff, "role": "author"}, headers=key())
    assert names(await people(client, filter='roles eq "author"')) == ["ada", "bob"]
    assert names(await people(client, filter=f'roles eq "author" and groups.value eq "{staff}"')) == ["ada"]
    assert names(await people(client, filter='groups.display eq "AUTHORS" and not (groups.display eq "staff")')) == [
        "bob"
    ]
    assert names(await people(client, filter="not (groups pr)")) == ["cid"]
    (role,) = (await client.get(f"/v1/people/{ada_id}/roles")).json()["roles"]
    assert (role["role"], names_of(role["groups"])) == ("author", ["Authors", "Staff"])
    listed = (await client.get("/v1/role-rules", params={"filter": 'group_name eq "staff"'})).json()["items"]
    assert [one["group"]["name"] for one in listed] == ["Staff"]
    first = (await client.get("/v1/role-rules", params={"limit": 1})).json()
    second = (await client.get("/v1/role-rules", params={"limit": 1, "cursor": first["next_cursor"]})).json()
    assert [one["group"]["name"] for one in (*first["items"], *second["items"])] == ["Authors", "Staff"]
    would = (await client.get(f"/v1/role-rules/{rule['id']}/preview")).json()
    assert names_of(would["losing"]) == ["bob"]
    assert (await client.delete(f"/v1/role-rules/{rule['id']}")).status_code == 204
    assert names(await people(client, filter='roles eq "author"')) == ["ada"]
    assert (await client.delete(f"/v1/role-rules/{rule['id']}")).json()["code"] == "no_such_role_rule"
    refused = await client.post("/v1/role-rules", json={"group_id": gone, "role": "author"}, headers=key())
    assert (refused.status_code, refused.json()["code"]) == (409, "group_is_gone")
    assert (await client.post("/v1/role-rules", json={**wanted, "role": "king"}, headers=key())).status_code == 400


def names_of(found: list[dict[str, str]]) -> list[str]:
    return [one["name"] for one in found]


async def test_the_last_admins_keep_their_rule(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId
) -> None:
    okta = await source(database, tenant_id, "idp", "Okta")
    async with database.tenant(tenant_id) as tx:
        ada, _ = await make_person(tx, okta, "ada")
        admins = str(await make_group(tx, okta, "Admins", [ada]))
    rule = (await client.post("/v1/role-rules", json={"group_id": admins, "role": "admin"}, headers=key())).json()
    assert (await client.get(f"/v1/role-rules/{rule['id']}/preview")).json()["refusal"] is not None
    refused = await client.delete(f"/v1/role-rules/{rule['id']}")
    assert (refused.status_code, refused.json()["code"]) == (409, "no_admin_left")
    assert (await client.get(f"/v1/role-rules/{rule['id']}")).status_code == 200
    assert names(await people(client, filter='roles eq "admin"')) == ["ada"]


async def test_another_tenant_and_another_scope_have_no_part_in_it(
    client: httpx2.AsyncClient,
    server: embedded.Server,
    database: Database,
    tenant_id: TenantId,
    make_tenant: MakeTenant,
) -> None:
    okta = await source(database, tenant_id, "idp", "Okta")
    async with database.tenant(tenant_id) as tx:
        ada, ada_id = await make_person(tx, okta, "ada")
        group = str(await make_group(tx, okta, "Authors", [ada]))
    wanted = {"group_id": group, "role": "author"}
    rule = (await client.post("/v1/role-rules", json=wanted, headers=key())).json()["id"]
    async with client_of(server, database, await make_tenant()) as other:
        for path in (f"/v1/role-rules/{rule}", f"/v1/role-rules/{rule}/preview", f"/v1/people/{ada_id}/roles"):
            assert (await other.get(path)).status_code == 404
        assert (await other.delete(f"/v1/role-rules/{rule}")).status_code == 404
        for path in ("/v1/role-rules", "/v1/role-rules/preview"):
            assert (await other.post(path, json=wanted, headers=key())).status_code == 404
        assert (await other.get("/v1/role-rules")).json()["items"] == []
    async with serving(server, await token_of(database, tenant_id, ("people:read",))) as reader:
        assert (await reader.delete(f"/v1/role-rules/{rule}")).status_code == 403
        assert (await reader.post("/v1/role-rules", json=wanted, headers=key())).status_code == 403
        assert (await reader.get(f"/v1/role-rules/{new_id()}")).status_code == 404
        assert (await reader.get(f"/v1/role-rules/{rule}")).status_code == 200
