"""Reading people over the public API."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from stoa.db import embedded
from stoa.db.database import Database
from stoa.kernel.ids import TenantId
from tests.conftest import MakeTenant
from tests.people.api import client_of, created, names, people
from tests.people.making import report, rollback, source, sync, worker


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


async def test_one_person_is_read_and_not_read_again_unchanged(client: httpx2.AsyncClient) -> None:
    ada = await created(client, display_name="Ada", external_id="E1")
    for path in (ada["id"], ada["id"].upper(), "external:portal:E1"):
        answer = await client.get(f"/v1/people/{path}")
        assert (answer.status_code, answer.json()["display_name"], answer.headers["etag"]) == (200, "Ada", '"1"')
    same = await client.get(f"/v1/people/{ada['id']}", headers={"If-None-Match": '"1"'})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", '"1"')
    await client.patch(f"/v1/people/{ada['id']}", json={"title": "x"})
    assert (await client.get(f"/v1/people/{ada['id']}", headers={"If-None-Match": '"1"'})).status_code == 200


async def test_a_source_may_be_named_by_its_id(client: httpx2.AsyncClient) -> None:
    ada = await created(client, external_id="E:1")
    (record,) = (await client.get(f"/v1/people/{ada['id']}/records")).json()["items"]
    assert (await client.get(f"/v1/people/external:{record['source']['id']}:E:1")).json()["id"] == ada["id"]
    assert (await client.put(f"/v1/people/external:{record['source']['id']}:E:1", json={})).status_code == 200


@pytest.mark.parametrize("sort", ["display_name", "-display_name", "updated_at", "-updated_at"])
async def test_pages_hold_everybody_once(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId, sort: str
) -> None:
    # Two of a name, two without any, two of one moment.
    rows = [worker(n, display_name=f"Name {n // 2}") for n in range(12)]
    await hired(database, tenant_id, *rows, *(worker(n, display_name=None) for n in range(12, 15)))
    for limit in (1, 2, 4, 200):
        found = await people(client, sort=sort, limit=limit)
        assert len({one["id"] for one in found}) == len(found) == 15
        if limit == 1:
            first = [one["id"] for one in found]
        assert [one["id"] for one in found] == first


@pytest.mark.parametrize("sort", ["display_name", "-display_name", "updated_at", "-updated_at"])
async def test_who_is_there_all_the_time_is_listed_once_while_others_come_and_go(
    client: httpx2.AsyncClient, sort: str
) -> None:
    standing = [await created(client, display_name=f"N{n:02}") for n in range(12)]
    found: list[str] = []
    cursor: dict[str, str] = {}
    for number in range(100):
        page = (await client.get("/v1/people", params={"sort": sort, "limit": 2, **cursor})).json()
        found += [one["id"] for one in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
        other = await created(client, display_name=f"N{number % 12:02}{number}")
        if number % 2:
            await client.patch(f"/v1/people/{other['id']}", json={"display_name": f"M{number}"})
    assert [found.count(one["id"]) for one in standing] == [1] * len(standing)


async def test_who_follows_the_changes_misses_none(client: httpx2.AsyncClient) -> None:
    made = [await created(client, display_name=f"N{n}") for n in range(6)]
    copy: dict[str, Any] = {}
    since = "2000-01-01T00:00:00Z"
    for number in range(8):
        cursor: dict[str, str] = {}
        while True:
            query = {"updated_since": since, "limit": 2, **cursor}
            page = (await client.get("/v1/people", params=query)).json()
            copy |= {one["id"]: one for one in page["items"]}
            # Somebody who was seen already changes while we are reading.
            changed = await client.patch(f"/v1/people/{made[number % 6]['id']}", json={"title": f"{number}"})
            assert changed.status_code == 200
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
        since = page["next_updated_since"]
    cursor = {}
    while True:
        page = (await client.get("/v1/people", params={"updated_since": since, **cursor})).json()
        copy |= {one["id"]: one for one in page["items"]}
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert sorted(copy.values(), key=lambda one: one["id"]) == sorted(await people(client), key=lambda one: one["id"])


async def test_what_began_before_a_page_was_read_and_ended_after_it_comes_next_time(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId
) -> None:
    ada = await created(client, display_name="Ada")
    async with database.tenant(tenant_id) as tx:
        await tx.execute("SELECT FROM person WHERE tenant_id = $1 AND person_id = $2 FOR UPDATE", tenant_id, ada["id"])
        late = asyncio.create_task(client.patch(f"/v1/people/{ada['id']}", json={"title": "late"}))
        async with asyncio.timeout(20):
            while not await tx.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):
                assert not late.done()
        page = (await client.get("/v1/people", params={"sort": "updated_at"})).json()
    assert (await late).status_code == 200
    after = await people(client, updated_since=page["next_updated_since"])
    assert [one["title"] for one in after] == ["late"]
    assert datetime.fromisoformat(page["next_updated_since"]) < datetime.fromisoformat(page["as_of"])


async def test_a_filter_a_moment_and_a_choice_of_members(client: httpx2.AsyncClient) -> None:
    ada = await created(client, display_name="Ada", user_name="ADA", title="x")
    bo = await created(client, display_name="Bo", employee_id="2")
    assert names(await people(client, filter='user_name eq "ada" or employee_id eq "9"')) == ["Ada"]
    assert names(await people(client, filter='source eq "portal" and not (display_name sw "a")')) == ["Bo"]
    chosen = await people(client, fields="title,display_name")
    assert chosen == [
        {"id": ada["id"], "display_name": "Ada", "title": "x"}, {"id": bo["id"], "display_name": "Bo", "title": None},
    ]  # fmt: skip
    since = await people(client, updated_since=bo["updated_at"])
    assert names(since) == ["Bo"]
    both = await people(client, updated_since=bo["updated_at"], filter='display_name eq "Ada"')
    assert both == []
    elsewhere = datetime.fromisoformat(bo["updated_at"]).astimezone(UTC).replace(tzinfo=None).isoformat() + "+00:00"
    assert names(await people(client, updated_since=elsewhere)) == ["Bo"]


async def test_who_was_merged_is_a_tombstone_for_who_follows(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId
) -> None:
    ada, bo = await created(client, display_name="Ada"), await created(client, display_name="Bo")
    async with database.tenant(tenant_id) as tx:
        await tx.execute(
            "UPDATE person SET merged_into = $3, version = version + 1, updated_at = $4 "
            "WHERE tenant_id = $1 AND person_id = $2",
            *(tenant_id, ada["id"], bo["id"], tx.now),
        )
    assert names(await people(client)) == ["Bo"]
    (gone,) = [one for one in await people(client, updated_since=ada["created_at"], limit=1) if "deleted" in one]
    assert (gone["id"], gone["deleted"], gone["merged_into"]) == (ada["id"], True, bo["id"])
    assert (await client.get(f"/v1/people/{ada['id']}")).json()["id"] == bo["id"]
    changed = await client.patch(f"/v1/people/{ada['id']}", json={"title": "x"})
    assert changed.json()["id"] == bo["id"]


@pytest.mark.parametrize(
    ("query", "code", "about"),
    [
        ({"limit": 0}, "bad_query", "limit"),
        ({"limit": 201}, "bad_query", "limit"),
        ({"limit": "x"}, "bad_query", "limit"),
        ({"sort": "title"}, "bad_query", "sort"),
        ({"sort": "--updated_at"}, "bad_query", "sort"),
        ({"fields": "titel"}, "bad_query", "fields"),
        ({"filter": "titel eq 1"}, "invalid_filter", "filter"),
        ({"filter": 'title eq "'}, "invalid_filter", "filter"),
        ({"filter": "("}, "invalid_filter", "filter"),
        ({"updated_since": "yesterday"}, "bad_query", "updated_since"),
        ({"updated_since": "2026-01-01T00:00:00"}, "bad_query", "updated_since"),
        ({"updated_since": "0001-01-01T00:00:00+14:00"}, "bad_query", "updated_since"),
        ({"updated_since": "9999-12-31T23:59:59-14:00"}, "bad_query", "updated_since"),
        ({"filter": 'updated_at ge "0001-01-01T00:00:00+14:00"'}, "invalid_filter", "filter"),
        ({"filter": 'updated_at le "9999-12-31T23:59:59-14:00"'}, "invalid_filter", "filter"),
        ({"color": "red"}, "bad_query", "color"),
        ({"cursor": "x"}, "bad_cursor", None),
        ({"filter": 'title eq "a\x00b"'}, "bad_query", "filter"),
    ],
)
async def test_what_cannot_be_asked_is_refused(
    client: httpx2.AsyncClient, query: dict[str, Any], code: str, about: str | None
) -> None:
    refused = await client.get("/v1/people", params=query)
    assert (refused.status_code, refused.json()["code"], refused.json().get("parameter")) == (400, code, about)


async def test_a_parameter_given_twice_is_refused(client: httpx2.AsyncClient) -> None:
    refused = await client.get("/v1/people?limit=1&limit=2")
    assert (refused.status_code, refused.json()["parameter"]) == (400, "limit")


async def test_a_cursor_of_another_list_is_refused(
    server: embedded.Server, database: Database, make_tenant: MakeTenant, client: httpx2.AsyncClient
) -> None:
    for name in ("Ada", "Bo"):
        await created(client, display_name=name)
    page = (await client.get("/v1/people", params={"limit": 1})).json()
    cursor = page["next_cursor"]
    assert (await client.get("/v1/people", params={"cursor": cursor})).status_code == 200
    other_queries: list[dict[str, Any]] = [
        {"sort": "-display_name"}, {"sort": "updated_at"}, {"filter": "active eq true"},
        {"updated_since": "2000-01-01T00:00:00Z"},
    ]  # fmt: skip
    for query in other_queries:
        refused = await client.get("/v1/people", params={**query, "cursor": cursor})
        assert (refused.status_code, refused.json()["code"]) == (400, "bad_cursor")
    async with client_of(server, database, await make_tenant()) as stranger:
        refused = await stranger.get("/v1/people", params={"cursor": cursor})
        assert (refused.status_code, refused.json()["code"]) == (400, "bad_cursor")
    for spoilt in (cursor[:-1], cursor + "A", cursor[::-1]):
        assert (await client.get("/v1/people", params={"cursor": spoilt})).json()["code"] == "bad_cursor"


async def test_a_page_says_where_the_next_one_is(client: httpx2.AsyncClient) -> None:
    for name in ("Ada", "Bo"):
        await created(client, display_name=name)
    first = await client.get("/v1/people", params={"limit": 1, "filter": "active eq true"})
    address, _, relation = first.headers["link"].partition(">")
    assert relation == '; rel="next"'
    second = await client.get(address.removeprefix("<"))
    assert names(second.json()["items"]) == ["Bo"]
    assert second.json()["next_cursor"] is None
    assert "link" not in second.headers


async def test_the_list_is_as_of_a_moment(client: httpx2.AsyncClient) -> None:
    before = datetime.now(UTC)
    told = datetime.fromisoformat((await client.get("/v1/people")).json()["as_of"])
    assert before - timedelta(seconds=1) <= told <= datetime.now(UTC)


@pytest.mark.parametrize("sort", ["updated_at", "-updated_at"])
async def test_who_is_no_more_is_a_tombstone_in_its_place(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId, sort: str
) -> None:
    source_id = await source(database, tenant_id)
    first = await created(client, display_name="First")
    run = await sync(database, tenant_id, source_id, report([worker(n) for n in range(5)]))
    made = {one["id"] for one in await people(client)} - {first["id"]}
    undone = await rollback(database, tenant_id, run.run_id)
    last = await created(client, display_name="Last")
    assert {one["id"] for one in await people(client)} == {first["id"], last["id"]}
    for limit in (1, 2, 3, 200):
        found = await people(client, updated_since=first["created_at"], limit=limit, sort=sort)
        in_order = found if sort == "updated_at" else found[::-1]
        assert [one["id"] for one in in_order[:1] + in_order[-1:]] == [first["id"], last["id"]]
        assert {one["id"] for one in in_order[1:-1]} == made
        assert all(one["deleted"] and one["merged_into"] is None for one in in_order[1:-1])
    assert [one["id"] for one in await people(client, updated_since=last["created_at"])] == [last["id"]]
    # Who comes back by undoing that is no tombstone any more.
    await rollback(database, tenant_id, undone.run_id)
    found = await people(client, updated_since=first["created_at"])
    assert {one["id"] for one in found if "deleted" not in one} == made | {first["id"], last["id"]}
    assert not any("deleted" in one for one in found)


async def test_who_follows_the_changes_follows_their_order(client: httpx2.AsyncClient) -> None:
    refused = await client.get("/v1/people", params={"updated_since": "2000-01-01T00:00:00Z", "sort": "display_name"})
    assert (refused.status_code, refused.json()["parameter"]) == (400, "sort")
