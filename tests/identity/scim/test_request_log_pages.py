"""The log of requests in the console, without scripts: who sees what, doing a request once more, and following it."""

import asyncio
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from starlette.routing import Route

from stoa.access.permissions import Role
from stoa.db.database import Database
from stoa.identity.scim.answering.model import Answering, Strangers
from stoa.identity.scim.answering.settings import answer_so
from stoa.identity.scim.log.pages import log_pages
from stoa.identity.scim.log.pages_request import request_pages
from stoa.identity.scim.log.pages_why import why_pages
from stoa.identity.scim.log.queries import latest
from stoa.identity.scim.log.writer import RequestLog, request_log, vault_of
from stoa.identity.scim.pages import scim_pages
from stoa.identity.scim.routes import scim_routes
from stoa.kernel.ids import TenantId
from stoa.tenants.queries import tenant as tenant_of
from stoa.tenants.sealing import Sealer
from stoa.web.visiting import Shell
from tests.conftest import MakeTenant
from tests.identity.conftest import HOST, Issued, issue, patch_body
from tests.web.signed_in import Browsers, application_of, browsers, text_of

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


@dataclass
class Desk:
    """Somebody signed in before a tenant, and its identity provider."""

    http: httpx2.AsyncClient
    database: Database
    log: RequestLog
    tenant_id: TenantId
    slug: str
    issued: Issued
    app: Any

    @property
    def provider(self) -> str:
        return f"/console/t/{self.slug}/connections/scim/{self.issued.source_id}"

    async def get(self, path: str, **params: str) -> httpx2.Response:
        return await self.http.get(self.provider + path, params=params or None)

    async def post(self, path: str, **fields: str) -> httpx2.Response:
        return await self.http.post(self.provider + path, data=fields)

    async def scim(self, method: str, path: str, body: Any = None) -> httpx2.Response:
        """A request of the provider, which is in the log when this returns."""
        headers = {"Authorization": f"Bearer {self.issued.token}"}
        answer = await self.http.request(method, f"/t/{self.slug}/scim/v2{path}", json=body, headers=headers)
        await self.log.flush()
        return answer

    async def last(self) -> str:
        """The path of the page of the latest request."""
        async with self.database.tenant(self.tenant_id, read_only=True) as tx:
            (line,) = await latest(tx, self.issued.source_id, 1)
        return f"/requests/{line.request_id}"

    async def count(self, table: str) -> int:
        async with self.database.tenant(self.tenant_id, read_only=True) as tx:
            return await tx.fetchval(f"SELECT count(*) FROM {table} WHERE tenant_id = $1", tx.tenant_id)


@dataclass
class House:
    database: Database
    log: RequestLog
    people: Browsers

    async def desk(self, tenant_id: TenantId, role: Role = Role.TENANT_ADMIN) -> Desk:
        async with self.database.tenant(tenant_id) as tx:
            slug = (await tenant_of(tx)).slug
        http = await self.people.of(role, tenant_id)
        return Desk(
            http, self.database, self.log, tenant_id, slug, await issue(self.database, tenant_id), self.people.app
        )


@pytest.fixture
async def house(database: Database, sealer: Sealer) -> AsyncGenerator[House]:
    vault = vault_of(sealer, bytes(range(32)))
    async with request_log(database, vault) as log:

        def make(shell: Shell) -> list[Route]:
            return [
                *scim_pages(shell, HOST),
                *log_pages(shell, vault),
                *request_pages(shell, vault, HOST),
                *why_pages(shell, vault),
                *scim_routes(database, base_url=HOST, log=log),
            ]

        async with browsers(application_of(database, make), database) as opened:
            yield House(database, log, opened)


@pytest.fixture
async def desk(house: House, tenant_id: TenantId) -> Desk:
    return await house.desk(tenant_id)


def user(name: str, **more: Any) -> dict[str, Any]:
    return {"schemas": [], "userName": name, "phoneNumbers": [{"type": "work", "value": "+49 30 1234"}]} | more


async def events_of(desk: Desk, kind: str) -> list[dict[str, Any]]:
    async with desk.database.tenant(desk.tenant_id) as tx:
        rows = await tx.fetch("SELECT type, body FROM event WHERE tenant_id = $1 ORDER BY entry_no", tx.tenant_id)
    return [row["body"] for row in rows if row["type"] == kind]


