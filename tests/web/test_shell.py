"""The shell over HTTP: landing page, static files, headers and error pages."""

import json
import re
from pathlib import Path

import httpx2
import jinja2
import pytest

from stoa.kernel.problems import Misconfigured
from stoa.web.assets import BUILT, load_assets
from stoa.web.security import HEADERS
from stoa.web.templates import make_pages

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


async def test_the_landing_page_says_that_it_runs_and_which_version(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/", headers=BROWSER)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert "Stoa is running" in answer.text
    assert "Version 1.2.3" in answer.text


async def test_every_address_on_the_landing_page_that_the_shell_serves_is_there(client: httpx2.AsyncClient) -> None:
    text = (await client.get("/")).text
    assets = set(re.findall(r'(?:href|src)="(/assets/[^"]+)"', text))
    assert {address.split(".")[0] for address in assets} == {f"/assets/{name}" for name in ("htmx", "stoa", "theme")}
    for address in assets:
        answer = await client.get(address)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert re.search(r"\.[0-9a-f]{16}\.", address)


@pytest.mark.parametrize(
    "address",
    ["/assets/stoa.css", "/assets/manifest.json", "/assets/..%2f..%2fstoa.css", "/assets/%2e%2e/landing.html"],
)
async def test_only_hashed_names_of_the_manifest_are_served(client: httpx2.AsyncClient, address: str) -> None:
    answer = await client.get(address)
    assert answer.status_code == 404
    assert "immutable" not in answer.headers.get("cache-control", "")


@pytest.mark.parametrize("address", ["/", "/nowhere", "/fail", "/assets/nothing"])
async def test_every_answer_carries_the_security_headers(client: httpx2.AsyncClient, address: str) -> None:
    answer = await client.get(address)
    for name, value in HEADERS:
        assert answer.headers[name] == value
    assert "Strict-Transport-Security" not in answer.headers


async def test_strict_transport_is_asked_for_over_https_alone(client: httpx2.AsyncClient) -> None:
    answer = await client.get("https://127.0.0.1/")
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=63072000")


async def test_a_response_keeps_the_policy_that_it_sets_itself(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/own-policy")
    assert answer.headers.get_list("Content-Security-Policy") == ["sandbox"]


def test_the_policy_allows_nothing_inline() -> None:
    policy = dict(HEADERS)["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "*" not in policy


async def test_a_browser_gets_a_page_for_an_address_that_is_not_there(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/<script>alert(1)</script>", headers=BROWSER)
    assert answer.status_code == 404
    assert "Not found" in answer.text
    assert "<script>" not in answer.text


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/scim+json", "text/html;q=0", ""])
async def test_a_program_gets_its_own_form_of_error(client: httpx2.AsyncClient, accept: str) -> None:
    for address, status in (("/nowhere", 404), ("/fail", 500)):
        answer = await client.get(address, headers={"Accept": accept})
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


async def test_the_page_of_a_failure_names_the_trace_and_nothing_of_the_cause(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/fail", headers=BROWSER)
    assert answer.status_code == 500
    assert "trace-7" in answer.text
    assert "hunter2" not in answer.text
    assert "RuntimeError" not in answer.text


async def test_a_refusal_keeps_its_headers(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/refuse", headers=BROWSER)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")
    assert "Wait a minute" in answer.text


async def test_a_wrong_method_is_refused_with_what_is_allowed(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/", headers=BROWSER)
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]


def test_missing_assets_say_how_to_build_them(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="make setup"):
        load_assets(tmp_path)


def test_a_manifest_that_names_a_missing_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"stoa.css": "stoa.0123456789abcdef.css"}))
    with pytest.raises(Misconfigured, match="make setup"):
        load_assets(tmp_path)


def test_a_damaged_manifest_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("[")
    with pytest.raises(Misconfigured, match="damaged"):
        load_assets(tmp_path)


def test_a_template_escapes_what_it_is_given() -> None:
    pages = make_pages(load_assets(BUILT))
    assert b"&lt;b&gt;" in pages.render("web/landing.html", version="<b>").body


def test_a_template_refuses_to_leave_a_gap() -> None:
    pages = make_pages(load_assets(BUILT))
    with pytest.raises(jinja2.UndefinedError, match="version"):
        pages.render("web/landing.html")
