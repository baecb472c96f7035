"""Entra ID's conversations in both dialects (learn.microsoft.com, SCIM tutorial and compatibility page)."""

from typing import Any
from urllib.parse import quote_plus
from uuid import uuid4

import pytest

from stoa.db.database import Database
from stoa.identity.scim.model import ENTERPRISE_SCHEMA, USER_SCHEMA
from stoa.people.queries import headcount
from tests.identity.conftest import Scim, patch_body

FLAG = "aadOptscim062020"
WORK_MAIL = 'emails[type eq "work"].value'
JOINER: dict[str, Any] = {
    "schemas": [USER_SCHEMA, ENTERPRISE_SCHEMA],
    "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef",
    "userName": "Ada@example.com",
    "active": True,
    "addresses": None,
    "displayName": "Ada",
    "emails": [{"primary": True, "type": "work", "value": "Ada@example.com"}],
    "meta": {"resourceType": "User"},
    "name": {"formatted": "Ada Lovelace", "familyName": "Lovelace", "givenName": "Ada"},
    "phoneNumbers": None,
    "roles": [],
    "title": None,
    ENTERPRISE_SCHEMA: {"employeeNumber": "7", "department": "Engines", "manager": None},
}
KEPT: dict[str, Any] = {
    name: value
    for name, value in JOINER.items()
    if name not in {"addresses", "meta", "phoneNumbers", "roles", "title", ENTERPRISE_SCHEMA}
} | {ENTERPRISE_SCHEMA: {"employeeNumber": "7", "department": "Engines"}}


@pytest.fixture(params=["", f"?{FLAG}", "joined"])
def flagged(request: pytest.FixtureRequest, scim: Scim) -> Scim:
    """A client whose tenant URL carries the flag not at all, as a query, or in the middle of the address."""
    if request.param == "joined":
        scim.base = f"{scim.base}/?{FLAG}"
    elif request.param:
        scim.headers = scim.headers | {"User-Agent": "flagged"}
    return scim


async def find(scim: Scim, attribute: str, value: str) -> list[dict[str, Any]]:
    """What Entra asks before it creates anybody."""
    text = quote_plus(f'{attribute} eq "{value}"')
    answer = await scim("GET", f"/Users?filter={text}" + (f"&{FLAG}" if "User-Agent" in scim.headers else ""))
    assert answer.status_code == 200
    return answer.json()["Resources"]


async def test_the_connection_test_asks_for_nobody(flagged: Scim) -> None:
    assert await find(flagged, "userName", str(uuid4())) == []
    assert await find(flagged, WORK_MAIL, str(uuid4())) == []


async def test_a_joiner_is_looked_up_created_and_found_again(flagged: Scim) -> None:
    assert await find(flagged, "externalId", JOINER["externalId"]) == []
    answer = await flagged("POST", "/Users", JOINER)
    assert answer.status_code == 201
    made = answer.json()
    assert FLAG not in made["meta"]["location"]
    assert await flagged.get(made["id"]) == KEPT | {"id": made["id"]}
    for attribute in ("userName", WORK_MAIL):
        assert [one["id"] for one in await find(flagged, attribute, "ada@EXAMPLE.com")] == [made["id"]]
    assert [one["id"] for one in await find(flagged, "externalId", JOINER["externalId"])] == [made["id"]]


CHANGED = KEPT | {
    "displayName": "Ada King",
    "title": "Countess",
    "name": {"formatted": "Ada King", "familyName": "King", "givenName": "Ada"},
    "emails": [{"primary": True, "type": "work", "value": "king@example.com"}],
    "phoneNumbers": [{"type": "mobile", "value": "+44 1"}],
    ENTERPRISE_SCHEMA: {"employeeNumber": "8", "department": "Engines"},
}
DEFAULT = [
    {"op": "Add", "path": "title", "value": "Countess"},
    {"op": "Add", "path": 'phoneNumbers[type eq "mobile"].value', "value": "+44 1"},
    {"op": "Replace", "path": "displayName", "value": "Ada King"},
    {"op": "Replace", "path": "name.formatted", "value": "Ada King"},
    {"op": "Replace", "path": "name.familyName", "value": "King"},
    {"op": "Replace", "path": WORK_MAIL, "value": "king@example.com"},
    {"op": "Replace", "path": f"{ENTERPRISE_SCHEMA}:employeeNumber", "value": "8"},
]
OPTED = [
    {"op": "add", "path": "title", "value": "Countess"},
    {"op": "add", "path": 'phoneNumbers[type eq "mobile"].value', "value": "+44 1"},
    {"op": "replace", "path": WORK_MAIL, "value": "king@example.com"},
    {
        "op": "replace",
        "value": {
            "displayName": "Ada King",
            "name.formatted": "Ada King",
            "name.familyName": "King",
            f"{ENTERPRISE_SCHEMA}:employeeNumber": "8",
        },
    },
]


