"""People by the ids of clients: found, put, told apart, taken back, and what each source says of them."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any
from uuid import UUID

import httpx2
import pytest

from stoa.db import embedded
from stoa.db.database import Database
from stoa.kernel.ids import TenantId
from tests.conftest import MakeTenant
from tests.people.api import OWN, client_of, created, key, people
from tests.people.making import report, source, sync, worker


@pytest.fixture
async def client(
    server: embedded.Server, database: Database, tenant_id: TenantId
) -> AsyncGenerator[httpx2.AsyncClient]:
    """Of the tenant, with a source of its own."""
    async with client_of(server, database, tenant_id) as opened:
        yield opened


async def hired(database: Database, tenant_id: TenantId, *rows: dict[str, Any]) -> None:
    """People whom the HR system knows."""
    await sync(database, tenant_id, await source(database, tenant_id), report(rows))


# ------------------------------------------------------------------ external ids


@pytest.mark.parametrize("external_id", ["a/b", "a%2Fb", "ü€/😀", "a:b", "..", " x ", "?x=1#y", "+", "e\u0301"])
async def test_a_person_is_found_by_the_clients_own_id(client: httpx2.AsyncClient, external_id: str) -> None:
    quoted = f"/v1/people/external:Portal:{quote(external_id)}"
    put = await client.put(quoted, json={"display_name": "Ada"})
    assert put.status_code == 201
    again = await client.put(quoted, json={"display_name": "Ada B."})
    assert (again.status_code, again.json()["id"]) == (200, put.json()["id"])
    assert (await client.get(quoted)).json()["display_name"] == "Ada B."
    records = (await client.get(f"{quoted}/records")).json()["items"]
    assert [one["external_id"] for one in records] == [external_id]


def quote(text: str) -> str:
    """As one part of a path."""
    return "".join(f"%{byte:02X}" for byte in text.encode())


async def test_putting_replaces_all_that_was_said(client: httpx2.AsyncClient) -> None:
    path = "/v1/people/external:Portal:E1"
    first = await client.put(path, json={"display_name": "Ada", "title": "Analyst", "active": False})
    assert (first.status_code, first.json()["resolution"]["outcome"]) == (201, "created")
    assert first.headers["location"].endswith(first.json()["id"])
    second = await client.put(path, json={"display_name": "Ada"})
    assert (second.status_code, second.json()["title"], second.json()["active"]) == (200, None, True)
    third = await client.put(path, json={"display_name": "Ada"})
    assert (third.json()["resolution"]["outcome"], third.headers["etag"]) == ("unchanged", second.headers["etag"])
    by_our_id = await client.put(f"/v1/people/{first.json()['id']}", json={"title": "Engineer"})
    assert (by_our_id.json()["display_name"], by_our_id.json()["title"]) == (None, "Engineer")
    assert (await client.get(path)).json()["id"] == first.json()["id"]


async def test_two_who_put_the_same_at_once_make_one_person(client: httpx2.AsyncClient) -> None:
    for number in range(5):
        path = f"/v1/people/external:Portal:E{number}"
        answers = await asyncio.gather(*(client.put(path, json={"display_name": "Ada"}) for _ in range(6)))
        assert sorted(answer.status_code for answer in answers) == [200] * 5 + [201]
    assert len(await people(client)) == 5


async def test_another_sources_id_is_not_ones_own_to_put(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId
) -> None:
    await hired(database, tenant_id, worker(1))
    for source_name in ("Workday", "Nobody"):
        refused = await client.put(f"/v1/people/external:{source_name}:E00001", json={})
        assert (refused.status_code, refused.json()["code"]) == (403, "not_own_source")


@pytest.mark.parametrize(
    "path",
    [
        *("external:", "external:Portal", "external:Portal:", "external::E1", "nobody", "%00", "external:Portal:%00"),
        *("external:Portal:E9", "01980f5e-6f2a-7c3e-9a51-0d6f4b1c2a10"),
    ],
)
async def test_nobody_is_found_by_what_names_nobody(client: httpx2.AsyncClient, path: str) -> None:
    for method in ("GET", "PATCH", "DELETE"):
        body = {} if method == "PATCH" else None
        assert (await client.request(method, f"/v1/people/{path}", json=body)).status_code == 404
    assert (await client.get(f"/v1/people/{path}/records")).status_code == 404


async def test_another_tenants_people_are_not_there(
    server: embedded.Server, database: Database, make_tenant: MakeTenant, client: httpx2.AsyncClient
) -> None:
    async with client_of(server, database, await make_tenant()) as stranger:
        ada = await created(stranger, external_id="E1")
    for path in (ada["id"], "external:Portal:E1"):
        for method, body in (("GET", None), ("PATCH", {}), ("DELETE", None)):
            refused = await client.request(method, f"/v1/people/{path}", json=body)
            assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
    assert (await client.put(f"/v1/people/{ada['id']}", json={})).status_code == 404
    assert await people(client) == []


# ------------------------------------------------------------------ managers


async def test_a_manager_is_named_by_the_clients_id_or_ours_and_may_come_later(client: httpx2.AsyncClient) -> None:
    early = await created(client, external_id="E1", manager_ref="E0")
    assert early["overruled"] == [
        {"field": "manager_ref", "source": None, "detail": "Your source has no record of this manager yet."}
    ]
    boss = await created(client, external_id="E0")
    assert (await client.get("/v1/people/external:Portal:E1")).json()["manager_id"] == boss["id"]
    by_id = await created(client, external_id="E2", manager_ref=boss["id"])
    by_key = await created(client, external_id="E3", manager_ref="E0")
    assert [one["manager_id"] for one in (by_id, by_key)] == [boss["id"]] * 2
    assert [one["overruled"] for one in (by_id, by_key)] == [[], []]
    gone = (await client.patch("/v1/people/external:Portal:E3", json={"manager_ref": None})).json()
    assert gone["manager_id"] is None


# ------------------------------------------------------------------ taking back


async def test_a_record_is_taken_back_and_history_stays(client: httpx2.AsyncClient) -> None:
    ada = await created(client, display_name="Ada", external_id="E1", user_name="ada")
    path = f"/v1/people/{ada['id']}"
    gone = await client.delete("/v1/people/external:Portal:E1")
    assert (gone.status_code, gone.content) == (204, b"")
    left = (await client.get(path)).json()
    assert (left["active"], left["display_name"]) == (False, "Ada")
    (record,) = (await client.get(f"{path}/records")).json()["items"]
    assert (record["present"], record["external_id"]) == (False, "E1")
    again = await client.delete(path)
    assert (again.status_code, again.json()["code"]) == (409, "no_record")
    back = await client.post("/v1/people", json={"external_id": "E1", "display_name": "Ada"}, headers=key())
    assert (back.status_code, back.json()["id"]) == (201, ada["id"])
    assert back.json()["resolution"]["outcome"] == "revived"


async def test_what_was_taken_back_comes_back_by_saying_something_of_it(client: httpx2.AsyncClient) -> None:
    ada = await created(client, display_name="Ada", title="Analyst", external_id="E1")
    assert (await client.delete(f"/v1/people/{ada['id']}")).status_code == 204
    back = (await client.patch(f"/v1/people/{ada['id']}", json={"title": "Engineer"})).json()
    assert (back["resolution"]["outcome"], back["active"]) == ("revived", True)
    # What was taken back is not said again by itself; the id that the client gave still names them.
    assert (back["title"], back["display_name"]) == ("Engineer", None)
    assert (await client.get("/v1/people/external:Portal:E1")).json()["id"] == ada["id"]


async def test_another_sources_word_cannot_be_taken_back(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId
) -> None:
    await hired(database, tenant_id, worker(1))
    (known,) = await people(client)
    refused = await client.delete(f"/v1/people/{known['id']}")
    assert (refused.status_code, refused.json()["code"]) == (409, "no_record")
    assert (await client.get(f"/v1/people/{known['id']}")).json()["active"] is True


# ------------------------------------------------------------------ records


async def test_the_records_of_a_person_page_filter_and_choose_fields(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId
) -> None:
    await hired(database, tenant_id, worker(1, employee_id="1"))
    ada = await created(client, employee_id="1", external_id="E1")
    path = f"/v1/people/{ada['id']}/records"
    first = await client.get(path, params={"limit": 1})
    assert [one["source"]["name"] for one in first.json()["items"]] == [OWN]
    assert f"/v1/people/{ada['id']}/records?" in first.headers["link"]
    second = await client.get(path, params={"limit": 1, "cursor": first.json()["next_cursor"]})
    assert [(one["key"], one["source"]["kind"]) for one in second.json()["items"]] == [("E00001", "hris")]
    assert second.json()["next_cursor"] is None
    found = await client.get(path, params={"filter": 'source eq "workday"', "fields": "key"})
    assert [set(one) for one in found.json()["items"]] == [{"id", "key"}]
    bo = await created(client, external_id="E2")
    foreign = {"limit": 1, "cursor": first.json()["next_cursor"]}
    assert (await client.get(f"/v1/people/{bo['id']}/records", params=foreign)).json()["code"] == "bad_cursor"
    assert UUID(found.json()["items"][0]["id"])


async def test_two_ids_of_the_client_are_two_people_whatever_their_names(client: httpx2.AsyncClient) -> None:
    ada = await created(client, external_id="E1", user_name="ada", active=False)
    taken = await client.put("/v1/people/external:Portal:E2", json={"user_name": "ada"})
    assert (taken.status_code, taken.json()["rule"]) == (409, "user_name_taken")
    assert taken.json()["candidates"] == [ada["id"]]
    await client.delete("/v1/people/external:Portal:E1")
    other = await client.put("/v1/people/external:Portal:E2", json={"user_name": "ada"})
    assert (other.status_code, other.json()["resolution"]["outcome"]) == (201, "created")
    assert other.json()["id"] != ada["id"]


async def test_who_comes_back_by_their_name_keeps_the_id_that_the_client_gave(client: httpx2.AsyncClient) -> None:
    ada = await created(client, external_id="E1", user_name="ada")
    await client.delete("/v1/people/external:Portal:E1")
    back = await created(client, user_name="ADA")
    assert (back["id"], back["resolution"]["outcome"]) == (ada["id"], "revived")
    assert (await client.get("/v1/people/external:Portal:E1")).json()["id"] == ada["id"]
