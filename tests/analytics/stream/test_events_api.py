"""The event log over the public API: pages, filters, waiting, one event, and the catalogue."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import asyncpg
import httpx2
import jsonschema_rs
import pytest
from prometheus_client import REGISTRY

from stoa.access.actions import revoke
from stoa.access.queries import credentials
from stoa.analytics.stream import sending
from stoa.analytics.stream.reading import MOST_SCANNED, cursor_of
from stoa.db import embedded
from stoa.db.database import Database
from stoa.events.actions import emit
from stoa.events.catalogue import discover
from stoa.events.model import ERASED, Event
from stoa.kernel.cursors import encode_cursor
from stoa.kernel.ids import TenantId

from ...api.calling import BASE_URL, serving, token_of
from ...conftest import MakeTenant
from .writing import number, write


@pytest.fixture
async def client(
    server: embedded.Server, database: Database, tenant_id: TenantId
) -> AsyncGenerator[httpx2.AsyncClient]:
    """Reads the events of its tenant, of which there are some."""
    await write(database, tenant_id, *(f"domain:{n}.example" for n in range(5)))
    token = await token_of(database, tenant_id, ["events:read"])
    await number(database, tenant_id)
    async with serving(server, token) as opened:
        yield opened


async def page(client: httpx2.AsyncClient, query: str = "") -> dict[str, Any]:
    """A page of the log."""
    answer = await client.get(f"/v1/events?{query}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_the_whole_log_is_read_page_by_page(client: httpx2.AsyncClient) -> None:
    whole = await page(client)
    assert [item["sequence"] for item in whole["items"]] == [str(n) for n in range(1, len(whole["items"]) + 1)]
    assert whole["items"][0]["type"] == "tenant.created"
    assert (whole["has_more"], whole["as_of"]["sequence"]) == (False, len(whole["items"]))
    assert whole["as_of"]["time"] == whole["items"][-1]["time"]
    found: list[dict[str, Any]] = []
    piece = await page(client, "limit=3")
    while piece["items"]:
        found += piece["items"]
        assert piece["has_more"] is (len(found) < len(whole["items"]))
        piece = await page(client, f"limit=3&cursor={piece['next_cursor']}")
    assert found == whole["items"]


async def test_a_cursor_at_the_end_goes_on_where_it_stopped(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId
) -> None:
    end = (await page(client))["next_cursor"]
    assert (await page(client, f"cursor={end}"))["next_cursor"] == end
    await write(database, tenant_id, "domain:new.example")
    more = await page(client, f"cursor={end}")
    assert [item["subject"] for item in more["items"]] == ["domain:new.example"]


async def test_an_event_that_has_no_number_yet_is_not_skipped(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId
) -> None:
    end = (await page(client))["next_cursor"]
    async with database.tenant(tenant_id) as tx:
        emit(tx, Event("domain.proven", "domain:late.example", {}))
    early = await page(client, f"cursor={end}")
    assert (early["items"], early["next_cursor"]) == ([], end)
    await number(database, tenant_id)
    assert [item["subject"] for item in (await page(client, f"cursor={end}"))["items"]] == ["domain:late.example"]


async def test_a_filtered_page_holds_what_matches_and_moves_on(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId
) -> None:
    wanted = quote('type eq "domain.proven" and subject ew "3.example"')
    found = await page(client, f"filter={wanted}")
    assert [item["subject"] for item in found["items"]] == ["domain:3.example"]
    assert found["next_cursor"] == (await page(client))["next_cursor"]
    nothing = quote('type eq "person.created"')
    assert (await page(client, f"filter={nothing}"))["next_cursor"] == found["next_cursor"]
    # A cursor is a place in the log, so it is good under another filter too.
    await write(database, tenant_id, "domain:new.example")
    more = await page(client, f"cursor={found['next_cursor']}&filter={quote('type pr')}")
    assert [item["subject"] for item in more["items"]] == ["domain:new.example"]


async def test_a_filter_that_finds_little_looks_at_a_bounded_part_of_the_log(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId
) -> None:
    async with database.tenant(tenant_id) as tx:
        for n in range(MOST_SCANNED):
            emit(tx, Event("domain.proven", f"domain:many{n}.example", {}))
    await write(database, tenant_id, "domain:last.example")
    wanted = "filter=" + quote('subject eq "domain:last.example"')
    first = await page(client, wanted)
    assert (first["items"], first["has_more"]) == ([], True)
    second = await page(client, f"{wanted}&cursor={first['next_cursor']}")
    assert [item["subject"] for item in second["items"]] == ["domain:last.example"]
    # Waiting goes on by itself.
    assert len((await page(client, f"{wanted}&wait=10"))["items"]) == 1


async def test_where_to_begin(client: httpx2.AsyncClient, database: Database, tenant_id: TenantId) -> None:
    whole = (await page(client))["items"]
    assert (await page(client, "from=beginning"))["items"] == whole
    now = await page(client, "from=now")
    assert (now["items"], now["has_more"]) == ([], False)
    await write(database, tenant_id, "domain:new.example")
    assert len((await page(client, f"cursor={now['next_cursor']}"))["items"]) == 1
    moment = whole[4]["time"]
    since = [item["sequence"] for item in (await page(client, f"from={quote(moment)}"))["items"]]
    assert since == [str(n) for n in range(5, len(whole) + 2)]
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert (await page(client, f"from={quote(later)}"))["items"] == []
    assert len((await page(client, f"from={quote('2020-01-01T00:00:00+02:00')}"))["items"]) == len(whole) + 1
    # The ends of the calendar, on both sides of midnight.
    for first in ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"):
        assert len((await page(client, f"from={quote(first)}"))["items"]) == len(whole) + 1
    for last in ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00"):
        assert (await page(client, f"from={quote(last)}"))["items"] == []


@pytest.mark.parametrize(
    ("query", "code", "parameter"),
    [
        ("limit=0", "bad_query", "limit"),
        ("limit=1001", "bad_query", "limit"),
        ("wait=31", "bad_query", "wait"),
        ("wait=-1", "bad_query", "wait"),
        ("from=yesterday", "bad_query", "from"),
        ("from=2026-01-01T00:00:00", "bad_query", "from"),
        ("from=", "bad_query", "from"),
        ("since=now", "bad_query", "since"),
        ("cursor=", "bad_query", "cursor"),
        ("cursor=nonsense", "bad_cursor", None),
        ("filter=kind%20eq%20%22x%22", None, "filter"),
        ("filter=type%20sw%20%22person", None, "filter"),
    ],
)
async def test_a_wrong_parameter_is_named(
    client: httpx2.AsyncClient, query: str, code: str | None, parameter: str | None
) -> None:
    for path in ("/v1/events", "/v1/events/stream"):
        if path.endswith("stream") and query.startswith(("limit", "wait")):
            continue
        answer = await client.get(f"{path}?{query}")
        assert answer.status_code == 400, answer.text
        told = answer.json()
        assert told["code"] == (code or told["code"])
        assert told.get("parameter") == parameter


async def test_cursors_of_others_are_refused(
    client: httpx2.AsyncClient, make_tenant: MakeTenant, tenant_id: TenantId
) -> None:
    other = await make_tenant()
    foreign = [
        cursor_of(other, 1),
        encode_cursor(f"people\0{tenant_id}", (1,)),
        encode_cursor(f"events\0{tenant_id}", (1, 2)),
        encode_cursor(f"events\0{tenant_id}", ("1",)),
        encode_cursor(f"events\0{tenant_id}", (-1,)),
        # Of a log that was longer once.
        cursor_of(tenant_id, 10_000),
    ]
    for cursor in foreign:
        for path in ("/v1/events", "/v1/events/stream"):
            answer = await client.get(f"{path}?cursor={cursor}")
            assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor")
    cursor = cursor_of(tenant_id, 1)
    answer = await client.get(f"/v1/events?cursor={cursor}&from=now")
    assert (answer.status_code, answer.json()["parameter"]) == (400, "from")


async def test_nothing_of_another_tenant_is_seen(
    client: httpx2.AsyncClient, database: Database, make_tenant: MakeTenant, tenant_id: TenantId
) -> None:
    other = await make_tenant()
    await write(database, other, "domain:secret.example")
    assert {item["tenantid"] for item in (await page(client))["items"]} == {str(tenant_id)}
    answer = await client.get(f"/v1/events/{other}-1")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_an_erased_event_leaves_its_place(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId, server: embedded.Server
) -> None:
    owner = await asyncpg.connect(server.admin_dsn.replace("/postgres?", "/stoa?"))
    await owner.execute("DELETE FROM event WHERE tenant_id = $1 AND subject = 'domain:3.example'", tenant_id)
    await owner.close()
    items = (await page(client))["items"]
    erased = [item for item in items if item["type"] == ERASED]
    assert [(item["data"], "subject" in item) for item in erased] == [({}, False)]
    assert [item["sequence"] for item in items] == [str(n) for n in range(1, len(items) + 1)]


async def test_waiting_ends_with_the_next_event(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId
) -> None:
    end = (await page(client))["next_cursor"]
    waiting = asyncio.create_task(page(client, f"cursor={end}&wait=30"))
    await somebody_waits()
    await write(database, tenant_id, "domain:new.example")
    found = await asyncio.wait_for(waiting, 10)
    assert [item["subject"] for item in found["items"]] == ["domain:new.example"]
    assert not waited_for()


async def somebody_waits() -> None:
    """Until a request waits, or a stream is open, in this process."""
    while not waited_for():
        await asyncio.to_thread(int)


def waited_for() -> bool:
    """Whether anybody waits in this process."""
    return REGISTRY.get_sample_value("stoa_event_streams_open") == 1


async def test_waiting_ends_without_an_event_when_the_time_is_up(client: httpx2.AsyncClient) -> None:
    end = (await page(client))["next_cursor"]
    found = await asyncio.wait_for(page(client, f"cursor={end}&wait=1"), 10)
    assert (found["items"], found["next_cursor"]) == ([], end)


async def test_a_credential_that_was_revoked_while_it_waited_is_told_nothing(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId
) -> None:
    end = (await page(client))["next_cursor"]
    waiting = asyncio.create_task(client.get(f"/v1/events?cursor={end}&wait=30"))
    await somebody_waits()
    async with database.tenant(tenant_id) as tx:
        for one in await credentials(tx):
            await revoke(tx, one.credential_id)
    await number(database, tenant_id)
    assert (await asyncio.wait_for(waiting, 10)).status_code == 401


async def test_no_more_than_so_many_wait_at_once(
    client: httpx2.AsyncClient, tenant_id: TenantId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "MOST_OPEN", 0)
    for path in ("/v1/events?wait=5", "/v1/events/stream"):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (429, "too_many_streams")
        assert int(answer.headers["retry-after"]) > 0
    assert (await client.get("/v1/events")).status_code == 200


async def test_one_event_is_found_by_its_id_and_its_number(client: httpx2.AsyncClient) -> None:
    second = (await page(client))["items"][1]
    for name in (second["id"], second["sequence"]):
        answer = await client.get(f"/v1/events/{name}")
        assert (answer.status_code, answer.json()) == (200, second)
    for name in ("0", "-1", "9999", "x", "1e3", "٣", "9" * 30):
        assert (await client.get(f"/v1/events/{name}")).status_code == 404


async def test_schemas_of_what_was_read_are_served_and_hold(client: httpx2.AsyncClient) -> None:
    for item in (await page(client))["items"]:
        assert item["dataschema"].startswith(BASE_URL)
        answer = await client.get(item["dataschema"].removeprefix(BASE_URL))
        assert answer.headers["content-type"] == "application/schema+json"
        assert answer.json()["$id"] == item["dataschema"]
        jsonschema_rs.validate(answer.json(), item["data"])


async def test_the_catalogue_lists_every_type(client: httpx2.AsyncClient) -> None:
    items = (await client.get("/v1/event-types")).json()["items"]
    assert [item["name"] for item in items] == list(discover())
    assert (await client.get("/v1/event-types/person.updated")).json() in items
    for path in ("nothing.happened", "person.updated/versions/9", "nothing.happened/versions/1"):
        assert (await client.get(f"/v1/event-types/{path}")).status_code == 404


async def test_a_scope_of_another_resource_opens_nothing(
    server: embedded.Server, database: Database, tenant_id: TenantId
) -> None:
    token = await token_of(database, tenant_id, ["people:read"])
    async with serving(server, token) as client:
        for path in ("/v1/events", "/v1/events/stream", "/v1/events/1", "/v1/event-types"):
            assert (await client.get(path)).status_code == 403
