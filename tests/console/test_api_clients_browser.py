"""API clients in a real browser: a client is made and opened by clicks alone, and hostile names keep the layout."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from stoa.access.client_credentials import issue
from stoa.access.clients import create_client
from stoa.access.clients_rules import Terms
from stoa.access.queries import credential_by_token
from stoa.db.embedded import Server
from tests.console.journey import World, chromium, overflow, violations, world_of
from tests.console.test_every_page_browser import HOSTILE, Scheme, looked_at, signed_in

pytestmark = pytest.mark.all
LOOKS: tuple[tuple[Scheme, int], ...] = (("light", 360), ("dark", 1280))


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


async def test_a_client_is_made_and_opened_by_clicks(world: World, browser: Browser) -> None:
    company = await world.company()
    context = await signed_in(world, browser, viewport={"width": 360, "height": 800})
    page = await context.new_page()
    await page.goto(f"{world.address}{company.base}/api-clients")
    await page.click("main >> text=New client >> nth=0")
    await page.fill("#name", "Learning portal")
    await page.check("[name=scope-people-read]")
    await page.click("text=Make the client")
    await page.wait_for_selector("h1:has-text('Learning portal')")
    await page.click("summary:has-text('Make an API key')")
    await page.click("button:has-text('Make an API key')")
    token = await page.inner_text("#token code")
    assert await violations(page) == []
    assert await overflow(page) is None
    async with world.parts.database.tenant(company.tenant_id) as tx:
        found = await credential_by_token(tx, token)
        assert found is not None
        assert found.scopes == {"people:read"}
    await page.click("text=To the client")
    assert token not in await page.content()
    await page.click("main >> a:has-text('Revoke')")
    await page.click("button:has-text('Revoke it')")
    await page.wait_for_selector("text=1 key or secret that no longer opens")
    async with world.parts.database.tenant(company.tenant_id) as tx:
        assert await credential_by_token(tx, token) is None


@pytest.mark.parametrize("kind", HOSTILE)
async def test_hostile_names_keep_the_layout(world: World, browser: Browser, kind: str) -> None:
    name = "".join(one for one in HOSTILE[kind] if one.isprintable())[:150].strip()
    company = await world.company()
    async with world.parts.database.tenant(company.tenant_id) as tx:
        terms = Terms(name, ["api:read", "people:write"], ["2001:db8:1111:2222:3333:4444:5555:6666"])
        client = await create_client(tx, terms)
        key = await issue(tx, client.client_id, "api_key", name, days=5)
    every = f"{company.base}/api-clients"
    one = f"{every}/{client.client_id}"
    pages = (every, one, f"{one}/change", f"{one}/delete", f"{one}/credentials/{key.credential_id}/revoke")
    for scheme, width in LOOKS:
        assert await looked_at(world, browser, pages, scheme, width) == {}
