"""Identity providers over HTTP without scripts, beside the SCIM service that their tokens open."""

import asyncio
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import unescape

import httpx2
import pytest
import structlog
from starlette.routing import Route

from stoa.access.actions import revoke
from stoa.access.permissions import Role
from stoa.access.queries import credentials
from stoa.db.database import Database
from stoa.identity.scim import tokens
from stoa.identity.scim.pages import scim_pages
from stoa.identity.scim.routes import scim_routes
from stoa.identity.scim.walks import WALKS, walk_named
from stoa.identity.scim.walks.model import Need
from stoa.kernel.ids import SourceId, TenantId
from stoa.tenants.queries import tenant as tenant_of
from stoa.web.visiting import Shell
from tests.conftest import MakeTenant
from tests.identity.conftest import HOST, issue
from tests.web.signed_in import Browsers, application_of, browsers, text_of

HOSTILE = "<script>alert(1)</script> \u0645\u062d\u0645\u062f \U0001f642"
NOBODY = "019a0000-0000-7000-8000-000000000000"


@dataclass
class Front:
    """Somebody signed in before a tenant, and its SCIM service."""

    http: httpx2.AsyncClient
    database: Database
    tenant_id: TenantId
    slug: str

    @property
    def base(self) -> str:
        return f"/console/t/{self.slug}"

    async def get(self, path: str, **params: str) -> httpx2.Response:
        return await self.http.get(self.base + path, params=params or None)

    async def post(self, path: str, **fields: str) -> httpx2.Response:
        return await self.http.post(self.base + path, data=fields)

    async def scim(self, token: str, method: str = "GET", body: object = None) -> httpx2.Response:
        return await self.http.request(
            method, f"/t/{self.slug}/scim/v2/Users", json=body, headers={"Authorization": f"Bearer {token}"}
        )

    async def live(self) -> int:
        async with self.database.tenant(self.tenant_id, read_only=True) as tx:
            return sum(one.revoked_at is None for one in await credentials(tx))


@pytest.fixture
async def people_at(database: Database) -> AsyncGenerator[Browsers]:
    def make(shell: Shell) -> list[Route]:
        return [*scim_pages(shell, HOST), *scim_routes(database, base_url=HOST)]

    async with browsers(application_of(database, make), database) as opened:
        yield opened


async def front_of(database: Database, people_at: Browsers, tenant_id: TenantId, role: Role) -> Front:
    async with database.tenant(tenant_id) as tx:
        slug = (await tenant_of(tx)).slug
    return Front(await people_at.of(role, tenant_id), database, tenant_id, slug)


@pytest.fixture
async def admin(database: Database, people_at: Browsers, tenant_id: TenantId) -> Front:
    return await front_of(database, people_at, tenant_id, Role.TENANT_ADMIN)


@pytest.fixture
async def viewer(database: Database, people_at: Browsers, tenant_id: TenantId) -> Front:
    return await front_of(database, people_at, tenant_id, Role.TENANT_VIEWER)


def token_in(page: httpx2.Response) -> str:
    found = re.search(r'<td id="token">.*?<code[^>]*>(stoa_scim_[^<]+)</code>', page.text, re.DOTALL)
    assert found is not None
    return found[1]


async def connect(front: Front, name: str = "Okta", days: str = "90") -> tuple[str, str]:
    """The address of a fresh provider, and its token."""
    page = await front.post("/connections/scim/new", provider="okta", name=name, days=days)
    assert page.status_code == 200, text_of(page)
    path = re.search(rf'href="{front.base}(/connections/scim/[0-9a-f-]+)"', page.text)
    assert path is not None
    return path[1], token_in(page)


async def test_a_provider_is_connected_and_its_token_opens_the_service(admin: Front) -> None:
    form = await admin.get("/connections/scim/new", provider="entra")
    assert 'value="Microsoft Entra ID"' in form.text
    page = await admin.post("/connections/scim/new", provider="okta", name="Okta", days="90")
    assert page.headers["cache-control"] == "no-store"
    assert f"{HOST}/t/{admin.slug}/scim/v2" in page.text
    assert "Unique identifier field for users" in text_of(page)
    token = token_in(page)
    assert (await admin.scim(token)).status_code == 200


async def test_a_token_is_shown_once_and_nowhere_else(admin: Front) -> None:
    with structlog.testing.capture_logs() as logs:
        path, token = await connect(admin)
        page = await admin.get(path)
    assert token not in page.text
    assert token[:16] in page.text
    assert token not in str(logs)
    async with admin.database.tenant(admin.tenant_id) as tx:
        events = await tx.fetch("SELECT body FROM event WHERE tenant_id = $1", tx.tenant_id)
    assert token not in str([dict(event) for event in events])


