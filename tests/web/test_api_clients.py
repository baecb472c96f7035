"""The pages of API clients, over HTTP as a browser without scripts has them."""

import csv
import re
from collections.abc import AsyncGenerator
from html import unescape
from io import StringIO
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from starlette.types import ASGIApp

from stoa.access import client_credentials, clients, clients_queries
from stoa.access.actions import issue_token
from stoa.access.clients_model import Client
from stoa.access.clients_rules import Terms
from stoa.access.permissions import Role
from stoa.access.queries import credential_by_token
from stoa.access.scopes import SCOPES
from stoa.db.database import Database
from stoa.kernel.ids import ClientId, TenantId
from stoa.tenants.queries import tenant as tenant_of
from stoa.web.api_clients import api_client_pages
from stoa.web.api_clients_forms import field_of, resources
from tests.access.signing import jwk_of, key_for, set_of
from tests.conftest import MakeTenant
from tests.web.signed_in import Browsers, application_of, browsers, text_of

BASE_URL = "https://stoa.example"
VERSIONS = ("2026-11-23", "2026-01-01")
HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "محمد 🙂", "x" * 180)


@pytest.fixture
def app(database: Database) -> ASGIApp:
    """The pages of API clients alone."""
    return application_of(database, lambda shell: api_client_pages(shell, base_url=f"{BASE_URL}/", versions=VERSIONS))


@pytest.fixture
async def people(app: ASGIApp, database: Database) -> AsyncGenerator[Browsers]:
    async with browsers(app, database) as opened:
        yield opened


class Person:
    """An operator who is signed in, before one tenant's API clients."""

    def __init__(self, http: httpx2.AsyncClient, database: Database, tenant_id: TenantId, slug: str) -> None:
        self.http, self.database, self.tenant_id, self.slug = http, database, tenant_id, slug
        self.base = f"/console/t/{slug}/api-clients"

    async def get(self, path: str = "", **params: str) -> httpx2.Response:
        return await self.http.get(self.base + path, params=params)

    async def post(self, path: str, *scopes: str, **fields: str) -> httpx2.Response:
        return await self.http.post(self.base + path, data=fields | {field_of(one): "on" for one in scopes})

    async def made(self, name: str = "Portal", *scopes: str, **more: Any) -> Client:
        async with self.database.tenant(self.tenant_id) as tx:
            return await clients.create_client(tx, Terms(name, scopes or ("people:read",), **more))

    async def now(self, client_id: ClientId) -> Client:
        async with self.database.tenant(self.tenant_id) as tx:
            return await clients_queries.client(tx, client_id)

    async def shows(self, client_id: ClientId) -> list[Any]:
        async with self.database.tenant(self.tenant_id) as tx:
            return [one for one in await clients_queries.credentials_of(tx, client_id) if one.opens_at(tx.now)]

    async def opens(self, token: str) -> bool:
        async with self.database.tenant(self.tenant_id) as tx:
            return await credential_by_token(tx, token) is not None


async def person(people: Browsers, tenant_id: TenantId, role: Role = Role.TENANT_ADMIN) -> Person:
    async with people.database.tenant(tenant_id) as tx:
        slug = (await tenant_of(tx)).slug
    return Person(await people.of(role, tenant_id), people.database, tenant_id, slug)


@pytest.fixture
async def admin(people: Browsers, tenant_id: TenantId) -> Person:
    """An administrator of a fresh tenant."""
    return await person(people, tenant_id)


def shown_in(page: httpx2.Response) -> str:
    """The key or secret that a page shows."""
    found = re.search(r'id="token">.*?<code[^>]*>([^<]+)</code>', page.text, re.DOTALL)
    assert found is not None
    return unescape(found[1])


# ------------------------------------------------------------------ making and changing


async def test_an_empty_list_says_what_to_do(admin: Person) -> None:
    page = await admin.get()
    assert page.status_code == 200
    assert "No API client yet" in text_of(page)
    assert f'href="{admin.base}/new"' in page.text
    assert 'aria-current="page">API clients' in page.text


