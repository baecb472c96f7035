"""Groups over SCIM: what each request makes of a group and of its members, twice as once."""

from typing import Any
from uuid import uuid4

import pytest

from stoa.db.database import Database
from stoa.identity.scim.model import GROUP_SCHEMA
from tests.identity.conftest import MakeScim, Scim, patch_body

ADSCIM = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"


async def people(scim: Scim, *names: str) -> list[str]:
    """Ids of fresh users."""
    return [(await scim.make(name))["id"] for name in names]


def said(*ids: str) -> list[dict[str, Any]]:
    """Members as clients write them."""
    return [{"value": one} for one in ids]


async def make_group(scim: Scim, name: str, *members: str, **more: Any) -> str:
    """A group by POST; its id."""
    body: dict[str, Any] = {"schemas": [GROUP_SCHEMA], "displayName": name, "members": said(*members)} | more
    answer = await scim("POST", "/Groups", body)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def get(scim: Scim, group: str) -> dict[str, Any]:
    """A group as it is read."""
    answer = await scim("GET", f"/Groups/{group}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def members(scim: Scim, group: str) -> set[str]:
    """Who is in a group."""
    return {one["value"] for one in (await get(scim, group))["members"]}


async def patch(scim: Scim, group: str, *operations: dict[str, Any]) -> None:
    """A PATCH that succeeds, sent twice: the second changes nothing."""
    answer = await scim("PATCH", f"/Groups/{group}", patch_body(*operations))
    assert (answer.status_code, answer.content) == (204, b""), answer.text
    once = await get(scim, group)
    answer = await scim("PATCH", f"/Groups/{group}", patch_body(*operations))
    assert answer.status_code == 204, answer.text
    assert await get(scim, group) == once


async def changes(database: Database, scim: Scim) -> int:
    """How many changes of groups the journal has."""
    async with database.tenant(scim.tenant_id) as tx:
        return await tx.fetchval(
            "SELECT count(*) FROM change c JOIN run r USING (tenant_id, run_id) WHERE r.target = 'group'"
        )


async def test_a_group_is_made_read_and_told_on_its_users(scim: Scim) -> None:
    ada, bob = await people(scim, "ada", "bob")
    body = {"schemas": [GROUP_SCHEMA, ADSCIM], "displayName": "Engines", "externalId": "8aa1", "members": said(ada)}
    answer = await scim("POST", "/Groups", body | {"id": "ours", "meta": {"resourceType": "Group"}})
    assert answer.status_code == 201
    made = answer.json()
    group, where = made["id"], f"http://127.0.0.1:8000{scim.base}"
    assert answer.headers["location"] == made["meta"]["location"] == f"{where}/Groups/{group}"
    assert answer.headers["etag"] == made["meta"]["version"] == 'W/"1"'
    assert made["schemas"] == [GROUP_SCHEMA]
    assert (made["displayName"], made["externalId"]) == ("Engines", "8aa1")
    assert made["members"] == [{"value": ada, "$ref": f"{where}/Users/{ada}", "type": "User"}]
    assert await get(scim, group) == made
    told = {"value": group, "$ref": f"{where}/Groups/{group}", "display": "Engines", "type": "direct"}
    assert (await scim.get(ada))["groups"] == [told]
    assert "groups" not in await scim.get(bob)
    listed = (await scim("GET", "/Users", params={"excludedAttributes": "groups"})).json()["Resources"]
    assert all("groups" not in one for one in listed)
    listed = (await scim("GET", "/Users", params={"attributes": "groups.display"})).json()["Resources"]
    assert listed[0]["groups"] == [{"display": "Engines"}]


ADD: Any = {"op": "Add", "path": "members"}
REMOVE: Any = {"op": "Remove", "path": "members"}


async def test_entra_adds_and_removes_in_both_dialects(scim: Scim, database: Database) -> None:
    a, b, c, d = await people(scim, "a", "b", "c", "d")
    group = await make_group(scim, "Engines")
    await patch(scim, group, ADD | {"value": [{"$ref": None, "value": a}, {"$ref": None, "value": b}]})
    assert await members(scim, group) == {a, b}
    await patch(scim, group, {"op": "add", "path": "members", "value": said(b, c, d)})
    before = await changes(database, scim)
    await patch(scim, group, REMOVE | {"value": [{"$ref": None, "value": a}]})
    assert await members(scim, group) == {b, c, d}
    await patch(scim, group, REMOVE | {"value": said(a, b, str(uuid4()), "nobody")})
    assert await members(scim, group) == {c, d}
    await patch(scim, group, {"op": "remove", "path": f'members[value eq "{c}"]'})
    assert await members(scim, group) == {d}
    await patch(scim, group, {"op": "replace", "path": f"{GROUP_SCHEMA}:displayName", "value": "Motors"})
    assert (await get(scim, group))["displayName"] == "Motors"
    assert await changes(database, scim) == before + 4
    first = ADD | {"value": said(a)}
    await patch(scim, group, first, {"op": "Remove", "path": "members", "value": said(d)}, ADD | {"value": said(b)})
    assert await members(scim, group) == {a, b}
    await patch(scim, group, REMOVE)
    assert await members(scim, group) == set()


async def test_okta_pushes_renames_and_clears(scim: Scim) -> None:
    a, b, c = await people(scim, "a", "b", "c")
    group = await make_group(scim, "Engines", a)
    await patch(scim, group, {"op": "replace", "value": {"id": group, "displayName": "Motors"}})
    found = await get(scim, group)
    assert (found["displayName"], [one["value"] for one in found["members"]]) == ("Motors", [a])
    await patch(scim, group, {"op": "add", "value": {"members": [{"value": b, "display": "b"}]}})
    assert await members(scim, group) == {a, b}
    await patch(scim, group, {"op": "replace", "value": {"displayName": "Wheels", "members": said(c)}})
    found = await get(scim, group)
    assert (found["displayName"], [one["value"] for one in found["members"]]) == ("Wheels", [c])
    await patch(scim, group, {"op": "replace", "path": "members", "value": said(a, b, c)})
    assert await members(scim, group) == {a, b, c}
    await patch(scim, group, {"op": "remove", "path": f'members[value eq "{a}" or value eq "{b}"]'})
    assert await members(scim, group) == {c}
    await patch(scim, group, {"op": "replace", "path": "members", "value": None})
    assert await members(scim, group) == {c}
    await patch(scim, group, {"op": "replace", "path": "members", "value": []})
    assert await members(scim, group) == set()
    await patch(scim, group, {"op": "add", "path": "members", "value": {"$ref": f"https://x.example/Users/{a}"}})
    await patch(scim, group, {"op": "remove", "path": 'members[display eq "Nobody"]'})
    assert await members(scim, group) == {a}
    await patch(scim, group, {"op": "remove", "path": 'members[type eq "User"]'})
    assert await members(scim, group) == set()


async def test_put_without_members_leaves_them_and_with_them_puts_them(scim: Scim) -> None:
    a, b = await people(scim, "a", "b")
    group = await make_group(scim, "Engines", a, externalId="1")
    bodies: list[tuple[dict[str, Any], set[str]]] = [
        ({"displayName": "Motors"}, {a}),
        ({"displayName": "Motors", "members": None}, {a}),
        ({"displayName": "Engines", "members": said(b)}, {b}),
        ({"displayName": "Engines", "members": []}, set()),
    ]
    for body, expected in bodies:
        for _ in range(2):
            answer = await scim("PUT", f"/Groups/{group}", body)
            assert answer.status_code == 200, answer.text
            assert answer.json() == await get(scim, group)
            assert answer.json()["displayName"] == body["displayName"]
            assert "externalId" not in answer.json()
            assert await members(scim, group) == expected


async def test_what_is_refused_says_why_and_changes_nothing(scim: Scim, make_scim: MakeScim) -> None:
    a, b = await people(scim, "a", "b")
    other = await make_scim()
    (stranger,) = await people(other, "stranger")
    group, inner = await make_group(scim, "Engines", a), await make_group(scim, "Inner")
    before = await get(scim, group)
    for operation, words in (
        (ADD | {"value": said(b, stranger)}, stranger),
        (ADD | {"value": said(b, "nobody")}, "nobody"),
        (ADD | {"value": said(b, inner)}, "Only users can be members"),
        (ADD | {"value": [{"value": b, "type": "Group"}]}, "Only users can be members"),
        (ADD | {"value": [{"display": "b"}]}, "needs a"),
        (ADD | {"value": [7]}, "a number"),
    ):
        answer = await scim(
            "PATCH", f"/Groups/{group}", patch_body({"op": "add", "path": "members", "value": said(b)}, operation)
        )
        assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidValue")
        assert words in answer.json()["detail"]
        answer = await scim("POST", "/Groups", {"displayName": "New", "members": operation["value"]})
        assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidValue")
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"op": "replace", "path": f'members[value eq "{a}"].display', "value": "x"}, "mutability"),
        ({"op": "add", "path": "member", "value": said(b)}, "invalidPath"),
        ({"op": "remove", "path": "displayName"}, "mutability"),
        ({"op": "remove", "path": "members[value eq"}, "invalidFilter"),
        ({"op": "move", "path": "members", "value": []}, "invalidSyntax"),
    ]
    for operation, kind in wrong:
        answer = await scim("PATCH", f"/Groups/{group}", patch_body(operation))
        assert (answer.status_code, answer.json()["scimType"]) == (400, kind), answer.text
    strange: list[dict[str, Any]] = [{"displayName": " "}, {"members": []}, {"displayName": "N", "member": []}]
    for body in strange:
        assert (await scim("POST", "/Groups", body)).status_code == 400
    assert await get(scim, group) == before
    assert (await scim("GET", "/Groups", params={"filter": 'displayName eq "New"'})).json()["totalResults"] == 0
    assert (await other("GET", f"/Groups/{group}")).status_code == 404
    assert (await other("PATCH", f"/Groups/{group}", patch_body(REMOVE))).status_code == 404
    assert (await other("DELETE", f"/Groups/{group}")).status_code == 404
    assert await make_group(other, "Engines") != group


