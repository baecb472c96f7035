"""The pages about the public API in a real browser: clean in both schemes and at both widths, and calls are tried."""

import json
import re
from collections.abc import AsyncGenerator
from itertools import product
from typing import Literal

import pytest
from playwright.async_api import Browser, Page, expect

from stoa.db import embedded
from stoa.db.database import Database
from stoa.kernel.ids import TenantId
from tests.api.calling import listening, token_of
from tests.console.journey import chromium, complaints_of, overflow, violations

pytestmark = pytest.mark.all


@pytest.fixture
async def address(server: embedded.Server) -> AsyncGenerator[str]:
    """The application on a port of this machine."""
    async with listening(server) as opened:
        yield opened


@pytest.fixture
async def browser() -> AsyncGenerator[Browser]:
    """A browser."""
    async with chromium() as opened:
        yield opened


@pytest.fixture
async def page(browser: Browser) -> Page:
    """A page of its own."""
    return await (await browser.new_context()).new_page()


async def try_it(page: Page, operation: str, **given: str) -> str:
    """Sends an operation's form and gives the status that is shown."""
    section = page.locator(f"#{operation}")
    form = section.locator("[data-try] form")
    if not await form.is_visible():
        await section.locator("[data-try] > summary").click()
    for name, value in given.items():
        await form.locator(f'[name="{name}"]').fill(value)
    await form.get_by_role("button", name="Send").click()
    await expect(form.locator("[data-answer] [data-body]")).to_contain_text(re.compile(r"\S"))
    await expect(form.get_by_role("button", name="Send")).to_be_enabled()
    return await form.locator("[data-status]").inner_text()


async def body_of(page: Page, operation: str) -> dict[str, object]:
    """What the last answer of an operation's form said."""
    return json.loads(await page.locator(f"#{operation} [data-answer] [data-body]").inner_text())


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("scheme", "width"), list(product(("light", "dark"), (1280, 360))))
async def test_the_page_of_every_tag_is_clean(
    browser: Browser, address: str, scheme: Literal["light", "dark"], width: int
) -> None:
    page = await browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 800})
    complaints = complaints_of(page)
    await page.goto(f"{address}/docs/api")
    links = await page.locator(".ref-nav a").evaluate_all("all => all.map(one => one.getAttribute('href'))")
    assert len(links) >= 12
    found: dict[str, list[str]] = {}
    for link in links:
        await page.goto(address + link)
        # What is folded is looked at too.
        await page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        wide = await overflow(page)
        faults = [*complaints, *await violations(page), *([] if wide is None else [f"too wide, {wide}"])]
        complaints.clear()
        if faults:
            found[link] = faults
    assert found == {}


async def test_a_call_is_tried(page: Page, address: str, database: Database, tenant_id: TenantId) -> None:
    complaints = complaints_of(page)
    token = await token_of(database, tenant_id, source="Portal")
    await page.goto(f"{address}/docs/api/people")
    await page.get_by_label("Token").fill(token)
    assert await try_it(page, "createPerson") == "201 Created"
    made = await body_of(page, "createPerson")
    headers = await page.locator("#createPerson [data-headers]").inner_text()
    for name in ("ratelimit:", "ratelimit-policy:", "etag:", "stoa-version:"):
        assert name in headers
    # The same key again: the first answer again, and nobody is made.
    assert await try_it(page, "createPerson") == "201 Created"
    assert (await body_of(page, "createPerson"))["id"] == made["id"]
    assert await try_it(page, "getPerson", person=str(made["id"])) == "200 OK"
    assert (await body_of(page, "getPerson"))["display_name"] == "Ada Byron"
    assert await try_it(page, "listPeople", limit="1", filter='display_name eq "Ada Byron"') == "200 OK"
    listed = await body_of(page, "listPeople")
    assert [one["id"] for one in listed["items"]] == [made["id"]]  # pyright: ignore[reportIndexIssue, reportUnknownVariableType, reportGeneralTypeIssues, reportUnknownArgumentType] - JSON
    assert complaints == []


