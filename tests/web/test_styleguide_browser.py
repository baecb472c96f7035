"""The style page in a browser: accessible in both themes and at every width, and what its script does."""

import asyncio
import re
import shutil
import socket
from collections.abc import AsyncGenerator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.async_api import Browser, Page, async_playwright, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from stoa.db.database import Database
from stoa.web.assets import assets_route, load_assets
from stoa.web.security import security_headers
from stoa.web.styleguide import styleguide_pages
from stoa.web.templates import make_pages
from stoa.web.visiting import Shell

pytestmark = pytest.mark.all

AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
ADDRESS = "/console/styleguide"


async def _posted(request: Request) -> Response:
    return HTMLResponse(f"<!doctype html><title>Posted</title><p>{len(await request.body())} bytes came.")


async def _refused(_: Request) -> Response:
    return HTMLResponse("<!doctype html><main><h1>Conflict</h1><p data-problem>The run is applied already.", 409)


async def _ended(_: Request) -> Response:
    return RedirectResponse("/console/sign-in", 303)


async def _sign_in(_: Request) -> Response:
    return HTMLResponse("<!doctype html><title>Sign in</title><p id=signing>Sign in")


async def _done(_: Request) -> Response:
    said = '{"said": {"text": "The alert is yours now.", "tone": "ok"}}'
    return HTMLResponse("<p>Mine.</p>", headers={"HX-Trigger": said})


# What a page's htmx may be answered with.
ANSWERS = [
    Route("/refused", _refused),
    Route("/ended", _ended),
    Route("/console/sign-in", _sign_in),
    Route("/done", _done),
]


@pytest.fixture
async def base_url(database: Database) -> AsyncGenerator[str]:
    """The style page on a free port, where its forms may be posted too."""
    pages = make_pages(load_assets())
    shell = Shell(pages=pages, database=database, development=True)
    posted = Route(ADDRESS, _posted, methods=["POST"])
    app = security_headers(Starlette(routes=[*styleguide_pages(shell), posted, *ANSWERS, assets_route(pages.assets)]))
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
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


@pytest.fixture
async def page(browser: Browser, base_url: str) -> Page:
    """The style page, opened."""
    opened = await browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
    await opened.goto(base_url + ADDRESS, wait_until="networkidle")
    return opened


async def _violations(page: Page) -> list[str]:
    await page.evaluate(AXE.read_text(encoding="utf-8"))
    found: dict[str, Any] = await page.evaluate("rules => axe.run(document, {runOnly: rules})", RULES)
    return [f"{rule['id']}: {node['html']}" for rule in found["violations"] for node in rule["nodes"]]


async def test_it_is_clean_in_both_themes_and_at_every_width(browser: Browser, base_url: str, tmp_path: Path) -> None:
    for scheme, width in product(("light", "dark"), (360, 1280)):
        page = await browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 800})
        complaints: list[str] = []
        page.on("console", lambda message, to=complaints: to.append(message.text))
        page.on("pageerror", lambda error, to=complaints: to.append(str(error)))
        await page.goto(base_url + ADDRESS, wait_until="networkidle")
        await expect(page.locator("canvas")).to_have_count(2)
        await page.screenshot(path=tmp_path / f"styleguide-{scheme}-{width}.png", full_page=True)
        assert complaints == [], (scheme, width)
        assert await _violations(page) == [], (scheme, width)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (scheme, width)
        await page.close()


async def test_it_fits_when_everything_is_opened_and_type_is_twice_as_large(browser: Browser, base_url: str) -> None:
    # 200 % zoom of a window of 1280 x 900.
    page = await browser.new_page(viewport={"width": 640, "height": 450}, device_scale_factor=2)
    await page.goto(base_url + ADDRESS, wait_until="networkidle")
    await page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true })")
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert await _violations(page) == []


async def test_a_theme_that_was_chosen_stays_and_can_be_given_up(page: Page) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    light = await page.evaluate(ground)
    await page.get_by_role("radio", name="Dark").check(force=True)
    dark = await page.evaluate(ground)
    assert dark != light
    # A style sheet that comes late would show the other theme first: the attribute is there before the first paint.
    await page.reload(wait_until="commit")
    await page.wait_for_selector("body", state="attached")
    assert await page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert await page.evaluate(ground) == dark
    await expect(page.get_by_role("radio", name="Dark")).to_be_checked()
    await page.get_by_role("radio", name="Auto").check(force=True)
    await page.reload()
    assert await page.evaluate(ground) == light


async def test_a_chart_is_drawn_again_in_the_colours_of_the_theme(page: Page) -> None:
    def picture() -> Any:
        return page.locator("#chart-days canvas").evaluate("canvas => canvas.toDataURL()")

    before = await picture()
    await page.get_by_role("radio", name="Dark").check(force=True)
    assert await picture() != before


async def test_a_dialog_asks_first_and_the_keyboard_alone_can_refuse(page: Page) -> None:
    button = page.locator("#post").get_by_role("button", name="Roll back")
    await button.focus()
    await page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Roll back")
    await expect(dialog).to_contain_text("412 changes are taken back.")
    await expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    assert await _violations(page) == []
    await page.keyboard.press("Tab")
    await expect(dialog.get_by_role("button", name="Roll back")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)
    await expect(button).to_be_focused()


async def test_a_confirmed_form_is_sent(page: Page) -> None:
    await page.locator("#post").get_by_role("button", name="Roll back").click()
    await page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    await expect(page.get_by_text("9 bytes came.")).to_be_visible()


