"""The board over HTTP: what it shows, to whom, in which order, page by page."""

import csv
import re
from collections.abc import Sequence
from datetime import timedelta
from html import unescape
from io import StringIO

import httpx2
import pytest

from stoa.access.permissions import Role
from stoa.db.database import Database
from stoa.kernel.ids import TenantId
from stoa.tenants import status
from stoa.tenants.model import Phase
from tests.conftest import MakeTenant
from tests.web.signed_in import Browsers, text_of

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "\u202eevil",
    "محمد 🙂",
    "x" * 200,
    "{{ 7*7 }}",
)
HOUR = timedelta(hours=1)


async def many(make_tenant: MakeTenant, prefix: str, n: int) -> list[TenantId]:
    return [await make_tenant(name=f"{prefix} {number:03}") for number in range(n)]


def slugs(page: httpx2.Response) -> list[str]:
    return re.findall(r'id="tenant-([a-z0-9-]+)"', page.text)


def next_of(page: httpx2.Response) -> str | None:
    found = re.search(r'href="([^"]+)" rel="next"', page.text)
    return None if found is None else unescape(found[1])


async def walk(browser: httpx2.AsyncClient, address: str | None) -> list[str]:
    """Every tenant on all pages."""
    found: list[str] = []
    while address is not None:
        page = await browser.get(address)
        assert page.status_code == 200, page.text[-500:]
        found += slugs(page)
        address = next_of(page)
    return found


async def test_three_hundred_tenants_are_paged_each_once(
    people: Browsers, database: Database, make_tenant: MakeTenant
) -> None:
    made = await many(make_tenant, "Paged", 300)
    for number, tenant_id in enumerate(made[:40]):
        async with database.tenant(tenant_id) as tx:
            given = {"failing": "remote_down"} if number % 3 else {"held": 1}
            await status.note_phase(tx, Phase.HRIS, connected=True, success_at=tx.now, **given)  # pyright: ignore[reportArgumentType] - a table of cases
    browser = await people.of(Role.PLATFORM_VIEWER)
    for sort in ("urgency", "-urgency", "name", "-name", "success", "-success"):
        found = await walk(browser, f"/console?q=paged&limit=100&sort={sort}")
        assert len(found) == len(set(found)) == 300, sort
    worst = await walk(browser, "/console?q=paged&limit=100")
    assert worst == (await walk(browser, "/console?q=paged&limit=25"))
    assert worst == (await walk(browser, "/console?q=paged&limit=100&sort=-urgency"))[::-1]


async def test_what_is_shown_of_a_tenant(people: Browsers, database: Database, make_tenant: MakeTenant) -> None:
    tenant_id = await make_tenant(name="Shown here", slug="shown-here", sandbox=True)
    async with database.tenant(tenant_id) as tx:
        await status.note_phase(
            tx, Phase.HRIS, connected=True, success_at=tx.now - 30 * HOUR, expected_by=tx.now - 3 * HOUR
        )
        await status.note_phase(tx, Phase.IDENTITY, connected=True, success_at=tx.now - HOUR, held=2)
        await status.note_alerts(tx, 3, 1)
        await status.note_people(tx, 1234, 1200)
    page = await (await people.of(Role.PLATFORM_VIEWER)).get("/console?q=shown-here")
    text = text_of(page)
    for word in ("Shown here", "shown-here", "Sandbox", "Held", "2 runs wait", "Stale", "Due 3 hours ago", "1 day ago",
                 "1 critical", "1,234", "1,200 active", "just now"):  # fmt: skip
        assert word in text, word
    assert page.headers["cache-control"] == "no-store"


async def test_the_summary_counts_by_state_and_leads_to_them(
    people: Browsers, database: Database, make_tenant: MakeTenant
) -> None:
    tenant_id = await make_tenant(name="Held one", slug="held-one")
    async with database.tenant(tenant_id) as tx:
        await status.note_phase(tx, Phase.HRIS, connected=True, held=1)
    browser = await people.of(Role.PLATFORM_VIEWER)
    page = await browser.get("/console")
    link = re.search(r'id="state-held" href="([^"]+)"', page.text)
    assert link is not None
    found = await walk(browser, unescape(link[1]))
    assert "held-one" in found
    counted = re.search(r"Held\s+(\d+)", text_of(page))
    assert counted is not None
    assert int(counted[1]) == len(found)


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_names_are_text(people: Browsers, make_tenant: MakeTenant, name: str) -> None:
    if name.isprintable():
        await make_tenant(name=name)
        page = await (await people.of(Role.PLATFORM_VIEWER)).get("/console", params={"q": name})
        assert name in unescape(page.text)
        assert "<script>alert" not in page.text
        assert "<img src=x" not in page.text
        assert slugs(page)


