"""The pages of a tenant's own schemas, over HTTP without scripts, beside the SCIM service that works by them."""

import re
from collections.abc import AsyncGenerator

import pytest
from starlette.routing import Route

from stoa.access.permissions import Role
from stoa.db.database import Database
from stoa.events.actions import number_entries
from stoa.identity.scim.own.pages import schema_pages
from stoa.identity.scim.routes import scim_routes
from stoa.kernel.ids import TenantId
from stoa.web.visiting import Shell
from tests.conftest import MakeTenant
from tests.identity.conftest import HOST, issue
from tests.identity.scim.test_scim_pages import HOSTILE, NOBODY, Front, front_of
from tests.web.signed_in import Browsers, application_of, browsers, text_of

URN = "urn:acme:params:scim:schemas:1.0:User"


@pytest.fixture
async def people_at(database: Database) -> AsyncGenerator[Browsers]:
    def make(shell: Shell) -> list[Route]:
        return [*schema_pages(shell), *scim_routes(database, base_url=HOST)]

    async with browsers(application_of(database, make), database) as opened:
        yield opened


async def make_schema(admin: Front) -> str:
    made = await admin.post("/scim-schemas", urn=URN, name=f"Acme {HOSTILE}", description=HOSTILE)
    assert made.status_code == 303, text_of(made)
    path = re.search(r"/scim-schemas/[0-9a-f-]+$", made.headers["location"])
    assert path is not None
    return path[0]


async def test_an_admin_describes_changes_and_retires_and_the_provider_sees_it_at_once(
    database: Database, people_at: Browsers, tenant_id: TenantId
) -> None:
    admin = await front_of(database, people_at, tenant_id, Role.TENANT_ADMIN)
    token = (await issue(database, tenant_id)).token
    assert "No schema yet" in text_of(await admin.get("/scim-schemas"))
    path = await make_schema(admin)
    assert (await admin.post("/scim-schemas", urn=URN, name="again", description="")).status_code == 422
    page = await admin.post(f"{path}/attributes", name="x y", type="string")
    assert page.status_code == 422
    assert "no name of an attribute" in text_of(page)
    level = {"name": "level", "type": "integer", "description": HOSTILE, "required": "on"}
    assert (await admin.post(f"{path}/attributes", **level)).status_code == 303
    desk = {"name": "desk", "type": "complex", "parts": "floor:integer\nseat"}
    assert (await admin.post(f"{path}/attributes", **desk)).status_code == 303
    wrong = await admin.scim(token, "POST", {"userName": "ada", URN: {"level": "high"}})
    assert wrong.status_code == 400
    shown = await admin.get(path)
    assert "level" in text_of(shown)
    assert "<script>alert" not in shown.text
    assert "required" in text_of(await admin.get(f"{path}/attributes/LEVEL"))
    assert (await admin.post(f"{path}/attributes/level", description="Grade", required="")).status_code == 303
    assert (await admin.post(f"{path}/attributes/desk", parts="floor:string")).status_code == 422
    assert (await admin.post(f"{path}/attributes/desk", parts="lamp:boolean")).status_code == 303
    made = await admin.scim(token, "POST", {"userName": "ada", URN: {"desk": {"lamp": True, "floor": 2}}})
    assert made.status_code == 201, made.text
    assert (await admin.post(f"{path}/retire")).status_code == 303
    assert "Retired" in text_of(await admin.get(path))
    assert (await admin.scim(token, "POST", {"userName": "bob", URN: {"level": "high"}})).status_code == 201
    assert (await admin.post(f"{path}/restore")).status_code == 303
    async with database.tenant(tenant_id) as tx:
        await number_entries(tx)
        told = await tx.fetch("SELECT type FROM event WHERE tenant_id = $1 AND type LIKE 'scim_schema.%'", tenant_id)
    assert [row["type"].partition(".")[2] for row in told] == ["created", *["changed"] * 4, "retired", "restored"]


async def test_nobody_else_may_and_another_tenant_has_none_of_it(
    database: Database, people_at: Browsers, tenant_id: TenantId, make_tenant: MakeTenant
) -> None:
    admin = await front_of(database, people_at, tenant_id, Role.TENANT_ADMIN)
    viewer = await front_of(database, people_at, tenant_id, Role.TENANT_VIEWER)
    stranger = await front_of(database, people_at, await make_tenant(), Role.TENANT_ADMIN)
    path = await make_schema(admin)
    assert (await viewer.get(path)).status_code == 200
    assert "New attribute" not in text_of(await viewer.get(path))
    for act in ("", "/attributes", "/retire", "/restore"):
        wanted = "/scim-schemas" if not act else f"{path}{act}"
        assert (await viewer.post(wanted, urn="urn:x:y:User", name="x")).status_code == 403
        if act:
            assert (await stranger.post(wanted, name="x")).status_code == 404
    assert (await stranger.get(path)).status_code == 404
    assert (await admin.get(f"/scim-schemas/{NOBODY}")).status_code == 404
    assert (await admin.get(f"{path}/attributes/none")).status_code == 404
