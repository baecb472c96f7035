"""Many changes of people in one request."""

from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stoa.db import embedded
from stoa.db.database import Database
from stoa.kernel.ids import TenantId
from stoa.people.routes_bulk import operations
from tests.api.calling import serving, token_of
from tests.people.api import OWN, client_of, created, key, people

from .conftest import EXAMPLES, World


@pytest.fixture
async def client(
    server: embedded.Server, database: Database, tenant_id: TenantId
) -> AsyncGenerator[httpx2.AsyncClient]:
    """Of the tenant, with a source of its own."""
    async with client_of(server, database, tenant_id) as opened:
        yield opened


async def bulk(client: httpx2.AsyncClient, items: list[Any], **headers: str) -> list[dict[str, Any]]:
    """What came of each item."""
    answer = await client.post("/v1/bulk/people", json={"items": items}, headers={**key(), **headers})
    assert answer.status_code == 207, answer.text
    told = answer.json()
    failed = [one for one in told["results"] if one["problem"] is not None]
    assert (told["failed"], told["succeeded"]) == (len(failed), len(items) - len(failed))
    assert [one["index"] for one in told["results"]] == list(range(len(items)))
    return told["results"]


def create(external_id: str, **said: Any) -> dict[str, Any]:
    """An item."""
    return {"action": "create", "person": {"external_id": external_id, **said}}


async def test_each_item_is_done_and_told(client: httpx2.AsyncClient) -> None:
    ada = await created(client, external_id="E0", display_name="Ada")
    results = await bulk(
        client,
        [
            create("E1", display_name="Bo", manager_ref="E0"),
            {"action": "upsert", "external_id": "E2", "person": {"display_name": "Cy"}},
            {"action": "upsert", "external_id": "E2", "person": {"display_name": "Cy", "title": "Boss"}},
            {"action": "update", "external_id": "E1", "person": {"title": "Engineer"}},
            {"action": "update", "id": ada["id"], "person": {"title": "Analyst"}},
            {"action": "remove", "id": "external:Portal:E2"},
            {"action": "create", "external_id": "E3", "person": {}},
        ],
    )
    assert [one["status"] for one in results] == [201, 201, 200, 200, 200, 204, 201]
    assert [one["action"] for one in results[:2]] == ["create", "upsert"]
    found = {one["id"]: one for one in await people(client)}
    assert found[results[0]["id"]]["manager_id"] == ada["id"]
    assert [found[results[n]["id"]]["title"] for n in (0, 2, 4)] == ["Engineer", "Boss", "Analyst"]
    assert found[results[5]["id"]]["active"] is False
    assert [one["external_id"] for one in results] == ["E1", "E2", "E2", "E1", "E0", None, "E3"]
    assert results[1]["resolution"] == {"outcome": "created", "rule": "nobody_matches"}


@pytest.mark.parametrize(
    ("item", "status", "code", "field"),
    [
        ({}, 400, "bad_body", "action"),
        (7, 400, "bad_body", None),
        ({"action": "explode"}, 400, "bad_body", "action"),
        ({"action": "create"}, 400, "bad_body", "person"),
        ({"action": "create", "person": {"titel": "x"}}, 400, "bad_body", "person.titel"),
        ({"action": "create", "person": {"title": "x" * 10_000}}, 400, "bad_body", "person.title"),
        ({"action": "create", "person": {"title": "a\x00"}}, 400, "bad_body", "person.title"),
        ({"action": "create", "person": {"external_id": "\U0001f600" * 1000}}, 400, "bad_body", "external_id"),
        ({"action": "create", "id": "x", "person": {}}, 400, "bad_body", "id"),
        ({"action": "create", "external_id": "a", "person": {"external_id": "b"}}, 400, "bad_body",
         "person.external_id"),
        ({"action": "upsert", "person": {}}, 400, "bad_body", "external_id"),
        ({"action": "upsert", "external_id": "a", "person": {"external_id": None}}, 400, "bad_body",
         "person.external_id"),
        ({"action": "update", "person": {}}, 400, "bad_body", "id"),
        ({"action": "update", "id": "a", "external_id": "b", "person": {}}, 400, "bad_body", "id"),
        ({"action": "remove", "id": "a", "person": {}}, 400, "bad_body", "person"),
        ({"action": "remove", "external_id": "E9"}, 404, "not_found", None),
        ({"action": "remove", "id": "external:Portal:\x7f"}, 404, "not_found", None),
        ({"action": "create", "person": {"external_id": "E1"}}, 409, "person_refused", None),
    ],
)  # fmt: skip
async def test_a_bad_item_harms_no_other(
    client: httpx2.AsyncClient, item: Any, status: int, code: str, field: str | None
) -> None:
    results = await bulk(client, [create("E1"), item, create("E2", title="x")])
    assert [one["status"] for one in results] == [201, status, 201]
    problem = results[1]["problem"]
    assert (problem["code"], problem.get("field"), problem["status"]) == (code, field, status)
    assert problem["type"].startswith("http://127.0.0.1:8000/docs/problems/")
    assert len(await people(client)) == 2


async def test_what_is_not_unicode_is_no_json(client: httpx2.AsyncClient) -> None:
    body = b'{"items": [{"action": "create", "person": {"title": "\\ud800"}}, {"action": "create", "person": {}}]}'
    refused = await client.post("/v1/bulk/people", content=body, headers={**key(), "Content-Type": "application/json"})
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_body")


