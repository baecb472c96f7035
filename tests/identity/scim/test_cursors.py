"""Pages by cursor (RFC 9865), and searches in a body and at the root (RFC 7644, 3.4.3)."""

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stoa.identity.scim.catalogue import SORTS
from stoa.kernel.cursors import encode_cursor
from tests.identity.conftest import MakeScim, Scim
from tests.identity.scim.test_sorting import walk


async def test_pages_follow_each_other_to_the_end(scim: Scim) -> None:
    ids = [(await scim.make(f"u{i}"))["id"] for i in range(5)]
    first = (await scim("GET", "/Users", params={"cursor": "", "count": "2"})).json()
    assert [one["id"] for one in first["Resources"]] == ids[:2]
    assert (first["totalResults"], first["itemsPerPage"], "startIndex" in first) == (5, 2, False)
    second = (await scim("GET", "/Users", params={"cursor": first["nextCursor"], "count": "3"})).json()
    assert [one["id"] for one in second["Resources"]] == ids[2:]
    assert (second["totalResults"], "nextCursor" in second) == (5, False)
    # Who came while the pages were read stands at the end, and nobody twice.
    late = (await scim.make("late"))["id"]
    rest = (await scim("GET", "/Users", params={"cursor": first["nextCursor"]})).json()
    assert [one["id"] for one in rest["Resources"]] == [*ids[2:], late]


async def test_a_cursor_of_another_list_is_refused(scim: Scim, make_scim: MakeScim) -> None:
    for i in range(3):
        await scim.make(f"u{i}")
    params = {"filter": 'userName sw "u"', "sortBy": "userName", "count": "1", "cursor": ""}
    cursor = (await scim("GET", "/Users", params=params)).json()["nextCursor"]
    there, elsewhere = await make_scim(scim.tenant_id, source="Entra"), await make_scim()
    others: list[tuple[Scim, dict[str, str]]] = [
        (scim, {"filter": 'userName sw "u1"'}),
        (scim, {"sortBy": "title"}),
        (scim, {"sortOrder": "descending"}),
        (scim, {"cursor": cursor[:-2]}),
        (scim, {"cursor": "x" * 5000}),
        (scim, {"cursor": "\u00e4"}),
        (there, {}),
        (elsewhere, {}),
    ]
    for who, changed in others:
        answer = await who("GET", "/Users", params=params | {"cursor": cursor} | changed)
        assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidCursor"), changed
    # The size of a page is no part of it.
    assert (await scim("GET", "/Users", params=params | {"cursor": cursor, "count": "7"})).status_code == 200


async def test_a_cursor_of_an_earlier_release_has_expired_and_a_forged_one_is_refused(scim: Scim) -> None:
    scope = "\0".join(("scim", str(scim.tenant_id), str(scim.issued.source_id), "User", "", ""))
    for position, said in (
        ((0, "x"), "expiredCursor"),
        ((), "expiredCursor"),
        ((1, 0, None), "invalidCursor"),
        ((1, 0, None, "no id"), "invalidCursor"),
        ((1, -1, None, str(scim.tenant_id)), "invalidCursor"),
    ):
        answer = await scim("GET", "/Users", params={"cursor": encode_cursor(scope, position)})
        assert (answer.status_code, answer.json()["scimType"]) == (400, said), position
    # One that is well made is a position, whoever made it.
    far = encode_cursor(scope, (1, 99, None, str(scim.tenant_id)))
    assert (await scim("GET", "/Users", params={"cursor": far})).json()["Resources"] == []


async def test_users_and_groups_are_searched_at_once_and_page_by_page(scim: Scim) -> None:
    ids = [(await scim.make(f"u{i}", displayName=f"N{5 - i}"))["id"] for i in range(3)]
    for i in range(3):
        made = await scim("POST", "/Groups", {"displayName": f"n{i}", "externalId": f"x{i}" if i else None})
        ids.append(made.json()["id"])
    for params, expected in (
        ({}, ids),
        ({"filter": 'displayName sw "n"'}, ids),
        ({"sortBy": "displayName"}, [*ids[3:], *ids[2::-1]]),
        ({"sortBy": "displayName", "sortOrder": "descending"}, [*ids[:3], *ids[:2:-1]]),
        ({"sortBy": "userName"}, ids),
        ({"sortBy": "userName", "sortOrder": "descending"}, ids[::-1]),
        ({"filter": 'userName eq "U1" or externalId sw "x"', "sortBy": "id"}, [ids[1], *ids[4:]]),
        ({"filter": 'meta.resourceType eq "Group" and not (userName pr)'}, ids[3:]),
    ):
        for count in (1, 2, 100):
            found = await walk(scim, params, count=count, path="/")
            assert [one["id"] for one in found] == expected, (params, count)
        numbered = await scim("GET", "/", params=params | {"startIndex": "2", "count": "1"})
        assert [one["id"] for one in numbered.json()["Resources"]] == expected[1:2]
        assert numbered.json()["totalResults"] == len(expected)