async def test_a_request_is_told_masked_and_revealed_only_to_be_audited(desk: Desk) -> None:
    body = user("ada@example.com", password="hunter2", addresses=[{"streetAddress": "12 St James's Square"}])
    assert (await desk.scim("POST", "/Users", body)).status_code == 201
    path = await desk.last()
    page = await desk.get(path)
    assert page.status_code == 200
    text = text_of(page)
    assert "It made somebody, or something, that was not known before." in text
    assert "ada@example.com" in text
    assert "hunter2" not in page.text
    for private in ("1234", "Square"):
        assert private not in text
    assert re.search(rf"/console/t/{desk.slug}/people/[0-9a-f-]{{36}}", page.text)
    assert re.search(rf"/console/t/{desk.slug}/runs/[0-9a-f-]{{36}}", page.text)
    shown = await desk.post(f"{path}/reveal")
    assert "+49 30 1234" in shown.text
    assert "St James" in shown.text
    assert "hunter2" not in shown.text
    assert len(await events_of(desk, "scim.request_revealed")) == 1
    assert "1234" not in (await desk.get(path)).text


async def test_the_list_is_searched_filtered_and_taken_away(desk: Desk) -> None:
    made = (await desk.scim("POST", "/Users", user("ada"))).json()
    await desk.scim(
        "PATCH", f"/Users/{made['id']}", patch_body({"op": "replace", "path": "title", "value": "Countess"})
    )
    await desk.scim("GET", "/Users/eve")
    listed = await desk.get("/requests")
    assert listed.text.count('data-label="Status"') == 3
    for asked, rows in (({"q": "ada"}, 2), ({"q": made["id"]}, 2), ({"q": "/Users/…"}, 1), ({"q": "eve"}, 0)):
        assert (await desk.get("/requests", **asked)).text.count('data-label="Status"') == rows, asked
    assert (await desk.get("/requests", filter='status ge 400 or method eq "PATCH"')).text.count(
        'data-label="Status"'
    ) == 2
    picked = await desk.get("/requests", outcome="refused", **{"class": "4"})
    assert picked.status_code == 303
    assert (await desk.http.get(picked.headers["location"])).text.count('data-label="Status"') == 1
    page = await desk.get("/requests", limit="25", filter="nonsense")
    assert "nonsense" in page.text
    csv = await desk.get("/requests.csv")
    assert csv.text.count("\r\n") == 4
    assert re.search(r"\bada\b", csv.text) is None
    assert len(await events_of(desk, "list.exported")) == 1


async def test_a_refused_request_is_done_once_more_when_its_cause_is_gone(desk: Desk) -> None:
    await desk.scim("POST", "/Users", user("ada"))
    assert (await desk.scim("POST", "/Users", user("ADA", title="Countess"))).status_code == 409
    path = await desk.last()
    refused = await desk.post(f"{path}/preview")
    assert "It would be answered 409 now" in text_of(refused)
    async with desk.database.tenant(desk.tenant_id) as tx:
        await tx.execute(
            "UPDATE source_record SET asserted_active = false, active = false WHERE tenant_id = $1", tx.tenant_id
        )
    before = [await desk.count(one) for one in ("change", "entry", "scim_request", "person", "job")]
    preview = await desk.post(f"{path}/preview")
    assert "It would be answered 201 now" in text_of(preview)
    assert "Countess" in preview.text
    assert [await desk.count(one) for one in ("change", "entry", "scim_request", "person", "job")] == before
    assert (await desk.post(f"{path}/replay", why=" ")).status_code == 422
    done = await desk.post(f"{path}/replay", why="They may come back")
    assert done.status_code == 303
    told = await desk.http.get(done.headers["location"])
    text = text_of(told)
    assert "Done once more, by hand" in text
    assert "They may come back" in text
    assert "brought back" in text
    assert "By you" in text
    assert done.headers["location"] in (await desk.get(path)).text
    (event,) = await events_of(desk, "scim.request_replayed")
    assert (event["status"], event["why"]) == (201, "They may come back")
    async with desk.database.tenant(desk.tenant_id) as tx:
        assert await tx.fetchval("SELECT title FROM person WHERE tenant_id = $1", tx.tenant_id) == "Countess"
        actors = await tx.fetch(
            "SELECT DISTINCT actor FROM entry WHERE tenant_id = $1 AND run_id IS NOT NULL", tx.tenant_id
        )
    assert any(row["actor"].startswith("operator:") for row in actors)