async def test_tokens_are_changed_with_two_at_a_time(admin: Front) -> None:
    path, old = await connect(admin)
    page = await admin.post(f"{path}/tokens", name="Rotation", days="365")
    assert page.status_code == 200
    new = token_in(page)
    assert (await admin.scim(old)).status_code == (await admin.scim(new)).status_code == 200
    third = await admin.post(f"{path}/tokens", name="", days="never")
    assert third.status_code == 422
    assert "Revoke the one that the provider does not use any more" in text_of(third)
    shown = await admin.get(path)
    assert f'action="{admin.base}{path}/tokens"' not in shown.text
    revocations = re.findall(rf'action="({admin.base}{path}/tokens/[0-9a-f-]+/revoke)"', shown.text)
    assert len(revocations) == 2
    # Newest first: the old one stands last.
    assert (await admin.http.post(revocations[-1])).status_code == 303
    assert ((await admin.scim(old)).status_code, (await admin.scim(new)).status_code) == (401, 200)
    assert "1 token that no longer opens" in text_of(await admin.get(path))


async def test_of_many_who_issue_at_once_one_makes_the_second(admin: Front) -> None:
    issued = await issue(admin.database, admin.tenant_id)

    async def ask() -> bool:
        try:
            async with admin.database.tenant(admin.tenant_id) as tx:
                await tokens.issue_for(tx, issued.source_id, "", days=None)
        except tokens.TooManyTokens:
            return False
        return True

    assert sum(await asyncio.gather(*(ask() for _ in range(6)))) == 1
    assert await admin.live() == 2


@pytest.mark.parametrize(
    ("name", "told"),
    [("", "name"), ("x" * 201, "200"), ("okta", "a source of this name already"), ("a\tb", "printable")],
)
async def test_a_name_that_cannot_be_is_told_beside_it(admin: Front, name: str, told: str) -> None:
    await connect(admin)
    page = await admin.post("/connections/scim/new", provider="okta", name=name, days="90")
    assert page.status_code == 422
    error = re.search(r'id="name-error">([^<]*)<', page.text)
    assert error is not None
    assert told in error[1]
    assert await admin.live() == 1


async def test_a_life_that_is_not_offered_is_refused(admin: Front) -> None:
    assert (await admin.post("/connections/scim/new", provider="okta", name="Okta", days="99999")).status_code == 422
    assert await admin.live() == 0


async def test_what_the_provider_did_is_told(admin: Front) -> None:
    path, token = await connect(admin)
    before = text_of(await admin.get(path))
    assert "It has not spoken yet" in before
    for name in ("ada", "grace"):
        assert (await admin.scim(token, "POST", {"schemas": [], "userName": name})).status_code == 201
    page = await admin.get(path)
    text = text_of(page)
    assert "It has not spoken yet" not in text
    assert re.search(r"People it knows 2 Active among them 2", text)
    assert re.search(r"/runs/[0-9a-f-]{36}", page.text)
    assert "See it, or undo it" in text
    assert "just now" in text