@pytest.mark.parametrize("count", ["0", "-1", "x", "1.5", "000"])
async def test_a_page_by_cursor_has_at_least_one(scim: Scim, count: str) -> None:
    answer = await scim("GET", "/Users", params={"cursor": "", "count": count})
    assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidCount")


async def test_number_and_position_exclude_each_other(scim: Scim) -> None:
    answer = await scim("GET", "/Users", params={"cursor": "", "startIndex": "1"})
    assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidValue")


@pytest.mark.parametrize("path", ["/.search", "/Users/.search"])
async def test_3_4_3_a_search_in_the_body_is_the_list(scim: Scim, path: str) -> None:
    for i in range(4):
        await scim.make(f"u{i}", title=f"t{3 - i}")
    body: dict[str, Any] = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
        "filter": 'userName sw "u" and meta.resourceType eq "User"',
        "sortBy": "title", "sortOrder": "descending", "count": 3, "cursor": "", "attributes": ["userName"],
    }  # fmt: skip
    found: list[str] = []
    while "cursor" in body:
        page = (await scim("POST", path, body)).json()
        found += [one["userName"] for one in page["Resources"]]
        assert all(set(one) == {"schemas", "id", "userName"} for one in page["Resources"])
        body.pop("cursor")
        if "nextCursor" in page:
            body["cursor"] = page["nextCursor"]
    assert found == ["u0", "u1", "u2", "u3"]


async def test_the_root_lists_what_a_filter_admits_of_every_kind(scim: Scim) -> None:
    ids = [(await scim.make(f"u{i}"))["id"] for i in range(3)]
    for path in ("", "/"):
        answer = await scim("GET", path, params={"filter": f'id eq "{ids[1]}"'})
        assert [one["id"] for one in answer.json()["Resources"]] == [ids[1]]
        assert answer.json()["totalResults"] == 1
    assert (await scim("GET", "/", params={"filter": 'shoeSize eq "9"'})).json()["scimType"] == "invalidFilter"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"])
async def test_3_11_there_is_nobody_behind_a_clients_token(scim: Scim, method: str) -> None:
    answer = await scim(method, "/Me", {} if method in {"POST", "PUT", "PATCH"} else None)
    assert (answer.status_code, answer.headers["content-type"]) == (501, "application/scim+json; charset=utf-8")
    if method != "HEAD":
        assert answer.json()["status"] == "501"


_filters = st.sampled_from(
    [None, "title pr", 'title eq "B"', "not (title pr)", 'userName sw "w1" or active eq false', "emails pr"]
)


@pytest.mark.all
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(st.sampled_from([None, "a", "A", "b", "B", "\u00df", ""]), min_size=1, max_size=12),
    by=st.sampled_from([None, *SORTS]),
    order=st.sampled_from(["ascending", "descending"]),
    text=_filters,
    count=st.integers(1, 5),
)
async def test_all_pages_are_the_whole_list_while_others_come(
    make_scim: MakeScim, values: list[str | None], by: str | None, order: str, text: str | None, count: int
) -> None:
    scim = await make_scim()
    for i, value in enumerate(values):
        emails = [{"value": f"{value}@x.example"}] if value else []
        await scim.make(f"w{i}", title=value, active=i % 3 > 0, emails=emails)
    params = {"sortOrder": order} | ({} if by is None else {"sortBy": by}) | ({} if text is None else {"filter": text})
    whole = (await scim("GET", "/Users", params=params)).json()["Resources"]

    async def come() -> None:
        for i in range(6):
            await scim.make(f"late{i}", title=f"{i}")

    paged, _ = await asyncio.gather(walk(scim, params, count=count), come())
    before = {one["id"] for one in whole}
    # In the same order, each once, whoever came meanwhile.
    assert [one["id"] for one in paged if one["id"] in before] == [one["id"] for one in whole]
    assert len({one["id"] for one in paged}) == len(paged)


_words = st.sampled_from(
    [
        *("userName", "title", "meta.created", "emails", ".value", '"x"', "true", "[", "]"),
        *(" eq ", " sw ", " gt ", " and ", " or ", "not (", ")", " pr"),
    ]
) | st.text(max_size=3)


@pytest.mark.all
@settings(
    max_examples=200, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(_words, max_size=8), st.text(max_size=8) | st.sampled_from([*SORTS]), st.text(max_size=6))
async def test_nonsense_asks_for_nothing_more(scim: Scim, words: list[str], by: str, cursor: str) -> None:
    if not await scim.find('userName eq "ada"'):
        await scim.make("ada")
    params = {"filter": "".join(words), "sortBy": by}
    for path in ("/Users", "/"):
        for more in ({}, {"cursor": cursor}):
            answer = await scim("GET", path, params=params | more)
            assert answer.status_code in {200, 400}, answer.text
            if answer.status_code == 200:
                assert answer.json()["totalResults"] <= 1