async def test_names_and_ids_are_one_groups_alone_and_a_deleted_one_comes_back(scim: Scim) -> None:
    (a,) = await people(scim, "a")
    group, other = await make_group(scim, "Engines", a, externalId="1"), await make_group(scim, "Wheels")
    for body in ({"displayName": "ENGINES"}, {"displayName": "New", "externalId": "1"}):
        answer = await scim("POST", "/Groups", body)
        assert (answer.status_code, answer.json()["scimType"]) == (409, "uniqueness")
        answer = await scim("PUT", f"/Groups/{other}", body)
        assert (answer.status_code, answer.json()["scimType"]) == (409, "uniqueness")
    rename = {"op": "replace", "path": "displayName", "value": "engines"}
    assert (await scim("PATCH", f"/Groups/{other}", patch_body(rename))).status_code == 409
    assert (await scim("DELETE", f"/Groups/{group}")).status_code == 204
    assert (await scim("DELETE", f"/Groups/{group}")).status_code == 404
    assert (await scim("GET", f"/Groups/{group}")).status_code == 404
    assert "groups" not in await scim.get(a)
    assert await make_group(scim, "Renamed meanwhile", externalId="1") == group
    assert await members(scim, group) == set()
    assert (await scim("DELETE", f"/Groups/{group}")).status_code == 204
    assert await make_group(scim, "renamed Meanwhile", a, externalId="2") == group
    assert await members(scim, group) == {a}


