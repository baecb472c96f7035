"""What a request may look like, and what is said of one that may not."""

from collections.abc import AsyncGenerator

import httpx2
import pytest

from stoa.access.limits import Limits, change_limits
from stoa.api.versions import LATEST
from stoa.db import embedded
from stoa.db.database import Database
from stoa.kernel.ids import TenantId

from .calling import serving, token_of
from .test_api_entrance import make_person

SOME_ID = "018f2f3e-5c7a-7c3a-9d5e-3b1c2a4d5e6f"


@pytest.fixture
async def client(
    server: embedded.Server, database: Database, tenant_id: TenantId
) -> AsyncGenerator[httpx2.AsyncClient]:
    """May read and write everything of its tenant."""
    async with serving(server, await token_of(database, tenant_id)) as opened:
        yield opened


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limt=5", "limt"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=ten", "limit"),
        ("limit=5&limit=6", "limit"),
        ("cursor=", "cursor"),
        ("sort=nothing", "sort"),
        ("fields=id,nothing", "fields"),
        ("fields=" + "x," * 600, "fields"),
        ("filter=user_name%20eqq%201", "filter"),
        ("filter=nothing%20eq%20%22x%22", "filter"),
        ("filter=user_name%20eq%20%22a%00b%22", "filter"),
        ("updated_since=yesterday", "updated_since"),
        ("updated_since=2026-01-01T00:00:00", "updated_since"),
    ],
)
async def test_a_wrong_parameter_is_named(client: httpx2.AsyncClient, query: str, parameter: str) -> None:
    answer = await client.get(f"/v1/people?{query}")
    assert answer.status_code == 400, answer.text
    assert answer.json()["parameter"] == parameter
    assert answer.json()["type"].endswith(f"/docs/problems/{answer.json()['code']}")


async def test_a_body_that_is_packed_is_refused(client: httpx2.AsyncClient) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    answer = await client.post(f"/v1/runs/{SOME_ID}/approve", content=b"{}", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


async def test_a_repeated_header_is_a_list(client: httpx2.AsyncClient) -> None:
    # Which of two tokens a proxy has looked at is not known here, so neither opens.
    twice = [("Authorization", client.headers["Authorization"])] * 2
    client.headers.pop("Authorization")
    assert (await client.get("/v1/me", headers=twice)).status_code == 401
    assert (await client.get("/v1/me", headers=[*twice[:1], ("X-A", "1"), ("x-a", "2")])).status_code == 200


@pytest.mark.parametrize("query", ["filter=%ff%fe", "&".join(f"a{i}=1" for i in range(60))])
async def test_a_query_that_cannot_be_read_is_refused(client: httpx2.AsyncClient, query: str) -> None:
    answer = await client.get(f"/v1/people?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_query")


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"{", "application/json", 400, "bad_body"),
        (b"", "application/json", 400, "bad_body"),
        (b"[]", "application/json", 400, "bad_body"),
        (b"\xff\xfe", "application/json", 400, "bad_body"),
        (b'{"note": "\\u0000"}', "application/json", 400, "bad_body"),
        (b'{"nothing": 1}', "application/json", 400, "bad_body"),
        (b'{"note": 5}', "application/json", 400, "bad_body"),
        (b'{"note": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "application/json", 400, "bad_body"),
        (b'{"note": "x"}', "text/plain", 415, "unsupported_media_type"),
        (b'{"note": "x"}', "", 415, "unsupported_media_type"),
        (b'{"note": "' + b"x" * 20_000_000 + b'"}', "application/json", 413, "body_too_large"),
    ],
)
async def test_a_wrong_body_is_refused(
    client: httpx2.AsyncClient, body: bytes, content_type: str, status: int, code: str
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    answer = await client.post(f"/v1/runs/{SOME_ID}/approve", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


async def test_a_member_that_is_wrong_is_named(client: httpx2.AsyncClient) -> None:
    unknown = await client.post(f"/v1/runs/{SOME_ID}/approve", json={"note": "", "nota": ""})
    mistyped = await client.post(f"/v1/runs/{SOME_ID}/approve", json={"note": 5})
    assert (unknown.json()["field"], mistyped.json()["field"]) == ("nota", "note")


async def test_a_body_where_none_belongs_is_refused(client: httpx2.AsyncClient) -> None:
    answer = await client.post(f"/v1/connections/{SOME_ID}/resume", json={"a": 1})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_body")


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/nothing", "/v1/people/x/y/z", "/v1//people"])
async def test_what_is_not_there_is_a_problem_too(client: httpx2.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "no_such_operation")


async def test_a_method_that_is_not_there_lists_those_that_are(client: httpx2.AsyncClient) -> None:
    wrong, asked = await client.delete("/v1/runs"), await client.options("/v1/runs")
    assert (wrong.status_code, wrong.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
    assert (asked.status_code, asked.headers["Allow"], asked.content) == (204, "GET, HEAD, OPTIONS", b"")


async def test_head_is_a_get_without_its_body(client: httpx2.AsyncClient) -> None:
    got, headed = await client.get("/v1/tenant"), await client.head("/v1/tenant")
    assert (headed.status_code, headed.content) == (200, b"")
    assert headed.headers["Content-Length"] == got.headers["Content-Length"]


async def test_versions_are_named_and_answered(client: httpx2.AsyncClient) -> None:
    plain = await client.get("/v1/me")
    named = await client.get("/v1/me", headers={"Stoa-Version": LATEST})
    unknown = await client.get("/v1/me", headers={"Stoa-Version": "1999-01-01"})
    assert plain.headers["Stoa-Version"] == named.headers["Stoa-Version"] == LATEST
    assert (unknown.status_code, unknown.json()["code"]) == (400, "unknown_version")


async def test_the_change_log_needs_no_token(client: httpx2.AsyncClient) -> None:
    client.headers.pop("Authorization")
    told = (await client.get("/v1/changelog")).json()
    assert told["versions"][0]["version"] == LATEST


async def test_what_has_not_changed_is_not_sent_again(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId
) -> None:
    person = await make_person(database, tenant_id)
    first = await client.get(f"/v1/people/{person}")
    again = await client.get(f"/v1/people/{person}", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    other = await client.get(f"/v1/people/{person}", headers={"If-None-Match": '"0", W/"x"'})
    assert other.status_code == 200
    broken = await client.get(f"/v1/people/{person}", headers={"If-None-Match": "1"})
    assert (broken.status_code, broken.json()["header"]) == (400, "If-None-Match")


async def test_every_answer_tells_what_is_left(client: httpx2.AsyncClient) -> None:
    answers = [await client.get("/v1/me"), await client.get("/v1/people/x"), await client.get("/v1/me?x=1")]
    left = [int(answer.headers["RateLimit"].split(";r=")[1].split(";")[0]) for answer in answers]
    assert left[0] - left[1] == left[1] - left[2] == 1
    assert answers[0].headers["RateLimit-Policy"].startswith('"client";q=')


async def test_beyond_the_budget_comes_a_time_to_try_again(
    client: httpx2.AsyncClient, database: Database, tenant_id: TenantId
) -> None:
    async with database.tenant(tenant_id) as tx:
        await change_limits(tx, Limits(client_per_minute=3))
    answers = [await client.get("/v1/me") for _ in range(8)]
    refused = [answer for answer in answers if answer.status_code == 429]
    # The minute may turn in between.
    assert len(refused) >= 2
    assert 1 <= int(refused[-1].headers["Retry-After"]) <= 60
    assert refused[-1].json()["code"] == "rate_limited"
    assert '"client";r=0' in refused[-1].headers["RateLimit"]