@pytest.mark.parametrize("query", ["filter=nonsense", 'filter=weather eq "fine"', "sort=weather", "cursor=x"])
async def test_what_cannot_be_asked_is_told_beside_the_box(people: Browsers, query: str) -> None:
    page = await (await people.of(Role.PLATFORM_VIEWER)).get(f"/console?{query}")
    assert page.status_code in {200, 400, 422}
    assert slugs(page) == []


async def test_the_export_holds_every_tenant_that_is_asked_for(
    people: Browsers, database: Database, make_tenant: MakeTenant
) -> None:
    made = await many(make_tenant, "Exported", 30)
    await make_tenant(name="=HYPERLINK(1) exported", slug="formula")
    async with database.tenant(made[0]) as tx:
        await status.note_phase(tx, Phase.HRIS, connected=True, failing="remote_down")
    answer = await (await people.of(Role.PLATFORM_VIEWER)).get("/console.csv?q=exported")
    rows = list(csv.DictReader(StringIO(answer.text.removeprefix("\ufeff"))))
    assert len(rows) == 31
    assert rows[0]["slug"] != "formula"
    assert (rows[0]["worst"], rows[0]["hris_state"], rows[0]["hris_failing"]) == ("failing", "failing", "remote_down")
    assert [row["name"] for row in rows if row["slug"] == "formula"] == ["'=HYPERLINK(1) exported"]


# ------------------------------------------------------------------ who sees what


async def visit(people: Browsers, role: Role, tenants: Sequence[TenantId]) -> httpx2.AsyncClient:
    browser = await people.of(role, tenants[0])
    for tenant_id in tenants[1:]:
        async with people.database.platform() as tx:
            await tx.execute(
                """INSERT INTO operator_grant (operator_id, tenant_id, role)
                SELECT operator_id, $1, role FROM operator_grant WHERE tenant_id = $2""",
                *(tenant_id, tenants[0]),
            )
    return browser


async def test_a_stranger_is_led_to_the_sign_in_page(people: Browsers) -> None:
    answer = await (await people.stranger()).get("/console")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/console/sign-in")


async def test_who_has_a_role_in_one_tenant_is_led_there(people: Browsers, make_tenant: MakeTenant) -> None:
    tenant_id = await make_tenant(slug="only-one")
    await make_tenant()
    answer = await (await people.of(Role.TENANT_VIEWER, tenant_id)).get("/console")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/t/only-one")


async def test_who_has_roles_in_some_tenants_sees_those(people: Browsers, make_tenant: MakeTenant) -> None:
    mine = [await make_tenant(slug="mine-one"), await make_tenant(slug="mine-two")]
    await make_tenant(slug="not-mine")
    browser = await visit(people, Role.TENANT_ADMIN, mine)
    page = await browser.get("/console?sort=name")
    assert set(slugs(page)) == {"mine-one", "mine-two"}
    assert "not-mine" not in page.text
    assert "2 tenants" in text_of(page)
    exported = await browser.get("/console.csv")
    assert len(exported.text.strip().splitlines()) == 3


async def test_without_any_tenant_the_page_says_how_to_make_one(people: Browsers, make_tenant: MakeTenant) -> None:
    browser = await people.of(Role.TENANT_VIEWER, await make_tenant(slug="soon-withdrawn"))
    async with people.database.platform() as tx:
        await tx.execute(
            "DELETE FROM operator_grant g USING tenant_slug n WHERE g.tenant_id = n.tenant_id AND n.slug = $1",
            "soon-withdrawn",
        )
    page = await browser.get("/console")
    assert page.status_code == 200
    assert slugs(page) == []
    assert "no tenant" in text_of(page)
