"""Whatever is sent: 4xx with what and where, never a 500, and nothing changed."""

import random
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stoa.identity.scim.bulk.model import BULK_REQUEST
from stoa.identity.scim.http import MAX_BODY
from tests.identity.conftest import Scim, patch_body
from tests.identity.scim.test_entrance import assert_error


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "JSON"),
        (b"{", "JSON"),
        (b'{"userName": "a"', "JSON"),
        (b'{"userName": "a"} x', "JSON"),
        (b"userName=a", "JSON"),
        (b"<xml/>", "JSON"),
        (b"\xff\xfe", "JSON"),
        (b'{"userName": "\xff"}', "UTF-8"),
        (b'{"userName": "\\ud800"}', "JSON"),
        (b'{"userName": "a\\u0000"}', "U+0000"),
        (b'{"userName": NaN}', "JSON"),
        (b'{"userName": 1e999}', "JSON"),
        (b"[" * 100_000, "nests"),
        (b"null", "null"),
        (b"[]", "list"),
        (b'"x"', "string"),
        (b"5", "number"),
        (b"true", "boolean"),
    ],
)
async def test_a_body_that_is_no_user_is_400(scim: Scim, content: bytes, named: str) -> None:
    made = await scim.make("ada")
    for method, path in (("POST", "/Users"), ("PUT", f"/Users/{made['id']}"), ("POST", "/.search")):
        answer = await scim(method, path, content=content)
        assert_error(answer, 400)
        assert answer.json()["scimType"] in {"invalidSyntax", "invalidValue"}
        if path != "/.search":
            assert named in answer.json()["detail"]
    assert_error(await scim("PATCH", f"/Users/{made['id']}", content=content), 400)
    assert len(await scim.find("userName pr")) == 1


@pytest.mark.parametrize("media_type", ["text/plain", "application/xml", "", "application/x-www-form-urlencoded"])
async def test_another_media_type_is_415(scim: Scim, media_type: str) -> None:
    answer = await scim("POST", "/Users", content=b'{"userName":"a"}', headers={"Content-Type": media_type})
    assert_error(answer, 415)


@pytest.mark.parametrize("media_type", ["application/json", "Application/SCIM+JSON; charset=utf-8"])
async def test_json_is_accepted_under_both_names(scim: Scim, media_type: str) -> None:
    answer = await scim("POST", "/Users", content=b'{"userName":"a"}', headers={"Content-Type": media_type})
    assert answer.status_code == 201


async def test_a_body_that_is_announced_too_long_is_413_and_not_read(scim: Scim) -> None:
    sent = 0

    async def endless() -> AsyncGenerator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b" " * 65_536

    announced = await scim("POST", "/Users", content=b" " * (MAX_BODY + 1))
    assert_error(announced, 413)
    streamed = await scim("POST", "/Users", content=endless())
    assert_error(streamed, 413)
    assert sent <= MAX_BODY // 65_536 + 2