async def test_without_scripts_the_form_is_sent_at_once_and_nothing_dead_is_shown(
    browser: Browser, base_url: str
) -> None:
    context = await browser.new_context(java_script_enabled=False)
    page = await context.new_page()
    await page.goto(base_url + ADDRESS)
    await expect(page.locator("[data-themes]")).to_be_hidden()
    await expect(page.locator("[data-copy]").first).to_be_hidden()
    await page.locator("#post").get_by_role("button", name="Roll back").click()
    await expect(page.get_by_text("9 bytes came.")).to_be_visible()


async def test_a_form_is_sent_once(page: Page) -> None:
    sent = await page.locator("#post button").first.evaluate(
        """button => {
            let sent = 0
            addEventListener("submit", event => { sent += 1; event.preventDefault() })
            button.click()
            button.click()
            return [sent, button.getAttribute("aria-busy")]
        }"""
    )
    assert sent == [1, "true"]


async def test_a_slash_goes_to_the_search_unless_somebody_writes(page: Page) -> None:
    await page.keyboard.press("/")
    search = page.locator("[data-slash]").first
    await expect(search).to_be_focused()
    await page.keyboard.type("a/b")
    await expect(search).to_have_value("a/b")


async def test_copying_says_so(page: Page) -> None:
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    button = page.locator("[data-copy]").first
    await button.click()
    await expect(button).to_have_text("Copied")
    await expect(page.locator("#spoken")).to_have_text("Copied")
    assert await page.evaluate("navigator.clipboard.readText()") == "http://127.0.0.1:8000/t/acme/scim/v2"
    await expect(button).to_have_text("Copy")


async def test_times_are_kept_current(browser: Browser, base_url: str) -> None:
    page = await browser.new_page()
    await page.clock.install()
    await page.goto(base_url + ADDRESS)
    minutes = page.locator("#time time").nth(1)
    await expect(minutes).to_have_text("5 minutes ago")
    await page.clock.run_for(7 * 60_000)
    await expect(minutes).to_have_text("12 minutes ago")
    await expect(page.locator("#time time").first).to_have_text("7 minutes ago")


async def test_only_a_table_that_is_too_wide_is_a_stop_for_the_keyboard(page: Page) -> None:
    wide = page.locator("#table .scroll").first
    await expect(wide).not_to_have_attribute("tabindex", "0")
    await page.set_viewport_size({"width": 360, "height": 800})
    await expect(wide).to_have_attribute("tabindex", "0")
    await expect(wide).to_have_attribute("aria-label", "People")


async def test_the_first_stop_of_the_keyboard_leads_to_the_content(page: Page) -> None:
    await page.keyboard.press("Tab")
    await expect(page.locator(".skip")).to_be_focused()
    await expect(page.locator(".skip")).to_be_in_viewport()
    await page.keyboard.press("Enter")
    await expect(page.locator("#main")).to_be_focused()


async def test_motion_is_left_out_for_those_who_ask(browser: Browser, base_url: str) -> None:
    page = await browser.new_page(reduced_motion="reduce")
    await page.goto(base_url + ADDRESS)
    busy = page.locator("#submit [aria-busy]")
    assert await busy.evaluate("one => getComputedStyle(one, '::before').animationIterationCount") == "1"


async def test_forced_colours_keep_badges_and_their_edges(browser: Browser, base_url: str) -> None:
    page = await browser.new_page(forced_colors="active")
    await page.goto(base_url + ADDRESS)
    badge = page.locator("#badge .badge").first
    assert re.match(r"1px solid", await badge.evaluate("one => getComputedStyle(one).border"))


async def test_the_whole_first_visit_is_light(browser: Browser, base_url: str) -> None:
    page = await browser.new_page()
    await page.goto(base_url + ADDRESS, wait_until="networkidle")
    sizes: list[int] = await page.evaluate("performance.getEntriesByType('resource').map(one => one.encodedBodySize)")
    # With charts, and without the page itself, which this test's server sends as it is.
    assert 10_000 < sum(sizes) < 80_000


ASK = "path => { htmx.ajax('GET', path, {target: '#badge .style-shown', swap: 'innerHTML'}) }"


async def test_a_refusal_is_told_by_a_toast_that_stays_until_it_is_dismissed(page: Page) -> None:
    await page.evaluate(ASK, "/refused")
    toasts = page.locator("#toasts")
    await expect(toasts).to_contain_text("The run is applied already.")
    await expect(page.locator("#badge .badge")).to_have_count(7)
    assert await _violations(page) == []
    await toasts.get_by_role("button", name="Dismiss").click()
    await expect(toasts).to_be_empty()


async def test_a_server_that_is_away_is_told_once(page: Page) -> None:
    await page.route("**/done", lambda route: route.abort())
    for _ in range(3):
        async with page.expect_event("requestfailed"):
            await page.evaluate(ASK, "/done")
    await expect(page.locator("#toasts .toast")).to_have_count(1)
    await expect(page.locator("#toasts")).to_contain_text("The server did not answer.")


async def test_an_answer_may_say_something_and_a_toast_goes_away_unless_it_is_read(
    browser: Browser, base_url: str
) -> None:
    page = await browser.new_page()
    await page.clock.install()
    await page.goto(base_url + ADDRESS)
    await page.evaluate(ASK, "/done")
    toast = page.locator("#toasts .toast-ok")
    await expect(toast).to_contain_text("The alert is yours now.")
    await expect(page.locator("#badge .style-shown")).to_have_text("Mine.")
    await toast.hover()
    await page.clock.run_for(15_000)
    await expect(toast).to_have_count(1)
    await page.mouse.move(0, 0)
    await page.clock.run_for(15_000)
    await expect(toast).to_have_count(0)


async def test_a_session_that_ended_is_no_part_of_the_page(page: Page) -> None:
    async with page.expect_event("load"):
        await page.evaluate(ASK, "/ended")
    await expect(page.locator("#signing")).to_have_count(0)