async def test_what_cannot_be_done_once_more_says_why(desk: Desk, house: House) -> None:
    made = (await desk.scim("POST", "/Users", user("ada"))).json()
    old = await desk.last()
    await desk.scim("GET", f"/Users/{made['id']}")
    assert (await desk.post(f"{await desk.last()}/preview")).status_code == 409
    long = {"op": "replace", "path": "title", "value": "x" * 900}
    await desk.scim("PATCH", f"/Users/{made['id']}", patch_body(*[long] * 90))
    assert "too long to be kept" in text_of(await desk.get(await desk.last()))
    async with desk.database.tenant(desk.tenant_id) as tx:
        await tx.execute(
            "UPDATE scim_request SET at = at - $2::interval WHERE tenant_id = $1", tx.tenant_id, timedelta(8)
        )
    assert "more than seven days ago" in text_of(await desk.get(old))
    assert (await desk.post(f"{old}/replay", why="x")).status_code == 409
    viewer = await house.desk(desk.tenant_id, Role.TENANT_VIEWER)
    assert (await viewer.get(old)).status_code == 200
    for act in ("/preview", "/replay"):
        assert (await viewer.post(old + act, why="x")).status_code == 403


async def test_another_tenant_sees_nothing_of_it(desk: Desk, house: House, make_tenant: MakeTenant) -> None:
    await desk.scim("POST", "/Users", user("ada"))
    path = await desk.last()
    other = await house.desk(await make_tenant())
    await other.scim("POST", "/Users", user("eve"))
    own = other.provider
    for base in (desk.provider, own):
        assert (await other.http.get(base + path)).status_code == 404
        for act in ("/reveal", "/preview", "/replay"):
            assert (await other.http.post(base + path + act, data={"why": "x"})).status_code == 404
    foreign = f"/console/t/{other.slug}/connections/scim/{desk.issued.source_id}"
    for page in ("/requests", "/requests.csv", f"{path}/live", "/why?q=ada"):
        assert (await other.http.get(foreign + page)).status_code == 404, page
    assert await events_of(desk, "scim.request_revealed") == []


async def test_why_somebody_was_skipped_is_answered(desk: Desk) -> None:
    async def why(name: str) -> str:
        return text_of(await desk.get("/why", q=name))

    assert "has never asked for them" in await why("eve@example.com")
    await desk.scim("GET", '/Users?filter=userName eq "eve@example.com"')
    assert "asked for them, and did not send them" in await why("eve@example.com")
    made = (await desk.scim("POST", "/Users", user("ada", externalId="00u1"))).json()
    assert "They are here and active" in await why("00u1")
    hr = await issue(desk.database, desk.tenant_id, source="A directory")
    async with desk.database.tenant(desk.tenant_id) as tx:
        await tx.execute(
            """INSERT INTO source_record (tenant_id, source_id, external_id, resource_id, person_id, present,
              asserted_active, active, title, last_run, created_at, updated_at)
            SELECT tenant_id, $2, 'x', gen_random_uuid(), person_id, true, false, false, 'Countess', last_run, $3, $3
            FROM source_record WHERE tenant_id = $1 AND user_name = 'ada'""",
            *(tx.tenant_id, hr.source_id, tx.now),
        )
        await tx.execute("UPDATE person SET active = false WHERE tenant_id = $1", tx.tenant_id)
    told = await why("ada")
    assert "They are known, and have no access" in told
    assert "A directory says that they are not active." in told
    inactive = patch_body({"op": "replace", "path": "active", "value": False})
    await desk.scim("PATCH", f"/Users/{made['id']}", inactive)
    assert "says that they are inactive" in await why("ADA")
    await desk.scim("DELETE", f"/Users/{made['id']}")
    assert "has deleted them" in await why("ada")
    assert (await desk.scim("POST", "/Users", user("bob", active="perhaps"))).status_code == 400
    assert "was answered 400" in await why("bob")
    other = await issue(desk.database, desk.tenant_id, source="Entra")
    headers = {"Authorization": f"Bearer {other.token}"}
    for name, status in (("first", 201), ("second", 409)):
        body = user(name, **{ENTERPRISE: {"employeeNumber": "W-1"}})
        sent = await desk.http.post(f"/t/{desk.slug}/scim/v2/Users", json=body, headers=headers)
        assert sent.status_code == status
    await desk.log.flush()
    of_entra = f"/console/t/{desk.slug}/connections/scim/{other.source_id}/why"
    told = text_of(await desk.http.get(of_entra, params={"q": "second"}))
    assert "could not be told who they are" in told
    assert "What to do:" in told