async def test_a_method_that_an_endpoint_has_not_is_405_with_those_it_has(scim: Scim) -> None:
    for method, path, allowed in (
        ("PUT", "/Users", "GET, HEAD, OPTIONS, POST"),
        ("DELETE", "/Users", "GET, HEAD, OPTIONS, POST"),
        ("POST", "/Users/x", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"),
        ("POST", "/Schemas", "GET, HEAD, OPTIONS"),
        ("TRACE", "/Users", "GET, HEAD, OPTIONS, POST"),
        ("GET", "/.search", "OPTIONS, POST"),
    ):
        answer = await scim(method, path)
        assert_error(answer, 405)
        assert answer.headers["allow"] == allowed


async def test_options_says_what_is_allowed(scim: Scim) -> None:
    answer = await scim("OPTIONS", "/Users")
    assert (answer.status_code, answer.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")


@pytest.mark.parametrize("path", ["/nothing", "/Users/1/2", "/users", "/Schemas/urn:x", "/Users/%00"])
async def test_what_is_not_there_is_404(scim: Scim, path: str) -> None:
    assert_error(await scim("GET", path), 404)


async def test_what_is_not_offered_is_501(scim: Scim) -> None:
    assert_error(await scim("GET", "/Me"), 501)


@pytest.mark.parametrize("identity", ["x", "1" * 36, "%2e%2e", "{00000000-0000-0000-0000-000000000000}", "a" * 5000])
async def test_an_id_that_is_none_is_404_for_every_method(scim: Scim, identity: str) -> None:
    for method, body in (
        ("GET", None),
        ("PUT", {"userName": "a"}),
        ("PATCH", patch_body({"op": "add", "path": "title", "value": "x"})),
        ("DELETE", None),
    ):
        assert_error(await scim(method, f"/Users/{identity}", body), 404)


@pytest.mark.parametrize(
    "query",
    ["filter=%ff", "filter=%00", "&".join(["a=1"] * 200), "attributes=%00", "filter=" + "a" * 9000, "count=%00"],
)
async def test_an_odd_query_is_never_a_500(scim: Scim, query: str) -> None:
    answer = await scim("GET", f"/Users?{query}")
    assert answer.status_code in {200, 400}


async def test_a_trailing_slash_is_no_other_address(scim: Scim) -> None:
    made = await scim.make("ada")
    assert (await scim("GET", "/Users/")).json()["totalResults"] == 1
    assert (await scim("GET", f"/Users/{made['id']}/")).json()["id"] == made["id"]


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)
_names = st.sampled_from(
    ["userName", "name", "emails", "active", "externalId", "title", "roles", "addresses", "urn:x:1", "schemas"]
)
_tokens = st.sampled_from(
    [
        "userName",
        'emails[type eq "work"]',
        ".value",
        " eq ",
        " and ",
        " or ",
        "not (",
        ")",
        '"x"',
        "true",
        "pr",
        "[",
        "]",
    ]
) | st.text(max_size=4)


@pytest.mark.all
@settings(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.dictionaries(_names, _json, max_size=4), st.lists(_tokens, max_size=8), st.text(max_size=12), _json)
async def test_nonsense_is_never_a_500(
    scim: Scim, body: dict[str, Any], words: list[str], path: str, value: Any
) -> None:
    seed = random.Random(repr(body)).random()
    statuses = [
        (await scim("POST", "/Users", {"userName": f"u{seed}"} | body)).status_code,
        (await scim("GET", "/Users", params={"filter": "".join(words)})).status_code,
    ]
    found = await scim("GET", "/Users", params={"count": "1"})
    for one in found.json()["Resources"]:
        patch = patch_body({"op": "add", "path": path, "value": value}, {"op": "replace", "value": body})
        statuses.append((await scim("PATCH", f"/Users/{one['id']}", patch)).status_code)
        statuses.append((await scim("PUT", f"/Users/{one['id']}", {"userName": "put"} | body)).status_code)
    assert set(statuses) <= {200, 201, 400, 409}


async def test_filters_in_paths_that_would_hold_up_everybody_are_refused(scim: Scim) -> None:
    ada = await scim.make("ada", emails=[{"value": f"{n}@example.com"} for n in range(400)])
    group = (await scim("POST", "/Groups", {"displayName": "G", "members": [{"value": ada["id"]}]})).json()
    terms = " or ".join(f'value eq "{n}"' for n in range(90))
    costly = {"op": "remove", "path": f"emails[{terms}]"}
    many = [{"op": "remove", "path": "emails", "value": [str(n) for n in range(300)]}] * 20
    for operations, scim_type in (
        ([costly] * 10, "tooMany"),
        (many[:2], "tooMany"),
        (many, "invalidValue"),
        ([{"op": "remove", "path": "emails", "value": ["x"] * 10_000}], "invalidValue"),
        ([{"op": "add", "value": {f"name.x{n}": "y" for n in range(2_000)}}], "invalidValue"),
    ):
        answer = await scim("PATCH", f"/Users/{ada['id']}", patch_body(*operations))
        assert (answer.status_code, answer.json()["scimType"]) == (400, scim_type), answer.text
    # All operations of a bulk request share what there is.
    one = {"method": "PATCH", "path": f"/Users/{ada['id']}", "data": patch_body(*[costly] * 3)}
    bulk = await scim("POST", "/Bulk", {"schemas": [BULK_REQUEST], "Operations": [one] * 5})
    assert [one["status"] for one in bulk.json()["Operations"]] == ["200", "200", "400", "400", "400"]
    # Of a group's members as of any other values, and what clients send is far below it.
    removal = {"op": "remove", "path": "members[" + " or ".join(['type eq "x"'] * 100) + "]"}
    answer = await scim("PATCH", f"/Groups/{group['id']}", patch_body(*[removal] * 600))
    assert answer.status_code == 204
    few = [{"op": "remove", "path": f'emails[value eq "{n}@example.com"]'} for n in range(200)]
    assert len((await scim.patch(ada["id"], *few))["emails"]) == 200
