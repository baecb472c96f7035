"""Suites of others against a running server. They find what we would not think of."""

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass

import httpx2
import pytest
import uvicorn
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server
from scim2_tester.utils import CheckResult
from starlette.applications import Starlette

from stoa.db.database import Database
from stoa.identity.scim.routes import scim_routes
from tests.identity.conftest import MakeScim


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


def scim2_tester(address: str, token: str) -> list[CheckResult]:
    """All of its checks."""
    with httpx2.Client(base_url=address, headers={"Authorization": f"Bearer {token}"}, timeout=30) as http:
        return check_server(SyncSCIMClient(http))


Suite = Callable[[str, str], list[CheckResult]]
Check = Callable[..., Awaitable[None]]


@pytest.mark.all
async def test_scim2_tester_finds_nothing_in_two_tenants_at_once(running: Running, make_scim: MakeScim) -> None:
    tenants = [await make_scim(), await make_scim()]
    runs = await asyncio.gather(
        *(asyncio.to_thread(scim2_tester, running.base_url + one.base, one.issued.token) for one in tenants)
    )
    for results in runs:
        found = [f"{one.title}: {one.reason}" for one in results if one.status is not Status.SUCCESS]
        assert found == []
        # The suite says nothing when discovery leaves it without a resource to try.
        assert Counter(one.resource_type for one in results)["User"] > 50
