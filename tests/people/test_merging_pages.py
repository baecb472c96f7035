"""The pages of duplicates and merges, over HTTP as a browser without scripts has them."""

import re
from collections.abc import AsyncGenerator
from datetime import date
from uuid import UUID

import httpx2
import pytest
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from stoa.access.permissions import Role
from stoa.composition import references
from stoa.db.database import Database
from stoa.kernel.ids import TenantId
from stoa.people.pages import people_pages
from stoa.people.pages_duplicates import duplicate_pages
from stoa.people.pages_merging import merging_pages
from stoa.tenants.queries import tenant as tenant_of
from stoa.web.visiting import Shell

from ..conftest import MakeTenant
from ..web.signed_in import Browsers, application_of, browsers, text_of
from .making import report, source, sync, worker
from .test_api_merges import searched
from .test_pages import HOSTILE


def application(database: Database) -> ASGIApp:
    """The pages of people and of merges."""

    def pages(shell: Shell) -> list[BaseRoute]:
        return [*duplicate_pages(shell), *merging_pages(shell, references()), *people_pages(shell)]

    return application_of(database, pages)


@pytest.fixture
async def base(database: Database, tenant_id: TenantId) -> str:
    """The address of a tenant of two who may be one, with names of every sort."""
    rows = [
        worker(0, manager_ref=None),
        worker(1, display_name=HOSTILE[0], given_name="Ann", family_name=HOSTILE[1], title="Clerk"),
        worker(2, display_name="Ann", given_name="Ann", family_name=HOSTILE[1], title=HOSTILE[3], location="x" * 900),
    ]
    for row in rows[1:]:
        row["hire_date"] = date(2020, 1, 1)
    await sync(database, tenant_id, await source(database, tenant_id), report(rows))
    await searched(database, tenant_id)
    async with database.tenant(tenant_id) as tx:
        return f"/console/t/{(await tenant_of(tx)).slug}"


@pytest.fixture
async def signed_in(database: Database) -> AsyncGenerator[Browsers]:
    """Signs people in."""
    async with browsers(application(database), database) as opened:
        yield opened


@pytest.fixture
async def http(signed_in: Browsers, tenant_id: TenantId, base: str) -> httpx2.AsyncClient:
    """An admin of the tenant."""
    assert base
    return await signed_in.of(Role.TENANT_ADMIN, tenant_id)


async def test_a_pair_is_looked_at_merged_and_split(http: httpx2.AsyncClient, base: str) -> None:
    inbox = await http.get(f"{base}/duplicates")
    assert (inbox.status_code, "Same name and hire date" in text_of(inbox)) == (200, True), inbox.text[:500]
    (pair,) = set(re.findall(rf'href="({base}/duplicates/[0-9a-f-]{{36}})"', inbox.text))
    for path in ("?q=ann", "?filter=score+ge+30", "?sort=updated_at", ".csv"):
        assert "Ann" in (await http.get(f"{base}/duplicates{path}")).text or path == ".csv"
    assert "Nothing fits" in text_of(await http.get(f"{base}/duplicates?q=nobody"))
    page = await http.get(pair)
    preview, other = re.findall(rf'href="({base}/people/[0-9a-f-]+/merge/[0-9a-f-]+)"', page.text)
    seen = await http.get(preview)
    assert (seen.status_code, "knows both, as two people" in text_of(seen)) == (200, True), seen.text[:500]
    assert "<script>alert" not in seen.text
    picked = await http.get(preview, params={"pick_title": "absorbed", "note": "One of them"})
    assert picked.text.count(" selected") == 1
    assert (await http.get(other)).status_code == 200
    merged = await http.post(preview, data={"pick_title": "absorbed", "note": "One of them"})
    assert merged.status_code == 303
    merge = merged.headers["location"]
    shown = await http.get(merge)
    assert "One of them" in text_of(shown)
    assert "goes back" in text_of(shown)
    # What was kept open in another tab.
    assert (await http.post(preview, data={})).status_code == 303
    assert (await http.get(preview)).headers["location"].startswith(f"{base}/people/")
    survivor, absorbed = preview.split("/people/")[1].split("/merge/")
    moved = await http.get(f"{base}/people/{absorbed}")
    assert moved.headers["location"].endswith(f"/people/{survivor}")
    assert "Split" in text_of(shown)
    listed = await http.get(f"{base}/merges", params={"q": absorbed})
    assert merge in listed.text
    assert (await http.get(f"{base}/merges.csv")).text.count("\n") == 2
    parted = await http.post(f"{merge}/split")
    assert (parted.status_code, parted.headers["location"]) == (303, merge)
    assert (await http.post(f"{merge}/split")).status_code == 409
    assert (await http.get(f"{base}/people/{absorbed}")).status_code == 200
    assert (await http.get(merge)).status_code == 200
    assert (await http.get(f"{base}/people")).text.count("/duplicates") == 1


