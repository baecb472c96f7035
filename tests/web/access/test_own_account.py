"""The own password and account over HTTP."""

from urllib.parse import urlsplit

import pytest
from starlette.types import ASGIApp

from stoa.access.permissions import Role
from stoa.web.access_account import browser_of
from tests.conftest import MakeTenant
from tests.web.access.conftest import FIREFOX, PASSWORD, Browser, MakeOperator, opened, said_in, sign_in, token_of


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
