"""/Users as RFC 7644 has it, over HTTP and on a real database."""

from tests.identity.conftest import Scim


async def test_a_created_user_is_returned_found_and_counted(scim: Scim) -> None:
    made = await scim.make("ada@example.com", name={"givenName": "Ada"}, emails=[{"value": "ada@example.com"}])
    assert await scim.get(made["id"]) == {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "id": made["id"],
        "userName": "ada@example.com",
        "name": {"givenName": "Ada"},
        "emails": [{"value": "ada@example.com"}],
        "active": True,
    }
    assert [one["id"] for one in await scim.find('userName eq "ADA@example.com"')] == [made["id"]]
    assert [one["id"] for one in await scim.find('name.givenName co "da" and emails.value ew ".COM"')] == [made["id"]]
