"""The board, the overview and the settings in a real browser: they renew themselves under a reader's hands, nothing is
refused by the policy, and everybody can use them.
"""

import asyncio
import shutil
import socket
from collections.abc import AsyncGenerator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from stoa.access.permissions import Role
from stoa.db.database import Database
from stoa.tenants import status
from stoa.tenants.actions import change_tenant
from stoa.tenants.model import Phase, TenantChange
from tests.conftest import MakeTenant
from tests.console.conftest import MakePlace, Place
from tests.web.signed_in import Browsers

pytestmark = pytest.mark.all

AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
HOSTILE = "محمد 🙂 <b>&amp; " + "Donaudampfschifffahrtsgesellschaftskapitän" * 2


@pytest.fixture
async def base_url(people: Browsers) -> AsyncGenerator[str]:
    """The application on a free port of this machine."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(people.app, log_level="critical", lifespan="off"))
    serving = asyncio.create_task(server.serve([listening]))
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    await serving


@pytest.fixture
async def browser() -> AsyncGenerator[Browser]:
    """Debian's chromium."""
    executable = shutil.which("chromium")
    assert executable, "install it with: apt-get install -y chromium"
    async with async_playwright() as playwright:
        # No sandbox: it refuses to start as root, which is what the build machine is.
        opened = await playwright.chromium.launch(executable_path=executable, chromium_sandbox=False)
        yield opened
        await opened.close()


async def signed_in(people: Browsers, browser: Browser, base_url: str, **shown: Any) -> BrowserContext:
    """An administrator of the platform at a screen."""
    person = await people.of(Role.PLATFORM_ADMIN)
    context = await browser.new_context(**shown)
    token = person.cookies["stoa_session"]
    await context.add_cookies([{"name": "stoa_session", "value": token, "url": base_url}])
    return context


def complaints_of(page: Page) -> list[str]:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type != "log" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(f"{request.url}: {request.failure}"))
    return complaints


async def violations(page: Page) -> list[str]:
    await page.evaluate(AXE.read_text(encoding="utf-8"))
    found: dict[str, Any] = await page.evaluate("rules => axe.run(document, {runOnly: rules})", RULES)
    return [f"{rule['id']}: {node['html']}" for rule in found["violations"] for node in rule["nodes"]]


@pytest.fixture
async def place(database: Database, make_place: MakePlace) -> Place:
    """A tenant with something of everything."""
    made = await make_place(name=HOSTILE, sandbox=True)
    async with database.tenant(made.tenant_id) as tx:
        await change_tenant(tx, TenantChange(HOSTILE, "Europe/Berlin", None, None, "#ffcc00"))
        await status.note_phase(tx, Phase.HRIS, connected=True, held=2, success_at=tx.now, expected_by=tx.now)
        await status.note_phase(tx, Phase.IDENTITY, connected=True, failing="remote_down")
        await status.note_phase(tx, Phase.CRM, connected=True, success_at=tx.now, expected_by=tx.now)
        await status.note_alerts(tx, 3, 1)
        await status.note_people(tx, 123_456, 100_000)
    return made


async def test_pages_are_clean_in_both_schemes_and_at_every_width(
    people: Browsers, browser: Browser, base_url: str, place: Place
) -> None:
    addresses = (f"/console?q={place.slug}", "/console?q=nobody-is-called-so", place.base, f"{place.base}/settings")
    for scheme, width in product(("light", "dark"), (360, 1280)):
        context = await signed_in(
            people, browser, base_url, color_scheme=scheme, viewport={"width": width, "height": 800}
        )
        for address in addresses:
            page = await context.new_page()
            complaints = complaints_of(page)
            answer = await page.goto(base_url + address, wait_until="networkidle")
            assert answer is not None
            assert answer.status == 200
            assert complaints == [], (address, scheme)
            assert await violations(page) == [], (address, scheme, width)
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (address, width)
            await page.close()
        await context.close()


async def test_the_board_renews_itself_without_moving_focus_or_scroll(
    people: Browsers, browser: Browser, base_url: str, database: Database, make_tenant: MakeTenant
) -> None:
    made = [await make_tenant(name=f"Renewed {number:02}", slug=f"renewed-{number:02}") for number in range(40)]
    context = await signed_in(people, browser, base_url, viewport={"width": 1280, "height": 600})
    page = await context.new_page()
    await page.clock.install()
    await page.goto(f"{base_url}/console?q=renewed&sort=name&limit=50", wait_until="networkidle")
    link = page.locator("#tenant-renewed-30")
    await link.focus()
    before = await page.evaluate("scrollY")
    assert before > 0
    async with database.tenant(made[30]) as tx:
        await status.note_phase(tx, Phase.HRIS, connected=True, failing="remote_down")
    async with page.expect_response(lambda answer: "renewed" in answer.url):
        await page.clock.fast_forward(16_000)
    await page.locator("tr:has(#tenant-renewed-30) >> text=Failing").wait_for()
    assert await page.evaluate("document.activeElement.id") == "tenant-renewed-30"
    assert await page.evaluate("scrollY") == before
    assert await page.locator("#state-failing").count() == 1
    await context.close()


async def test_a_colour_is_shown_while_it_is_typed(
    people: Browsers, browser: Browser, base_url: str, place: Place
) -> None:
    context = await signed_in(people, browser, base_url)
    page = await context.new_page()
    complaints = complaints_of(page)
    await page.goto(f"{base_url}{place.base}/settings", wait_until="networkidle")
    await page.locator("#accent").fill("#3366cc")
    await page.locator("text=#3366cc has a contrast").wait_for()
    box = page.locator(".theme-preview-light .theme-preview-button")
    await page.wait_for_function(
        "element => getComputedStyle(element).backgroundColor === 'rgb(51, 102, 204)'", arg=await box.element_handle()
    )
    assert complaints == []
    await page.get_by_role("button", name="Save").click()
    await page.wait_for_url("**/settings**")
    assert await page.locator("#accent").input_value() == "#3366cc"
    accent = await page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--accent')")
    assert "#3366cc" in accent
    await context.close()