async def test_a_client_is_made_with_its_scopes(admin: Person) -> None:
    form = await admin.get("/new")
    for scope in SCOPES:
        assert f'name="{field_of(scope)}"' in form.text, scope
    fields = {
        "name": " Learning portal ",
        "allowed_addresses": "203.0.113.0/24\r\n198.51.100.7, 2001:db8::/32",
        "version": VERSIONS[1],
        "per_minute": "600",
    }
    made = await admin.post("/new", "people:read", "people:write", **fields)
    assert made.status_code == 303
    client_id = ClientId(UUID(made.headers["location"].rsplit("/", 1)[-1]))
    found = await admin.now(client_id)
    assert (found.name, found.scopes) == ("Learning portal", {"people:read", "people:write"})
    assert found.allowed_addresses == ("203.0.113.0/24", "198.51.100.7/32", "2001:db8::/32")
    assert (found.version, found.per_minute) == (VERSIONS[1], 600)
    told = text_of(await admin.get(f"/{client_id}"))
    for words in ("Learning portal", "people:write", "203.0.113.0/24", VERSIONS[1], "600", "Nothing opens it yet"):
        assert words in told
    assert "Speaks for the source Learning portal" in told
    assert "Learning portal" in text_of(await admin.get())


async def test_what_is_wrong_is_said_beside_its_field_and_kept(admin: Person) -> None:
    wrong = {"name": "", "allowed_addresses": "here", "version": "today", "per_minute": "0"}
    answer = await admin.post("/new", **wrong)
    assert answer.status_code == 422
    for name in ("name", "allowed_addresses", "version", "per_minute", "scopes"):
        assert f'id="{name}-error"' in answer.text, name
    assert "here</textarea>" in answer.text
    for number in ("many", "1e3", "-5", "9" * 9, "٣"):
        again = await admin.post("/new", "people:read", name="Portal", per_minute=number)
        assert again.status_code == 422, number
        assert 'id="per_minute-error"' in again.text
        assert re.search(r'name="scope-people-read"[^>]* checked', again.text)
    await admin.made("Portal")
    taken = await admin.post("/new", "people:read", name="PORTAL")
    assert taken.status_code == 422
    assert 'id="name-error"' in taken.text
    assert "x" * 300 not in (await admin.post("/new", name="x" * 5_000)).text


async def test_a_change_holds_at_once_and_undoes_nobody_elses(admin: Person) -> None:
    made = await admin.made("Portal", "people:read", allowed_addresses=["10.0.0.0/8"])
    form = await admin.get(f"/{made.client_id}/change")
    assert re.search(r'name="scope-people-read"[^>]* checked', form.text)
    assert "10.0.0.0/8</textarea>" in form.text
    found = re.search(r'name="stamp" value="([^"]+)"', form.text)
    assert found is not None
    fields = {"name": "Portal", "stamp": found[1]}
    changed = await admin.post(f"/{made.client_id}/change", "events:read", **fields)
    assert changed.status_code == 303
    assert (await admin.now(made.client_id)).scopes == {"events:read"}
    stale = await admin.post(f"/{made.client_id}/change", "people:read", **fields)
    assert stale.status_code == 422
    assert "Somebody else changed this client" in text_of(stale)
    assert (await admin.now(made.client_id)).scopes == {"events:read"}
    renewed = re.search(r'name="stamp" value="([^"]+)"', stale.text)
    assert renewed is not None
    forced = await admin.post(f"/{made.client_id}/change", "people:read", name="Portal", stamp=renewed[1])
    assert forced.status_code == 303
    assert (await admin.post(f"/{made.client_id}/change", name="")).status_code == 422


# ------------------------------------------------------------------ keys and secrets


@pytest.mark.parametrize(("path", "kind"), [("keys", "api_key"), ("secrets", "client_secret")])
async def test_what_opens_is_shown_once_with_a_first_call(admin: Person, path: str, kind: str) -> None:
    client_id = (await admin.made()).client_id
    page = await admin.post(f"/{client_id}/{path}", name="Production", days="90")
    assert page.status_code == 200
    assert page.headers["cache-control"] == "no-store"
    token = shown_in(page)
    assert token in page.text
    assert f'data-copy="{token}"' in page.text
    assert f"{BASE_URL}/v1/people" in text_of(page)
    assert (f"{client_id}:{token}" in text_of(page)) == (kind == "client_secret")
    (one,) = await admin.shows(client_id)
    assert (one.kind, one.name) == (kind, "Production")
    assert one.expires_at is not None
    assert await admin.opens(token) == (kind == "api_key")
    later = await admin.get(f"/{client_id}")
    assert token not in later.text
    assert one.prefix in later.text
    assert "Production" in text_of(later)


