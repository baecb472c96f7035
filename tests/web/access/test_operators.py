"""The operators over HTTP."""

import re
import secrets
from html import unescape

import pytest
from starlette.types import ASGIApp

from stoa.access import operators
from stoa.access.operators import NewOperator, Operator
from stoa.access.permissions import Role
from stoa.db.database import Database
from stoa.kernel.ids import TenantId, new_id
from tests.conftest import MakeTenant
from tests.web.access.conftest import Browser, MakeOperator, opened, said_in, sign_in


@pytest.mark.parametrize("role", [Role.PLATFORM_VIEWER, None])
async def test_the_operators_are_for_platform_administrators(
    browser: Browser, make_operator: MakeOperator, make_tenant: MakeTenant, role: Role | None
) -> None:
    operator = await make_operator(role, {await make_tenant(): Role.TENANT_ADMIN})
    await sign_in(browser, operator.email)
    one = f"/console/operators/{operator.operator_id}"
    for address in ("/console/operators", "/console/operators/new", one):
        assert (await browser.get(address)).status_code in {403, 404}, address
    form = {"email": "x@example.com", "name": "X", "platform_role": "platform_admin"}
    for address in (
        *("/console/operators", f"{one}/reset-password", f"{one}/disable", f"{one}/enable"),
        *(f"{one}/platform-role", f"{one}/tenant-role"),
    ):
        assert (await browser.post(address, data=form)).status_code in {403, 404}, address


async def test_an_account_is_made_and_its_first_password_shown_once(
    admin: Browser, make_tenant: MakeTenant, app: ASGIApp, database: Database
) -> None:
    await make_tenant(slug="first-shown")
    email = f"{secrets.token_hex(6)}@example.com"
    form = {"email": email, "name": "Bo", "platform_role": "", "tenant": "first-shown", "tenant_role": "tenant_admin"}
    page = await admin.post("/console/operators", data=form)
    assert page.status_code == 200
    assert page.headers["cache-control"] == "no-store"
    assert "http://127.0.0.1/console/sign-in" in page.text
    found = re.search(r'id="first-password">.*?<code[^>]*>([^<]+)</code>', page.text, re.DOTALL)
    assert found is not None
    async with database.platform() as tx:
        made = await operators.operator_by_email(tx, email)
    assert [(one.slug, one.role) for one in made.tenants] == [("first-shown", Role.TENANT_ADMIN)]
    shown = await admin.get(f"/console/operators/{made.operator_id}")
    assert "First password not changed yet" in said_in(shown)
    assert found[1] not in shown.text
    async with opened(app) as theirs:
        answer = await sign_in(theirs, email, found[1])
        assert answer.headers["location"] == "/console/password"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"email": "nonsense"}, "is not an e-mail address"),
        ({"name": ""}, "1 to 200 printable"),
        ({"tenant": "no-such-tenant"}, "There is no tenant 'no-such-tenant'"),
        ({"platform_role": "tenant_admin"}, "There is no such role"),
        ({"platform_role": ""}, "An operator without a role could see nothing"),
    ],
)
async def test_what_makes_no_account_is_told_and_what_was_typed_kept(
    admin: Browser, change: dict[str, str], why: str
) -> None:
    form = {"email": "kept@example.com", "name": "<Kept>", "platform_role": "platform_viewer"} | change
    answer = await admin.post("/console/operators", data=form)
    assert answer.status_code == 422
    assert why in said_in(answer)
    assert "first-password" not in answer.text
    if "email" not in change:
        assert 'value="kept@example.com"' in answer.text
    if "name" not in change:
        assert 'value="&lt;Kept&gt;"' in answer.text


async def test_an_address_that_is_taken_is_told(admin: Browser, make_operator: MakeOperator) -> None:
    form = {"email": (await make_operator()).email.upper(), "name": "X", "platform_role": "platform_viewer"}
    answer = await admin.post("/console/operators", data=form)
    assert answer.status_code == 422
    assert "There is an operator with that e-mail address already" in said_in(answer)


async def test_operators_are_searched_and_paged(admin: Browser, database: Database) -> None:
    mark = secrets.token_hex(5)
    async with database.platform() as tx:
        for number in range(27):
            new = NewOperator(f"{mark}.{number:02}@example.com", f"Nr {number:02}", Role.PLATFORM_VIEWER)
            await tx.execute(
                """INSERT INTO operator (operator_id, email, email_key, name, name_key, password_hash,
                     must_change_password, platform_role, created_at, password_changed_at)
                   VALUES ($1, $2, $2, $3, $3, 'x', true, 'platform_viewer', $4, $4)""",
                *(new_id(), new.email, new.name, tx.now),
            )
    page = await admin.get(f"/console/operators?q={mark.upper()}&limit=25")
    assert page.text.count(f"{mark}.") == 25
    following = re.search(r'href="([^"]+)" rel="next"', page.text)
    assert following is not None
    rest = await admin.get(unescape(following[1]))
    assert [number for number in range(27) if f"{mark}.{number:02}@" in rest.text] == [25, 26]
    backwards = await admin.get(f"/console/operators?q={mark}&limit=25&sort=-name")
    assert f"{mark}.26@" in backwards.text
    assert f"{mark}.01@" not in backwards.text
    nobody = await admin.get("/console/operators?q=nobody-has-this")
    assert nobody.status_code == 200
    assert "Nobody found" in said_in(nobody)
    assert (await admin.get("/console/operators?cursor=nonsense")).status_code in {200, 400, 422}