async def test_a_new_key_is_new_work(page: Page, address: str, database: Database, tenant_id: TenantId) -> None:
    token = await token_of(database, tenant_id, source="Portal")
    await page.goto(f"{address}/docs/api/people")
    await page.get_by_label("Token").fill(token)
    await try_it(page, "createPerson")
    key = page.locator("#createPerson-Idempotency-Key")
    before = await key.input_value()
    await page.locator("#createPerson").get_by_role("button", name="New Idempotency-Key").click()
    assert await key.input_value() != before
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", before)


async def test_a_refusal_is_shown_as_it_came(page: Page, address: str) -> None:
    await page.goto(f"{address}/docs/api/tenant")
    form = page.locator("#getCaller [data-try] form")
    await page.locator("#getCaller [data-try] > summary").click()
    await form.get_by_role("button", name="Send").click()
    await expect(form.locator("[data-answer]")).to_contain_text("Put a token in")
    await page.get_by_label("Token").fill("stoa_api_nobody")
    assert await try_it(page, "getCaller") == "401 Unauthorized"
    assert (await body_of(page, "getCaller"))["code"] == "not_authenticated"


async def test_a_path_that_lacks_its_value_is_not_sent(page: Page, address: str) -> None:
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if "/v1/" in request.url else None)
    await page.goto(f"{address}/docs/api/people")
    await page.get_by_label("Token").fill("stoa_api_x")
    await page.locator("#getPerson [data-try] > summary").click()
    await page.locator("#getPerson").get_by_role("button", name="Send").click()
    await expect(page.locator("#getPerson-person")).to_be_focused()
    assert sent == []


async def test_a_stream_is_seen_and_stopped(page: Page, address: str, database: Database, tenant_id: TenantId) -> None:
    await page.goto(f"{address}/docs/api/events")
    await page.get_by_label("Token").fill(await token_of(database, tenant_id))
    await page.locator("#streamEvents [data-try] > summary").click()
    form = page.locator("#streamEvents [data-try] form")
    await form.get_by_role("button", name="Send").click()
    await expect(form.locator("[data-status]")).to_have_text("200 OK")
    await form.get_by_role("button", name="Stop").click()
    await expect(form.get_by_role("button", name="Send")).to_be_enabled()


async def test_the_token_is_kept_nowhere(page: Page, address: str, database: Database, tenant_id: TenantId) -> None:
    token = await token_of(database, tenant_id)
    await page.goto(f"{address}/docs/api/tenant")
    await page.get_by_label("Token").fill(token)
    await try_it(page, "getCaller")
    kept = await page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert token not in kept
    assert token not in page.url
    assert token not in await page.content()
    await page.reload()
    assert await page.get_by_label("Token").input_value() == ""


async def test_the_search_finds_as_one_types(page: Page, address: str) -> None:
    await page.goto(f"{address}/docs/api")
    await page.keyboard.press("/")
    await expect(page.locator("#operations-q")).to_be_focused()
    await page.keyboard.type("cancel")
    await expect(page.locator("[data-words]:visible")).to_have_count(1)
    await expect(page.locator("[data-words]:visible")).to_contain_text("/v1/jobs/{job}/cancel")
    await page.keyboard.type("xyz")
    await expect(page.locator("#operations-none")).to_be_visible()
    await expect(page.locator("[data-tag]:visible")).to_have_count(0)


async def test_without_a_script_it_is_a_plain_reference(browser: Browser, address: str) -> None:
    page = await (await browser.new_context(java_script_enabled=False)).new_page()
    await page.goto(f"{address}/docs/api/people")
    assert await page.locator("[data-try]:visible, [data-token]:visible").count() == 0
    assert await page.get_by_text("List people", exact=True).last.is_visible()
    assert await page.locator("#createPerson > .ref-sample").first.is_visible()
