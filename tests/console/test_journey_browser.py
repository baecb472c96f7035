"""From the first sign-in to a rollback that took effect, in a real browser; also without scripts, and by keyboard."""

import os
import re
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Browser, Page, expect

from stoa.access.permissions import Role
from stoa.changes.model import RunState
from stoa.db.embedded import Server
from tests.console.journey import Company, World, chromium, complaints_of, violations, world_of

pytestmark = pytest.mark.all

PASSWORD: Final = "seven quiet lanterns by the river"
MOST_BYTES: Final = 80_000


@pytest.fixture
async def world(server: Server, tmp_path: Path) -> AsyncGenerator[World]:
    """The application and a company."""
    async with world_of(server, tmp_path) as opened:
        yield opened


@pytest.fixture
async def browser() -> AsyncGenerator[Browser]:
    """A browser."""
    async with chromium() as opened:
        yield opened


async def sign_in(page: Page, world: World, role: Role = Role.PLATFORM_ADMIN) -> None:
    """With a first password, which the console makes one change."""
    email, first = await world.account(role)
    await page.goto(f"{world.address}/console")
    await page.get_by_label("E-mail address").fill(email)
    await page.get_by_label("Password").fill(first)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", name="Change your password")).to_be_visible()
    await page.get_by_label("Present password").fill(first)
    await page.get_by_label("New password", exact=True).fill(PASSWORD)
    await page.get_by_label("New password once more").fill(PASSWORD)
    await page.get_by_role("button", name="Change the password").click()
    await expect(page.get_by_role("heading", level=1)).not_to_have_text("Change your password")


async def picture(page: Page, name: str, folder: Path) -> None:
    """Keeps what the window shows, small enough for a repository."""
    file = Path(os.environ.get("STOA_SCREENSHOTS") or folder) / f"{name}.jpg"
    taken = await page.screenshot(path=file, type="jpeg", quality=60)
    assert 5_000 < len(taken) < MOST_BYTES, (name, len(taken))


async def deactivated(company: Company) -> int:
    """How many of the company's people have no access."""
    return await company.one("SELECT count(*) FROM person WHERE tenant_id = $1 AND NOT active")


async def test_the_journey(world: World, browser: Browser, tmp_path: Path) -> None:
    company = await world.company()
    await company.mail()
    before = await deactivated(company)
    page = await browser.new_page(viewport={"width": 1200, "height": 800}, color_scheme="light")
    complaints = complaints_of(page)
    await sign_in(page, world)

    # The board leads to the tenant, and the tenant to what waits.
    await page.goto(f"{world.address}/console?q={company.slug}")
    await expect(page.locator("main")).to_contain_text("Held")
    await picture(page, "board", tmp_path)
    await page.locator(f"#tenant-{company.slug}").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Acme Industries")

    # Who is told, and who looks after it.
    await page.goto(f"{world.address}{company.base}/alerts")
    await page.locator(f"main a[href^='{company.base}/alerts/']").filter(has_text="held").first.click()
    await page.get_by_role("button", name="Acknowledge").click()
    await expect(page.locator("main")).to_contain_text("Looked after by")
    await page.goto(f"{world.address}/console/mailbox")
    await page.locator("tr", has_text="grace@acme.example").first.get_by_role("link").click()
    await expect(page.locator(".mail-text")).to_contain_text(f"{world.address}{company.base}/alerts/")

    # Why it is held, what to do, and whom it concerns.
    await page.goto(f"{world.address}{company.base}/approvals")
    await page.locator(".run-buttons").get_by_text("Look", exact=True).click()
    held = page.url
    await expect(page.locator(".run-standing")).to_contain_text("Held:")
    await expect(page.locator(".run-standing")).to_contain_text("What to do:")
    await picture(page, "held-run", tmp_path)
    await page.get_by_role("link", name="All changes, one by one").click()
    await page.locator(".run-chip", has_text="Deactivate").first.click()
    await expect(page.locator(".run-change").first).to_contain_text(re.compile("deactivate", re.IGNORECASE))

    # Approved, it is followed to its end without a reload.
    await page.goto(held)
    await page.get_by_label("Why you decide so").fill("The subsidiary was sold.")
    await page.get_by_role("button", name="Approve").click()
    await expect(page.locator("[sse-connect] .run-standing")).to_be_visible()
    await page.evaluate("() => { window.stayed = true }")
    await company.work()
    await expect(page.locator(".run-standing")).to_contain_text("took effect")
    assert await page.evaluate("window.stayed === true")
    assert await deactivated(company) == before + company.held.counts["deactivate"]

    # What comes with it, and back again.
    await page.get_by_role("button", name="Roll back").click()
    await expect(page.locator(".run-standing")).to_contain_text("Waiting for the worker")
    await company.work()
    await expect(page.locator(".run-standing")).to_contain_text("This is what the rollback would do")
    assert await deactivated(company) == before + company.held.counts["deactivate"]
    await page.get_by_role("button", name="Roll back now").click()
    await expect(page.locator("[sse-connect] .run-standing")).to_be_visible()
    await company.work()
    await expect(page.locator(".run-standing")).to_contain_text("Rolled back")
    assert await deactivated(company) == before
    await page.goto(held)
    await expect(page.locator(".run-standing")).to_contain_text("What it did was taken back.")
    assert (await company.run(company.held.run_id)).state is RunState.UNDONE

    # Somebody whom it concerned.
    person = await company.one(
        "SELECT person_id FROM change WHERE tenant_id = $1 AND action = 'deactivate' ORDER BY ord LIMIT 1"
    )
    await page.goto(f"{world.address}{company.base}/people/{person}")
    await expect(page.locator("#values")).to_be_visible()
    await expect(page.locator("main")).to_contain_text("Workday")
    await picture(page, "person", tmp_path)
    await page.get_by_role("link", name="Timeline").click()
    await expect(page.locator("main")).to_contain_text("Deactivate")
    assert await violations(page) == []
    assert complaints == []


