"""The shell in a real browser: nothing refused by the policy, nothing in the console, accessible, usable at 360 px."""

import asyncio
import shutil
import socket
from collections.abc import AsyncGenerator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.async_api import Browser, Page, async_playwright
from starlette.types import ASGIApp

pytestmark = pytest.mark.all

AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
PAGES = (("landing", "/", 200), ("missing", "/nowhere", 404), ("failed", "/fail", 500))


@pytest.fixture
async def base_url(application: ASGIApp) -> AsyncGenerator[str]:
    """The application on a free port of this machine."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(application, log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
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


def _complaints_of(page: Page) -> list[str]:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type != "log" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(f"{request.url}: {request.failure}"))
    return complaints


async def _violations(page: Page) -> list[str]:
    await page.evaluate(AXE.read_text(encoding="utf-8"))
    found: dict[str, Any] = await page.evaluate("rules => axe.run(document, {runOnly: rules})", RULES)
    return [f"{rule['id']}: {node['html']}" for rule in found["violations"] for node in rule["nodes"]]


async def test_pages_are_clean_in_both_schemes_and_at_every_width(
    browser: Browser, base_url: str, tmp_path: Path
) -> None:
    for scheme, width, (name, address, status) in product(("light", "dark"), (360, 1280), PAGES):
        page = await browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 800})
        complaints = _complaints_of(page)
        answer = await page.goto(base_url + address, wait_until="networkidle")
        assert answer is not None
        assert answer.status == status
        # A browser notes an error status of the page itself; that is the one thing it may say here.
        expected = [] if status == 200 else [f"status of {status} "]
        await page.screenshot(path=tmp_path / f"{name}-{scheme}-{width}.png", full_page=True)
        assert [text for text in complaints if not any(status in text for status in expected)] == [], (name, scheme)
        assert await _violations(page) == [], (name, scheme, width)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (
            f"{name} is wider than {width} px"
        )
        await page.close()


async def test_the_schemes_differ(browser: Browser, base_url: str) -> None:
    colours: set[str] = set()
    for scheme in ("light", "dark"):
        page = await browser.new_page(color_scheme=scheme)
        await page.goto(base_url)
        colours.add(await page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))
    assert len(colours) == 2


async def test_the_policy_stops_an_inline_script(browser: Browser, base_url: str) -> None:
    page = await browser.new_page()
    complaints = _complaints_of(page)
    await page.goto(base_url)
    await page.evaluate(
        "() => { const s = document.createElement('script'); s.textContent = 'ran = 1'; document.body.append(s) }"
    )
    assert await page.evaluate("window.ran === undefined")
    assert any("Content Security Policy" in text for text in complaints)


async def test_the_keyboard_reaches_the_content_first_and_every_link(browser: Browser, base_url: str) -> None:
    page = await browser.new_page()
    await page.goto(base_url)
    reached: list[str] = []
    for _ in range(await page.locator("a").count()):
        await page.keyboard.press("Tab")
        reached.append(await page.evaluate("document.activeElement.getAttribute('href')"))
    assert reached == await page.locator("a").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    assert reached[0] == "#main"
