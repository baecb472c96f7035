"""How many requests of one tenant are worked on at once."""

import asyncio
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette

from stoa.access.budgets import Budgets
from stoa.api.entering import WORKED_ON_AT_ONCE
from stoa.api.operations import Answer, Call, Operation
from stoa.api.serving import Service, with_api
from stoa.db.database import Database
from stoa.db.keyring import SealingKey
from stoa.kernel.ids import TenantId
from stoa.tenants.sealing import Sealer
from tests.api.calling import BASE_URL, token_of
from tests.conftest import MakeTenant


@pytest.mark.parametrize("many", [3 * WORKED_ON_AT_ONCE])
async def test_one_tenants_slow_requests_leave_connections_to_others(
    database: Database, tenant_id: TenantId, make_tenant: MakeTenant, many: int
) -> None:
    go_on, full = asyncio.Event(), asyncio.Event()
    inside = most = 0

    async def slow(call: Call[Any, None]) -> Answer:
        nonlocal inside, most
        if call.tx.tenant_id == tenant_id:
            inside += 1
            most = max(most, inside)
            if inside >= WORKED_ON_AT_ONCE:
                full.set()
            await go_on.wait()
            inside -= 1
        return Answer(204)

    operation = Operation(
        id="getSlow", method="GET", path="/v1/slow", tag="Test", summary="Wait", scope=None, handler=slow,
        answers={204: None},
    )  # fmt: skip
    sealer = Sealer((SealingKey("test", bytes(32)),))
    service = Service(database, Budgets(database), BASE_URL, asyncio.Event(), sealer)
    transport = httpx2.ASGITransport(with_api(Starlette(), service, (operation,)))
    own, other = [await token_of(database, one) for one in (tenant_id, await make_tenant())]
    async with httpx2.AsyncClient(transport=transport, base_url=BASE_URL) as client:

        async def ask(token: str) -> int:
            return (await client.get("/v1/slow", headers={"Authorization": f"Bearer {token}"})).status_code

        waiting = [asyncio.create_task(ask(own)) for _ in range(many)]
        async with asyncio.timeout(10):
            await full.wait()
            assert await ask(other) == 204
        go_on.set()
        assert await asyncio.gather(*waiting) == [204] * many
    assert most == WORKED_ON_AT_ONCE
