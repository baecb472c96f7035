"""Lists of every resource: cursors, orders, fields and tombstones, the same everywhere."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from urllib.parse import quote

import httpx2
import pytest

from stoa.alerts.actions import raise_alert
from stoa.db import embedded
from stoa.db.database import Database
from stoa.kernel.ids import TenantId, new_id
from stoa.tenants.actions import create_connection, ensure_source
from stoa.tenants.model import NewConnection
from stoa.tenants.sealing import Sealer

from ..conftest import MakeTenant
from .calling import serving, token_of
from .test_api_entrance import make_person

LISTS = ("/v1/people", "/v1/sources", "/v1/connections", "/v1/runs", "/v1/alerts", "/v1/clients", "/v1/audit")


@pytest.fixture
async def client(
    server: embedded.Server, database: Database, tenant_id: TenantId
) -> AsyncGenerator[httpx2.AsyncClient]:
    """May read and write everything of its tenant."""
    async with serving(server, await token_of(database, tenant_id)) as opened:
        yield opened


async def everything(client: httpx2.AsyncClient, path: str) -> list[dict[str, object]]:
    """All items, page by page."""
    found: list[dict[str, object]] = []
    cursor: str | None = ""
    while cursor is not None:
        more = f"&cursor={quote(cursor)}" if cursor else ""
        answer = (await client.get(f"{path}{'&' if '?' in path else '?'}limit=2{more}")).json()
        found += answer["items"]
        cursor = answer["next_cursor"]
    return found


async def some_sources(database: Database, tenant_id: TenantId, n: int = 7) -> None:
    """Sources, one after the other."""
    for number in range(n):
        async with database.tenant(tenant_id) as tx:
            await ensure_source(tx, "import", f"Source {n - number}")


@pytest.mark.parametrize("path", LISTS)
async def test_every_list_is_a_page(client: httpx2.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 200
    assert set(answer.json()) == {"items", "next_cursor", "as_of", "next_updated_since"}


@pytest.mark.parametrize("sort", ["created_at", "-created_at", "name", "-name"])
async def test_pages_hold_everything_once_and_in_order(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId, sort: str
) -> None:
    await some_sources(database, tenant_id)
    paged = await everything(client, f"/v1/sources?sort={sort}")
    whole = (await client.get(f"/v1/sources?sort={sort}&limit=200")).json()["items"]
    assert paged == whole
    assert len({one["id"] for one in paged}) == len(paged) == 8
    values = [str(one[sort.removeprefix("-")]).casefold() for one in whole]
    assert values == sorted(values, reverse=sort.startswith("-"))


async def test_a_next_page_is_linked(client: httpx2.AsyncClient, database: Database, tenant_id: TenantId) -> None:
    await some_sources(database, tenant_id)
    first = await client.get("/v1/sources?limit=3&sort=name")
    following = first.links["next"]["url"]
    assert first.json()["next_cursor"] in following
    assert (await client.get(following)).json()["items"][0] not in first.json()["items"]


async def test_a_cursor_opens_its_own_list_alone(
    client: httpx2.AsyncClient,
    server: embedded.Server,
    database: Database,
    tenant_id: TenantId,
    make_tenant: MakeTenant,
) -> None:
    await some_sources(database, tenant_id)
    cursor = (await client.get("/v1/sources?limit=1&sort=name")).json()["next_cursor"]
    for path in (
        "/v1/sources?sort=-name",
        "/v1/sources",
        "/v1/sources?sort=name&filter=kind%20eq%20%22idp%22",
        "/v1/connections?sort=name",
        "/v1/clients?sort=name",
    ):
        answer = await client.get(f"{path}{'&' if '?' in path else '?'}cursor={cursor}")
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor"), path
    other = await make_tenant()
    async with serving(server, await token_of(database, other)) as stranger:
        answer = await stranger.get(f"/v1/sources?sort=name&cursor={cursor}")
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor")


async def test_fields_leave_the_rest_out(client: httpx2.AsyncClient, database: Database, tenant_id: TenantId) -> None:
    await make_person(database, tenant_id)
    items = (await client.get("/v1/people?fields=user_name,active")).json()["items"]
    assert [set(item) for item in items] == [{"id", "user_name", "active"}]


async def test_what_was_not_changed_since_is_left_out(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId
) -> None:
    await make_person(database, tenant_id)
    as_of = (await client.get("/v1/people")).json()["as_of"]
    later = await make_person(database, tenant_id, "Grace")
    items = (await client.get(f"/v1/people?updated_since={quote(as_of)}")).json()["items"]
    assert [item["id"] for item in items] == [later]


async def test_who_was_merged_is_a_tombstone(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId
) -> None:
    gone, stays = await make_person(database, tenant_id), await make_person(database, tenant_id, "Grace")
    async with database.tenant(tenant_id) as tx:
        await tx.execute(
            "UPDATE person SET merged_into = $3, updated_at = $4 WHERE tenant_id = $1 AND person_id = $2",
            *(tenant_id, gone, stays, tx.now + timedelta(seconds=1)),
        )
    plain = (await client.get("/v1/people")).json()["items"]
    since = (await client.get("/v1/people?updated_since=2020-01-01T00:00:00Z&fields=email")).json()["items"]
    assert [item["id"] for item in plain] == [stays]
    assert since[-1] == since[-1] | {"id": gone, "deleted": True, "merged_into": stays}
    assert (await client.get(f"/v1/people/{gone}")).json()["id"] == stays


async def test_a_deleted_client_is_a_tombstone(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId
) -> None:
    client_id = new_id()
    async with database.tenant(tenant_id) as tx:
        await tx.execute(
            """INSERT INTO api_client (tenant_id, client_id, name, name_key, scopes, created_at, updated_at, deleted_at)
            VALUES ($1, $2, 'Old', 'old', '{people:read}', $3, $3, $3)""",
            *(tenant_id, client_id, tx.now),
        )
    assert (await client.get("/v1/clients")).json()["items"] == []
    since = (await client.get("/v1/clients?updated_since=2020-01-01T00:00:00Z")).json()["items"]
    assert [(item["id"], item["deleted"]) for item in since] == [(str(client_id), True)]
    assert (await client.get(f"/v1/clients/{client_id}")).status_code == 404


async def test_the_audit_log_says_who_and_from_where(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId
) -> None:
    await some_sources(database, tenant_id, 3)
    lines = await everything(client, "/v1/audit?filter=type%20eq%20%22source.created%22")
    assert len(lines) == 4
    assert all(line["data"] and line["at"] for line in lines)
    assert (await client.get("/v1/audit?updated_since=2020-01-01T00:00:00Z")).status_code == 400


async def test_what_is_done_to_alerts_and_connections_is_among_the_changes(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId, sealer: Sealer
) -> None:
    async with database.tenant(tenant_id) as tx:
        alert = await raise_alert(tx, "sync.held", "c1", "info", "Held", "d", "h")
        source = await ensure_source(tx, "hris", "Workday")
        made = await create_connection(tx, sealer, NewConnection(source.source_id, "workday", "Workday", {}))
        for table, time in (("alert", "first_at"), ("alert", "last_at"), ("connection", "created_at")):
            await tx.execute(f"UPDATE {table} SET {time} = {time} - interval '1 hour' WHERE tenant_id = $1", tenant_id)
        since, until = tx.now - timedelta(minutes=30), (tx.now + timedelta(days=1)).isoformat()

    async def changed(path: str) -> list[object]:
        found = await everything(client, f"{path}?updated_since={quote(since.isoformat())}")
        return [one["state"] for one in found]

    alerts, connections = "/v1/alerts", "/v1/connections"
    assert (await changed(alerts), await changed(connections)) == ([], [])
    muting = {"reason": "Known for now.", "until": until}
    assert (await client.post(f"{alerts}/{alert.alert_id}/mute", json=muting)).status_code == 200
    paused = await client.post(f"{connections}/{made.connection_id}/pause", json={"reason": "Rebuilt"})
    assert paused.status_code == 200, paused.text
    assert (await changed(alerts), await changed(connections)) == (["muted"], ["paused"])
