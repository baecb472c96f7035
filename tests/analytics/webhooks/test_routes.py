"""Webhooks over the public API."""

from collections.abc import AsyncGenerator
from uuid import uuid4

import httpx2
import pytest

from stoa.db import embedded
from stoa.db.database import Database
from stoa.events.actions import emit, number_entries
from stoa.events.model import Event
from stoa.kernel.ids import TenantId
from tests.api.calling import serving, token_of
from tests.conftest import MakeTenant

URL = "https://hooks.acme.example/stoa?key=1"


@pytest.fixture
async def client(
    server: embedded.Server, database: Database, tenant_id: TenantId
) -> AsyncGenerator[httpx2.AsyncClient]:
    async with serving(server, await token_of(database, tenant_id)) as opened:
        yield opened


async def made(client: httpx2.AsyncClient, **more: object) -> httpx2.Response:
    return await client.post("/v1/webhooks", json={"url": URL} | more, headers={"Idempotency-Key": uuid4().hex})


async def test_one_is_made_read_changed_and_deleted(client: httpx2.AsyncClient) -> None:
    first = await made(client, events='type sw "person."', description="Directory")
    assert first.status_code == 201, first.text
    assert first.json()["secret"].startswith("whsec_")
    where = first.headers["location"]
    read = await client.get(where)
    assert "secret" not in read.json()
    assert (read.json()["url"], read.json()["events"]) == (URL, 'type sw "person."')
    assert (await client.patch(where, json={"description": "x"})).status_code == 428
    changed = await client.patch(where, json={"description": "People"}, headers={"If-Match": read.headers["etag"]})
    assert (changed.status_code, changed.json()["description"]) == (200, "People")
    stale = await client.patch(where, json={"description": "x"}, headers={"If-Match": read.headers["etag"]})
    assert stale.status_code == 412
    off = await client.patch(where, json={"state": "disabled"}, headers={"If-Match": changed.headers["etag"]})
    assert (off.json()["state"], off.json()["disabled_reason"]) == ("disabled", "by_hand")
    assert (await client.delete(where)).status_code == 204
    assert (await client.get(where)).status_code == 404
    assert (await client.get("/v1/webhooks")).json()["items"] == []
    since = (await client.get("/v1/webhooks", params={"updated_since": "2020-01-01T00:00:00Z"})).json()["items"]
    assert [(item["id"], item["deleted"]) for item in since] == [(first.json()["id"], True)]


async def test_secrets_are_rotated_and_shown_once(client: httpx2.AsyncClient) -> None:
    first = (await made(client)).json()
    rotated = await client.post(f"/v1/webhooks/{first['id']}/secret/rotate", json={"overlap_hours": 1})
    assert rotated.status_code == 200, rotated.text
    assert rotated.json()["secret"] not in {"", first["secret"]}
    beyond = await client.post(f"/v1/webhooks/{first['id']}/secret/rotate", json={"overlap_hours": 169})
    assert beyond.status_code == 400


async def test_a_secret_lies_nowhere_in_plain_text(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId
) -> None:
    body, headers = {"url": URL}, {"Idempotency-Key": "once"}
    first, again = [await client.post("/v1/webhooks", json=body, headers=headers) for _ in range(2)]
    assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")
    async with database.tenant(tenant_id) as tx:
        kept: bytes = await tx.fetchval("SELECT body FROM idempotency_key WHERE tenant_id = $1", tenant_id)
        # Another key's answer does not open under this one.
        await tx.execute("UPDATE idempotency_key SET key = 'twice' WHERE tenant_id = $1", tenant_id)
    assert first.json()["secret"].encode() not in kept
    assert b"hooks.acme.example" not in kept
    moved = await client.post("/v1/webhooks", json=body, headers={"Idempotency-Key": "twice"})
    assert (moved.status_code, moved.json()["code"]) == (500, "secret_unreadable")


async def test_a_test_is_asked_for_and_listed(client: httpx2.AsyncClient) -> None:
    address = f"/v1/webhooks/{(await made(client)).json()['id']}"
    asked = await client.post(f"{address}/test")
    assert (asked.status_code, asked.json()["state"], asked.json()["event_type"]) == (202, "waiting", "webhook.test")
    listed = (await client.get(f"{address}/deliveries", params={"filter": 'kind eq "test"'})).json()["items"]
    assert [one["id"] for one in listed] == [asked.json()["id"]]
    whole = (await client.get(f"{address}/deliveries/{asked.json()['id']}")).json()
    assert whole["tries"] == []
    assert (await client.post(f"{address}/deliveries/{asked.json()['id']}/resend")).status_code == 409


