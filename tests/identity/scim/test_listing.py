"""Filters and pages of /Users (RFC 7644, 3.4.2 and 3.4.3)."""

from typing import Any

import pytest

from stoa.identity.scim.catalogue import BINDING, CATALOGUE
from stoa.identity.scim.model import ENTERPRISE_SCHEMA, LIST_SCHEMA
from stoa.kernel.filters import require_bound
from tests.identity.conftest import MakeScim, Scim

ADA: dict[str, Any] = {
    "externalId": "A1",
    "name": {"givenName": "Ada", "familyName": "Lovelace"},
    "displayName": "Ada L",
    "title": "STRASSE",
    "userType": "Employee",
    "emails": [
        {"value": "ada@work.example", "type": "work"},
        {"value": "ADA@home.example", "type": "home", "primary": True},
    ],
    "phoneNumbers": [{"value": "+1", "type": "mobile"}],
    "addresses": [{"country": "GB", "type": "work"}],
    ENTERPRISE_SCHEMA: {"employeeNumber": "E7", "department": "Engines", "manager": {"value": "m-1"}},
}
BOB: dict[str, Any] = {"active": False, "emails": [{"value": "bob@work.example", "type": "home"}]}


@pytest.fixture
async def people(scim: Scim) -> dict[str, str]:
    """Ada, who has everything, and Bob, who has little; names by id."""
    return {
        (await scim.make("ada@example.com", **ADA))["id"]: "ada",
        (await scim.make("Bob@Example.com", **BOB))["id"]: "bob",
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('userName eq "ADA@EXAMPLE.COM"', {"ada"}),
        ('USERNAME EQ "bob@example.com"', {"bob"}),
        ('urn:ietf:params:scim:schemas:core:2.0:User:userName sw "ada"', {"ada"}),
        ('userName co "example"', {"ada", "bob"}),
        ('userName eq "nobody"', set()),
        ('externalId eq "A1"', {"ada"}),
        ('externalId eq "a1"', set()),
        ("externalId pr", {"ada"}),
        ("not (externalId pr)", {"bob"}),
        ("active eq true", {"ada"}),
        ('active eq "False"', {"bob"}),
        ('name.familyName eq "lovelace"', {"ada"}),
        ("name pr", {"ada"}),
        ('displayName sw "ada"', {"ada"}),
        ('title eq "straße"', {"ada"}),
        ("title ne null", {"ada"}),
        ('userType ne "employee"', {"bob"}),
        ('emails.value eq "Ada@Home.example"', {"ada"}),
        ('emails eq "bob@work.example"', {"bob"}),
        ('emails[type eq "work" and value co "@work.example"]', {"ada"}),
        ('emails[type eq "work"].value eq "ADA@work.example"', {"ada"}),
        ("emails[primary eq true]", {"ada"}),
        ("phoneNumbers pr", {"ada"}),
        ('addresses.country eq "gb"', {"ada"}),
        ('meta.resourceType eq "User"', {"ada", "bob"}),
        ('meta.created gt "2020-01-01T00:00:00Z" and meta.lastModified lt "2990-01-01T00:00:00Z"', {"ada", "bob"}),
        (f'{ENTERPRISE_SCHEMA}:employeeNumber eq "e7"', {"ada"}),
        (f'{ENTERPRISE_SCHEMA}:department eq "ENGINES"', {"ada"}),
        (f'{ENTERPRISE_SCHEMA}:manager.value eq "m-1"', {"ada"}),
        (f'{ENTERPRISE_SCHEMA}:manager eq "m-1"', {"ada"}),
        ('userName sw "ada" or (active eq false and not (title pr))', {"ada", "bob"}),
        ('id eq "00000000-0000-0000-0000-000000000000"', set()),
        ('id eq "no id"', set()),
    ],
)
async def test_a_filter_finds_whom_it_names(scim: Scim, people: dict[str, str], text: str, expected: set[str]) -> None:
    assert {people[one["id"]] for one in await scim.find(text)} == expected


