"""Okta's conversations (developer.okta.com, SCIM 2.0 protocol reference), and what its specification test asserts."""

from typing import Any

import pytest

from stoa.db.database import Database
from stoa.identity.scim.model import ENTERPRISE_SCHEMA, USER_SCHEMA
from stoa.people.queries import headcount
from tests.identity.conftest import Scim, patch_body

JOINER: dict[str, Any] = {
    "schemas": [USER_SCHEMA, ENTERPRISE_SCHEMA],
    "userName": "ada@example.com",
    "name": {"givenName": "Ada", "familyName": "Lovelace"},
    "emails": [{"primary": True, "value": "ada@example.com", "type": "work"}],
    "displayName": "Ada Lovelace",
    "locale": "en-US",
    "externalId": "00ujl29u0le5T6Aj10h7",
    "groups": [],
    "password": "1mz050nq",
    "active": True,
    ENTERPRISE_SCHEMA: {"employeeNumber": "7", "manager": {"value": "8", "displayName": "Boss"}},
}
KEPT = {name: value for name, value in JOINER.items() if name not in {"groups", "password"}}


async def precheck(scim: Scim, name: str) -> dict[str, Any]:
    """What Okta asks before it creates anybody."""
    answer = await scim("GET", f"/Users?filter=userName%20eq%20%22{name}%22&startIndex=1&count=100")
    assert answer.status_code == 200
    return answer.json()


async def test_a_joiner_is_looked_up_created_and_found_again(scim: Scim) -> None:
    assert (await precheck(scim, "ada@example.com"))["totalResults"] == 0
    made = await scim("POST", "/Users", JOINER)
    assert made.status_code == 201
    identity = made.json()["id"]
    assert await scim.get(identity) == KEPT | {"id": identity}
    found = await precheck(scim, "ADA@EXAMPLE.COM")
    assert [one["id"] for one in found["Resources"]] == [identity]


async def test_catalogue_apps_deactivate_and_activate_by_patch(scim: Scim, database: Database) -> None:
    made = await scim.make("ada@example.com")
    for active, count in ((False, 0), (False, 0), (True, 1), (True, 1)):
        answer = await scim.patch(made["id"], {"op": "replace", "value": {"active": active}})
        assert answer["active"] is active
        async with database.tenant(scim.tenant_id) as tx:
            assert await headcount(tx) == (1, count)


async def test_wizard_apps_read_and_put_back_the_whole_user(scim: Scim) -> None:
    made = (await scim("POST", "/Users", JOINER)).json()
    for change in ({"title": "Countess"}, {"active": False}, {"active": False}, {"active": True}):
        present = (await scim("GET", f"/Users/{made['id']}")).json()
        answer = await scim("PUT", f"/Users/{made['id']}", present | change)
        assert answer.status_code == 200
        assert answer.json().items() >= change.items()
    assert await scim.get(made["id"]) == KEPT | {"id": made["id"], "title": "Countess"}


async def test_a_put_that_changes_nothing_does_not_raise_the_version(scim: Scim) -> None:
    made = (await scim("POST", "/Users", JOINER)).json()
    again = await scim("PUT", f"/Users/{made['id']}", made)
    assert again.json() == made


async def test_a_rename_keeps_the_id(scim: Scim) -> None:
    made = (await scim("POST", "/Users", JOINER)).json()
    renamed = KEPT | {"userName": "ada.king@example.com", "id": made["id"]}
    assert (await scim("PUT", f"/Users/{made['id']}", renamed)).status_code == 200
    assert (await precheck(scim, "ada@example.com"))["totalResults"] == 0
    assert (await precheck(scim, "ada.king@example.com"))["Resources"][0]["id"] == made["id"]


async def test_a_rehire_by_post_keeps_the_same_id(scim: Scim) -> None:
    made = (await scim("POST", "/Users", JOINER)).json()
    await scim.patch(made["id"], {"op": "replace", "value": {"active": False}})
    back = await scim("POST", "/Users", JOINER | {"userName": "ada.new@example.com"})
    assert (back.status_code, back.json()["id"], back.json()["active"]) == (201, made["id"], True)


async def test_what_comes_along_in_a_patch_is_passed_over(scim: Scim) -> None:
    made = await scim.make("ada")
    answer = await scim("PATCH", f"/Users/{made['id']}", patch_body({"op": "replace", "value": made | {"title": "x"}}))
    assert (answer.status_code, answer.json()["id"], answer.json()["title"]) == (200, made["id"], "x")


# ------------------------------------------------------------------ what the specification test asserts


async def test_spec_a_list_has_numbers_and_a_whole_first_user(scim: Scim) -> None:
    await scim("POST", "/Users", JOINER)
    listed = (await scim("GET", "/Users", params={"count": "1", "startIndex": "1"})).json()
    assert listed["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:ListResponse"]
    for name in ("itemsPerPage", "startIndex", "totalResults"):
        assert type(listed[name]) is int
    first = listed["Resources"][0]
    assert first["id"]
    assert first["name"]["givenName"]
    assert first["name"]["familyName"]
    assert first["userName"]
    assert first["active"] is True
    assert first["emails"][0]["value"]


async def test_spec_an_unknown_user_is_404_in_the_error_schema(scim: Scim) -> None:
    answer = await scim("GET", "/Users/00919288221112222")
    assert answer.status_code == 404
    assert answer.json()["detail"]
    assert answer.json()["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]


async def test_spec_without_authorisation_401_as_a_string(scim: Scim) -> None:
    answer = await scim.http.get(f"{scim.base}/Users")
    assert (answer.status_code, answer.json()["status"]) == (401, "401")


async def test_spec_a_duplicate_is_409(scim: Scim) -> None:
    await scim("POST", "/Users", JOINER)
    answer = await scim("POST", "/Users", JOINER)
    assert answer.status_code == 409
    assert answer.json()["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]


@pytest.mark.parametrize("page", [2, 100])
async def test_an_import_pages_through_everybody_once(scim: Scim, page: int) -> None:
    made = {(await scim.make(f"u{i}"))["id"] for i in range(5)}
    seen: list[str] = []
    total = 1
    while len(seen) < total:
        answer = (await scim("GET", f"/Users?startIndex={len(seen) + 1}&count={page}")).json()
        total = answer["totalResults"]
        seen += [one["id"] for one in answer["Resources"]]
    assert len(seen) == total == 5
    assert set(seen) == made