async def test_who_is_inactive_stays_and_who_is_deleted_leaves(scim: Scim) -> None:
    a, b = await people(scim, "a", "b")
    group = await make_group(scim, "Engines", a, b)
    await scim.patch(a, {"op": "replace", "path": "active", "value": False})
    assert await members(scim, group) == {a, b}
    assert (await scim("DELETE", f"/Users/{b}")).status_code == 204
    assert await members(scim, group) == {a}
    assert (await scim.make("b"))["id"] == b
    assert await members(scim, group) == {a}


async def test_filters_pages_and_searches(scim: Scim) -> None:
    a, b = await people(scim, "a", "b")
    first = await make_group(scim, "Engines", a, externalId="X1")
    second = await make_group(scim, "Wheels", a, b)
    third = await make_group(scim, "Motors")

    async def found(text: str) -> list[str]:
        answer = await scim("GET", "/Groups", params={"filter": text, "excludedAttributes": "members"})
        assert answer.status_code == 200, answer.text
        assert all("members" not in one for one in answer.json()["Resources"])
        return [one["id"] for one in answer.json()["Resources"]]

    for text, expected in (
        ('displayName eq "engines"', [first]),
        ('displayName eq "nobody"', []),
        ('displayName co "e" and not (externalId eq "X1")', [second]),
        ('externalId eq "x1"', []),
        (f'id eq "{third}"', [third]),
        ('id eq "no id"', []),
        (f'members.value eq "{b}"', [second]),
        (f'members[value eq "{a}" and type eq "User"]', [first, second]),
        ("not (members pr)", [third]),
        ('meta.lastModified gt "2020-01-01T00:00:00Z"', [first, second, third]),
        ('members eq "x" and', None),
    ):
        if expected is None:
            answer = await scim("GET", "/Groups", params={"filter": text})
            assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidFilter")
        else:
            assert await found(text) == expected, text
    assert [one["id"] for one in await scim.find(f'groups.value eq "{second}"')] == [a, b]
    assert [one["id"] for one in await scim.find('groups[display eq "ENGINES" and type eq "direct"]')] == [a]
    assert await scim.find('not (groups pr) or groups.display eq "motors"') == []
    answer = await scim("GET", "/Groups", params={"count": 1, "startIndex": 2})
    page = answer.json()
    assert (page["totalResults"], page["itemsPerPage"], page["startIndex"]) == (3, 1, 2)
    assert {one["value"] for one in page["Resources"][0]["members"]} == {a, b}
    answer = await scim("GET", "/Groups", params={"sortBy": "displayName", "sortOrder": "descending"})
    assert [one["displayName"] for one in answer.json()["Resources"]] == ["Wheels", "Motors", "Engines"]
    answer = await scim("POST", "/Groups/.search", {"filter": 'displayName sw "m"', "attributes": ["displayName"]})
    assert answer.json()["Resources"] == [{"schemas": [GROUP_SCHEMA], "id": third, "displayName": "Motors"}]
    answer = await scim("POST", "/.search", {"filter": f'id eq "{a}" or displayName eq "Motors"', "attributes": ["id"]})
    assert {one["id"] for one in answer.json()["Resources"]} == {a, third}


