"""The page "Conformance" over HTTP without scripts."""

import re

import pytest
from starlette.routing import Route
from starlette.types import ASGIApp

from stoa.access.permissions import Role
from stoa.db.database import Database
from stoa.identity.scim.conformance.pages import conformance_pages
from stoa.identity.scim.conformance.running import CHECKS
from stoa.kernel.ids import TenantId
from stoa.web.visiting import Shell
from tests.conftest import MakeTenant
from tests.identity.conftest import HOST, issue
from tests.identity.scim.test_scim_pages import NOBODY, Front, front_of
from tests.web.signed_in import Browsers, application_of, browsers, text_of


@pytest.mark.parametrize("sandbox", [True, False])
async def test_an_admin_runs_the_checks_and_everybody_reads_what_they_found(
    database: Database, make_tenant: MakeTenant, sandbox: bool
) -> None:
    tenant_id = await make_tenant(sandbox=sandbox)
    path = await _path(database, tenant_id)
    async with browsers(_app(database), database) as opened:
        admin, viewer = [
            await front_of(database, opened, tenant_id, role) for role in (Role.TENANT_ADMIN, Role.TENANT_VIEWER)
        ]
        assert "The checks have not run yet" in text_of(await admin.get(path))
        assert (await viewer.post(path)).status_code == 403
        assert (await admin.post(path)).status_code == 303
        page = await viewer.get(path)
        text = text_of(page)
        assert "A request without a token is answered 401." in text
        assert "GET /Users?count=1&startIndex=1" in text
        assert page.text.count('<tr id="') == len(CHECKS)
        assert ("this tenant is no sandbox" in text) is not sandbox
        assert "<form" not in page.text[page.text.index("<main") : page.text.index("</main>")]
        earlier = re.search(rf'href="{admin.base}({path}/[0-9a-f-]{{36}})"', page.text)
        assert earlier is not None
        assert (await viewer.get(earlier[1])).status_code == 200
        await _another_tenant_sees_nothing(database, opened, make_tenant, admin, path, earlier[1])


async def _another_tenant_sees_nothing(
    database: Database, opened: Browsers, make_tenant: MakeTenant, admin: Front, path: str, earlier: str
) -> None:
    other = await front_of(database, opened, await make_tenant(), Role.TENANT_ADMIN)
    for base in (admin.base, other.base):
        for address in (path, earlier):
            assert (await other.http.get(base + address)).status_code == 404
        assert (await other.http.post(base + path)).status_code == 404
    assert (await admin.get(f"{path}/{NOBODY}")).status_code == 404


async def _path(database: Database, tenant_id: TenantId) -> str:
    issued = await issue(database, tenant_id)
    return f"/connections/scim/{issued.source_id}/conformance"


def _app(database: Database) -> ASGIApp:
    def make(shell: Shell) -> list[Route]:
        return conformance_pages(shell, HOST)

    return application_of(database, make)