async def test_an_account_is_disabled_enabled_and_given_a_new_password(
    admin: Browser, make_operator: MakeOperator, app: ASGIApp
) -> None:
    operator = await make_operator()
    one = f"/console/operators/{operator.operator_id}"
    async with opened(app) as theirs:
        await sign_in(theirs, operator.email)
        answer = await admin.post(f"{one}/disable")
        assert (answer.status_code, answer.headers["location"]) == (303, one)
        assert (await theirs.get("/console/account")).status_code == 303
        assert (await sign_in(theirs, operator.email)).status_code == 422
        text = said_in(await admin.get(one))
        assert "The account is disabled, and its sessions have ended" in text
        await admin.post(f"{one}/enable")
        assert (await sign_in(theirs, operator.email)).status_code == 303
        page = await admin.post(f"{one}/reset-password")
        assert "This password is shown this once" in said_in(page)
        assert (await theirs.get("/console/account")).status_code == 303


async def test_roles_are_given_and_taken_away(
    admin: Browser, make_operator: MakeOperator, make_tenant: MakeTenant, database: Database
) -> None:
    tenant_id = await make_tenant(slug="role-given")
    operator = await make_operator()
    one = f"/console/operators/{operator.operator_id}"

    async def roles() -> tuple[Role | None, dict[TenantId, Role]]:
        async with database.platform() as tx:
            found = await operators.operator_by_id(tx, operator.operator_id)
        return found.platform_role, dict(found.tenant_roles)

    await admin.post(f"{one}/tenant-role", data={"tenant": "role-given", "tenant_role": "tenant_viewer"})
    await admin.post(f"{one}/platform-role", data={"platform_role": ""})
    assert await roles() == (None, {tenant_id: Role.TENANT_VIEWER})
    refused = await admin.post(f"{one}/tenant-role", data={"tenant": "role-given", "tenant_role": ""})
    assert refused.status_code == 400
    assert "An operator without a role could see nothing" in said_in(refused)
    unknown = await admin.post(f"{one}/tenant-role", data={"tenant": "nowhere", "tenant_role": "tenant_viewer"})
    assert unknown.status_code == 422
    assert "There is no tenant 'nowhere'" in said_in(unknown)
    wrong = await admin.post(f"{one}/tenant-role", data={"tenant": "role-given", "tenant_role": "platform_admin"})
    assert wrong.status_code == 422
    await admin.post(f"{one}/platform-role", data={"platform_role": "platform_admin"})
    await admin.post(f"{one}/tenant-role", data={"tenant": "role-given", "tenant_role": ""})
    assert await roles() == (Role.PLATFORM_ADMIN, {})


async def test_the_last_platform_administrator_is_told_why_not(
    admin: Browser, admin_account: Operator, database: Database
) -> None:
    async with database.platform() as tx:
        await tx.execute(
            """UPDATE operator SET disabled_at = $1
               WHERE platform_role = 'platform_admin' AND disabled_at IS NULL AND operator_id <> $2""",
            *(tx.now, admin_account.operator_id),
        )
    one = f"/console/operators/{admin_account.operator_id}"
    for act, form in (("disable", {}), ("platform-role", {"platform_role": "platform_viewer"})):
        answer = await admin.post(f"{one}/{act}", data=form)
        assert answer.status_code in {400, 409}
    answer = await admin.post(f"{one}/disable")
    assert answer.status_code == 409
    assert "This is the last enabled administrator of the platform" in said_in(answer)
    assert "Make somebody else a platform administrator first" in said_in(answer)


@pytest.mark.parametrize("operator_id", ["nonsense", "01999999-0000-7000-8000-000000000001"])
async def test_an_operator_who_is_not_there_is_404(admin: Browser, operator_id: str) -> None:
    assert (await admin.get(f"/console/operators/{operator_id}")).status_code == 404
    for act in ("reset-password", "disable", "enable", "platform-role", "tenant-role"):
        form = {"platform_role": "platform_viewer", "tenant_role": "tenant_viewer"}
        answer = await admin.post(f"/console/operators/{operator_id}/{act}", data=form)
        assert answer.status_code in {404, 422}, act