async def test_two_open_at_a_time(admin: Person) -> None:
    client_id = (await admin.made()).client_id
    for _ in range(2):
        assert (await admin.post(f"/{client_id}/keys", days="never")).status_code == 200
    told = await admin.get(f"/{client_id}")
    assert f'action="{admin.base}/{client_id}/keys"' not in told.text
    assert f'action="{admin.base}/{client_id}/secrets"' in told.text
    third = await admin.post(f"/{client_id}/keys", days="never")
    assert third.status_code == 422
    assert "2 keys that open" in text_of(third)
    for days in ("", "7", "x"):
        assert (await admin.post(f"/{client_id}/secrets", days=days)).status_code == 422
    assert (await admin.post(f"/{client_id}/secrets", days="90", name="x" * 201)).status_code == 422
    assert len(await admin.shows(client_id)) == 2


async def test_to_revoke_says_first_what_it_does(admin: Person) -> None:
    client_id = (await admin.made()).client_id
    token = shown_in(await admin.post(f"/{client_id}/keys", days="never"))
    (one,) = await admin.shows(client_id)
    path = f"/{client_id}/credentials/{one.credential_id}/revoke"
    assert f'href="{admin.base}{path}"' in (await admin.get(f"/{client_id}")).text
    asked = text_of(await admin.get(path))
    assert "cannot be taken back" in asked
    assert "no other one that opens" in asked
    assert await admin.opens(token)
    assert (await admin.post(path)).status_code == 303
    assert not await admin.opens(token)
    told = text_of(await admin.get(f"/{client_id}"))
    assert "1 key or secret that no longer opens" in told
    assert "Revoked" in told
    assert "revoked already" in text_of(await admin.get(path))
    other = (await admin.made("Other")).client_id
    for wrong in (f"/{other}/credentials/{one.credential_id}/revoke", f"/{client_id}/credentials/{uuid4()}/revoke"):
        assert (await admin.get(wrong)).status_code == 404
        assert (await admin.post(wrong)).status_code == 404


async def test_public_keys_are_registered_and_private_ones_never_shown_again(admin: Person) -> None:
    client_id = (await admin.made()).client_id
    key = key_for("ES256")
    assert (await admin.post(f"/{client_id}/jwks", jwks=set_of(jwk_of(key, kid="2026")))).status_code == 303
    assert [one["kid"] for one in (await admin.now(client_id)).keys] == ["2026"]
    assert "2026 P-256 any that fits" in text_of(await admin.get(f"/{client_id}"))
    private = jwk_of(key, private=True)
    refused = await admin.post(f"/{client_id}/jwks", jwks=set_of(private))
    assert refused.status_code == 422
    assert "private" in text_of(refused)
    assert private["d"] not in refused.text
    assert (await admin.post(f"/{client_id}/jwks", jwks="x" * 60_000)).status_code == 422
    assert (await admin.post(f"/{client_id}/jwks", jwks="")).status_code == 303
    assert (await admin.now(client_id)).keys == ()


async def test_a_client_is_disabled_enabled_and_deleted(admin: Person) -> None:
    client_id = (await admin.made()).client_id
    token = shown_in(await admin.post(f"/{client_id}/keys", days="never"))
    assert (await admin.post(f"/{client_id}/disable")).status_code == 303
    assert not await admin.opens(token)
    assert "It is disabled" in text_of(await admin.get(f"/{client_id}"))
    assert (await admin.post(f"/{client_id}/enable")).status_code == 303
    assert await admin.opens(token)
    asked = text_of(await admin.get(f"/{client_id}/delete"))
    assert "1 key opens nothing any more" in asked
    assert await admin.opens(token)
    assert (await admin.post(f"/{client_id}/delete")).status_code == 303
    assert not await admin.opens(token)
    assert (await admin.get(f"/{client_id}")).status_code == 404
    assert "No API client yet" in text_of(await admin.get())


# ------------------------------------------------------------------ the list, and who sees what


async def test_the_list_is_searched_paged_and_exported(admin: Person) -> None:
    for number in range(30):
        await admin.made(f"Client {number:02}")
    async with admin.database.tenant(admin.tenant_id) as tx:
        rows, _ = await clients_queries.clients(tx, limit=1)
        await client_credentials.issue(tx, rows[0].client.client_id, "api_key", days=3)
    first = await admin.get()
    assert "Client 00" in text_of(first)
    assert "Expiring" in text_of(first)
    assert "Client 25" not in text_of(first)
    following = re.search(r'href="([^"]+)" rel="next"', first.text)
    assert following is not None
    second = await admin.http.get(unescape(following[1]))
    assert "Client 25" in text_of(second)
    assert "Client 00" not in text_of(second)
    newest = await admin.get(sort="-created_at")
    assert "Client 29" in text_of(newest)
    following = re.search(r'href="([^"]+)" rel="next"', newest.text)
    assert following is not None
    assert "Client 00" in text_of(await admin.http.get(unescape(following[1])))
    assert "Client 07" in text_of(await admin.get(q="ENT 07"))
    assert "called so" in text_of(await admin.get(q="nobody"))
    assert "no filter" in text_of(await admin.get(filter='name eq "x"'))
    exported = await admin.get(".csv", q="client 1")
    table = list(csv.DictReader(StringIO(exported.text.removeprefix("\ufeff"))))
    assert len(table) == 10
    assert table[0]["scopes"] == "people:read"


