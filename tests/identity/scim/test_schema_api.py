"""A tenant's own schemas over the public API."""

from stoa.db import embedded
from stoa.db.database import Database
from stoa.identity.scim.own import actions as own_actions
from tests.api.calling import serving, token_of
from tests.identity.conftest import MakeScim
from tests.identity.scim.test_own_schemas import ATTRIBUTES, URN, describe


async def test_own_schemas_are_listed_retired_ones_too_and_of_this_tenant_alone(
    server: embedded.Server, database: Database, make_scim: MakeScim
) -> None:
    scim, other = await make_scim(), await make_scim()
    schema_id = await describe(database, scim)
    async with database.tenant(scim.tenant_id) as tx:
        await own_actions.retire_schema(tx, schema_id)
    async with serving(server, await token_of(database, scim.tenant_id, ("connections:read",))) as client:
        listed = (await client.get("/v1/scim-schemas?filter=retired_at%20pr")).json()
        (found,) = listed["items"]
        assert (found["id"], found["urn"], found["retired_at"] is None) == (str(schema_id), URN, False)
        assert [one["name"] for one in found["attributes"]] == [one.name for one in ATTRIBUTES]
        assert (await client.get(f"/v1/scim-schemas/{schema_id}")).json() == found
        assert (await client.get("/v1/scim-schemas/none")).status_code == 404
    async with serving(server, await token_of(database, other.tenant_id)) as stranger:
        assert (await stranger.get("/v1/scim-schemas")).json()["items"] == []
        assert (await stranger.get(f"/v1/scim-schemas/{schema_id}")).status_code == 404