async def test_deliveries_are_paged(client: httpx2.AsyncClient) -> None:
    address = f"/v1/webhooks/{(await made(client)).json()['id']}"
    asked = [(await client.post(f"{address}/test")).json()["id"] for _ in range(5)]
    found, cursor = list[str](), None
    while True:
        page = await client.get(f"{address}/deliveries", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
        found += [one["id"] for one in page.json()["items"]]
        cursor = page.json()["next_cursor"]
        if cursor is None:
            break
    assert found == asked[::-1]


async def test_recovery_says_from_where(client: httpx2.AsyncClient, database: Database, tenant_id: TenantId) -> None:
    first = (await made(client)).json()
    async with database.tenant(tenant_id) as tx:
        emit(tx, Event("thing.happened", "x", {}))
    async with database.tenant(tenant_id) as tx:
        await number_entries(tx)
    address = f"/v1/webhooks/{first['id']}/recover"
    assert (await client.post(address, json={})).status_code == 400
    assert (await client.post(address, json={"sequence": 0})).status_code == 400
    assert (await client.post(address, json={"sequence": 999999})).status_code == 409
    # Nothing of the log has been passed yet, so nothing can be sent once more.
    assert (await client.post(address, json={"sequence": 1})).status_code == 409 or first["sequence"] != 0


@pytest.mark.parametrize("only_failed", [False, True])
async def test_recovery_knows_the_ends_of_the_calendar(client: httpx2.AsyncClient, only_failed: bool) -> None:
    address = f"/v1/webhooks/{(await made(client)).json()['id']}/recover"
    for since in ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"):
        answer = await client.post(address, json={"since": since, "only_failed": only_failed})
        assert answer.status_code in {202, 409}, answer.text


async def test_another_tenants_are_not_there(
    client: httpx2.AsyncClient, server: embedded.Server, database: Database, make_tenant: MakeTenant
) -> None:
    address = f"/v1/webhooks/{(await made(client)).json()['id']}"
    async with serving(server, await token_of(database, await make_tenant())) as other:
        for method, path in (
            ("GET", address),
            ("DELETE", address),
            ("POST", f"{address}/test"),
            ("GET", f"{address}/deliveries"),
        ):
            assert (await other.request(method, path)).status_code == 404
    assert (await client.get(address)).status_code == 200


async def test_who_may_only_read_changes_nothing(
    server: embedded.Server, database: Database, tenant_id: TenantId
) -> None:
    async with serving(server, await token_of(database, tenant_id, ["webhooks:read"])) as client:
        assert (await made(client)).status_code == 403
        assert (await client.get("/v1/webhooks")).status_code == 200


async def test_who_may_not_read_events_has_none_sent(
    server: embedded.Server, database: Database, tenant_id: TenantId, client: httpx2.AsyncClient
) -> None:
    there = await made(client, events='type eq "nothing.such"')
    where, etag = there.headers["location"], {"If-Match": there.headers["etag"]}
    asked = (await client.post(f"{where}/test")).json()["id"]
    async with serving(server, await token_of(database, tenant_id, ["webhooks:read", "webhooks:write"])) as blind:
        refused = [
            await made(blind),
            await blind.patch(where, json={"url": "https://elsewhere.example/"}, headers=etag),
            await blind.patch(where, json={"events": ""}, headers=etag),
            await blind.patch(where, json={"state": "active"}, headers=etag),
            await blind.post(f"{where}/recover", json={"sequence": 1}),
            await blind.post(f"{where}/deliveries/{asked}/resend"),
        ]
        assert [(one.status_code, one.json()["scope"]) for one in refused] == [(403, "events:read")] * 6
        # What sends nothing more is open to them.
        off = await blind.patch(where, json={"state": "disabled", "description": "Off"}, headers=etag)
        assert (off.status_code, off.json()["description"]) == (200, "Off")
        assert (await blind.delete(where)).status_code == 204


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.acme.example/",
        "ftp://hooks.acme.example/",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f.0.0.1/",
        "https://0177.0.0.1/",
        "https://0/",
        "https://10.0.0.1/",
        "https://172.16.0.1/",
        "https://192.168.1.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://100.100.100.200/",
        "https://168.63.129.16/",
        "https://[::1]/",
        "https://[::]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:a9fe:a9fe]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[fe80::1]/",
        "https://[fd00::1]/",
        "https://[2002:7f00:1::]/",
        "https://localhost/",
        "https://localhost./",
        "https://db.internal/",
        "https://printer.local/",
        "https://intranet/",
        "https://user:secret@hooks.acme.example/",
        "https://hooks.acme.example@127.0.0.1/",
        "https://hooks.acme.example:22/",
        "https://hooks.acme.example:5432/",
        "https://hooks.acme.example:6379/",
        "https://hooks.acme.example:99999/",
        "https://hooks.acme.example\\@127.0.0.1/",
        "https://hooks.acme.example/ x",
        "https:///path",
        "//hooks.acme.example/",
        "file:///etc/passwd",
        "",
    ],
)
async def test_an_address_that_is_not_public_is_refused(client: httpx2.AsyncClient, url: str) -> None:
    refused = await made(client, url=url)
    assert refused.status_code == 400, refused.text
    assert refused.json()["field"] == "url"
    assert "secret" not in refused.json()["detail"]
    first = await made(client)
    changed = await client.patch(
        f"/v1/webhooks/{first.json()['id']}", json={"url": url}, headers={"If-Match": first.headers["etag"]}
    )
    assert changed.status_code == 400


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"events": 'tpye sw "person."'}, "filter"),
        ({"events": "type"}, "filter"),
        ({"description": "a\nb"}, "description"),
        ({"owner_email": "not an address"}, "owner_email"),
        ({"url": "https://x.example/" + "a" * 3000}, "url"),
    ],
)
async def test_what_cannot_be_used_is_named(client: httpx2.AsyncClient, more: dict[str, str], field: str) -> None:
    refused = await made(client, **more)
    assert refused.status_code == 400
    assert field in refused.text


async def test_there_are_at_most_fifty(client: httpx2.AsyncClient) -> None:
    for _ in range(50):
        assert (await made(client)).status_code == 201
    assert (await made(client)).status_code == 409
