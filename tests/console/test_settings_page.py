"""The settings of a tenant over HTTP, and the style sheet of its colour."""

import re

import httpx2
import pytest

from stoa.access.permissions import Role
from stoa.db.database import Database
from stoa.kernel.ids import TenantId
from stoa.tenants import queries
from stoa.tenants.branding import branding
from stoa.tenants.model import Tenant
from tests.console.conftest import MakePlace, Place
from tests.web.signed_in import Browsers, text_of

GOOD = {
    "name": "Settled & Sons",
    "time_zone": "Asia/Tokyo",
    "owner_name": "Ada",
    "owner_email": "ada@settled.example",
    "accent": "#FFCC00",
}


@pytest.fixture
async def settled(make_place: MakePlace) -> Place:
    return await make_place(name="Settled")


async def tenant(database: Database, tenant_id: TenantId) -> Tenant:
    async with database.tenant(tenant_id, read_only=True) as tx:
        return await queries.tenant(tx)


async def test_what_is_saved_is_shown(people: Browsers, database: Database, settled: Place) -> None:
    admin = await people.of(Role.TENANT_ADMIN, settled.tenant_id)
    answer = await admin.post(f"{settled.base}/settings", data=GOOD)
    assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, f"{settled.base}/settings")
    saved = await tenant(database, settled.tenant_id)
    assert (saved.name, saved.time_zone, saved.accent) == ("Settled & Sons", "Asia/Tokyo", "#ffcc00")
    page = await admin.get(f"{settled.base}/settings")
    for value in ("Settled &amp; Sons", 'value="Asia/Tokyo" selected', "ada@settled.example", "#ffcc00"):
        assert value in page.text, value
    used = branding("#ffcc00").light.accent
    assert f"{used} is used there" in text_of(page)
    assert f"{settled.base}/settings/preview.css?accent=ffcc00" in page.text


async def test_what_is_wrong_is_told_beside_its_field_and_nothing_is_lost(
    people: Browsers, database: Database, settled: Place
) -> None:
    admin = await people.of(Role.TENANT_ADMIN, settled.tenant_id)
    wrong = {"name": "", "time_zone": "Mars", "owner_name": "Ada", "owner_email": "<script>", "accent": "red"}
    answer = await admin.post(f"{settled.base}/settings", data=wrong)
    assert answer.status_code == 422
    for field in ("name", "time_zone", "owner_email", "accent"):
        assert re.search(rf'id="{field}-error"[^>]*>[^<]+', answer.text), field
        assert re.search(rf'id="{field}"[^>]*aria-invalid="true"', answer.text), field
    assert 'id="owner_name-error"' not in answer.text
    assert 'value="red"' in answer.text
    assert 'value="&lt;script&gt;"' in answer.text
    assert "4 fields need a correction." in text_of(answer)
    assert (await tenant(database, settled.tenant_id)).name == "Settled"


async def test_the_colour_can_be_given_back(people: Browsers, database: Database, settled: Place) -> None:
    admin = await people.of(Role.TENANT_ADMIN, settled.tenant_id)
    await admin.post(f"{settled.base}/settings", data=GOOD)
    await admin.post(f"{settled.base}/settings", data=GOOD | {"accent": "", "owner_name": "", "owner_email": ""})
    saved = await tenant(database, settled.tenant_id)
    assert (saved.accent, saved.owner_name, saved.owner_email) == (None, None, None)


@pytest.mark.parametrize("role", [Role.TENANT_VIEWER, Role.PLATFORM_VIEWER])
async def test_who_may_only_look_sees_no_form_and_changes_nothing(
    people: Browsers, database: Database, settled: Place, role: Role
) -> None:
    viewer = await people.of(role, settled.tenant_id)
    page = await viewer.get(f"{settled.base}/settings")
    assert page.status_code == 200
    assert f'action="{settled.base}/settings"' not in page.text
    assert "You can see these settings, not change them." in text_of(page)
    assert (await viewer.post(f"{settled.base}/settings", data=GOOD)).status_code == 403
    assert (await tenant(database, settled.tenant_id)).name == "Settled"