async def test_it_works_without_scripts(world: World, browser: Browser) -> None:
    company = await world.company()
    context = await browser.new_context(java_script_enabled=False)
    page = await context.new_page()
    await sign_in(page, world)
    await page.goto(f"{world.address}{company.base}/runs/{company.held.run_id}")
    await page.get_by_role("button", name="Approve").click()
    await company.work()
    await page.reload()
    await expect(page.locator(".run-standing")).to_contain_text("took effect")
    await page.get_by_role("button", name="Roll back").click()
    await company.work()
    await page.reload()
    await page.get_by_role("button", name="Roll back now").click()
    await company.work()
    await page.reload()
    await expect(page.locator(".run-standing")).to_contain_text("Rolled back")
    assert (await company.run(company.held.run_id)).state is RunState.UNDONE


async def tab_to(page: Page, words: str) -> None:
    """Tab until that link or button has the focus, which is seen at each stop."""
    for _ in range(150):
        await page.keyboard.press("Tab")
        at, seen = await page.evaluate(
            """() => {
                const one = document.activeElement, style = getComputedStyle(one)
                const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0
                const label = one.tagName === "INPUT" ? one.closest("label") || one.nextElementSibling : null
                const beside = label !== null && getComputedStyle(label).outlineStyle !== "none"
                return [(one.textContent || "").trim(), ring || style.boxShadow !== "none" || beside]
            }"""
        )
        assert seen, f"the focus on {at!r} cannot be seen"
        if at.startswith(words):
            return
    pytest.fail(f"no stop of the keyboard is {words!r}")


async def test_the_keyboard_is_enough(world: World, browser: Browser) -> None:
    company = await world.company()
    email, first = await world.account(Role.PLATFORM_ADMIN)
    page = await browser.new_page(viewport={"width": 1280, "height": 800})
    held = f"{company.base}/runs/{company.held.run_id}"
    await page.goto(f"{world.address}{held}")
    # The first field has the focus already.
    for text in (email, first):
        await page.keyboard.type(text)
        await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Change your password")).to_be_visible()
    for text in (first, PASSWORD, PASSWORD):
        await page.keyboard.type(text)
        await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**{held}*")
    await tab_to(page, "Approve")
    await page.keyboard.press("Enter")
    await expect(page.locator("[sse-connect] .run-standing")).to_be_visible()
    await company.work()
    await expect(page.locator(".run-standing")).to_contain_text("took effect")
    await tab_to(page, "Roll back")
    await page.keyboard.press("Enter")
    await expect(page.locator(".run-standing")).to_contain_text("Waiting for the worker")
    await company.work()
    await expect(page.locator(".run-standing")).to_contain_text("This is what the rollback would do")
    await tab_to(page, "Roll back now")
    await page.keyboard.press("Enter")
    await expect(page.locator("[sse-connect] .run-standing")).to_be_visible()
    await company.work()
    await expect(page.locator(".run-standing")).to_contain_text("Rolled back")
    assert (await company.run(company.held.run_id)).state is RunState.UNDONE
