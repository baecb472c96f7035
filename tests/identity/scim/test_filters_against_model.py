"""Random filters over HTTP: never a failure, and exactly those rows that a plain reading of the filter admits, in the
order that was asked for, on whatever pages; of nobody else's rows any.
"""

from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.identity.conftest import MakeScim, Scim, patch_body

from .plain_filters import SORTS, WORDS, Filter, folded, group_filters, user_filters, value_at
from .plain_patch import ENTERPRISE, Json

_SETTINGS = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
_sorts = st.none() | st.sampled_from(SORTS)


def _body(chance: Random, number: int) -> Json:
    def word() -> str:
        return chance.choice(WORDS)

    def elements() -> list[Json]:
        some = [
            {name: word() for name in ("value", "type", "display") if chance.random() < 0.6}
            for _ in range(chance.randint(1, 3))
        ]
        some[0]["primary"] = chance.random() < 0.5
        return some

    own: dict[str, Any] = {"displayName": word(), "title": word(), "userType": word()}
    own |= {"name": {"givenName": word(), "familyName": word()}, "emails": elements(), "roles": elements()}
    own |= {
        "active": chance.random() < 0.6,
        "externalId": f"{word()}{number if chance.random() < 0.7 else '!' * number}",
    }
    own[ENTERPRISE] = {"department": word(), "employeeNumber": f"{word()}{number}", "manager": {"value": word() or "m"}}
    kept = {name: value for name, value in own.items() if chance.random() < 0.65}
    return {"userName": f"{word() or 'u'}{number:02}"} | kept


@pytest.fixture
async def peopled(make_scim: MakeScim) -> tuple[Scim, dict[str, Json]]:
    """A client, and all that it has: users and groups by id. Another source and another tenant have the like of it."""
    scim = await make_scim()
    for number, other in enumerate((scim, await make_scim(scim.tenant_id, source="Entra"), await make_scim())):
        chance, made = Random(3), []
        for n in range(14):
            body = _body(chance, n)
            if number == 1:
                # Another source's users are people of their own.
                body.pop(ENTERPRISE, None)
            answer = await other("POST", "/Users", body)
            assert answer.status_code == 201, answer.text
            made.append(answer.json())
            if n % 6 == 5:
                taken_away = patch_body({"op": "remove", "path": "active"})
                assert (await other("PATCH", f"/Users/{made[-1]['id']}", taken_away)).status_code == 200
        for n, word in enumerate(("Ann", "Straße", "a%b", "b")):
            members = [{"value": one["id"]} for one in made[n : 2 * n]]
            more = {"externalId": word} if n % 2 else {}
            answer = await other("POST", "/Groups", {"displayName": word, "members": members} | more)
            assert answer.status_code == 201, answer.text
    return scim, {one["id"]: one for path in ("/Users", "/Groups") for one in await _all(scim, path, {})}


async def _all(scim: Scim, path: str, query: dict[str, str]) -> list[Json]:
    """Every page, by cursors."""
    found: list[Json] = []
    asked = {**query, "cursor": "", "count": "5"}
    while True:
        answer = await scim("GET", path, params=asked)
        assert answer.status_code == 200, (answer.text, query)
        found += answer.json()["Resources"]
        if "nextCursor" not in answer.json():
            assert answer.json()["totalResults"] == len(found)
            return found
        asked["cursor"] = answer.json()["nextCursor"]


async def check(
    scim: Scim, known: dict[str, Json], path: str, wanted: Filter, sort: str | None, order: str, wide: bool
) -> None:
    """The same rows by number, by cursor and by POST; sorted; and no more of each than was asked for."""
    kinds = {"/Users": "User", "/Groups": "Group"}
    own = {i: one for i, one in known.items() if path == "" or one["meta"]["resourceType"] == kinds[path]}
    expected = {identity for identity, one in own.items() if wanted.holds(one)}
    query = {"filter": wanted.text} | ({} if sort is None else {"sortBy": sort, "sortOrder": order})
    first = await scim("GET", path or "/", params=query | {"count": "200"})
    assert first.status_code == 200, (first.text, query)
    found = first.json()["Resources"]
    assert {one["id"] for one in found} == expected, query
    assert (len(found), first.json()["totalResults"]) == (len(expected), len(expected))
    assert all(one == known[one["id"]] for one in found)
    if sort is not None:
        keys = [_key(one, sort) for one in found]
        assert keys == sorted(keys, reverse=order == "descending"), query
    if wide:
        paged = await _all(scim, path or "/", query | {"attributes": "displayName,emails.value"})
        assert [one["id"] for one in paged] == [one["id"] for one in found], query
        assert all(set(one) <= {"schemas", "id", "displayName", "emails"} for one in paged)
        assert all(set(email) <= {"value"} for one in paged for email in one.get("emails", []))
        posted = await scim("POST", f"{path}/.search", query | {"count": 200, "excludedAttributes": ["emails"]})
        assert [one["id"] for one in posted.json()["Resources"]] == [one["id"] for one in found]
        assert not any("emails" in one for one in posted.json()["Resources"])


def _key(document: Json, sort: str) -> tuple[bool, Any]:
    """By which it is ordered: whoever has no value is last, ascending."""
    value = value_at(document, sort)
    if value is None:
        return (True, "")
    return (False, value if sort == "externalId" else folded(value) if isinstance(value, str) else str(value))


_orders = st.sampled_from(["ascending", "descending"])


@settings(_SETTINGS, max_examples=30)
@given(wanted=user_filters, sort=_sorts, order=_orders)
async def test_filters_of_users(
    peopled: tuple[Scim, dict[str, Json]], wanted: Filter, sort: str | None, order: str
) -> None:
    await check(*peopled, "/Users", wanted, sort, order, wide=False)


@pytest.mark.all
@pytest.mark.timeout(400)
@settings(_SETTINGS, max_examples=700)
@given(wanted=user_filters, sort=_sorts, order=_orders)
async def test_many_filters_of_users(
    peopled: tuple[Scim, dict[str, Json]], wanted: Filter, sort: str | None, order: str
) -> None:
    await check(*peopled, "/Users", wanted, sort, order, wide=True)


@pytest.mark.all
@settings(_SETTINGS, max_examples=150)
@given(wanted=group_filters, sort=st.none() | st.sampled_from(["displayName", "externalId"]), order=_orders)
async def test_filters_of_groups(
    peopled: tuple[Scim, dict[str, Json]], wanted: Filter, sort: str | None, order: str
) -> None:
    await check(*peopled, "/Groups", wanted, sort, order, wide=True)


@pytest.mark.all
@settings(_SETTINGS, max_examples=300)
@given(wanted=user_filters | group_filters, sort=_sorts, order=_orders)
async def test_filters_of_everything(
    peopled: tuple[Scim, dict[str, Json]], wanted: Filter, sort: str | None, order: str
) -> None:
    await check(*peopled, "", wanted, sort, order, wide=True)
