"""/Users as RFC 7644 has it, over HTTP and on a real database."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

from stoa.changes.rendering import render_changes
from stoa.db.database import Database
from stoa.events.queries import read_events
from stoa.events.sequencer import number_entries
from stoa.identity.scim.model import ENTERPRISE_SCHEMA, USER_SCHEMA
from stoa.people.queries import headcount, person_by_id
from tests.identity.conftest import HOST, Scim, patch_body

FULL: dict[str, Any] = {
    "schemas": [USER_SCHEMA, ENTERPRISE_SCHEMA],
    "externalId": "00u1",
    "userName": "ada@example.com",
    "name": {"givenName": "Ada", "familyName": "Lovelace"},
    "displayName": "Ada Lovelace",
    "emails": [{"value": "ada@example.com", "type": "work", "primary": True}],
    "active": True,
    ENTERPRISE_SCHEMA: {"employeeNumber": "7", "department": "Engines"},
}


async def test_3_3_a_created_user_is_returned_with_its_address_and_version(scim: Scim) -> None:
    answer = await scim("POST", "/Users", FULL)
    assert answer.status_code == 201
    made = answer.json()
    location = f"{HOST}{scim.base}/Users/{made['id']}"
    assert answer.headers["location"] == made["meta"]["location"] == location
    assert answer.headers["etag"] == made["meta"]["version"] == 'W/"1"'
    assert answer.headers["content-type"].startswith("application/scim+json")
    assert made["meta"]["resourceType"] == "User"
    assert made["meta"]["created"] == made["meta"]["lastModified"]
    assert await scim.get(made["id"]) == FULL | {"id": made["id"]}


async def test_a_created_user_is_a_person_and_an_event_in_the_credentials_name(scim: Scim, database: Database) -> None:
    made = await scim.make("ada", name={"givenName": "Ada"}, title="Dr")
    async with database.tenant(scim.tenant_id) as tx:
        person = await person_by_id(tx, UUID(made["id"]))
    assert person is not None
    assert (person.active, person.values["given_name"], person.values["title"]) == (True, "Ada", "Dr")
    async with database.tenant(scim.tenant_id) as tx:
        await number_entries(tx)
        events = await read_events(tx, after=0, limit=100, render=render_changes)
    told = [(one.type, one.subject, one.actor) for one in events if one.via == "scim"]
    assert told == [
        ("person_record.created", made["id"], f"scim:{scim.issued.credential_id}"),
        ("person.created", made["id"], f"scim:{scim.issued.credential_id}"),
    ]


async def test_secrets_nulls_and_what_the_server_says_are_not_given_back(scim: Scim) -> None:
    made = await scim.make("ada", password="secret", addresses=None, id="x", meta={"version": "y"}, groups=[])
    assert await scim.get(made["id"]) == {"schemas": [USER_SCHEMA], "id": made["id"], "userName": "ada", "active": True}


async def test_3_4_1_head_is_get_without_a_body(scim: Scim) -> None:
    made = await scim.make("ada")
    got, headed = await scim("GET", f"/Users/{made['id']}"), await scim("HEAD", f"/Users/{made['id']}")
    assert headed.status_code == 200
    assert headed.content == b""
    assert headed.headers["content-length"] == got.headers["content-length"]
    assert (await scim("HEAD", f"/Users/{uuid4()}")).status_code == 404


async def test_3_5_1_put_replaces_everything_and_the_same_put_changes_nothing(scim: Scim) -> None:
    made = (await scim("POST", "/Users", FULL)).json()
    body = {"schemas": [USER_SCHEMA], "id": "other", "userName": "ada@example.com", "title": "Dr", "active": True}
    first = await scim("PUT", f"/Users/{made['id']}", body)
    assert first.status_code == 200
    assert await scim.get(made["id"]) == body | {"id": made["id"]}
    again = await scim("PUT", f"/Users/{made['id']}", body)
    assert again.json() == first.json()
    assert again.headers["etag"] == 'W/"2"'


async def test_3_5_2_patch_returns_the_user_and_a_failed_one_changes_nothing(scim: Scim) -> None:
    made = await scim.make("ada")
    patched = await scim.patch(made["id"], {"op": "add", "path": "title", "value": "Dr"})
    assert (patched["title"], patched["meta"]["version"]) == ("Dr", 'W/"2"')
    before = await scim.get(made["id"])
    failed = await scim(
        "PATCH",
        f"/Users/{made['id']}",
        patch_body({"op": "remove", "path": "title"}, {"op": "add", "path": "shoeSize", "value": 9}),
    )
    assert (failed.status_code, failed.json()["scimType"]) == (400, "invalidPath")
    assert await scim.get(made["id"]) == before


async def test_an_inactive_user_is_still_answered_and_found(scim: Scim) -> None:
    made = await scim.make("ada")
    await scim.patch(made["id"], {"op": "replace", "path": "active", "value": False})
    assert (await scim.get(made["id"]))["active"] is False
    assert [one["active"] for one in await scim.find('userName eq "ada"')] == [False]
    assert [one["id"] for one in await scim.find("active eq false")] == [made["id"]]


async def test_removing_active_leaves_the_state_as_it_was(scim: Scim, database: Database) -> None:
    made = await scim.make("ada", active=False)
    await scim.patch(made["id"], {"op": "remove", "path": "active"})
    await scim("PUT", f"/Users/{made['id']}", {"userName": "ada"})
    async with database.tenant(scim.tenant_id) as tx:
        assert await headcount(tx) == (1, 0)


async def test_3_6_a_deleted_user_is_gone_and_its_history_stays(scim: Scim, database: Database) -> None:
    made = await scim.make("ada")
    assert (await scim("DELETE", f"/Users/{made['id']}")).status_code == 204
    for method in ("GET", "DELETE"):
        assert (await scim(method, f"/Users/{made['id']}")).status_code == 404
    assert await scim.find('userName eq "ada"') == []
    async with database.tenant(scim.tenant_id) as tx:
        assert await headcount(tx) == (1, 0)


async def test_posting_a_name_in_use_is_409_and_says_why(scim: Scim) -> None:
    await scim.make("ada", externalId="1")
    for body in ({"userName": "ADA"}, {"userName": "other", "externalId": "1"}):
        answer = await scim("POST", "/Users", body)
        assert (answer.status_code, answer.json()["scimType"], answer.json()["status"]) == (409, "uniqueness", "409")
        assert "exists already" in answer.json()["detail"]
    assert len(await scim.find("userName pr")) == 1


async def test_renaming_to_a_name_in_use_is_409(scim: Scim) -> None:
    await scim.make("ada")
    other = await scim.make("bob")
    renamed = patch_body({"op": "replace", "path": "userName", "value": "Ada"})
    answer = await scim("PATCH", f"/Users/{other['id']}", renamed)
    assert (answer.status_code, answer.json()["scimType"]) == (409, "uniqueness")
    assert (await scim.get(other["id"]))["userName"] == "bob"


async def test_posting_an_inactive_or_deleted_user_revives_the_same_id(scim: Scim) -> None:
    made = await scim.make("ada", externalId="1", title="Dr")
    await scim.patch(made["id"], {"op": "replace", "path": "active", "value": False})
    revived = await scim.make("ada", externalId="1")
    assert (revived["id"], revived["active"]) == (made["id"], True)
    await scim("DELETE", f"/Users/{made['id']}")
    again = await scim.make("ada2", externalId="1")
    assert (again["id"], again["userName"]) == (made["id"], "ada2")
    assert "title" not in again


async def test_one_user_is_made_by_many_posts_at_once(scim: Scim, database: Database) -> None:
    answers = await asyncio.gather(*(scim("POST", "/Users", {"userName": "ada"}) for _ in range(8)))
    assert sorted(one.status_code for one in answers) == [201] + [409] * 7
    async with database.tenant(scim.tenant_id) as tx:
        assert await headcount(tx) == (1, 1)


async def test_patches_at_once_are_done_one_after_the_other(scim: Scim) -> None:
    made = await scim.make("ada")
    paths = ["title", "nickName", "name.givenName", "name.familyName", f"{ENTERPRISE_SCHEMA}:department"]
    await asyncio.gather(*(scim.patch(made["id"], {"op": "add", "path": path, "value": "x"}) for path in paths))
    found = await scim.get(made["id"])
    assert found["name"] == {"givenName": "x", "familyName": "x"}
    assert (found["title"], found["nickName"], found[ENTERPRISE_SCHEMA]) == ("x", "x", {"department": "x"})


async def test_3_14_a_condition_that_does_not_hold_is_412_or_304(scim: Scim) -> None:
    made = await scim.make("ada")
    path, version = f"/Users/{made['id']}", made["meta"]["version"]
    body = {"userName": "ada", "title": "Dr"}
    assert (await scim("GET", path, headers={"If-None-Match": version})).status_code == 304
    assert (await scim("PUT", path, body, headers={"If-Match": version})).status_code == 200
    stale = await scim("PUT", path, body | {"title": "Mr"}, headers={"If-Match": version})
    assert (stale.status_code, stale.json()["status"]) == (412, "412")
    assert (await scim("DELETE", path, headers={"If-Match": 'W/"9"'})).status_code == 412
    assert (await scim("GET", path, headers={"If-None-Match": version})).status_code == 200
    assert (await scim("DELETE", path, headers={"If-Match": "*"})).status_code == 204


async def test_a_manager_may_be_named_before_being_pushed(scim: Scim, database: Database) -> None:
    boss = await scim.make("boss")
    await scim("DELETE", f"/Users/{boss['id']}")
    unknown = str(uuid4())
    made = await scim.make("ada", **{ENTERPRISE_SCHEMA: {"manager": {"value": unknown}}})
    assert (await scim.get(made["id"]))[ENTERPRISE_SCHEMA] == {"manager": {"value": unknown}}
    manager = f"{ENTERPRISE_SCHEMA}:manager"
    await scim.patch(made["id"], {"op": "replace", "path": manager, "value": {"value": boss["id"]}})
    revived = await scim.make("boss")
    async with database.tenant(scim.tenant_id) as tx:
        person = await person_by_id(tx, UUID(made["id"]))
    assert person is not None
    assert str(person.manager_id) == revived["id"]


async def test_3_9_a_part_of_the_user_is_returned_on_request(scim: Scim) -> None:
    made = (await scim("POST", "/Users", FULL, params={"attributes": "userName"})).json()
    assert made.keys() == {"schemas", "id", "userName"}
    got = await scim("GET", f"/Users/{made['id']}", params={"excludedAttributes": "name,meta"})
    assert got.json().keys() == (FULL.keys() | {"id"}) - {"name"}
    listed = await scim("GET", "/Users", params={"attributes": "emails.value"})
    assert listed.json()["Resources"] == [
        {"schemas": FULL["schemas"], "id": made["id"], "emails": [{"value": "ada@example.com"}]}
    ]
    both = await scim("GET", "/Users", params={"attributes": "a", "excludedAttributes": "b"})
    assert both.status_code == 400
