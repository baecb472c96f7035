"""Sample people: for sandboxes alone, the same each time, and found over the API."""

import pytest

from stoa.db import embedded
from stoa.db.database import Database
from stoa.kernel.ids import TenantId
from stoa.kernel.problems import BadInput
from stoa.people.sample import NoSandbox, Seeded, seed

from ..api.calling import serving, token_of
from ..conftest import MakeTenant


async def test_a_sandbox_is_filled_once(server: embedded.Server, database: Database, make_tenant: MakeTenant) -> None:
    tenant_id = await make_tenant(sandbox=True)
    for people, wanted in ((25, Seeded(25, 0)), (25, Seeded(0, 25)), (30, Seeded(5, 25))):
        async with database.tenant(tenant_id) as tx:
            assert await seed(tx, people) == wanted
    async with serving(server, await token_of(database, tenant_id)) as client:
        listed = (await client.get("/v1/people?limit=200")).json()["items"]
        one = (await client.get("/v1/people/external:Sample%20people:S0001")).json()
    assert len({person["id"] for person in listed}) == 30
    assert [person["active"] for person in listed].count(False) == 3
    assert one["user_name"] == "sample1@sandbox.example"


async def test_no_other_tenant_is(database: Database, tenant_id: TenantId) -> None:
    with pytest.raises(NoSandbox):
        async with database.tenant(tenant_id) as tx:
            await seed(tx, 5)


@pytest.mark.parametrize("people", [-1, 0, 501])
async def test_there_is_an_end_to_it(database: Database, make_tenant: MakeTenant, people: int) -> None:
    with pytest.raises(BadInput):
        async with database.tenant(await make_tenant(sandbox=True)) as tx:
            await seed(tx, people)