async def test_an_id_is_found(scim: Scim, people: dict[str, str]) -> None:
    wanted = next(iter(people))
    assert [one["id"] for one in await scim.find(f'id eq "{wanted.upper()}"')] == [wanted]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("userName", "position"),
        ('userName is "x"', "eq"),
        ('shoeSize eq "9"', "shoeSize"),
        ('userName eq "x', "position 12"),
        ("userName eq 5", "string"),
        ('active gt "x"', "active"),
        ('meta.created gt "yesterday"', "meta.created"),
        ('meta.created gt "-90d"', "Relative"),
        ('userName eq "\\u0000"', "stored"),
        ("(" * 60 + 'userName eq "x"', "nest"),
        ('password eq "x"', "password"),
        (" or ".join(['userName eq "x"'] * 201), "comparisons"),
    ],
)
async def test_a_filter_that_is_none_is_refused_with_the_place(scim: Scim, text: str, named: str) -> None:
    answer = await scim("GET", "/Users", params={"filter": text})
    assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidFilter")
    assert named in answer.json()["detail"]


def test_every_attribute_that_can_be_asked_for_is_stored_somewhere() -> None:
    require_bound(CATALOGUE, BINDING)


async def test_an_unknown_user_is_an_empty_list(scim: Scim) -> None:
    answer = await scim("GET", "/Users", params={"filter": 'userName eq "x"', "startIndex": "1", "count": "100"})
    assert answer.status_code == 200
    assert answer.json() == {
        "schemas": [LIST_SCHEMA], "totalResults": 0, "startIndex": 1, "itemsPerPage": 0, "Resources": []
    }  # fmt: skip


@pytest.mark.parametrize(
    ("start", "count", "expected", "stated"),
    [
        (None, None, [0, 1, 2, 3, 4], 1),
        ("1", "2", [0, 1], 1),
        ("3", "2", [2, 3], 3),
        ("5", "2", [4], 5),
        ("6", "2", [], 6),
        ("0", "1", [0], 1),
        ("-3", "1", [0], 1),
        ("1", "0", [], 1),
        ("1", "-5", [], 1),
        ("2", "1000000", [1, 2, 3, 4], 2),
        ("", "", [0, 1, 2, 3, 4], 1),
        ("999999999999999999", "5", [], 999999999999999999),
    ],
)
async def test_pages_are_counted_from_one_in_the_order_of_making(
    scim: Scim, start: str | None, count: str | None, expected: list[int], stated: int
) -> None:
    ids = [(await scim.make(f"u{i}"))["id"] for i in range(5)]
    params = {name: value for name, value in (("startIndex", start), ("count", count)) if value is not None}
    answer = (await scim("GET", "/Users", params=params)).json()
    assert [one["id"] for one in answer["Resources"]] == [ids[i] for i in expected]
    assert (answer["totalResults"], answer["itemsPerPage"], answer["startIndex"]) == (5, len(expected), stated)


@pytest.mark.parametrize("params", [{"count": "x"}, {"startIndex": "1.5"}, {"count": "1" * 30}, {"count": "٣"}])
async def test_a_page_of_no_number_is_refused(scim: Scim, params: dict[str, str]) -> None:
    answer = await scim("GET", "/Users", params=params)
    assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidValue")


@pytest.mark.parametrize("path", ["/.search", "/Users/.search"])
async def test_3_4_3_a_search_may_stand_in_the_body(scim: Scim, path: str) -> None:
    for i in range(3):
        await scim.make(f"u{i}")
    body = {"filter": 'userName sw "u"', "attributes": ["userName"], "startIndex": 2, "count": 1, "sortBy": "userName"}
    answer = await scim("POST", path, body)
    assert answer.status_code == 200
    assert (answer.json()["totalResults"], answer.json()["itemsPerPage"]) == (3, 1)
    assert [one["userName"] for one in answer.json()["Resources"]] == ["u1"]
    for bad in ({"filter": 5}, {"count": "1"}, {"attributes": "a"}, {"count": True}, {"shoeSize": 1}, []):
        assert (await scim("POST", path, bad)).status_code == 400


async def test_a_source_sees_its_own_users_alone(scim: Scim, make_scim: MakeScim) -> None:
    made = await scim.make("ada")
    other = await make_scim(scim.tenant_id, source="Entra")
    assert await other.find("userName pr") == []
    for method in ("GET", "DELETE"):
        assert (await other(method, f"/Users/{made['id']}")).status_code == 404
    # The name is free in each source.
    assert (await other.make("ada"))["id"] != made["id"]
