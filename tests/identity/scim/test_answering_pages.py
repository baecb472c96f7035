"""The page on which a tenant chooses how a provider is answered, beside the service that answers so, and the group's
page that shows who is awaited.
"""

from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import pytest
from starlette.routing import Route

from stoa.access.permissions import Role
from stoa.db.database import Database
from stoa.identity.scim.pages import scim_pages
from stoa.identity.scim.routes import scim_routes
from stoa.kernel.ids import TenantId
from stoa.people.pages_groups import group_pages
from stoa.tenants.actions import ensure_source
from stoa.web.visiting import Shell
from tests.conftest import MakeTenant
from tests.identity.conftest import HOST, MakeScim, Scim, patch_body
from tests.identity.scim.test_groups import make_group, members
from tests.identity.scim.test_scim_pages import HOSTILE, front_of
from tests.web.signed_in import Browsers, application_of, browsers, text_of

KEEP = {"group_patch": "group", "strangers": "await"}


@pytest.fixture
async def people_at(database: Database) -> AsyncGenerator[Browsers]:
    def make(shell: Shell) -> list[Route]:
        return [*scim_pages(shell, HOST), *group_pages(shell), *scim_routes(database, base_url=HOST)]

    async with browsers(application_of(database, make), database) as opened:
        yield opened


@pytest.fixture
async def okta(make_scim: MakeScim, tenant_id: TenantId) -> Scim:
    return await make_scim(tenant_id)


def path_of(okta: Scim) -> str:
    return f"/connections/scim/{okta.issued.source_id}/answers"


async def adds(okta: Scim, group: str, value: str) -> httpx2.Response:
    operation: dict[str, Any] = {"op": "add", "path": "members", "value": [{"value": value}]}
    return await okta("PATCH", f"/Groups/{group}", patch_body(operation))


async def test_an_admin_chooses_and_the_next_request_is_answered_so(
    database: Database, people_at: Browsers, tenant_id: TenantId, okta: Scim
) -> None:
    admin = await front_of(database, people_at, tenant_id, Role.TENANT_ADMIN)
    path, group = path_of(okta), await make_group(okta, "Sales")
    page = await admin.get(path)
    assert "204, without the group" in text_of(page)
    assert "Nobody." in text_of(page)
    assert (await adds(okta, group, "e-1")).status_code == 400
    assert (await admin.post(path, **KEEP)).status_code == 303
    assert (await adds(okta, group, HOSTILE)).status_code == 200
    assert await members(okta, group) == {HOSTILE}
    page = await admin.get(path)
    assert '<option value="await" selected>' in page.text
    assert "1 member is awaited. They are in 1 group." in text_of(page)
    assert "They were named while such members were kept" not in text_of(page)
    shown = await admin.get(f"/groups/{group}")
    assert "Awaited: members who are not here yet" in text_of(shown)
    assert "<script>alert" not in shown.text
    timeline = text_of(await admin.get(f"/groups/{group}/timeline"))
    assert f"A member who is not here yet: {HOSTILE}" in timeline
    # Refused again, what is there stays, and the page says so.
    await admin.post(path, **(KEEP | {"strangers": "refuse"}))
    assert (await adds(okta, group, "e-1")).status_code == 400
    assert "They were named while such members were kept" in text_of(await admin.get(path))
    assert await members(okta, group) == {HOSTILE}


@pytest.mark.parametrize("wrong", [{"group_patch": "both"}, {"strangers": ""}])
async def test_what_is_no_choice_is_told_and_nothing_is_saved(
    database: Database, people_at: Browsers, tenant_id: TenantId, okta: Scim, wrong: dict[str, str]
) -> None:
    admin = await front_of(database, people_at, tenant_id, Role.TENANT_ADMIN)
    answer = await admin.post(path_of(okta), **(KEEP | wrong))
    assert answer.status_code == 422
    assert "Nothing is saved yet." in text_of(answer)
    async with database.tenant(tenant_id) as tx:
        assert await tx.fetchval("SELECT count(*) FROM scim_answering") == 0


async def test_whoever_may_look_changes_nothing_and_strangers_see_nothing(
    database: Database, people_at: Browsers, tenant_id: TenantId, okta: Scim, make_tenant: MakeTenant
) -> None:
    viewer = await front_of(database, people_at, tenant_id, Role.TENANT_VIEWER)
    page = await viewer.get(path_of(okta))
    assert '<form class="settings"' not in page.text
    assert "Refuse the request with 400" in text_of(page)
    assert (await viewer.post(path_of(okta), **KEEP)).status_code == 403
    stranger = await front_of(database, people_at, await make_tenant(), Role.TENANT_ADMIN)
    assert (await stranger.get(path_of(okta))).status_code == 404
    assert (await stranger.post(path_of(okta), **KEEP)).status_code == 404
    admin = await front_of(database, people_at, tenant_id, Role.TENANT_ADMIN)
    async with database.tenant(tenant_id) as tx:
        workday = await ensure_source(tx, "hris", "Workday")
        assert await tx.fetchval("SELECT count(*) FROM scim_answering") == 0
    # A report is answered nothing.
    assert (await admin.post(f"/connections/scim/{workday.source_id}/answers", **KEEP)).status_code == 404