async def test_a_refusal_names_who_might_be_meant(admin: Front) -> None:
    path, token = await connect(admin)
    number = {"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"employeeNumber": "W-1"}}
    made = await admin.scim(token, "POST", {"schemas": [], "userName": "ada", "displayName": HOSTILE, **number})
    refused = await admin.scim(token, "POST", {"schemas": [], "userName": HOSTILE, **number})
    assert refused.status_code == 409
    page = await admin.get(path)
    assert "Another record of the source has this employee id" in text_of(page)
    assert f'href="{admin.base}/people/{made.json()["id"]}"' in page.text
    assert HOSTILE in unescape(page.text)
    assert "<script>alert" not in page.text


async def test_a_provider_that_is_shut_out_is_told(admin: Front) -> None:
    path, token = await connect(admin)
    await admin.scim(token)
    async with admin.database.tenant(admin.tenant_id) as tx:
        for one in await credentials(tx):
            await revoke(tx, one.credential_id)
    text = text_of(await admin.get(path))
    assert "It is shut out: none of its tokens opens" in text
    assert "Failing" in text


async def test_a_token_about_to_expire_is_told(admin: Front) -> None:
    issued = await issue(admin.database, admin.tenant_id, expires_at=datetime.now(UTC) + timedelta(days=5))
    await admin.scim(issued.token)
    text = text_of(await admin.get(f"/connections/scim/{issued.source_id}"))
    assert "Its last token expires soon" in text
    assert "in 4 days" in text


async def test_a_hostile_name_stays_text(admin: Front) -> None:
    path, _ = await connect(admin, HOSTILE)
    page = await admin.get(path)
    assert HOSTILE in unescape(page.text)
    assert "<script>alert" not in page.text


async def test_whoever_may_only_look_can_do_nothing(admin: Front, viewer: Front) -> None:
    path, _ = await connect(admin)
    page = await viewer.get(path)
    assert page.status_code == 200
    assert "<form" not in page.text[page.text.index("<main") : page.text.index("</main>")]
    assert (await viewer.get("/connections/scim/new")).status_code == 403
    for act in ("/connections/scim/new", f"{path}/tokens", f"{path}/tokens/{NOBODY}/revoke"):
        assert (await viewer.post(act, name="x", days="90")).status_code == 403, act
    assert await admin.live() == 1


async def test_another_tenant_sees_nothing_of_it(
    admin: Front, database: Database, people_at: Browsers, make_tenant: MakeTenant
) -> None:
    path, _ = await connect(admin)
    async with database.tenant(admin.tenant_id) as tx:
        token_id = (await credentials(tx))[0].credential_id
    other = await front_of(database, people_at, await make_tenant(), Role.TENANT_ADMIN)
    own = (await connect(other))[0]
    for base in (admin.base, other.base):
        assert (await other.http.get(base + path)).status_code == 404
        assert (await other.http.post(f"{base}{path}/tokens", data={"days": "90"})).status_code == 404
        assert (await other.http.post(f"{base}{path}/tokens/{token_id}/revoke")).status_code == 404
    assert (await other.post(f"{own}/tokens/{token_id}/revoke")).status_code == 404
    assert await admin.live() == 1


async def test_a_token_of_another_source_is_not_revoked_here(admin: Front) -> None:
    path, _ = await connect(admin)
    other = await issue(admin.database, admin.tenant_id, source="Entra")
    assert (await admin.post(f"{path}/tokens/{other.credential_id}/revoke")).status_code == 404
    assert await admin.live() == 2


async def test_only_identity_providers_have_such_a_page(admin: Front) -> None:
    async with admin.database.tenant(admin.tenant_id) as tx:
        console = SourceId(await tx.fetchval("SELECT source_id FROM source WHERE kind = 'console'"))
    for source in (console, NOBODY, "nothing"):
        assert (await admin.get(f"/connections/scim/{source}")).status_code == 404
    assert (await admin.post(f"/connections/scim/{console}/tokens", days="90")).status_code == 404


@pytest.mark.parametrize(
    ("name", "provider"),
    [("OKTA of the group", "okta"), ("Azure AD", "entra"), ("PingOne EU", "ping"), ("Keycloak", "other")],
)
def test_the_steps_are_those_of_the_providers_name(name: str, provider: str) -> None:
    assert walk_named(name).key == provider


async def test_each_step_can_be_come_back_to_and_knows_the_provider_that_was_chosen(admin: Front) -> None:
    chosen = await admin.get("/connections/scim/new")
    for key, walk in WALKS.items():
        assert f"/connections/scim/new?provider={key}" in chosen.text
        assert (await admin.get("/connections/scim/new", provider=key)).status_code == 200
        assert {"userName", "active"} & {one.ours for one in walk.mappings if one.need is Need.REQUIRED}
    page = await admin.post("/connections/scim/new", provider="jumpcloud", name="Staff directory", days="90")
    path = re.search(r'href="(/console[^"]+/connections/scim/[0-9a-f-]+)/setup/test"', page.text)
    assert path is not None
    setup, token = f"{path[1].removeprefix(admin.base)}/setup", token_in(page)
    assert (await admin.get(setup)).headers["location"].endswith("/setup/token")
    shown = await admin.get(f"{setup}/token")
    assert "Test User Email" in shown.text
    assert token not in shown.text
    assert "Waiting for the first request" in text_of(await admin.get(f"{setup}/test"))
    assert "Not yet" in text_of(await admin.get(f"{setup}/done"))
    assert "employeeIdentifier" in (await admin.get(f"{setup}/attributes")).text
    await admin.scim(token, "POST", {"schemas": [], "userName": "ada"})
    done = text_of(await admin.get(f"{setup}/done"))
    assert "1 user, 1 of them active." in done
    assert "1 user came without one." in done
    # Whoever chose wrongly chooses once more; nothing but the steps changes.
    assert (await admin.post(f"{setup}/provider", provider="google")).status_code == 303
    assert "This provider sends no groups" in text_of(await admin.get(f"{setup}/groups"))
    assert (await admin.post(f"{setup}/provider", provider="nobody")).status_code == 400
    again = await admin.post("/connections/scim/new", provider="okta", name="staff directory", days="90")
    assert f'href="{path[1]}/setup"' in again.text
