"""People over the public API as tests speak of them."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx2

from stoa.db import embedded
from stoa.db.database import Database
from stoa.kernel.ids import TenantId
from tests.api.calling import serving, token_of

OWN = "Portal"
EVERYTHING = ("api:read", "api:write")


@asynccontextmanager
async def client_of(
    server: embedded.Server, database: Database, tenant_id: TenantId, source: str | None = OWN
) -> AsyncGenerator[httpx2.AsyncClient]:
    """A client of a tenant that asserts in the name of a source of its own."""
    async with serving(server, await token_of(database, tenant_id, EVERYTHING, source=source)) as client:
        yield client


def key(text: str | None = None) -> dict[str, str]:
    """The header of one piece of work."""
    return {"Idempotency-Key": text or str(uuid4())}


async def created(client: httpx2.AsyncClient, **said: Any) -> dict[str, Any]:
    """A person who was just made."""
    answer = await client.post("/v1/people", json=said, headers=key())
    assert answer.status_code == 201, answer.text
    return answer.json()


async def people(client: httpx2.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    """Everybody, over as many pages as it takes."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        asked = {**query, **({} if cursor is None else {"cursor": cursor})}
        answer = await client.get("/v1/people", params=asked)
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return found


def names(found: list[dict[str, Any]]) -> list[str]:
    """What they are called."""
    return [one["display_name"] for one in found]
