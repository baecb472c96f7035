"""The pages of the alerts, over HTTP as a browser without scripts has them."""

import csv
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import timedelta
from html import unescape
from io import StringIO
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from starlette.types import ASGIApp

from stoa.access.client_credentials import issue
from stoa.access.clients import create_client
from stoa.access.clients_rules import Terms
from stoa.access.permissions import Role
from stoa.alerts import handling, queries
from stoa.alerts.actions import raise_alert, resolve_alerts
from stoa.alerts.model import Alert, AlertId
from stoa.db.database import Database
from stoa.db.transactions import TenantTx
from stoa.kernel.ids import RunId, TenantId, new_id
from stoa.tenants.queries import tenant as tenant_of
from stoa.web.alerts import alert_pages
from tests.conftest import MakeTenant
from tests.web.signed_in import application_of, browsers, text_of

HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "\u202eevil.exe", "محمد 🙂", "x" * 3000)


class Person:
    """An operator who is signed in, before one tenant's alerts."""

    def __init__(self, http: httpx2.AsyncClient, database: Database, tenant_id: TenantId, slug: str) -> None:
        self.http, self.database, self.tenant_id, self.slug = http, database, tenant_id, slug
        self.base = f"/console/t/{slug}"

    async def get(self, path: str = "/alerts", **params: str) -> httpx2.Response:
        return await self.http.get(self.base + path, params=params)

    async def post(self, path: str, **fields: str) -> httpx2.Response:
        return await self.http.post(self.base + path, data=fields)

    async def do(self, act: Callable[[TenantTx], Awaitable[Any]]) -> Any:
        async with self.database.tenant(self.tenant_id) as tx:
            return await act(tx)

    async def raised(self, title: str = "Held", **more: Any) -> Alert:
        given: dict[str, Any] = {
            "kind": "run_held",
            "key": title[:50],
            "severity": "warning",
            "detail": "d",
            "hint": "h",
        }
        given |= more
        return await self.do(lambda tx: raise_alert(tx, title=title, **given))

    async def now(self, alert: Alert) -> Alert:
        found = await self.do(lambda tx: queries.alert(tx, alert.alert_id))
        assert found is not None
        return found


SignedIn = Callable[..., Awaitable[Person]]


@pytest.fixture
def app(database: Database) -> ASGIApp:
    return application_of(database, alert_pages)


@pytest.fixture
async def signed_in(app: ASGIApp, database: Database, make_tenant: MakeTenant) -> AsyncGenerator[SignedIn]:
    """Signs somebody in with a role in a tenant of their own, or in a given one."""
    async with browsers(app, database) as people:

        async def sign_in(role: Role = Role.TENANT_ADMIN, tenant_id: TenantId | None = None) -> Person:
            tenant_id = tenant_id or await make_tenant(owner_email="owner@example.com", name="Acme")
            async with database.tenant(tenant_id) as tx:
                slug = (await tenant_of(tx)).slug
            return Person(await people.of(role, tenant_id), database, tenant_id, slug)

        yield sign_in


@pytest.fixture
async def ada(signed_in: SignedIn) -> Person:
    return await signed_in()


# ------------------------------------------------------------------ the list


async def test_an_empty_list_says_what_would_stand_there(ada: Person) -> None:
    for path, words in (
        ("/alerts", "Nothing needs attention"),
        ("/alerts/muted", "No alert is muted"),
        ("/alerts/resolved", "No alert yet"),
        ("/alerts/all", "No alert yet"),
    ):
        page = await ada.get(path)
        assert page.status_code == 200
        assert words in text_of(page)


async def test_each_tab_shows_its_alerts(ada: Person) -> None:
    await ada.raised("Alpha")
    muted = await ada.raised("Beta")
    await ada.do(lambda tx: handling.mute(tx, muted.alert_id, "They know.", tx.now + timedelta(days=1)))
    await ada.raised("Gamma", kind="job_dead", key="g")
    await ada.do(lambda tx: resolve_alerts(tx, "job_dead", "g"))
    shown = {
        path: text_of(await ada.get(path)) for path in ("/alerts", "/alerts/muted", "/alerts/resolved", "/alerts/all")
    }
    for path, titles in (
        ("/alerts", {"Alpha"}),
        ("/alerts/muted", {"Beta"}),
        ("/alerts/resolved", {"Gamma"}),
        ("/alerts/all", {"Alpha", "Beta", "Gamma"}),
    ):
        assert {title for title in ("Alpha", "Beta", "Gamma") if title in shown[path]} == titles, path
    assert "owner@example.com" in shown["/alerts"]


