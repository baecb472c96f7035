"""The pages of groups and of the role map, over HTTP as a browser without scripts has them."""

import csv
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from html import unescape
from io import StringIO

import httpx2
import pytest
from starlette.types import ASGIApp

from stoa.access.permissions import Role as Operator
from stoa.db.database import Database
from stoa.kernel.ids import GroupId, PersonId, TenantId, new_id
from stoa.people.pages import people_pages
from stoa.people.pages_groups import CSV_HEADER, MEMBERS_CSV_HEADER
from stoa.people.roles_actions import add_rule
from stoa.people.roles_model import Role
from stoa.tenants.queries import tenant as tenant_of

from ..conftest import MakeTenant
from ..web.signed_in import Browsers, application_of, browsers, text_of
from .grouping import make_group, make_person, put_in, roles_in
from .making import source

Enter = Callable[[TenantId, Operator], Awaitable[tuple[httpx2.AsyncClient, str]]]


@pytest.fixture
def app(database: Database) -> ASGIApp:
    return application_of(database, people_pages)


@pytest.fixture
async def enter(app: ASGIApp, database: Database) -> AsyncGenerator[Enter]:
    """Signs somebody in; gives their browser and what the tenant's addresses begin with."""
    async with browsers(app, database) as people:

        async def signed_in(tenant_id: TenantId, role: Operator) -> tuple[httpx2.AsyncClient, str]:
            async with database.tenant(tenant_id) as tx:
                slug = (await tenant_of(tx)).slug
            return await Browsers.of(people, role, tenant_id), f"/console/t/{slug}"

        yield signed_in


class Firm:
    """A tenant with two people in a group, one of them in another too."""

    ada: PersonId
    bob: PersonId
    authors: GroupId
    staff: GroupId

    def __init__(self, database: Database, tenant_id: TenantId) -> None:
        self.database, self.tenant_id = database, tenant_id

    async def open(self) -> None:
        okta = await source(self.database, self.tenant_id, "idp", "Okta")
        async with self.database.tenant(self.tenant_id) as tx:
            ada, self.ada = await make_person(tx, okta, "ada")
            bob, self.bob = await make_person(tx, okta, "bob")
            self.authors = await make_group(tx, okta, "Authors <b>", [ada, bob])
            self.staff = await make_group(tx, okta, "=Staff", [ada])
            await make_group(tx, okta, "Old", present=False)


@pytest.fixture
async def firm(database: Database, tenant_id: TenantId) -> Firm:
    made = Firm(database, tenant_id)
    await made.open()
    return made


async def test_a_role_is_given_after_a_look_at_who_gets_it(firm: Firm, enter: Enter) -> None:
    browser, base = await enter(firm.tenant_id, Operator.TENANT_ADMIN)
    listed = await browser.get(f"{base}/groups")
    assert "Authors <b> Okta 2" in text_of(listed)
    assert "Old" not in text_of(listed)
    assert "Old Deleted" in text_of(await browser.get(f"{base}/groups", params={"filter": "present eq false"}))
    assert "Nobody has it." in text_of(await browser.get(f"{base}/roles"))
    group = f"{base}/groups/{firm.authors}"
    page = await browser.get(f"{group}/roles/new", params={"role": "author"})
    assert "Would get the role 2" in text_of(page)
    assert {"ada", "bob"} <= set(re.findall(r"<bdi[^>]*>(\w+)<", page.text))
    form = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text))
    # What is confirmed must be what was seen.
    changed = await browser.post(f"{group}/roles/new", data={**form, "seen": "1-0"})
    assert (changed.status_code, "Something has changed since you looked" in text_of(changed)) == (409, True)
    done = await browser.post(f"{group}/roles/new", data=form)
    assert (done.status_code, done.headers["location"]) == (303, group)
    assert "Author" in text_of(await browser.get(group))
    mapped = await browser.get(f"{base}/roles")
    assert "2 people have it" in text_of(mapped)
    (filtered,) = re.findall(r'href="([^"]+people\?filter=[^"]+)"', mapped.text)
    assert "ada" in text_of(await browser.get(unescape(filtered)))
    profile = text_of(await browser.get(f"{base}/people/{firm.ada}"))
    assert "Author by Authors <b> since just now" in profile
    assert "=Staff Okta · since just now" in profile
    (remove,) = re.findall(r'href="([^"]+/roles/[^"]+/remove)"', mapped.text)
    gone = await browser.post(remove, data={"seen": "0-2"})
    assert (gone.status_code, gone.headers["location"]) == (303, f"{base}/roles")
    async with firm.database.tenant(firm.tenant_id) as tx:
        assert await roles_in(tx) == {}
    assert (await browser.post(remove, data={"seen": "0-2"})).status_code == 404
    assert (await browser.get(f"{group}/roles/new", params={"role": "king"})).status_code == 400


