"""Signing in and out, the own account and the operators, over HTTP as a browser without scripts does it."""

import re
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from html import unescape
from urllib.parse import urlsplit

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.types import ASGIApp

from stoa.access import operators
from stoa.access.operators import NewOperator, Operator, create_operator
from stoa.access.passwords import hashed
from stoa.access.permissions import Role
from stoa.db.database import Database
from stoa.kernel.ids import TenantId, new_id
from stoa.web.access import access_pages
from stoa.web.access_account import browser_of
from stoa.web.access_signing import safe_next
from stoa.web.assets import load_assets
from stoa.web.templates import make_pages
from stoa.web.visiting import Shell
from tests.conftest import MakeTenant

PASSWORD = "seven llamas upstairs"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
Browser = httpx2.AsyncClient
MakeOperator = Callable[..., Awaitable[Operator]]


@asynccontextmanager
async def opened(app: ASGIApp, base_url: str = "http://127.0.0.1") -> AsyncGenerator[Browser]:
    """A browser of its own: it keeps cookies and follows no redirect by itself."""
    headers = {"User-Agent": FIREFOX, "Accept": "text/html,*/*;q=0.8", "Sec-Fetch-Site": "same-origin"}
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url=base_url, headers=headers) as client:
        yield client


@pytest.fixture
def app(database: Database) -> ASGIApp:
    """The pages about accounts, composed as the server composes them."""
    return Starlette(routes=access_pages(Shell(make_pages(load_assets()), database, development=False)))


@pytest.fixture
async def browser(app: ASGIApp) -> AsyncGenerator[Browser]:
    """A browser in which nobody is signed in."""
    async with opened(app) as client:
        yield client


@pytest.fixture
async def admin_account(make_operator: MakeOperator) -> Operator:
    """An administrator of the platform."""
    return await make_operator(Role.PLATFORM_ADMIN)


@pytest.fixture
async def admin(app: ASGIApp, admin_account: Operator) -> AsyncGenerator[Browser]:
    """A browser in which `admin_account` is signed in."""
    async with opened(app) as client:
        await sign_in(client, admin_account.email)
        yield client


@pytest.fixture(autouse=True)
async def nothing_counted(database: Database) -> None:
    async with database.platform() as tx:
        await tx.execute("DELETE FROM sign_in_attempt")


@pytest.fixture
def make_operator(database: Database) -> MakeOperator:
    """Makes an account with PASSWORD as its own, or with a first password that must be changed."""

    async def make(
        role: Role | None = Role.PLATFORM_VIEWER, tenants: dict[TenantId, Role] | None = None, *, first: bool = False
    ) -> Operator:
        email = f"{secrets.token_hex(6)}@example.com"
        async with database.platform() as tx:
            made, _ = await create_operator(tx, NewOperator(email, "Ada Byron", role, tenants or {}))
            await tx.execute(
                "UPDATE operator SET password_hash = $2, must_change_password = $3 WHERE operator_id = $1",
                *(made.operator_id, await hashed(PASSWORD), first),
            )
            return await operators.operator_by_id(tx, made.operator_id)

    return make


async def sign_in(browser: Browser, email: str, password: str = PASSWORD, **more: str) -> httpx2.Response:
    return await browser.post("/console/sign-in", data={"email": email, "password": password, **more})


