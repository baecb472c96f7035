"""What the pages weigh as they are sent: on a first visit with all that they load, and their HTML alone afterwards."""

import re
from html import unescape

import httpx2

from stoa.access.permissions import Role
from stoa.db.database import Database
from tests.conftest import MakeTenant
from tests.console.estate import CHANGES, TENANTS, application, make_estate
from tests.web.signed_in import browsers

FIRST_VISIT = 150_000
AFTERWARDS = 25_000
# What a browser says over https: files are there in Brotli, and pages are packed by gzip as they are made.
ACCEPTED = {"Accept-Encoding": "gzip, deflate, br"}
# Whatever a browser fetches by itself.
_LOADED = re.compile(
    r'<(?:script|img)\b[^>]*\bsrc="([^"]+)"|<link\b[^>]*\brel="(?:stylesheet|icon)"[^>]*\bhref="([^"]+)"'
)
_IMPORTED = re.compile(r"""(?:import|from)\s*["']([^"']+)["']|url\(["']?(/[^"')]+)""")


async def _sent(browser: httpx2.AsyncClient, address: str) -> tuple[int, str]:
    """The bytes of the answer's content on the wire, and its text."""
    async with browser.stream("GET", address, headers=ACCEPTED) as answer:
        assert answer.status_code == 200, address
        raw = b"".join([part async for part in answer.aiter_raw()])
    assert len(raw) < 1_000 or answer.headers.get("content-encoding"), f"{address} is sent as it is"
    return len(raw), (await browser.get(address)).text


async def _loads(browser: httpx2.AsyncClient, html: str) -> dict[str, int]:
    """Bytes by address of what the page loads, and of what that loads in turn."""
    wanted = [unescape(one or other) for one, other in _LOADED.findall(html)]
    found: dict[str, int] = {}
    while wanted:
        address = wanted.pop()
        if address not in found and not address.startswith("data:"):
            found[address], text = await _sent(browser, address)
            if address.endswith((".js", ".css")):
                wanted += [one or other for one, other in _IMPORTED.findall(text) if (one or other).startswith("/")]
    return found


async def test_pages_are_light(database: Database, make_tenant: MakeTenant) -> None:
    estate = await make_estate(database, make_tenant)
    async with browsers(application(database), database) as people:
        browser = await people.of(Role.PLATFORM_ADMIN)
        seen: dict[str, tuple[int, int]] = {}
        for name, address in estate.pages.items():
            size, html = await _sent(browser, address)
            loads = await _loads(browser, html)
            assert any(".css" in one for one in loads)
            assert any(".js" in one for one in loads)
            seen[name] = size, size + sum(loads.values())
            rows = {"board": ('id="tenant-', TENANTS), "plan": ('class="run-change"', CHANGES)}.get(name)
            assert rows is None or html.count(rows[0]) >= rows[1], name
    assert {name: html for name, (html, _) in seen.items() if html >= AFTERWARDS} == {}
    assert {name: whole for name, (_, whole) in seen.items() if whole >= FIRST_VISIT} == {}
