"""Runs in a real browser: followed live, decided on by the keyboard, clean in both schemes and on a phone."""

import asyncio
import shutil
from collections.abc import AsyncGenerator
from itertools import product
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from stoa.changes.model import RunState
from stoa.kernel.ids import RunId
from tests.changes.conftest import Desk
from tests.people.making import worker

pytestmark = pytest.mark.all

AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture
async def browser() -> AsyncGenerator[Browser]:
    """Debian's chromium."""
    executable = shutil.which("chromium")
    assert executable, "install it with: apt-get install -y chromium"
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=executable, chromium_sandbox=False)
        yield opened
        await opened.close()


async def page_of(browser: Browser, real: httpx2.AsyncClient, **context: Any) -> Page:
    """A page in which the admin is signed in."""
    opened = await browser.new_context(**context)
    cookie = {"name": "stoa_session", "value": real.cookies["stoa_session"], "url": str(real.base_url)}
    await opened.add_cookies([cookie])  # pyright: ignore[reportArgumentType] - a TypedDict of playwright's own
    return await opened.new_page()


async def test_a_run_is_followed_in_place_until_it_rests(
    browser: Browser, real: httpx2.AsyncClient, desk: Desk
) -> None:
    run = await desk.planned([worker(n) for n in range(40)])
    page = await page_of(browser, real)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    await page.goto(f"{real.base_url}{desk.base}/runs/{run.run_id}")
    await page.evaluate("window.same = true")
    await expect(page.get_by_text("The worker applies it in a moment.")).to_be_visible()
    await desk.apply(run, batch_rows=10)
    await expect(page.get_by_text("40 changes took effect")).to_be_visible()
    await expect(page.get_by_role("button", name="Roll back")).to_be_visible()
    assert await page.evaluate("window.same") is True
    assert said == []


async def test_a_held_run_is_approved_by_the_keyboard_alone(
    browser: Browser, real: httpx2.AsyncClient, desk: Desk
) -> None:
    run = await desk.held()
    page = await page_of(browser, real)
    await page.goto(f"{real.base_url}{desk.base}/runs/{run.run_id}")
    await page.get_by_label("Why you decide so").focus()
    await page.keyboard.type("The team was sold.")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.textContent.trim()") == "Approve: deactivate 30 people"
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Approved. It is being applied.")).to_be_visible()
    approved = await desk.run(run.run_id)
    assert (approved.state, approved.decided_note) == (RunState.APPROVED, "The team was sold.")


async def test_without_scripts_a_run_is_decided_and_followed(
    browser: Browser, real: httpx2.AsyncClient, desk: Desk
) -> None:
    run = await desk.held()
    page = await page_of(browser, real, java_script_enabled=False)
    await page.goto(f"{real.base_url}{desk.base}/runs/{run.run_id}")
    await page.get_by_role("button", name="Approve").click()
    await expect(page.get_by_role("link", name="Reload to see how far it is")).to_be_visible()
    await desk.apply(await desk.run(run.run_id))
    await page.get_by_role("link", name="Reload to see how far it is").click()
    await expect(page.get_by_text("30 changes took effect")).to_be_visible()
    await page.get_by_role("button", name="Roll back").click()
    await expect(page).not_to_have_url(f"{real.base_url}{desk.base}/runs/{run.run_id}")
    await desk.plan_rollback(RunId(UUID(page.url.rsplit("/", 1)[1])))
    await page.reload()
    await page.get_by_role("button", name="Roll back now").click()
    await expect(page.get_by_text("Approved").first).to_be_visible()


async def test_pages_are_clean_in_both_schemes_and_on_a_phone(
    browser: Browser, real: httpx2.AsyncClient, desk: Desk
) -> None:
    held = await desk.held()
    long = await desk.planned([worker(n, display_name="Donaudampfschifffahrt" * 9, title="x" * 2000) for n in range(4)])
    failed = await desk.in_state(RunState.ERRORED, reasons=[{"code": "remote_down", "detail": "Down.", "hint": ""}])
    paths = ["/runs", "/runs/failed", "/approvals", f"/runs/{held.run_id}", f"/runs/{held.run_id}/changes"]
    paths += [f"/runs/{long.run_id}", f"/runs/{long.run_id}/changes", f"/runs/{failed.run_id}"]
    axe = await asyncio.to_thread(AXE.read_text, encoding="utf-8")
    for scheme, width in product(("light", "dark"), (360, 1280)):
        page = await page_of(browser, real, color_scheme=scheme, viewport={"width": width, "height": 800})
        for path in paths:
            await page.goto(f"{real.base_url}{desk.base}{path}")
            await page.evaluate(axe)
            found: dict[str, Any] = await page.evaluate("rules => axe.run(document, {runOnly: rules})", RULES)
            assert [f"{rule['id']}: {node['html']}" for rule in found["violations"] for node in rule["nodes"]] == []
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (path, width)
        await page.context.close()
