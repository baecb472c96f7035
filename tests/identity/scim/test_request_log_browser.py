"""The log of requests in a real browser: rows come in by themselves, and its pages are clean in every look."""

from collections.abc import AsyncGenerator
from itertools import product
from pathlib import Path

import pytest
from playwright.async_api import Browser

from stoa.access.permissions import Role
from stoa.db.embedded import Server
from tests.console.every_page import noted
from tests.console.journey import Company, World, chromium, complaints_of, overflow, violations, world_of
from tests.identity.conftest import Issued, issue
from tests.web.signed_in import browsers

pytestmark = [pytest.mark.all, pytest.mark.timeout(300)]


@pytest.fixture
async def world(server: Server, tmp_path: Path) -> AsyncGenerator[World]:
    async with world_of(server, tmp_path) as opened:
        yield opened


@pytest.fixture
async def browser() -> AsyncGenerator[Browser]:
    async with chromium() as opened:
        yield opened


async def made(world: World) -> tuple[Company, Issued, str]:
    company = await world.company()
    issued = await issue(world.parts.database, company.tenant_id)
    return company, issued, f"{world.address}{company.base}/connections/scim/{issued.source_id}"


async def test_the_pages_are_clean_in_every_look(world: World, browser: Browser) -> None:
    company, issued, provider = await made(world)
    async with world.parts.database.tenant(company.tenant_id) as tx:
        request_id = await noted(tx, world.parts, issued.source_id, issued.credential_id)
    async with browsers(world.app, world.parts.database) as people:
        token = (await people.of(Role.TENANT_ADMIN, company.tenant_id)).cookies["stoa_session"]
    paths = ("", "/requests", "/requests?live=1", f"/requests/{request_id}", "/why?q=mary@acme.example", "/why?q=eve")
    for scheme, width in product(("light", "dark"), (1280, 360)):
        context = await browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})
        await context.add_cookies([{"name": "stoa_session", "value": token, "url": world.address}])
        for path in paths:
            page = await context.new_page()
            complaints = complaints_of(page)
            answer = await page.goto(provider + path, wait_until="load")
            assert answer is not None
            assert answer.status == 200, path
            assert await violations(page) == [], (path, scheme, width)
            assert await overflow(page) is None, (path, scheme, width)
            assert complaints == [], (path, scheme, width)
            await page.close()
        await context.close()


async def test_the_first_request_shows_by_itself_on_the_page_of_the_provider(world: World, browser: Browser) -> None:
    company, issued, provider = await made(world)
    async with browsers(world.app, world.parts.database) as people:
        token = (await people.of(Role.TENANT_ADMIN, company.tenant_id)).cookies["stoa_session"]
    context = await browser.new_context()
    await context.add_cookies([{"name": "stoa_session", "value": token, "url": world.address}])
    page = await context.new_page()
    async with page.expect_response(lambda one: one.url.endswith("/live")):
        await page.goto(provider)
    parts = world.parts
    async with parts.database.tenant(company.tenant_id) as tx:
        await noted(tx, parts, issued.source_id, issued.credential_id)
    await page.get_by_role("link", name="POST /Users").wait_for(timeout=10_000)
    await context.close()