async def test_whoever_looks_only_changes_nothing_and_another_tenant_has_no_such_group(
    firm: Firm, enter: Enter, make_tenant: MakeTenant
) -> None:
    async with firm.database.tenant(firm.tenant_id) as tx:
        rule = await add_rule(tx, firm.authors, Role.ADMIN)
    viewer, base = await enter(firm.tenant_id, Operator.TENANT_VIEWER)
    new, remove = f"/groups/{firm.authors}/roles/new", f"/roles/{rule.rule_id}/remove"
    for path in ("/groups", f"/groups/{firm.authors}", f"/groups/{firm.authors}/timeline", "/roles"):
        page = await viewer.get(base + path)
        assert (page.status_code, "Remove" in page.text, "/roles/new" in page.text) == (200, False, False)
    assert (await viewer.get(base + new, params={"role": "author"})).status_code == 403
    for path in (new, remove):
        assert (await viewer.post(base + path, data={"role": "author", "seen": "2-0"})).status_code == 403
    admin, own = await enter(await make_tenant(), Operator.TENANT_ADMIN)
    for path in (f"/groups/{firm.authors}", f"/groups/{firm.authors}.csv", f"/groups/{firm.authors}/timeline", remove):
        assert (await admin.get(own + path)).status_code == 404
    assert (await admin.get(own + new, params={"role": "author"})).status_code == 404
    for path in (new, remove):
        assert (await admin.post(own + path, data={"role": "author", "seen": "2-0"})).status_code == 404
    assert (await admin.get(own + "/groups/x")).status_code == 404
    assert "No group is known yet" in text_of(await admin.get(own + "/groups"))


async def test_the_rule_of_the_last_admins_stays(firm: Firm, enter: Enter) -> None:
    async with firm.database.tenant(firm.tenant_id) as tx:
        rule = await add_rule(tx, firm.authors, Role.ADMIN)
    browser, base = await enter(firm.tenant_id, Operator.TENANT_ADMIN)
    address = f"{base}/roles/{rule.rule_id}/remove"
    page = await browser.get(address)
    assert (page.status_code, "nobody who is active would be an admin" in text_of(page)) == (200, True)
    assert 'name="seen"' not in page.text
    refused = await browser.post(address, data={"seen": "0-2"})
    assert (refused.status_code, "role admin first" in text_of(refused)) == (409, True)
    async with firm.database.tenant(firm.tenant_id) as tx:
        assert await roles_in(tx) == {firm.ada: {"admin"}, firm.bob: {"admin"}}


async def test_lists_of_groups_and_members_page_and_export(firm: Firm, enter: Enter) -> None:
    okta = await source(firm.database, firm.tenant_id, "idp", "Okta")
    async with firm.database.tenant(firm.tenant_id) as tx:
        for n in range(30):
            await make_group(tx, okta, f"Team {n:02}")
        records = [(await make_person(tx, okta, f"p{n:02}"))[0] for n in range(30)]
        await put_in(tx, firm.authors, records[:28])
        await put_in(tx, firm.authors, records[28:29], in_force=False)
        await put_in(tx, firm.authors, records[29:], asserted=False)
    browser, base = await enter(firm.tenant_id, Operator.TENANT_VIEWER)
    for path, more in (("/groups", 7), (f"/groups/{firm.authors}", 7)):
        first = await browser.get(base + path)
        (following,) = re.findall(r'href="([^"]+)" rel="next"', first.text)
        second = await browser.get(unescape(following))
        assert f"{more} rows on this page" in text_of(second)
        assert "does not exist" in text_of(await browser.get(base + path, params={"cursor": "x"})) or path == "/groups"
    assert "Goes once that is approved." in text_of(second)
    assert "Comes in once that is approved." in text_of(second)
    assert "Team 07" in text_of(await browser.get(f"{base}/groups", params={"q": "TEAM 07"}))
    assert "No group fits" in text_of(await browser.get(f"{base}/groups", params={"q": "eam"}))
    header, *lines = csv.reader(StringIO((await browser.get(f"{base}/groups.csv")).content.decode("utf-8-sig")))
    assert (tuple(header), len(lines), lines[0][1]) == (CSV_HEADER, 32, "'=Staff")
    header, *lines = csv.reader(
        StringIO((await browser.get(f"{base}/groups/{firm.authors}.csv")).content.decode("utf-8-sig"))
    )
    assert (tuple(header), len(lines)) == (MEMBERS_CSV_HEADER, 32)
    assert (await browser.get(f"{base}/groups.csv", params={"filter": "x"})).status_code == 400
    assert (await browser.get(f"{base}/groups/{new_id()}")).status_code == 404
