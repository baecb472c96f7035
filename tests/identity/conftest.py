"""A SCIM client of a tenant, over HTTP, in this process."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import uvicorn
from starlette.applications import Starlette

from stoa.access.actions import issue_token
from stoa.db.database import Database
from stoa.identity.scim.routes import scim_routes
from stoa.kernel.ids import CredentialId, SourceId, TenantId
from stoa.tenants.actions import ensure_source
from stoa.tenants.queries import tenant as tenant_of
from tests.conftest import MakeTenant

HOST = "http://127.0.0.1:8000"
ScimToken = Callable[..., Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Issued:
    """A token with what is behind it."""

    token: str
    credential_id: CredentialId
    source_id: SourceId


async def issue(
    database: Database, tenant_id: TenantId, *, source: str = "Okta", scopes: tuple[str, ...] = ("scim",), **more: Any
) -> Issued:
    """A token of one of the tenant's sources."""
    async with database.tenant(tenant_id) as tx:
        made = await ensure_source(tx, "idp", source)
        issued = await issue_token(tx, scopes, f"{source} SCIM", made.source_id, **more)
    return Issued(issued.token, issued.credential_id, made.source_id)


@pytest.fixture
async def scim_token(database: Database) -> ScimToken:
    """Gives the text of a token with the scope `scim`."""

    async def give(tenant_id: TenantId, **more: Any) -> str:
        return (await issue(database, tenant_id, **more)).token

    return give


class Scim:
    """A tenant's SCIM address with a token."""

    def __init__(self, http: httpx2.AsyncClient, slug: str, tenant_id: TenantId, issued: Issued) -> None:
        self.http = http
        self.slug = slug
        self.tenant_id = tenant_id
        self.issued = issued
        self.base = f"/t/{slug}/scim/v2"
        self.headers = {"Authorization": f"Bearer {issued.token}", "Accept": "application/scim+json"}

    async def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content: Any = None,
        headers: dict[str, str] | None = None,
        params: Any = None,
    ) -> httpx2.Response:
        sent = self.headers | (
            {"Content-Type": "application/scim+json"} if body is not None or content is not None else {}
        )
        return (
            await self.http.request(
                method, self.base + path, json=body, content=content, headers=sent | (headers or {}), params=params
            )
            if body is not None
            else await self.http.request(
                method, self.base + path, content=content, headers=sent | (headers or {}), params=params
            )
        )

    async def make(self, user_name: str, **more: Any) -> dict[str, Any]:
        """A user by POST."""
        answer = await self("POST", "/Users", {"schemas": [], "userName": user_name} | more)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def get(self, identity: str) -> dict[str, Any]:
        """A user as it is now, without its meta."""
        answer = await self("GET", f"/Users/{identity}")
        assert answer.status_code == 200, answer.text
        found = answer.json()
        del found["meta"]
        return found

    async def patch(self, identity: str, *operations: dict[str, Any]) -> dict[str, Any]:
        """A PATCH that succeeds."""
        answer = await self("PATCH", f"/Users/{identity}", patch_body(*operations))
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def find(self, text: str) -> list[dict[str, Any]]:
        """The users that a filter admits."""
        answer = await self("GET", "/Users", params={"filter": text})
        assert answer.status_code == 200, answer.text
        assert answer.json()["totalResults"] == len(answer.json()["Resources"])
        return answer.json()["Resources"]


def patch_body(*operations: dict[str, Any]) -> dict[str, Any]:
    """A PatchOp message."""
    return {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": list(operations)}


@dataclass(frozen=True, slots=True)
class Running:
    """A server that listens on the loopback."""

    base_url: str


@pytest.fixture
async def running(database: Database) -> AsyncGenerator[Running]:
    """The SCIM routes behind uvicorn."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        app = Starlette(routes=list(scim_routes(database, base_url=base_url)))
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", ws="none", log_level="warning"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        yield Running(base_url)
        server.should_exit = True
        await serving


MakeScim = Callable[..., Awaitable[Scim]]


@pytest.fixture
async def http(database: Database) -> AsyncGenerator[httpx2.AsyncClient]:
    """Speaks to the routes in this process."""
    app = Starlette(routes=list(scim_routes(database, base_url=HOST)))
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url=HOST) as client:
        yield client


@pytest.fixture
async def make_scim(database: Database, make_tenant: MakeTenant, http: httpx2.AsyncClient) -> MakeScim:
    """A client of a tenant, a fresh one unless another is named."""

    async def make(tenant_id: TenantId | None = None, **more: Any) -> Scim:
        chosen = tenant_id or await make_tenant()
        async with database.tenant(chosen) as tx:
            slug = (await tenant_of(tx)).slug
        return Scim(http, slug, chosen, await issue(database, chosen, **more))

    return make


@pytest.fixture
async def scim(make_scim: MakeScim) -> Scim:
    """A client of a fresh tenant."""
    return await make_scim()