async def test_they_are_dismissed_with_a_reason_and_never_merged_if_forbidden(
    http: httpx2.AsyncClient, base: str, database: Database, tenant_id: TenantId
) -> None:
    inbox = await http.get(f"{base}/duplicates")
    (pair,) = set(re.findall(rf'href="({base}/duplicates/[0-9a-f-]{{36}})"', inbox.text))
    assert (await http.post(f"{pair}/dismiss", data={"reason": ""})).status_code == 422
    assert (await http.post(f"{pair}/dismiss", data={"reason": "Twins. " + HOSTILE[1]})).status_code == 303
    assert (await http.post(f"{pair}/dismiss", data={"reason": "again"})).status_code == 409
    page = await http.get(pair)
    assert "Twins." in text_of(page)
    assert "onerror=alert(1)>" not in page.text
    assert (await http.get(f"{base}/duplicates/dismissed")).text.count(pair) == 1
    assert (await http.post(f"{pair}/reopen")).status_code == 303
    preview = re.findall(rf'href="({base}/people/[0-9a-f-]+/merge/[0-9a-f-]+)"', page.text)[0]
    person = preview.rpartition("/merge/")[0]
    assert (await http.post(f"{person}/merge/bar", data={"reason": ""})).status_code == 422
    await http.post(f"{person}/merge/bar", data={"reason": "Under legal hold."})
    assert "Under legal hold." in text_of(await http.get(f"{person}/merge?q=ann"))
    assert "Under legal hold." in text_of(await http.get(preview))
    refused = await http.post(preview, data={})
    assert (refused.status_code, "Under legal hold." in text_of(refused)) == (409, True)
    await http.post(f"{person}/merge/lift")
    hr = await source(database, tenant_id)
    await http.post(f"{base}/duplicates/bars", data={"source_id": str(hr), "reason": "Contractors."})
    assert "Contractors." in text_of(await http.get(f"{base}/duplicates"))
    assert (await http.post(preview, data={})).status_code == 409
    await http.post(f"{base}/duplicates/bars/lift", data={"source_id": str(hr)})
    assert (await http.post(f"{base}/duplicates/search")).status_code == 303
    assert (await http.post(preview, data={})).status_code == 303


async def test_a_viewer_looks_and_a_stranger_sees_nothing(
    signed_in: Browsers, base: str, tenant_id: TenantId, make_tenant: MakeTenant, database: Database
) -> None:
    viewer = await signed_in.of(Role.TENANT_VIEWER, tenant_id)
    inbox = await viewer.get(f"{base}/duplicates")
    (pair,) = set(re.findall(rf'href="({base}/duplicates/[0-9a-f-]{{36}})"', inbox.text))
    preview = re.findall(r'href="([^"]+/merge/[0-9a-f-]+)"', (await viewer.get(pair)).text)[0]
    assert ">Merge</button>" not in (await viewer.get(preview)).text
    for path in (preview, f"{pair}/dismiss", f"{base}/duplicates/search"):
        assert (await viewer.post(path)).status_code == 403
    other = await make_tenant()
    async with database.tenant(other) as tx:
        elsewhere = f"/console/t/{(await tenant_of(tx)).slug}"
    stranger = await signed_in.of(Role.TENANT_ADMIN, other)
    for path in (pair, preview):
        assert (await stranger.get(path)).status_code == 404
        assert (await stranger.get(path.replace(base, elsewhere))).status_code == 404
    assert (await stranger.post(preview.replace(base, elsewhere))).status_code == 404
    assert (await stranger.get(f"{elsewhere}/merges/{UUID(int=1)}")).status_code == 404