async def test_tokens_without_a_client_are_shown_and_revoked(admin: Person) -> None:
    async with admin.database.tenant(admin.tenant_id) as tx:
        script = await issue_token(tx, ["api:read"], "Nightly export")
        scim = await issue_token(tx, ["scim"], "Okta")
    listed = await admin.get()
    assert "Nightly export" in text_of(listed)
    assert "Okta" not in text_of(listed)
    path = f"/tokens/{script.credential_id}/revoke"
    assert f'href="{admin.base}{path}"' in listed.text
    assert "cannot be taken back" in text_of(await admin.get(path))
    assert await admin.opens(script.token)
    assert (await admin.post(path)).status_code == 303
    assert not await admin.opens(script.token)
    assert "Nightly export" not in text_of(await admin.get())
    assert "revoked already" in text_of(await admin.get(path))
    for other in (scim.credential_id, uuid4()):
        assert (await admin.get(f"/tokens/{other}/revoke")).status_code == 404
        assert (await admin.post(f"/tokens/{other}/revoke")).status_code == 404
    assert await admin.opens(scim.token)


@pytest.mark.parametrize("name", HOSTILE)
async def test_names_are_shown_as_they_are(admin: Person, name: str) -> None:
    client_id = (await admin.made(name)).client_id
    await admin.post(f"/{client_id}/keys", days="never", name=name)
    for page in (await admin.get(), await admin.get(f"/{client_id}"), await admin.get(f"/{client_id}/delete")):
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert "<img src=x" not in page.text
        assert name in unescape(page.text)


async def test_viewers_look_and_change_nothing(people: Browsers, admin: Person, tenant_id: TenantId) -> None:
    client_id = (await admin.made()).client_id
    await admin.post(f"/{client_id}/keys", days="never")
    (one,) = await admin.shows(client_id)
    for role in (Role.TENANT_VIEWER, Role.PLATFORM_VIEWER):
        viewer = await person(people, tenant_id, role)
        assert (await viewer.get()).status_code == 200
        page = await viewer.get(f"/{client_id}")
        assert page.status_code == 200
        assert f'action="{viewer.base}' not in page.text
        assert "/revoke" not in page.text
        for path in ("/new", f"/{client_id}/change", f"/{client_id}/delete"):
            assert (await viewer.get(path)).status_code == 403
        for path in ("disable", "enable", "delete", "keys", "secrets", "jwks", "change"):
            assert (await viewer.post(f"/{client_id}/{path}")).status_code == 403, path
        assert (await viewer.post(f"/{client_id}/credentials/{one.credential_id}/revoke")).status_code == 403
        assert (await viewer.post("/new", "people:read", name="X")).status_code == 403
    assert len(await admin.shows(client_id)) == 1


async def test_another_tenants_client_is_not_there(people: Browsers, admin: Person, make_tenant: MakeTenant) -> None:
    theirs = (await admin.made()).client_id
    other = await person(people, await make_tenant())
    for path in (f"/{theirs}", f"/{theirs}/change", f"/{theirs}/delete", f"/{uuid4()}", "/nobody"):
        assert (await other.get(path)).status_code == 404, path
    for path in ("disable", "enable", "delete"):
        assert (await other.post(f"/{theirs}/{path}")).status_code == 404
    assert (await other.post(f"/{theirs}/keys", days="never")).status_code == 404
    assert (await other.post(f"/{theirs}/jwks", jwks="")).status_code == 404
    assert (await other.post(f"/{theirs}/change", "people:read", name="X")).status_code == 404
    assert (await admin.now(theirs)).disabled_at is None


def test_every_scope_can_be_chosen() -> None:
    # A resource without a name for people would fail the page of the form, which names each.
    assert {one for resource in resources() for one in (resource.read, resource.write) if one} == set(SCOPES)
