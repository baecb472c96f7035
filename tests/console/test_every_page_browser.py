"""Every page of the console in a real browser, in both schemes and at both ends of width; and with hostile names.

The pages are those of the application's routes, so that a new one cannot be forgotten.
"""

from collections.abc import AsyncGenerator, Iterable
from itertools import product
from pathlib import Path
from typing import Any, Final, Literal

import pytest
from playwright.async_api import Browser, BrowserContext, Response

from stoa.access.permissions import Role
from stoa.db.embedded import Server
from stoa.web.security import HEADERS
from tests.console.every_page import addresses
from tests.console.journey import World, chromium, complaints_of, overflow, violations, world_of
from tests.web.signed_in import browsers

# Some forty pages in turn, each with a look by axe.
pytestmark = [pytest.mark.all, pytest.mark.timeout(300)]

# What is no page to look at: files, a stream, and parts of a page that its script asks for.
NO_PAGES: Final = (".csv", ".jsonl", ".atom", "/live", ".css", "/raw", "/settings/preview")
Scheme = Literal["light", "dark"]
LOOKS: Final = tuple(product(("light", "dark"), (1280, 360)))
HOSTILE: Final = {
    "long": "Donaudampfschifffahrtsgesellschaftskapitän" * 300,
    "spoken": "محمد بن سلمان 🙂👩‍👩‍👧‍👦 " * 300,
    "turned": '\u202eevil\u202c \u2066<script>alert(1)</script>"><img src=x onerror=alert(1)>{{ 7*7 }}',
}


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


async def signed_in(world: World, browser: Browser, **shown: Any) -> BrowserContext:
    """An administrator of the platform at a screen."""
    async with browsers(world.app, world.parts.database) as people:
        token = (await people.of(Role.PLATFORM_ADMIN)).cookies["stoa_session"]
    context = await browser.new_context(**shown)
    await context.add_cookies([{"name": "stoa_session", "value": token, "url": world.address}])
    return context


async def faults_of(context: BrowserContext, address: str) -> list[str]:
    """Everything that is wrong with one page."""
    page = await context.new_page()
    complaints = complaints_of(page)
    answer = await page.goto(address, wait_until="networkidle")
    assert answer is not None
    faults = [f"{answer.status}"] if answer.status != 200 else []
    faults += await without_headers(answer)
    faults += complaints
    faults += await violations(page)
    wide = await overflow(page)
    await page.close()
    return faults if wide is None else [*faults, f"too wide, {wide}"]


async def without_headers(answer: Response) -> list[str]:
    """The security headers that it lacks."""
    had = await answer.all_headers()
    return [f"no {name}" for name, value in HEADERS if had.get(name.lower()) != value]


async def looked_at(
    world: World, browser: Browser, paths: Iterable[str], scheme: Scheme, width: int
) -> dict[str, list[str]]:
    """The faults by page; nothing where there are none."""
    context = await signed_in(world, browser, color_scheme=scheme, viewport={"width": width, "height": 800})
    found = {path: await faults_of(context, world.address + path) for path in paths}
    await context.close()
    return {path: faults for path, faults in found.items() if faults}


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
async def test_every_page_is_clean(world: World, browser: Browser, scheme: Scheme, width: int) -> None:
    company = await world.company()
    every = await addresses(world, company, "GET")
    pages = [address for path, address in every.items() if not path.endswith(NO_PAGES)]
    assert len(pages) > 20
    assert await looked_at(world, browser, pages, scheme, width) == {}


@pytest.mark.parametrize("kind", HOSTILE)
async def test_hostile_names_keep_the_layout(world: World, browser: Browser, kind: str) -> None:
    # A tenant's name has at most 200 characters, which can all be printed; a person's comes from elsewhere, as it is.
    name = HOSTILE[kind]
    company = await world.company("".join(c for c in name if c.isprintable())[:200].strip())
    async with world.parts.database.tenant(company.tenant_id) as tx:
        person_id = await tx.fetchval(
            "SELECT person_id FROM change WHERE tenant_id = $1 AND run_id = $2 ORDER BY ord LIMIT 1",
            *(company.tenant_id, company.held.run_id),
        )
        await tx.execute(
            """UPDATE person SET display_name = $3, title = $3, department = $3, given_name = $3
            WHERE tenant_id = $1 AND person_id = $2""",
            *(company.tenant_id, person_id, name),
        )
    run = f"{company.base}/runs/{company.held.run_id}"
    paths = (f"/console?q={company.slug}", company.base, f"{company.base}/people", f"{company.base}/settings",
             f"{company.base}/people/{person_id}", run, f"{run}/changes", f"{company.base}/approvals")  # fmt: skip
    looks: tuple[tuple[Scheme, int], ...] = (("light", 360), ("dark", 1280))
    for scheme, width in looks:
        assert await looked_at(world, browser, paths, scheme, width) == {}