async def test_a_form_from_another_site_is_refused(people: Browsers, database: Database, settled: Place) -> None:
    admin = await people.of(Role.TENANT_ADMIN, settled.tenant_id)
    answer = await admin.post(f"{settled.base}/settings", data=GOOD, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert (await tenant(database, settled.tenant_id)).name == "Settled"


# ------------------------------------------------------------------ colours


async def test_the_style_sheet_is_the_tenants_and_kept_by_its_reader_alone(people: Browsers, settled: Place) -> None:
    admin = await people.of(Role.TENANT_ADMIN, settled.tenant_id)
    empty = await admin.get(f"{settled.base}/brand.css")
    assert (empty.status_code, empty.text) == (200, "")
    await admin.post(f"{settled.base}/settings", data=GOOD)
    sheet = await admin.get(f"{settled.base}/brand.css")
    assert f"--accent:light-dark({branding('#ffcc00').light.accent},#ffcc00)" in sheet.text
    assert sheet.headers["content-type"].startswith("text/css")
    assert sheet.headers["cache-control"] == "private, no-cache"
    again = await admin.get(f"{settled.base}/brand.css", headers={"If-None-Match": sheet.headers["etag"]})
    assert (again.status_code, again.text) == (304, "")
    assert empty.headers["etag"] != sheet.headers["etag"]
    named = await admin.get(f"{settled.base}/brand.css?accent=ffcc00")
    assert named.headers["cache-control"] == "private, max-age=86400"
    assert (await admin.get(f"{settled.base}/brand.css?accent=000000")).headers["cache-control"] == "private, no-cache"


async def preview(browser: httpx2.AsyncClient, settled: Place, accent: str) -> httpx2.Response:
    return await browser.get(
        f"{settled.base}/settings/preview", params={"accent": accent}, headers={"HX-Request": "true"}
    )


async def test_a_colour_is_previewed_before_it_is_saved(people: Browsers, database: Database, settled: Place) -> None:
    admin = await people.of(Role.TENANT_ADMIN, settled.tenant_id)
    shown = await preview(admin, settled, "#ffcc00")
    assert shown.text.lstrip().startswith('<div id="accent-preview">')
    assert "<html" not in shown.text
    assert "4.5 : 1" in shown.text
    sheet = await admin.get(f"{settled.base}/settings/preview.css?accent=ffcc00")
    assert ".theme-preview-dark{color-scheme:dark;--accent:#ffcc00;" in sheet.text
    assert (await tenant(database, settled.tenant_id)).accent is None


@pytest.mark.parametrize("accent", ["", "red", "#fff</style><script>", "}" * 500])
async def test_what_is_no_colour_never_reaches_a_style_sheet(people: Browsers, settled: Place, accent: str) -> None:
    admin = await people.of(Role.TENANT_ADMIN, settled.tenant_id)
    shown = await preview(admin, settled, accent)
    assert shown.status_code == 200
    assert "<script" not in shown.text
    sheet = await admin.get(f"{settled.base}/settings/preview.css", params={"accent": accent})
    assert re.fullmatch(r"(\.theme-preview-\w+\{[a-z#0-9:;-]+\}\n){2}", sheet.text)


def stamp_in(page: httpx2.Response) -> str:
    found = re.search(r'<input type="hidden" name="stamp" value="([^"]+)">', page.text)
    assert found is not None
    return found[1]


async def test_of_two_who_edit_at_once_the_second_is_shown_what_the_first_saved(
    people: Browsers, database: Database, settled: Place
) -> None:
    ada = await people.of(Role.TENANT_ADMIN, settled.tenant_id)
    bo = await people.of(Role.TENANT_ADMIN, settled.tenant_id)
    path = f"{settled.base}/settings"
    stamps = [stamp_in(await one.get(path)) for one in (ada, bo)]
    assert (await ada.post(path, data=GOOD | {"stamp": stamps[0]})).status_code == 303
    mine = GOOD | {"name": "Bo's <name>", "stamp": stamps[1]}
    refused = await bo.post(path, data=mine)
    assert refused.status_code == 409
    told = text_of(refused)
    assert "Nothing of yours is saved yet." in told
    assert "Name Settled & Sons" in told
    # Where both want the same there is nothing to tell.
    assert "E-mail address ada@settled.example" not in told.partition("Save again")[0]
    assert 'value="Bo&#39;s &lt;name&gt;"' in refused.text
    assert (await tenant(database, settled.tenant_id)).name == "Settled & Sons"
    # What stands in the way was shown now, so that the page can be saved as it is.
    assert (await bo.post(path, data=mine | {"stamp": stamp_in(refused)})).status_code == 303
    assert (await tenant(database, settled.tenant_id)).name == "Bo's <name>"


async def test_a_mistake_does_not_renew_the_stamp(people: Browsers, settled: Place) -> None:
    ada = await people.of(Role.TENANT_ADMIN, settled.tenant_id)
    bo = await people.of(Role.TENANT_ADMIN, settled.tenant_id)
    path = f"{settled.base}/settings"
    stamp = stamp_in(await bo.get(path))
    assert (await ada.post(path, data=GOOD)).status_code == 303
    wrong = await bo.post(path, data=GOOD | {"name": "", "stamp": stamp})
    assert wrong.status_code == 422
    again = await bo.post(path, data=GOOD | {"name": "Bo's", "stamp": stamp_in(wrong)})
    assert again.status_code == 409
