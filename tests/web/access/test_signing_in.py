"""Signing in and out over HTTP."""

import re
from html import unescape
from urllib.parse import urlsplit

import pytest
from starlette.types import ASGIApp

from stoa.web.access_signing import safe_next
from tests.web.access.conftest import PASSWORD, Browser, MakeOperator, opened, said_in, sign_in, token_of


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
    # A page knows to the second when it was made.
    told, as_told = (re.sub(r' data-now="[^"]+"', "", page.text, count=1) for page in (known, unknown))
    assert told.replace(operator.email, "nobody@example.com") == as_told


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
