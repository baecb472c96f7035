"""Duplicates and merges over the public API."""

from collections.abc import AsyncGenerator
from datetime import date
from typing import Any
from uuid import UUID

import httpx2
import pytest

from stoa.db import embedded
from stoa.db.database import Database
from stoa.jobs.run import JobRun
from stoa.kernel.ids import TenantId, new_id
from stoa.people.duplicates import search_duplicates
from tests.conftest import MakeTenant
from tests.people.api import client_of, created, key, people
from tests.people.making import report, source, sync, worker


@pytest.fixture
async def client(
    server: embedded.Server, database: Database, tenant_id: TenantId
) -> AsyncGenerator[httpx2.AsyncClient]:
    """Of the tenant, with a source of its own."""
    async with client_of(server, database, tenant_id) as opened:
        yield opened


class Alone(JobRun):
    """A job that nobody else does."""

    async def fence(self, tx: object) -> None:
        """Nobody contests it."""


async def searched(database: Database, tenant_id: TenantId, *, batch: int = 3) -> None:
    """The search has come to the end of what there is."""
    job = Alone(database, tenant_id, new_id(), "people.duplicates", "", {}, 1, 1, "0" * 32)
    await search_duplicates(job, batch=batch)


async def duplicates(client: httpx2.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    """The pairs of a list."""
    answer = await client.get("/v1/duplicates", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def two(client: httpx2.AsyncClient, database: Database, tenant_id: TenantId) -> tuple[str, str]:
    """Ada, whom the portal and the HR system know, as two people of one name and hire date."""
    ada = await created(
        client, external_id="A1", display_name="Ada Byron", hire_date="2020-01-01", email="ada@home.example",
        manager_ref="A1",
    )  # fmt: skip
    row = worker(1, given_name="Ada", family_name="Býron", display_name="Byron, Ada", hire_date=date(2020, 1, 1))
    rows = [worker(0, manager_ref=None), row, worker(2, manager_ref="E00001", hire_date=None)]
    await sync(database, tenant_id, await source(database, tenant_id), report(rows))
    (twin,) = await people(client, filter='employee_id eq "E00001"')
    return ada["id"], twin["id"]


async def test_two_who_may_be_one_are_found_merged_and_split(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId
) -> None:
    ada, twin = await two(client, database, tenant_id)
    await searched(database, tenant_id)
    (pair,) = await duplicates(client, filter='state eq "open"')
    assert {one["id"] for one in pair["people"]} == {ada, twin}
    assert (pair["evidence"], pair["score"]) == (["name_hire_date"], 55)
    assert [one["id"] for one in await duplicates(client, filter='evidence eq "name_hire_date"')] == [pair["id"]]
    asked = {"survivor": ada, "absorbed": twin, "picks": {"display_name": "survivor"}}
    seen = await client.post("/v1/merges", json=asked | {"preview": True}, headers=key())
    assert seen.status_code == 200, seen.text
    fields = {one["field"]: one for one in seen.json()["fields"]}
    assert fields["display_name"]["result"] == "Ada Byron"
    assert fields["employee_id"]["result"] == "E00001"
    assert (seen.json()["reports"], seen.json()["both_here"], seen.json()["barred"]) == (1, [], None)
    assert {one["table"] for one in seen.json()["moving"] if one["rows"]} >= {"source_record", "person"}
    assert (await client.get("/v1/merges")).json()["items"] == []
    once = key()
    made = await client.post("/v1/merges", json=asked, headers=once)
    assert made.status_code == 201, made.text
    again = await client.post("/v1/merges", json=asked, headers=once)
    assert (again.status_code, again.json(), again.headers["idempotency-replayed"]) == (201, made.json(), "true")
    twice = await client.post("/v1/merges", json=asked, headers=key())
    assert (twice.status_code, twice.json()["code"]) == (409, "already_merged")
    # What the preview said is what came.
    one = (await client.get(f"/v1/people/{ada}")).json()
    assert all(one[name] == shown["result"] for name, shown in fields.items()), one
    assert [pair["state"] for pair in await duplicates(client)] == ["merged"]
    await redirected(client, ada, twin)
    merge_id = made.json()["id"]
    back = await client.post(f"/v1/merges/{merge_id}/split", json={"preview": True})
    assert back.status_code == 200, back.text
    assert ([one["key"] for one in back.json()["back"]], back.json()["withdrawn"]) == (["E00001"], ["display_name"])
    parted = await client.post(f"/v1/merges/{merge_id}/split", json={}, headers=key())
    assert (parted.status_code, parted.json()["state"]) == (201, "split"), parted.text
    assert (await client.post(f"/v1/merges/{merge_id}/split", json={})).json()["code"] == "cannot_split"
    assert (await client.get(f"/v1/people/{twin}")).json()["employee_id"] == "E00001"
    assert [pair["state"] for pair in await duplicates(client)] == ["open"]
    after = (await client.get(f"/v1/people/{ada}")).json()
    expected = {one["field"]: one["result"] for one in back.json()["fields"]}
    assert all(after[name] == value for name, value in expected.items())


async def redirected(client: httpx2.AsyncClient, ada: str, twin: str) -> None:
    """The old id means the survivor everywhere."""
    answer = await client.get(f"/v1/people/{twin}")
    assert (answer.status_code, answer.json()["id"]) == (200, ada)
    assert answer.headers["content-location"].endswith(f"/v1/people/{ada}")
    assert (await client.get("/v1/people/external:Workday:E00001")).json()["id"] == ada
    assert {one["id"] for one in await people(client)}.isdisjoint({twin})
    for asked in (f'id eq "{twin}"', f'id eq "{twin}" and not (active eq false)'):
        assert [one["id"] for one in await people(client, filter=asked)] == [ada]
    (report_,) = await people(client, filter=f'manager_id eq "{twin}"')
    assert report_["employee_id"] == "E00002"
    records = (await client.get(f"/v1/people/{twin}/records")).json()["items"]
    assert {one["source"]["name"] for one in records} == {"console", "Portal", "Workday"}
    written = await client.patch(f"/v1/people/{twin}", json={"phone": "12345678"})
    assert (written.status_code, written.json()["id"], written.json()["phone"]) == (200, ada, "12345678")
    gone = await client.get("/v1/people", params={"updated_since": "2000-01-01T00:00:00Z"})
    (stone,) = [one for one in gone.json()["items"] if one.get("deleted")]
    assert (stone["id"], stone["merged_into"]) == (twin, ada)


async def test_what_is_no_duplicate_stays_none_unless_much_more_speaks_for_it(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId
) -> None:
    ada, twin = await two(client, database, tenant_id)
    await searched(database, tenant_id)
    (pair,) = await duplicates(client)
    path = f"/v1/duplicates/{pair['id']}"
    assert (await client.post(f"{path}/dismiss", json={"reason": "  "})).status_code == 400
    answer = await client.post(f"{path}/dismiss", json={"reason": "Mother and daughter."})
    assert (answer.json()["state"], answer.json()["dismissal"]["reason"]) == ("dismissed", "Mother and daughter.")
    assert (await client.post(f"{path}/dismiss", json={"reason": "x"})).json()["code"] == "wrong_pair_state"
    assert (await client.post("/v1/duplicates/search", json=None)).status_code == 202
    await searched(database, tenant_id, batch=1)
    assert (await client.get("/v1/duplicates/search")).json()["people"] == 4
    assert [one["state"] for one in await duplicates(client)] == ["dismissed"]
    # She had the address of the other one once, and then the number too.
    await client.patch(f"/v1/people/{ada}", json={"email": "person1@acme.example"})
    await client.patch(f"/v1/people/{ada}", json={"email": "elsewhere@home.example"})
    await searched(database, tenant_id)
    (found,) = await duplicates(client)
    assert (found["state"], found["evidence"]) == ("open", ["address", "name_hire_date"]), found
    assert found["came_back_at"] is not None
    assert found["dismissal"]["score"] == 55
    assert UUID(twin) in {UUID(one["id"]) for one in found["people"]}


async def test_another_tenants_pairs_and_merges_are_not_there(
    client: httpx2.AsyncClient, server: embedded.Server, database: Database, tenant_id: TenantId,
    make_tenant: MakeTenant,
) -> None:  # fmt: skip
    ada, twin = await two(client, database, tenant_id)
    await searched(database, tenant_id)
    (pair,) = await duplicates(client)
    made = await client.post("/v1/merges", json={"survivor": ada, "absorbed": twin}, headers=key())
    other = await make_tenant()
    async with client_of(server, database, other) as stranger:
        merge = f"/v1/merges/{made.json()['id']}"
        for path in (f"/v1/duplicates/{pair['id']}", merge, f"/v1/people/{twin}"):
            assert (await stranger.get(path)).status_code == 404
        assert (await stranger.post(f"{merge}/split", json={})).status_code == 404
        assert (await stranger.post(f"/v1/duplicates/{pair['id']}/dismiss", json={"reason": "x"})).status_code == 404
        own = await created(stranger, display_name="Own")
        asked = {"survivor": own["id"], "absorbed": ada}
        assert (await stranger.post("/v1/merges", json=asked, headers=key())).status_code == 404
        assert (await stranger.get("/v1/merges")).json()["items"] == []
