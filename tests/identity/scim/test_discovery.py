"""RFC 7644, section 4: what the service says of itself, and that it is so."""

from typing import Any

import pytest

from stoa.identity.scim.model import ENTERPRISE_SCHEMA, USER_SCHEMA
from stoa.identity.scim.schemas import ENTERPRISE, GROUP, USER
from tests.identity.conftest import HOST, Scim


async def test_the_configuration_says_what_is_true(scim: Scim) -> None:
    said: dict[str, Any] = (await scim("GET", "/ServiceProviderConfig")).json()
    assert said["meta"] == {
        "resourceType": "ServiceProviderConfig",
        "location": f"{HOST}{scim.base}/ServiceProviderConfig",
    }
    made = await scim.make("ada")
    assert said["bulk"]["supported"] is ((await scim("POST", "/Bulk", {})).status_code != 501)
    assert said["etag"]["supported"] is ("etag" in (await scim("GET", f"/Users/{made['id']}")).headers)
    assert said["patch"] == {"supported": True}
    assert said["sort"] == {"supported": True}
    assert (said["pagination"]["cursor"], said["pagination"]["index"]) == (True, True)
    # Cursors hold a position, so they never expire.
    assert "cursorTimeout" not in said["pagination"]
    assert said["changePassword"] == {"supported": False}
    for i in range(said["filter"]["maxResults"]):
        await scim.make(f"u{i}")
    largest = (await scim("GET", "/Users", params={"count": "10000"})).json()
    assert largest["itemsPerPage"] == said["filter"]["maxResults"] == said["pagination"]["maxPageSize"]
    usual = (await scim("GET", "/Users")).json()
    assert usual["itemsPerPage"] == said["pagination"]["defaultPageSize"]
    assert usual["totalResults"] == said["filter"]["maxResults"] + 1


async def test_the_resource_type_names_schemas_that_are_there(scim: Scim) -> None:
    listed = (await scim("GET", "/ResourceTypes")).json()
    assert [one["name"] for one in listed["Resources"]] == ["User", "Group"]
    kind = (await scim("GET", "/ResourceTypes/User")).json()
    assert kind == listed["Resources"][0]
    assert (kind["schema"], kind["endpoint"]) == (USER_SCHEMA, "/Users")
    for urn in (kind["schema"], *(one["schema"] for one in kind["schemaExtensions"])):
        schema = await scim("GET", f"/Schemas/{urn.upper()}")
        assert schema.json()["id"] == urn


async def test_the_schemas_are_the_tables_that_the_service_works_by(scim: Scim) -> None:
    listed = (await scim("GET", "/Schemas")).json()
    assert listed["totalResults"] == 3
    said = {one["id"]: one for one in listed["Resources"]}
    for schema in (USER, GROUP, ENTERPRISE):
        names = [one["name"] for one in said[schema.urn]["attributes"]]
        assert names == [one.name for one in schema.attributes]
    by_name = {one["name"]: one for one in said[USER_SCHEMA]["attributes"]}
    assert by_name["userName"].items() >= {"required": True, "uniqueness": "server", "caseExact": False}.items()
    assert by_name["password"].items() >= {"mutability": "writeOnly", "returned": "never"}.items()
    assert by_name["groups"]["mutability"] == "readOnly"
    manager = next(one for one in said[ENTERPRISE_SCHEMA]["attributes"] if one["name"] == "manager")
    assert [one["name"] for one in manager["subAttributes"]] == ["value", "$ref", "displayName"]


@pytest.mark.parametrize("path", ["/Schemas", "/ResourceTypes"])
async def test_4_a_filter_is_forbidden_here(scim: Scim, path: str) -> None:
    assert (await scim("GET", path, params={"filter": 'name eq "x"'})).status_code == 403


@pytest.mark.parametrize("path", ["/ServiceProviderConfig", "/Schemas", "/ResourceTypes"])
async def test_nothing_can_be_written_here(scim: Scim, path: str) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert (await scim(method, path, {})).status_code == 405