async def test_versions_conditions_and_what_is_asked_for(scim: Scim) -> None:
    a, b = await people(scim, "a", "b")
    group = await make_group(scim, "Engines", a)
    where = f"/Groups/{group}"
    etag = (await scim("GET", where)).headers["etag"]
    assert (await scim("GET", where, headers={"If-None-Match": etag})).status_code == 304
    answer = await scim("PATCH", where, patch_body(ADD | {"value": said(b)}), headers={"If-Match": etag})
    assert answer.status_code == 204
    assert answer.headers["etag"] != etag
    answer = await scim("DELETE", where, headers={"If-Match": etag})
    assert (answer.status_code, answer.json()["status"]) == (412, "412")
    assert "members" not in (await scim("GET", where, params={"excludedAttributes": "members"})).json()
    answer = await scim("GET", where, params={"attributes": "members.value"})
    assert answer.json() == {"schemas": [GROUP_SCHEMA], "id": group, "members": said(*sorted((a, b)))}
    answer = await scim("PATCH", where, patch_body(REMOVE | {"value": said(b)}), params={"attributes": "members.value"})
    assert (answer.status_code, answer.json()["members"]) == (200, said(a))


async def test_discovery_says_what_is_done(scim: Scim) -> None:
    schema = (await scim("GET", f"/Schemas/{GROUP_SCHEMA}")).json()
    attributes = {one["name"]: one for one in schema["attributes"]}
    assert attributes["displayName"]["required"]
    assert attributes["displayName"]["uniqueness"] == "server"
    (reference,) = [one for one in attributes["members"]["subAttributes"] if one["name"] == "$ref"]
    assert reference["referenceTypes"] == ["User"]
    kind = (await scim("GET", "/ResourceTypes/Group")).json()
    assert (kind["endpoint"], kind["schema"]) == ("/Groups", GROUP_SCHEMA)


@pytest.mark.parametrize("flag", ["?aadOptscim062020", ""])
async def test_entras_flag_may_stand_in_the_address(scim: Scim, flag: str) -> None:
    (a,) = await people(scim, "a")
    group = await make_group(scim, "Engines")
    answer = await scim(
        "PATCH", f"/Groups/{group}{flag}", patch_body({"op": "add", "path": "members", "value": said(a)})
    )
    assert answer.status_code == 204
    assert await members(scim, group) == {a}
