"""The event browser while somebody looks: over real HTTP, and in a browser."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import httpx2
import pytest
import uvicorn
from starlette.types import ASGIApp

from stoa.access.permissions import Role
from stoa.analytics.stream.pages import event_pages
from stoa.db.database import Database
from stoa.kernel.ids import TenantId
from stoa.people.queries import person_names
from stoa.tenants.queries import tenant

from ...api.calling import BASE_URL
from ...web.signed_in import Browsers, application_of
from .writing import number, write


@dataclass(frozen=True)
class Rows:
    """What a piece of the stream brought: its number, and the rows as HTML."""

    id: str
    html: str


async def pieces(answer: httpx2.Response) -> AsyncGenerator[Rows]:
    """The pieces as they come."""
    number, data = "", list[str]()
    async for line in answer.aiter_lines():
        name, _, value = line.partition(": ")
        match name:
            case "id":
                number = value
            case "data":
                data.append(value)
            case "" if not line and data:
                yield Rows(number, "\n".join(data))
                data = []
            case _:
                pass


@pytest.fixture
async def address(database: Database, tenant_id: TenantId) -> str:
    """Of the tenant's events, of which there are some."""
    await write(database, tenant_id, "domain:a.example")
    async with database.tenant(tenant_id) as tx:
        return f"/console/t/{(await tenant(tx)).slug}/events"


@pytest.fixture
async def viewer(database: Database, tenant_id: TenantId) -> AsyncGenerator[httpx2.AsyncClient]:
    """Before the pages on a port of this machine."""
    app = application_of(database, lambda shell: event_pages(shell, BASE_URL, person_names))
    async with AsyncExitStack() as stack, real(app) as base_url:
        signed_in = await Browsers(app, database, stack).of(Role.TENANT_VIEWER, tenant_id)
        async with httpx2.AsyncClient(base_url=base_url, timeout=20) as client:
            client.cookies.set("stoa_session", signed_in.cookies["stoa_session"])
            yield client


@asynccontextmanager
async def real(app: ASGIApp) -> AsyncGenerator[str]:
    """An application behind uvicorn; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, lifespan="off", ws="none", log_level="critical", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        await serving


async def test_new_events_come_in_by_themselves(
    viewer: httpx2.AsyncClient, address: str, database: Database, tenant_id: TenantId
) -> None:
    async with viewer.stream("GET", f"{address}/live?after=3") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        found = pieces(answer)
        await write(database, tenant_id, "domain:b.example")
        first = await asyncio.wait_for(anext(found), 15)
        assert "domain:b.example" in first.html
        assert "domain:a.example" not in first.html
        assert "<tr>" in first.html
        await write(database, tenant_id, "domain:c.example")
        second = await asyncio.wait_for(anext(found), 15)
        assert "domain:c.example" in second.html
        assert int(second.id) == int(first.id) + 1
    # A browser that connects anew says what it had last.
    async with viewer.stream("GET", f"{address}/live?after=3", headers={"Last-Event-ID": first.id}) as answer:
        again = await asyncio.wait_for(anext(pieces(answer)), 15)
        assert "domain:c.example" in again.html
        assert "domain:b.example" not in again.html


async def test_what_is_followed_is_what_the_filter_lets_through(
    viewer: httpx2.AsyncClient, address: str, database: Database, tenant_id: TenantId
) -> None:
    async with viewer.stream("GET", f"{address}/live", params={"after": "0", "q": "b.example"}) as answer:
        found = pieces(answer)
        await write(database, tenant_id, "domain:b.example", "domain:c.example")
        first = await asyncio.wait_for(anext(found), 15)
        assert "domain:b.example" in first.html
        assert "domain:c.example" not in first.html
    await number(database, tenant_id)