@pytest.mark.parametrize("operations", [DEFAULT, OPTED], ids=["default", "flagged"])
async def test_a_mover_is_patched_to_the_same_state_in_both_dialects_once_or_twice(
    scim: Scim, operations: list[dict[str, Any]]
) -> None:
    made = (await scim("POST", "/Users", JOINER)).json()
    first = await scim.patch(made["id"], *operations)
    assert await scim.get(made["id"]) == CHANGED | {"id": made["id"]}
    assert await scim.patch(made["id"], *operations) == first


@pytest.mark.parametrize(
    ("off", "on"),
    [
        ({"op": "Replace", "path": "active", "value": "False"}, {"op": "Replace", "path": "active", "value": "True"}),
        ({"op": "replace", "path": "active", "value": False}, {"op": "replace", "path": "active", "value": True}),
        ({"op": "replace", "value": {"active": False}}, {"op": "replace", "value": {"active": "tRUE"}}),
    ],
    ids=["default", "flagged", "together"],
)
async def test_a_leaver_stays_readable_and_a_rehire_keeps_the_id(
    scim: Scim, database: Database, off: dict[str, Any], on: dict[str, Any]
) -> None:
    made = (await scim("POST", "/Users", JOINER)).json()
    for operation, active in ((off, False), (off, False), (on, True), (off, False)):
        assert (await scim.patch(made["id"], operation))["active"] is active
        async with database.tenant(scim.tenant_id) as tx:
            assert await headcount(tx) == (1, int(active))
    assert (await find(scim, "userName", "ada@example.com"))[0]["active"] is False
    # Thirty days later, and once more for the retry.
    assert (await scim("DELETE", f"/Users/{made['id']}")).status_code == 204
    assert (await scim("DELETE", f"/Users/{made['id']}")).status_code == 404
    assert await find(scim, "userName", "ada@example.com") == []
    back = await scim("POST", "/Users", JOINER)
    assert (back.status_code, back.json()["id"], back.json()["active"]) == (201, made["id"], True)


@pytest.mark.parametrize("value", ["yes", "", 0, "0", [], {}])
async def test_another_word_for_active_is_invalid(scim: Scim, value: Any) -> None:
    made = await scim.make("ada")
    body = patch_body({"op": "Replace", "path": "active", "value": value})
    answer = await scim("PATCH", f"/Users/{made['id']}", body)
    assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidValue")
    assert (await scim.get(made["id"]))["active"] is True


@pytest.mark.parametrize("form", ["list", "text", "null reference", "bare"])
async def test_a_manager_is_linked_in_every_form(scim: Scim, form: str) -> None:
    boss, made = await scim.make("boss"), await scim.make("ada")
    ref = f"http://x{scim.base}/Users/{boss['id']}"
    path = "manager" if form == "bare" else f"{ENTERPRISE_SCHEMA}:manager"
    value: Any = {
        "list": [{"$ref": ref, "value": boss["id"]}],
        "text": boss["id"],
        "null reference": [{"$ref": None, "value": boss["id"]}],
        "bare": boss["id"],
    }[form]
    for _ in range(2):
        await scim.patch(made["id"], {"op": "Add", "path": path, "value": value})
    manager = (await scim.get(made["id"]))[ENTERPRISE_SCHEMA]["manager"]
    assert manager == ({"$ref": ref, "value": boss["id"]} if form == "list" else {"value": boss["id"]})
    await scim.patch(made["id"], {"op": "Remove", "path": path})
    assert ENTERPRISE_SCHEMA not in await scim.get(made["id"])


async def test_an_e_mail_is_made_where_there_was_none(scim: Scim) -> None:
    made = await scim.make("ada")
    await scim.patch(made["id"], {"op": "Replace", "path": WORK_MAIL, "value": "a@b.example"})
    assert (await scim.get(made["id"]))["emails"] == [{"type": "work", "value": "a@b.example"}]
    assert [one["id"] for one in await find(scim, WORK_MAIL, "A@b.example")] == [made["id"]]