async def test_the_same_request_twice_is_done_once(client: httpx2.AsyncClient) -> None:
    body = {"items": [create(f"E{n}") for n in range(20)]}
    first = await client.post("/v1/bulk/people", json=body, headers=key("once"))
    again = await client.post("/v1/bulk/people", json=body, headers=key("once"))
    assert again.content == first.content
    assert again.headers["idempotency-replayed"] == "true"
    assert len(await people(client)) == 20


@pytest.mark.parametrize("items", [[], [{"action": "create", "person": {}}] * 1001, {}, None])
async def test_a_request_has_between_one_and_a_thousand_items(client: httpx2.AsyncClient, items: Any) -> None:
    refused = await client.post("/v1/bulk/people", json={"items": items}, headers=key())
    assert (refused.status_code, refused.json()["field"]) == (400, "items")
    assert await people(client) == []


async def test_a_body_that_is_too_large_is_refused(client: httpx2.AsyncClient) -> None:
    body = {"items": [create("E1", title="x" * 11_000_000)]}
    refused = await client.post("/v1/bulk/people", json=body, headers=key())
    assert (refused.status_code, refused.json()["limit"]) == (413, 10 * 1024 * 1024)


async def test_a_large_request_costs_more(client: httpx2.AsyncClient) -> None:
    def left(answer: httpx2.Response) -> int:
        return int(answer.headers["ratelimit"].split(";r=")[1].partition(";")[0])

    begun = left(await client.get("/v1/people"))
    small = left(await client.post("/v1/bulk/people", json={"items": [create("E1")]}, headers=key()))
    items = [create(f"F{n}", title="x" * 1000) for n in range(200)]
    large = left(await client.post("/v1/bulk/people", json={"items": items}, headers=key()))
    assert begun - small == operations()[0].cost
    assert small - large == operations()[0].cost + 200 * 1000 // 65_536


# ------------------------------------------------------------------ as one by one


@dataclass
class Served:
    """A server on the world's loop."""

    world: World
    client: httpx2.AsyncClient

    async def tenant(self) -> dict[str, str]:
        """The headers of a fresh tenant's client."""
        tenant_id = await self.world.tenant()
        token = await token_of(self.world.database, tenant_id, source=OWN)
        return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def served(world: World, server: embedded.Server) -> Generator[Served]:
    """One for each module."""
    stack = AsyncExitStack()
    yield Served(world, world.run(stack.enter_async_context(serving(server))))
    world.run(stack.aclose())


_ids = st.sampled_from(["E1", "E2", "E3"])
_said = st.fixed_dictionaries(
    {},
    optional={
        "active": st.booleans(),
        "user_name": st.sampled_from(["ada", "bo"]),
        "email": st.sampled_from([None, "ada@acme.example", "bo@acme.example"]),
        "employee_id": st.sampled_from([None, "1", "2"]),
        "title": st.sampled_from([None, "Analyst", "Engineer"]),
        "hire_date": st.sampled_from([None, "2020-01-01", "2999-01-01"]),
        "manager_ref": _ids,
    },
)
_items = st.one_of(
    st.builds(lambda one, said: create(one, **said), _ids, _said),
    st.builds(lambda one, said: {"action": "update", "external_id": one, "person": said}, _ids, _said),
    st.builds(lambda one, said: {"action": "upsert", "external_id": one, "person": said}, _ids, _said),
    st.builds(lambda one: {"action": "remove", "external_id": one}, _ids),
)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(items=st.lists(_items, min_size=1, max_size=12))
def test_many_at_once_are_many_one_by_one(served: Served, items: list[dict[str, Any]]) -> None:
    async def live() -> None:
        together, apart = await served.tenant(), await served.tenant()
        told = await bulk(served.client, items, **together)
        alone = [await by_itself(served.client, item, apart) for item in items]
        assert [one["status"] for one in told] == [answer.status_code for answer in alone]
        rules = [(one["problem"] or {}).get("rule") for one in told]
        assert rules == [answer.json().get("rule") if answer.content else None for answer in alone]
        assert await state(served.client, together) == await state(served.client, apart)

    served.world.run(live())


async def by_itself(client: httpx2.AsyncClient, item: dict[str, Any], headers: dict[str, str]) -> httpx2.Response:
    """An item as a request of its own."""
    match item["action"]:
        case "create":
            return await client.post("/v1/people", json=item["person"], headers={**headers, **key()})
        case "update":
            path = f"/v1/people/external:Portal:{item['external_id']}"
            return await client.patch(path, json=item["person"], headers=headers)
        case "upsert":
            path = f"/v1/people/external:Portal:{item['external_id']}"
            return await client.put(path, json=item["person"], headers=headers)
        case _:
            return await client.delete(f"/v1/people/external:Portal:{item['external_id']}", headers=headers)


_TIMES = {"id", "created_at", "updated_at", "key", "source"}


async def state(client: httpx2.AsyncClient, headers: dict[str, str]) -> list[Any]:
    """What a tenant knows of people, without what differs from tenant to tenant. In the order of making."""
    found = (await client.get("/v1/people", params={"limit": 200}, headers=headers)).json()["items"]
    found.sort(key=lambda one: one["id"])
    place = {one["id"]: number for number, one in enumerate(found)}
    known: list[Any] = []
    for one in found:
        records = (await client.get(f"/v1/people/{one['id']}/records", headers=headers)).json()["items"]
        said = [plain(record, place) | plain(record["values"], place) for record in records]
        known.append((plain(one, place), sorted(said, key=str)))
    return known


def plain(one: dict[str, Any], place: dict[str, int]) -> dict[str, Any]:
    """Without times and ids; people by their place."""
    kept = {name: value for name, value in one.items() if name not in _TIMES | {"values"}}
    return {name: place.get(value, value) if isinstance(value, str) else value for name, value in kept.items()}