async def test_requests_are_followed_as_they_come_and_the_first_one_shows_by_itself(desk: Desk) -> None:
    page = await desk.get("")
    assert "None has come yet" in page.text
    address = re.search(r'sse-connect="([^"]+)"', page.text)
    assert address is not None

    async def speak() -> None:
        await desk.scim("GET", "/ServiceProviderConfig")

    await asyncio.wait_for(asyncio.gather(speak(), _followed(desk, address[1])), 20)
    shown = await desk.get("")
    assert "None has come yet" not in shown.text
    assert "/ServiceProviderConfig" in shown.text
    assert re.search("Requests of the last 24 hours 1 ", text_of(shown))


async def _followed(desk: Desk, address: str) -> None:
    """Reads the stream until the first request is in it. The transport of tests gives a stream whole at its end, so it
    is read from the application itself.
    """
    asked = httpx2.URL(f"http://127.0.0.1{address.replace('&amp;', '&')}")
    cookie = "; ".join(f"{name}={value}" for name, value in desk.http.cookies.items())
    scope: dict[str, Any] = {
        "type": "http", "method": "GET", "path": asked.path, "raw_path": asked.raw_path, "query_string": asked.query,
        "headers": [(b"host", b"127.0.0.1"), (b"cookie", cookie.encode()), (b"accept", b"text/event-stream")],
        "scheme": "http", "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1), "http_version": "1.1",
        "root_path": "",
    }  # fmt: skip
    heard, gone = asyncio.Event(), asyncio.Event()

    async def receive() -> dict[str, Any]:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if b"ServiceProviderConfig" in message.get("body", b""):
            assert b"event: rows" in message["body"]
            assert b"id: " in message["body"]
            heard.set()

    serving = asyncio.create_task(desk.app(scope, receive, send))
    await heard.wait()
    gone.set()
    await serving


async def test_how_long_requests_are_kept_is_set_on_the_page(desk: Desk, house: House) -> None:
    assert "14 days" in text_of(await desk.get("/requests"))
    assert (await desk.post("/requests/keep", days="30")).status_code == 303
    assert "30 days" in text_of(await desk.get("/requests"))
    for days in ("0", "91", "x", ""):
        assert (await desk.post("/requests/keep", days=days)).status_code >= 400
    assert await events_of(desk, "scim.retention_changed") == [{"before": 14, "after": 30}]
    viewer = await house.desk(desk.tenant_id, Role.TENANT_VIEWER)
    assert (await viewer.post("/requests/keep", days="1")).status_code == 403


async def test_a_membership_that_ends_is_told_by_the_name_of_its_group(desk: Desk) -> None:
    ana = (await desk.scim("POST", "/Users", user("ana@initech.example"))).json()["id"]
    body = {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
        "displayName": "Sales",
        "members": [{"value": ana}],
    }
    group = (await desk.scim("POST", "/Groups", body)).json()
    removal = patch_body({"op": "remove", "path": f'members[value eq "{ana}"]'})
    ended = await desk.scim("PATCH", f"/Groups/{group['id']}", removal)
    assert ended.status_code == 204

    shown = text_of(await desk.get(await desk.last()))

    assert "In the group" in shown
    assert "Sales" in shown
    assert "Group id" not in shown


async def test_a_member_who_is_not_here_yet_is_told_of_by_name_and_group(desk: Desk) -> None:
    group = (await desk.scim("POST", "/Groups", {"displayName": "Sales"})).json()
    addition = patch_body({"op": "add", "path": "members", "value": [{"value": "e-4711"}]})
    assert (await desk.scim("PATCH", f"/Groups/{group['id']}", addition)).status_code == 400
    assert "“Answers”" in text_of(await desk.get(await desk.last()))
    async with desk.database.tenant(desk.tenant_id) as tx:
        await answer_so(tx, desk.issued.source_id, Answering(strangers=Strangers.AWAIT))
    assert (await desk.scim("PATCH", f"/Groups/{group['id']}", addition)).status_code == 204

    shown = text_of(await desk.get(await desk.last()))

    assert "A member who is not here yet, and is awaited" in shown
    assert "Awaited member nothing e-4711" in shown
    assert "In the group" in shown
    assert "Group id" not in shown