def said_in(page: httpx2.Response) -> str:
    """A page's text without its tags."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page.text)).split())


def token_of(browser: Browser) -> str | None:
    return browser.cookies.get("stoa_session")


# ------------------------------------------------------------------ signing in and out


async def test_signing_in_leads_to_the_page_that_was_asked_for(browser: Browser, make_operator: MakeOperator) -> None:
    operator = await make_operator()
    asked = await browser.get("/console/account?x=1")
    assert asked.status_code == 303
    assert urlsplit(asked.headers["location"]).path == "/console/sign-in"
    form = await browser.get(asked.headers["location"])
    assert form.status_code == 200
    assert form.headers["cache-control"] == "no-store"
    following = re.search(r'name="next" value="([^"]*)"', form.text)
    assert following is not None
    answer = await sign_in(browser, operator.email, next=unescape(following[1]))
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/account?x=1")
    page = await browser.get(answer.headers["location"])
    assert page.status_code == 200
    assert operator.email in page.text


async def test_the_form_needs_no_script_and_helps_password_stores(browser: Browser) -> None:
    page = (await browser.get("/console/sign-in")).text
    assert '<form method="post" action="/console/sign-in">' in page
    assert 'autocomplete="username"' in page
    assert 'autocomplete="current-password"' in page
    assert "onsubmit" not in page


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(
    browser: Browser, make_operator: MakeOperator, app: ASGIApp
) -> None:
    operator = await make_operator()
    cookie = (await sign_in(browser, operator.email)).headers["set-cookie"]
    assert cookie.startswith("stoa_session=")
    parts = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "samesite=lax", "path=/"} <= parts
    assert not any(part.startswith("domain") for part in parts)
    async with opened(app, "https://stoa.example") as secure:
        cookie = (await sign_in(secure, operator.email)).headers["set-cookie"]
        assert cookie.startswith("__Host-stoa_session=")
        assert {"secure", "httponly", "samesite=lax", "path=/"} <= {p.strip().lower() for p in cookie.split(";")[1:]}
        assert (await secure.get("/console/account")).status_code == 200


async def test_a_wrong_password_is_told_and_the_address_kept(browser: Browser, make_operator: MakeOperator) -> None:
    operator = await make_operator()
    answer = await sign_in(browser, operator.email, "wrong <b>", next="/console/account")
    assert answer.status_code == 422
    assert "set-cookie" not in answer.headers
    assert f'value="{operator.email}"' in answer.text
    assert 'value="/console/account"' in answer.text
    assert "wrong" not in answer.text
    text = said_in(answer)
    assert "The e-mail address or the password is not right" in text
    assert "an administrator of the platform can give you a new one" in text


async def test_whether_an_account_exists_is_not_told(browser: Browser, make_operator: MakeOperator) -> None:
    operator = await make_operator()
    known = await sign_in(browser, operator.email, "wrong")
    unknown = await sign_in(browser, "nobody@example.com", "wrong")
    assert known.status_code == unknown.status_code
    assert known.text.replace(operator.email, "nobody@example.com") == unknown.text


async def test_who_is_locked_out_is_told_when_to_come_back(browser: Browser, make_operator: MakeOperator) -> None:
    operator = await make_operator()
    for _ in range(5):
        await sign_in(browser, operator.email, "wrong")
    answer = await sign_in(browser, operator.email)
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "1"
    assert "Try again in 1 second" in said_in(answer)
    assert token_of(browser) is None


@pytest.mark.parametrize(
    "form", [{}, {"email": "x"}, {"password": "x"}, {"email": "x\0", "password": "\0", "next": "\0"}]
)
async def test_a_form_with_gaps_is_refused_like_any_other(browser: Browser, form: dict[str, str]) -> None:
    assert (await browser.post("/console/sign-in", data=form)).status_code == 422


async def test_who_is_signed_in_goes_on(browser: Browser, make_operator: MakeOperator) -> None:
    await sign_in(browser, (await make_operator()).email)
    answer = await browser.get("/console/sign-in?next=/console/account")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/account")


@pytest.mark.parametrize(
    "given",
    [
        *("", "https://evil.example/console", "//evil.example/console", "/\\evil.example", "/console\\..\\x"),
        *(
            "javascript:alert(1)",
            "/consoles",
            "/t/acme",
            "console",
            "/console/a\r\nSet-Cookie: x=y",
            "http://[/console",
        ),
        *("/console/sign-in", "/console/sign-in?next=/console/sign-in", "/console/sign-out", "/console/password"),
        *("\\\\evil.example", "/console" + "x" * 3000, " /console", "/\t/evil.example", "/console/\0"),
    ],
)
def test_signing_in_never_leads_elsewhere(given: str) -> None:
    assert safe_next(given) == "/console"


@pytest.mark.parametrize("given", ["/console", "/console?a=1", "/console/t/acme/runs?q=a%20b#x", "/console//x"])
def test_signing_in_leads_to_any_page_of_the_console(given: str) -> None:
    assert safe_next(given) == given


async def test_signing_in_replaces_the_session_that_the_browser_had(
    browser: Browser, make_operator: MakeOperator, app: ASGIApp
) -> None:
    operator = await make_operator()
    await sign_in(browser, operator.email)
    before = token_of(browser)
    await sign_in(browser, operator.email)
    assert before is not None
    assert token_of(browser) not in {None, before}
    async with opened(app) as thief:
        thief.cookies.set("stoa_session", before)
        assert (await thief.get("/console/account")).status_code == 303


async def test_a_planted_cookie_is_not_taken_up(browser: Browser, make_operator: MakeOperator) -> None:
    planted = "A" * 43
    browser.cookies.set("stoa_session", planted, domain="127.0.0.1")
    answer = await sign_in(browser, (await make_operator()).email)
    assert planted not in answer.headers["set-cookie"]


async def test_signing_out_ends_the_session_and_says_so(
    browser: Browser, make_operator: MakeOperator, app: ASGIApp
) -> None:
    await sign_in(browser, (await make_operator()).email)
    token = token_of(browser)
    assert token is not None
    answer = await browser.post("/console/sign-out")
    assert answer.status_code == 303
    assert token_of(browser) is None
    assert "You have signed out" in said_in(await browser.get(answer.headers["location"]))
    async with opened(app) as other:
        other.cookies.set("stoa_session", token)
        assert (await other.get("/console/account")).status_code == 303
    # Once more, and without a session, it changes nothing.
    assert (await browser.post("/console/sign-out")).status_code == 303
    assert (await browser.get("/console/sign-out")).status_code == 405


@pytest.mark.parametrize("address", ["/console/sign-in", "/console/sign-out", "/console/password"])
async def test_another_site_can_neither_sign_in_nor_out(
    browser: Browser, make_operator: MakeOperator, address: str
) -> None:
    operator = await make_operator()
    await sign_in(browser, operator.email)
    before = token_of(browser)
    answer = await browser.post(
        address,
        data={"email": operator.email, "password": PASSWORD},
        headers={"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    )
    assert answer.status_code == 403
    assert token_of(browser) == before
    assert (await browser.get("/console/account")).status_code == 200


# ------------------------------------------------------------------ the password


async def test_a_first_password_opens_nothing_but_its_change(browser: Browser, make_operator: MakeOperator) -> None:
    operator = await make_operator(first=True)
    answer = await sign_in(browser, operator.email, next="/console/account")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/password?next=%2Fconsole%2Faccount")
    elsewhere = await browser.get("/console/account")
    assert elsewhere.status_code == 303
    assert urlsplit(elsewhere.headers["location"]).path == "/console/password"
    page = await browser.get(answer.headers["location"])
    assert "Your password was made by somebody else" in said_in(page)
    new = "eight camels downstairs"
    form = {"current": PASSWORD, "new": new, "again": new, "next": "/console/account"}
    changed = await browser.post("/console/password", data=form)
    assert (changed.status_code, changed.headers["location"]) == (303, "/console/account")
    page = await browser.get("/console/account")
    assert page.status_code == 200
    assert "Your password is changed" in said_in(page)


@pytest.mark.parametrize(
    ("change", "status", "why"),
    [
        ({"again": "another one altogether"}, 422, "not the same as above"),
        ({"new": "short", "again": "short"}, 422, "12 to 200 characters"),
        ({"new": "password1234", "again": "password1234"}, 422, "tried first"),
        ({"new": PASSWORD, "again": PASSWORD}, 422, "The new password is the present one"),
        ({"current": "not this"}, 422, "The present password is not right"),
    ],
)
async def test_a_change_that_is_refused_says_why_beside_the_field(
    browser: Browser, make_operator: MakeOperator, change: dict[str, str], status: int, why: str
) -> None:
    await sign_in(browser, (await make_operator()).email)
    form = {"current": PASSWORD, "new": "eight camels downstairs", "again": "eight camels downstairs"} | change
    answer = await browser.post("/console/password", data=form)
    assert answer.status_code == status
    assert why in said_in(answer)
    assert answer.text.count('aria-invalid="true"') == 1
    for secret in form.values():
        assert f'value="{secret}"' not in answer.text
    assert (await browser.get("/console/account")).status_code == 200


async def test_changing_the_password_signs_out_everywhere_else(
    browser: Browser, make_operator: MakeOperator, app: ASGIApp
) -> None:
    operator = await make_operator()
    await sign_in(browser, operator.email)
    before = token_of(browser)
    async with opened(app) as other:
        await sign_in(other, operator.email)
        new = "eight camels downstairs"
        answer = await browser.post("/console/password", data={"current": PASSWORD, "new": new, "again": new})
        assert answer.status_code == 303
        assert token_of(browser) not in {None, before}
        assert (await browser.get("/console/account")).status_code == 200
        assert (await other.get("/console/account")).status_code == 303


# ------------------------------------------------------------------ the own account


async def test_the_account_shows_roles_and_sessions_and_ends_the_others(
    browser: Browser, make_operator: MakeOperator, make_tenant: MakeTenant, app: ASGIApp
) -> None:
    tenant_id = await make_tenant(slug="own-account", name="Ο Ίδιος & Co")
    operator = await make_operator(None, {tenant_id: Role.TENANT_ADMIN})
    await sign_in(browser, operator.email)
    async with opened(app) as other:
        other.headers["User-Agent"] = "<script>alert(1)</script>/1"
        await sign_in(other, operator.email)
        page = await browser.get("/console/account")
        text = said_in(page)
        assert "Ο Ίδιος & Co : administrator" in text
        assert "Firefox, Linux This browser" in text
        assert "<script>alert" not in page.text
        assert token_of(browser) not in page.text
        answer = await browser.post("/console/account/sessions/close")
        assert answer.status_code == 303
        assert (await other.get("/console/account")).status_code == 303
    text = said_in(await browser.get("/console/account"))
    assert "You are signed out everywhere else" in text
    assert "Sign out everywhere else" not in text


@pytest.mark.parametrize(
    ("user_agent", "told"),
    [
        (FIREFOX, "Firefox, Linux"),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/141.0 Safari/537.36 Edg/141.0",
            "Edge, Windows",
        ),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/141.0 Mobile Safari/537.36", "Chrome, Android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1", "Safari, iPhone"),
        ("curl/8.9.1", "curl"),
        ("", ""),
    ],
)
def test_a_browser_is_told_in_a_few_words(user_agent: str, told: str) -> None:
    assert browser_of(user_agent) == told


# ------------------------------------------------------------------ the operators


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
    nobody = await admin.get("/console/operators?q=nobody-has-this%00")
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
