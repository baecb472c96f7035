"""Clients of the public API as the web process serves it, without a network."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import uvicorn

from stoa.access.actions import issue_token
from stoa.composition import Store, platform
from stoa.db import embedded
from stoa.db.database import Database
from stoa.kernel.ids import SourceId, TenantId
from stoa.main import serve
from stoa.settings import Settings
from stoa.tenants.actions import ensure_source

BASE_URL = "http://127.0.0.1:8000"
HERE = ("127.0.0.1", 50000)


@asynccontextmanager
async def serving(
    server: embedded.Server, token: str | None = None, peer: tuple[str, int] = HERE, development: bool = False
) -> AsyncGenerator[httpx2.AsyncClient]:
    """A client of the whole application on a server's database, with a token in its hand."""
    settings = Settings.model_validate(
        {"state_dir": Path("/nonexistent"), "base_url": BASE_URL, "development": development}
    )
    async with platform(settings, Store(server.url, server.keyring_path)) as parts:
        transport = httpx2.ASGITransport(serve(parts), raise_app_exceptions=False, client=peer)
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        async with httpx2.AsyncClient(transport=transport, base_url=BASE_URL, headers=headers) as client:
            yield client


@asynccontextmanager
async def listening(server: embedded.Server) -> AsyncGenerator[str]:
    """The whole application behind uvicorn; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        settings = Settings.model_validate({"state_dir": Path("/nonexistent"), "base_url": base_url})
        async with platform(settings, Store(server.url, server.keyring_path)) as parts:
            running = uvicorn.Server(uvicorn.Config(serve(parts), lifespan="off", ws="none", log_level="warning"))
            task = asyncio.create_task(running.serve(sockets=[listener]))
            yield base_url
            running.should_exit = True
            await task


async def token_of(
    database: Database,
    tenant_id: TenantId,
    scopes: Iterable[str] = ("api:read", "api:write"),
    *,
    source: str | None = None,
) -> str:
    """A token of the tenant with these scopes; with a source's name, one that asserts in that source's name."""
    async with database.tenant(tenant_id) as tx:
        source_id: SourceId | None = None
        if source is not None:
            source_id = (await ensure_source(tx, "api", source)).source_id
        return (await issue_token(tx, scopes, "test", source_id)).token
