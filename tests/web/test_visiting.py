"""What a page says that another one has to say."""

import base64
from collections.abc import AsyncGenerator, Sequence

import httpx2
import pytest
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute

from stoa.access.permissions import Role
from stoa.db.database import Database
from stoa.kernel.ids import TenantId
from stoa.web.guarding import tenant_page
from stoa.web.visiting import Shell, Visit
from tests.web.signed_in import application_of, browsers

SAID = "The run <7> is approved. محمد 🙂"


async def _page(visit: Visit) -> Response:
    said = f"{SAID}{'x' * 1_000}" if "long" in visit.request.query_params else SAID
    match visit.request.query_params.get("see"):
        case None:
            return visit.page("web/error.html", block="main", code=200, title="Page", advice="Read.", reference=None)
        case "silent":
            return visit.see("/page")
        case path:
            return visit.see(path, said=said, tone="warn")


async def _who(visit: Visit) -> Response:
    async with visit.writing() as tx:
        origin = tx.origin
    return PlainTextResponse(f"{origin.actor} {origin.via} {origin.request_id}")


def _pages(shell: Shell) -> Sequence[BaseRoute]:
    return [tenant_page(shell, "/page", _page), tenant_page(shell, "/who", _who)]


@pytest.fixture
async def viewer(database: Database, tenant_id: TenantId) -> AsyncGenerator[httpx2.AsyncClient]:
    async with browsers(application_of(database, _pages), database) as people:
        yield await people.of(Role.TENANT_VIEWER, tenant_id)


@pytest.fixture
async def base(database: Database, tenant_id: TenantId) -> str:
    async with database.platform() as tx:
        return f"/console/t/{await tx.fetchval('SELECT slug FROM tenant WHERE tenant_id = $1', tenant_id)}"


async def test_what_is_said_is_shown_once(viewer: httpx2.AsyncClient, base: str) -> None:
    leads = await viewer.get(f"{base}/page?see=/page")
    assert (leads.status_code, leads.headers["location"]) == (303, f"{base}/page")
    cookie = leads.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Max-Age=60" in cookie
    first = await viewer.get(leads.headers["location"])
    assert "The run &lt;7&gt; is approved. محمد 🙂" in first.text
    assert "The run" not in (await viewer.get(f"{base}/page")).text


async def test_what_is_said_at_length_is_cut(viewer: httpx2.AsyncClient, base: str) -> None:
    leads = await viewer.get(f"{base}/page?see=/page&long=1")
    assert len(leads.headers["set-cookie"]) < 4_096
    page = (await viewer.get(f"{base}/page")).text
    assert "xxx" in page
    assert "x" * 501 not in page


async def test_a_page_that_leads_on_may_say_nothing(viewer: httpx2.AsyncClient, base: str) -> None:
    assert "set-cookie" not in (await viewer.get(f"{base}/page?see=silent")).headers


@pytest.mark.parametrize(
    ("path", "leads"),
    [
        ("", "{base}"),
        ("/runs?state=held", "{base}/runs?state=held"),
        ("/console", "/console"),
        ("/console/account", "/console/account"),
        ("/console?q=1", "/console?q=1"),
        ("/consoles", "{base}/consoles"),
        ("//evil.example", "{base}//evil.example"),
        ("https://evil.example", "{base}https://evil.example"),
    ],
)
async def test_a_page_leads_to_pages_of_ours(viewer: httpx2.AsyncClient, base: str, path: str, leads: str) -> None:
    answer = await viewer.get(f"{base}/page", params={"see": path})
    assert answer.headers["location"] == leads.format(base=base)


@pytest.mark.parametrize(
    "cookie",
    [
        b"x",
        b"",
        b"====",
        b"\xff\xfe",
        base64.urlsafe_b64encode(b"{"),
        base64.urlsafe_b64encode(b"\xff"),
        base64.urlsafe_b64encode(b'{"text": "x"}'),
        base64.urlsafe_b64encode(b'[{"text": 7}]'),
        base64.urlsafe_b64encode(b'[{"text": "x", "tone": "loud"}]'),
        base64.urlsafe_b64encode(b"[" * 2_000),
        b"x" * 4_000,
    ],
)
async def test_a_damaged_cookie_harms_nobody(viewer: httpx2.AsyncClient, base: str, cookie: bytes) -> None:
    session = viewer.cookies["stoa_session"].encode()
    viewer.cookies.clear()
    headers = [(b"cookie", b"stoa_session=" + session + b"; stoa_said=" + cookie)]
    answer = await viewer.get(f"{base}/page", headers=headers)
    assert answer.status_code == 200
    assert "Read." in answer.text


async def test_a_planted_cookie_is_no_more_than_text(viewer: httpx2.AsyncClient, base: str) -> None:
    planted = base64.urlsafe_b64encode(b'[{"text": "<script>alert(1)</script>", "tone": "bad"}]').decode()
    viewer.cookies.set("stoa_said", planted)
    page = (await viewer.get(f"{base}/page")).text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


@pytest.mark.parametrize(
    ("headers", "whole"),
    [({}, True), ({"HX-Request": "true"}, False), ({"HX-Request": "true", "HX-Boosted": "true"}, True)],
)
async def test_a_script_asks_for_a_piece_of_the_page(
    viewer: httpx2.AsyncClient, base: str, headers: dict[str, str], whole: bool
) -> None:
    answer = await viewer.get(f"{base}/page", headers=headers)
    assert ("<html" in answer.text) is whole
    assert "Read." in answer.text
    assert "HX-Request" in answer.headers["vary"]


async def test_what_is_written_bears_the_visitor_and_the_request(viewer: httpx2.AsyncClient, base: str) -> None:
    actor, via, request_id = (await viewer.get(f"{base}/who")).text.split()
    assert actor.startswith("operator:")
    assert via == "console"
    assert request_id != "None"
