"""Who gets into the public API, and what strangers are told."""

from collections.abc import AsyncGenerator
from datetime import timedelta

import httpx2
import pytest

from stoa.access.actions import issue_token, revoke
from stoa.access.scopes import ALL_READ, ALL_WRITE, SCOPES
from stoa.db import embedded
from stoa.db.database import Database
from stoa.kernel.ids import TenantId
from stoa.people.actions import provision
from stoa.people.model import Asserted, Provisioned
from stoa.tenants.actions import ensure_source

from ..conftest import MakeTenant
from .calling import serving, token_of


@pytest.fixture
async def client(
    server: embedded.Server, database: Database, tenant_id: TenantId
) -> AsyncGenerator[httpx2.AsyncClient]:
    """May read and write everything of its tenant."""
    async with serving(server, await token_of(database, tenant_id)) as opened:
        yield opened


async def make_person(database: Database, tenant_id: TenantId, name: str = "Ada") -> str:
    """A person of a source called Okta; gives the id."""
    async with database.tenant(tenant_id) as tx:
        source = await ensure_source(tx, "idp", "Okta")
        made = await provision(tx, source.source_id, Asserted({"user_name": name, "display_name": name}, active=True))
    assert isinstance(made, Provisioned)
    return str(made.record.person_id)


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "Bearer",
        "Basic dXNlcjpwYXNz",
        "Bearer stoa_api_short",
        f"Bearer stoa_api_{'x' * 43}",
        f"Bearer {'y' * 5000}",
        "Bearer caf\xe9",
    ],
)
async def test_nobody_gets_in_without_a_token_that_opens(client: httpx2.AsyncClient, given: str | None) -> None:
    headers = {} if given is None else {"Authorization": given.encode("latin-1")}
    client.headers.pop("Authorization")
    answer = await client.get("/v1/me", headers=headers)
    assert answer.status_code == 401
    shown = ', error="invalid_token"' if given is not None and given.startswith("Bearer ") else ""
    assert answer.headers["WWW-Authenticate"] == f'Bearer realm="stoa"{shown}'
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "not_authenticated"
    assert answer.json()["trace_id"] == answer.headers["X-Request-Id"]


async def test_who_calls_is_told_what_they_are(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/v1/me")
    assert answer.status_code == 200
    assert answer.json()["scopes"] == ["api:read", "api:write"]
    assert answer.headers["Cache-Control"] == "no-store"


async def test_a_revoked_token_is_refused_at_once(
    server: embedded.Server, database: Database, tenant_id: TenantId
) -> None:
    async with database.tenant(tenant_id) as tx:
        issued = await issue_token(tx, ["api:read"], "soon gone")
    async with serving(server, issued.token) as caller:
        assert (await caller.get("/v1/tenant")).status_code == 200
        async with database.tenant(tenant_id) as tx:
            await revoke(tx, issued.credential_id)
        assert (await caller.get("/v1/tenant")).status_code == 401


async def test_an_expired_token_is_refused(server: embedded.Server, database: Database, tenant_id: TenantId) -> None:
    async with database.tenant(tenant_id) as tx:
        issued = await issue_token(tx, ["api:read"], "short", expires_at=tx.now + timedelta(hours=1))
        await tx.execute(
            "UPDATE credential SET expires_at = $3 WHERE tenant_id = $1 AND credential_id = $2",
            *(tenant_id, issued.credential_id, tx.now - timedelta(seconds=1)),
        )
    async with serving(server, issued.token) as caller:
        assert (await caller.get("/v1/tenant")).status_code == 401


@pytest.mark.parametrize(
    ("scopes", "path", "status"),
    [
        (["people:read"], "/v1/people", 200),
        (["people:read"], "/v1/runs", 403),
        (["people:write"], "/v1/people", 403),
        (["api:write"], "/v1/people", 403),
        (["api:read"], "/v1/alerts", 200),
        (["scim"], "/v1/people", 403),
        (["scim"], "/v1/me", 200),
    ],
)
async def test_a_scope_opens_its_resource_and_verb_alone(
    server: embedded.Server, database: Database, tenant_id: TenantId, scopes: list[str], path: str, status: int
) -> None:
    async with serving(server, await token_of(database, tenant_id, scopes)) as caller:
        answer = await caller.get(path)
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["code"] == "insufficient_scope"
        wanted = answer.json()["scope"]
        assert wanted.endswith(":read")
        told = f'Bearer realm="stoa", error="insufficient_scope", scope="{wanted}"'
        assert answer.headers["WWW-Authenticate"] == told


async def test_reading_does_not_open_what_changes(
    server: embedded.Server, database: Database, tenant_id: TenantId
) -> None:
    async with serving(server, await token_of(database, tenant_id, ["api:read"])) as caller:
        answer = await caller.post(f"/v1/runs/{tenant_id}/approve", json={})
    assert (answer.status_code, answer.json()["scope"]) == (403, "runs:write")


async def test_nothing_of_another_tenant_is_there(
    server: embedded.Server, database: Database, tenant_id: TenantId, make_tenant: MakeTenant
) -> None:
    other = await make_tenant()
    person = await make_person(database, other)
    async with serving(server, await token_of(database, other)) as caller:
        assert (await caller.get(f"/v1/people/{person}")).status_code == 200
        own = (await caller.get("/v1/people?limit=1")).json()
    async with serving(server, await token_of(database, tenant_id)) as caller:
        for path in (f"/v1/people/{person}", "/v1/people/external:Okta:x"):
            assert (await caller.get(path)).status_code == 404
        assert (await caller.get("/v1/people")).json()["items"] == []
    assert [one["id"] for one in own["items"]] == [person]


async def test_a_header_cannot_choose_the_tenant(
    server: embedded.Server, database: Database, tenant_id: TenantId, make_tenant: MakeTenant
) -> None:
    other = await make_tenant()
    headers = {"X-Tenant-Id": str(other), "Tenant": str(other), "Host": "other.example"}
    async with serving(server, await token_of(database, tenant_id)) as caller:
        answer = await caller.get("/v1/tenant", headers=headers)
    assert answer.json()["id"] == str(tenant_id)


async def test_every_scope_opens_something(server: embedded.Server) -> None:
    async with serving(server) as client:
        document = (await client.get("/v1/openapi.json")).json()
    asked = {
        scope
        for methods in document["paths"].values()
        for operation in methods.values()
        for one in operation["security"]
        for scope in one.get("oauth2", ())
    }
    assert asked == set(SCOPES) - {ALL_READ, ALL_WRITE}