async def test_the_gravest_of_the_open_ones_comes_first(ada: Person) -> None:
    await ada.raised("Alpha", severity="critical")
    await ada.raised("Beta", severity="info")
    shown = text_of(await ada.get())
    assert shown.index("Alpha") < shown.index("Beta")
    latest = text_of(await ada.get(sort="-last_at"))
    assert latest.index("Beta") < latest.index("Alpha")


async def test_search_filter_and_order_work_together(ada: Person) -> None:
    for number, severity in enumerate(("info", "critical", "warning")):
        await ada.raised(f"Title {number}", severity=severity)
    found = text_of(await ada.get(q="TITLE", filter='severity ne "info"', sort="-severity"))
    assert "Title 0" not in found
    assert found.index("Title 1") < found.index("Title 2")
    assert "No alert fits" in text_of(await ada.get(q="nothing like it"))


@pytest.mark.parametrize("wrong", ['severity gt "info"', "nonsense", 'state eq "open', "x" * 5000])
async def test_a_filter_that_cannot_be_used_is_explained_beside_its_box(ada: Person, wrong: str) -> None:
    await ada.raised("Alpha")
    page = await ada.get(filter=wrong)
    assert page.status_code in {200, 400, 422}
    assert 'id="list-problem"' in page.text
    assert "Alpha" not in text_of(page)


async def test_pages_follow_each_other_and_a_cursor_of_another_list_is_refused(ada: Person) -> None:
    for number in range(30):
        await ada.raised(f"Title {number:02}")
    first = await ada.get(limit="25")
    link = re.search(r'href="([^"]*cursor=[^"]*)"', first.text)
    assert link is not None
    address = unescape(link[1])
    rest = await ada.http.get(httpx2.URL(f"http://127.0.0.1{ada.base}/alerts").join(address))
    assert len(set(re.findall(r"Title \d\d", text_of(first) + text_of(rest)))) == 30
    cursor = re.search(r"cursor=([^&]+)", address)
    assert cursor is not None
    other = await ada.http.get(f"{ada.base}/alerts/all?limit=25&cursor={cursor[1]}")
    assert "Title" not in text_of(other).replace("Title or", "")


