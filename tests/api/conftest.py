"""A client of the API, and who asks for its tokens."""

from collections.abc import AsyncGenerator
from uuid import uuid4

import httpx2
import pytest

from stoa.access import client_credentials, clients
from stoa.access.clients_rules import Terms
from stoa.db import embedded
from stoa.db.database import Database
from stoa.kernel.ids import TenantId
from tests.api.asking import Made
from tests.api.calling import serving


@pytest.fixture
async def made(database: Database, tenant_id: TenantId) -> Made:
    """An API client with a secret."""
    async with database.tenant(tenant_id) as tx:
        found = await clients.create_client(tx, Terms("Portal", ["people:read", "people:write", "events:read"]))
        secret = await client_credentials.issue(tx, found.client_id, "client_secret")
    return Made(tenant_id, found.client_id, secret)


@pytest.fixture
async def http(server: embedded.Server) -> AsyncGenerator[httpx2.AsyncClient]:
    """Asks from an address of its own: what it is refused counts for that address alone."""
    async with serving(server, peer=(f"2001:db8:{uuid4().hex[:4]}:{uuid4().hex[:4]}::1", 50000)) as client:
        yield client
