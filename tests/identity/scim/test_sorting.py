"""sortBy and sortOrder (RFC 7644, 3.4.2.3)."""

from typing import Any

import pytest

from stoa.db.database import Database
from stoa.identity.scim.catalogue import CATALOGUE, SORTS
from stoa.identity.scim.lists.listed import Branch, keys_query
from stoa.identity.scim.lists.ordering import order_of
from stoa.identity.scim.model import ENTERPRISE_SCHEMA
from stoa.identity.scim.own.offered import PLAIN
from stoa.identity.scim.users import listed
from tests.identity.conftest import Scim

PEOPLE: list[dict[str, Any]] = [
    {"user_name": "delta", "title": "ärzte", "name": {"familyName": "Zed"}, "active": False},
    {
        "user_name": "Alpha",
        "title": "Zoo",
        "emails": [{"value": "z@x.example"}, {"value": "B@x.example", "primary": True}],
        ENTERPRISE_SCHEMA: {"employeeNumber": "20", "department": "b", "manager": {"value": "m2"}},
    },
    {
        "user_name": "charlie",
        "title": "apple",
        "emails": [{"value": "a@x.example", "type": "work"}],
        ENTERPRISE_SCHEMA: {"employeeNumber": "3", "department": "A", "manager": {"value": "M1"}},
    },
    {"user_name": "BRAVO", "name": {"familyName": "adams"}, "externalId": "x"},
]


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("userName", ["Alpha", "BRAVO", "charlie", "delta"]),
        ("urn:ietf:params:scim:schemas:core:2.0:User:USERNAME", ["Alpha", "BRAVO", "charlie", "delta"]),
        ("title", ["charlie", "Alpha", "delta", "BRAVO"]),
        ("name.familyName", ["BRAVO", "delta", "Alpha", "charlie"]),
        ("emails", ["charlie", "Alpha", "delta", "BRAVO"]),
        ("emails.type", ["charlie", "delta", "Alpha", "BRAVO"]),
        ("active", ["delta", "Alpha", "charlie", "BRAVO"]),
        ("meta.created", ["delta", "Alpha", "charlie", "BRAVO"]),
        ("id", ["delta", "Alpha", "charlie", "BRAVO"]),
        ("externalId", ["BRAVO", "delta", "Alpha", "charlie"]),
        (f"{ENTERPRISE_SCHEMA}:employeeNumber", ["Alpha", "charlie", "delta", "BRAVO"]),
        (f"{ENTERPRISE_SCHEMA}:department", ["charlie", "Alpha", "delta", "BRAVO"]),
        (f"{ENTERPRISE_SCHEMA}:manager", ["charlie", "Alpha", "delta", "BRAVO"]),
    ],
)
async def test_3_4_2_3_users_come_in_order_and_the_other_way_round(scim: Scim, by: str, expected: list[str]) -> None:
    for one in PEOPLE:
        await scim.make(**one)
    for direction, wanted in ((None, expected), ("ascending", expected), ("Descending", expected[::-1])):
        params = {"sortBy": by} | ({} if direction is None else {"sortOrder": direction})
        for more in ({}, {"cursor": ""}):
            answer = await scim("GET", "/Users", params=params | more)
            assert [one["userName"] for one in answer.json()["Resources"]] == wanted, answer.text
        # Page by page it is the same, by number and by cursor.
        paged = [
            (await scim("GET", "/Users", params=params | {"startIndex": str(i + 1), "count": "1"})).json()
            for i in range(4)
        ]
        assert [one["Resources"][0]["userName"] for one in paged] == wanted
        assert {(one["totalResults"], one["itemsPerPage"]) for one in paged} == {(4, 1)}
        assert [one["userName"] for one in await walk(scim, params, count=1)] == wanted


async def walk(scim: Scim, params: dict[str, str], *, count: int, path: str = "/Users") -> list[dict[str, Any]]:
    """All pages of a list by cursor."""
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = await scim("GET", path, params=params | {"count": str(count), "cursor": cursor})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert "startIndex" not in page
        assert page["itemsPerPage"] == len(page["Resources"]) <= count
        found += page["Resources"]
        cursor = page.get("nextCursor")
    return found


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({"sortBy": "shoeSize"}, "shoeSize"),
        ({"sortBy": "name"}, "name.familyName"),
        ({"sortBy": "password"}, "password"),
        ({"sortBy": 'emails[type eq "work"].value'}, "filter"),
        ({"sortBy": "name.shoeSize"}, "name."),
        ({"sortBy": "urn:x:y:z"}, "urn:x:y"),
        ({"sortBy": "a b"}, "sortBy"),
        ({"sortBy": "userName", "sortOrder": "sideways"}, "ascending"),
    ],
)
async def test_an_order_that_there_is_not_is_refused_by_name(scim: Scim, params: dict[str, str], named: str) -> None:
    answer = await scim("GET", "/Users", params=params)
    assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidValue"), answer.text
    assert named in answer.json()["detail"]


async def test_whatever_a_filter_may_name_can_be_sorted_by(scim: Scim) -> None:
    await scim.make("ada")
    for name in SORTS:
        for order in ("ascending", "descending"):
            answer = await scim("GET", "/Users", params={"sortBy": name, "sortOrder": order, "cursor": ""})
            assert answer.status_code == 200, answer.text


async def test_the_order_of_user_names_is_that_of_an_index(scim: Scim, database: Database) -> None:
    order = order_of(CATALOGUE, "userName", None)
    async with database.tenant(scim.tenant_id) as tx:
        await tx.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
        query = keys_query(tx, scim.issued.source_id, (Branch(listed(PLAIN), None),), order, limit=10)
        plan = "\n".join(row[0] for row in await tx.fetch(f"EXPLAIN {query.text}", *query.params))
    assert "source_record_user_name" in plan