async def test_the_list_can_be_taken_along_as_csv(ada: Person) -> None:
    await ada.raised("=HYPERLINK(1)", detail='a,b\n"c"')
    answer = await ada.get("/alerts.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    (row,) = csv.DictReader(StringIO(answer.content.decode("utf-8-sig")))
    assert (row["state"], row["title"], row["detail"]) == ("open", "'=HYPERLINK(1)", 'a,b\n"c"')
    assert (await ada.get("/alerts/resolved.csv")).status_code == 200
    assert (await ada.get("/alerts.csv", filter="nonsense")).status_code == 400


# ------------------------------------------------------------------ one alert


async def test_an_alert_says_what_happened_what_to_do_and_who_did_what(ada: Person) -> None:
    run_id = RunId(new_id())
    alert = await ada.raised("Held", detail="Too many leave.", hint="Look at it.", run_id=run_id)
    await ada.post(f"/alerts/{alert.alert_id}/acknowledge")
    page = await ada.get(f"/alerts/{alert.alert_id}")
    words = text_of(page)
    for expected in ("Too many leave.", "Look at it.", "Held run", "Acknowledged", "Ada <Byron>", "owner@example.com"):
        assert expected in words, expected
    assert f'href="{ada.base}/runs/{run_id}"' in page.text


async def test_what_can_be_done_is_done_without_scripts(ada: Person) -> None:
    alert = await ada.raised()
    path = f"/alerts/{alert.alert_id}"
    for act, fields, state in (
        ("acknowledge", {}, "acknowledged"),
        ("mute", {"mute_reason": "They know.", "mute_days": "3"}, "muted"),
        ("unmute", {}, "open"),
        ("assign", {"owner": "bo@example.com"}, "open"),
        ("resolve", {"resolve_reason": "It is over."}, "resolved"),
    ):
        answer = await ada.post(f"{path}/{act}", **fields)
        assert (answer.status_code, answer.headers["location"]) == (303, ada.base + path), act
        assert (await ada.now(alert)).state == state
    assert (await ada.now(alert)).owner_email == "bo@example.com"
    words = text_of(await ada.get(path))
    for expected in ("They know.", "It is over.", "bo@example.com", "Mute ended by hand"):
        assert expected in words, expected
    assert (await ada.post(f"{path}/acknowledge")).status_code == 409


WRONG = [
    ("assign", {"owner": "nobody"}, "owner"),
    ("mute", {"mute_reason": "x", "mute_days": "3"}, "mute_reason"),
    ("mute", {"mute_reason": "fine", "mute_days": "4000"}, "mute_days"),
    ("mute", {"mute_reason": "fine", "mute_days": "x"}, "mute_days"),
    ("resolve", {"resolve_reason": " "}, "resolve_reason"),
    ("resolve", {"resolve_reason": "x" * 600}, "resolve_reason"),
]


@pytest.mark.parametrize(("act", "fields", "field"), WRONG)
async def test_what_can_be_corrected_is_shown_again_beside_its_field(
    ada: Person, act: str, fields: dict[str, str], field: str
) -> None:
    alert = await ada.raised()
    page = await ada.post(f"/alerts/{alert.alert_id}/{act}", **fields)
    assert page.status_code == 422
    assert f'id="{field}-error"' in page.text
    assert (await ada.now(alert)).state == "open"


@pytest.mark.parametrize("text", HOSTILE)
async def test_hostile_texts_are_shown_as_text(ada: Person, text: str) -> None:
    alert = await ada.raised(text, detail=text, hint=text, kind="x", key=text[:20])
    await ada.do(lambda tx: handling.mute(tx, alert.alert_id, text[:500], tx.now + timedelta(days=1)))
    for path in ("/alerts/muted", f"/alerts/{alert.alert_id}"):
        page = await ada.get(path)
        assert page.status_code == 200
        assert "<script>alert(1)" not in page.text
        assert "<img src=x" not in page.text
        assert text[:20].strip() in text_of(page) or "<" in text


# ------------------------------------------------------------------ who may


async def test_a_viewer_looks_and_does_nothing(signed_in: SignedIn, ada: Person) -> None:
    alert = await ada.raised()
    viewer = await signed_in(Role.TENANT_VIEWER, ada.tenant_id)
    page = await viewer.get(f"/alerts/{alert.alert_id}")
    assert page.status_code == 200
    assert "<textarea" not in page.text
    assert (await viewer.post(f"/alerts/{alert.alert_id}/acknowledge")).status_code == 403
    assert (await ada.now(alert)).state == "open"


async def test_another_tenants_session_finds_nothing(signed_in: SignedIn, ada: Person) -> None:
    alert = await ada.raised()
    other = await signed_in()
    for path in ("/alerts", "/alerts/all", "/alerts.csv", f"/alerts/{alert.alert_id}"):
        # By their address of the other tenant, and by the own one with the other's id.
        assert (await other.http.get(ada.base + path)).status_code == 404
    assert (await other.get(f"/alerts/{alert.alert_id}")).status_code == 404
    for act in ("acknowledge", "assign", "mute", "unmute", "resolve"):
        fields = {"owner": "bo@example.com", "mute_reason": "fine", "mute_days": "3", "resolve_reason": "fine"}
        for base in (ada.base, other.base):
            assert (await other.http.post(f"{base}/alerts/{alert.alert_id}/{act}", data=fields)).status_code == 404, act
    assert await ada.now(alert) == alert


@pytest.mark.parametrize("identity", ["x", "0" * 36, quote("../runs"), "01920000-0000-7000-8000-000000000000"])
async def test_what_is_no_alert_is_not_found(ada: Person, identity: str) -> None:
    assert (await ada.get(f"/alerts/{identity}")).status_code == 404


async def test_nobody_acts_from_another_site_or_without_a_session(ada: Person, app: ASGIApp) -> None:
    alert = await ada.raised()
    path = f"{ada.base}/alerts/{alert.alert_id}/acknowledge"
    assert (await ada.http.post(path, headers={"Sec-Fetch-Site": "cross-site"})).status_code == 403
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://127.0.0.1") as stranger:
        answer = await stranger.get(f"{ada.base}/alerts")
        assert (answer.status_code, answer.headers["location"][:16]) == (303, "/console/sign-in")
    assert (await ada.now(alert)).state == "open"


async def test_an_operator_who_is_gone_is_still_told_of(ada: Person) -> None:
    alert = await ada.raised()
    async with ada.database.tenant(ada.tenant_id) as tx:
        for actor in (f"operator:{new_id()}", "operator:cli", "system"):
            await tx.execute(
                """INSERT INTO alert_note (tenant_id, alert_id, note_id, at, actor, what)
                   VALUES ($1, $2, $3, $4, $5, 'unmuted')""",
                *(tx.tenant_id, AlertId(alert.alert_id), new_id(), tx.now, actor),
            )
    words = text_of(await ada.get(f"/alerts/{alert.alert_id}"))
    assert "An operator who is gone" in words
    assert "by command" in words


async def test_an_expiring_key_leads_to_its_client(ada: Person) -> None:
    client = await ada.do(lambda tx: create_client(tx, Terms("Portal", ["people:read"])))
    made = await ada.do(lambda tx: issue(tx, client.client_id, "api_key", days=5))
    alert = await ada.raised(kind="secret_expiring", key=str(made.credential_id), title="The API key expires soon")
    page = await ada.get(f"/alerts/{alert.alert_id}")
    assert f'href="{ada.base}/api-clients/{client.client_id}"' in page.text
