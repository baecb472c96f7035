"""A tenant with a dispatcher before it, whose clock stands still until it is moved, and receivers on loopback."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import asyncpg
import msgspec
import pytest

from stoa.analytics.webhooks import actions, queries
from stoa.analytics.webhooks.dispatcher import SLOTS, SLOTS_EACH, Dispatcher
from stoa.analytics.webhooks.line import Desk
from stoa.analytics.webhooks.model import Attempt, Delivery, Endpoint, Made, Settings
from stoa.analytics.webhooks.sending import Way
from stoa.analytics.webhooks.slots import Slots
from stoa.changes.rendering import render_changes
from stoa.db import embedded
from stoa.db.database import Database, open_database
from stoa.db.transactions import TenantTx
from stoa.events.actions import emit
from stoa.events.model import Event
from stoa.events.sequencer import Sequencer
from stoa.kernel.ids import EndpointId, TenantId
from stoa.outbound.http import HttpClient
from stoa.outbound.model import Timeouts
from stoa.tenants.sealing import Sealer
from tests.conftest import ConnectArgs, MakeTenant
from tests.outbound.server import Answer, Seen, Served, plain, reply, serving

BASE = "https://stoa.example"
OK = reply(204)
_numbers = count(1)


class TestClock:
    """Stands at a moment of today until it is moved."""

    __test__ = False

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass
class Ground:
    """What a test stands on."""

    database: Database
    tenant_id: TenantId
    clock: TestClock
    sealer: Sealer
    client: HttpClient
    stack: AsyncExitStack
    make_tenant: MakeTenant
    allow: set[str] = field(default_factory=set[str])
    others: list[TenantId] = field(default_factory=list[TenantId])
    slots: tuple[int, int] = (SLOTS, SLOTS_EACH)
    timeouts: Timeouts = field(default_factory=lambda: Timeouts(connect=2, read=2, total=2))

    async def other_tenant(self) -> TenantId:
        made = await self.make_tenant()
        self.others.append(made)
        return made

    async def receiver(self, *answers: bytes, answer: Answer | None = None) -> Served:
        """A receiver that gives these answers in turn, the last one again and again; 204 without any."""
        served = await self.stack.enter_async_context(serving(answer or plain(*(answers or (OK,)))))
        self.allow.add(served.pair)
        return served

    async def endpoint(self, to: Served | str, where: str = "", tenant_id: TenantId | None = None) -> Made:
        url = to if isinstance(to, str) else f"{to.url}/hook"
        async with self.database.tenant(tenant_id or self.tenant_id) as tx:
            settings = Settings(url, "For tests", where, "owner@acme.example")
            made = await actions.create_endpoint(tx, self.sealer, settings, allow=self.allow)
        # What was told of it is no part of the test.
        await self.number()
        async with self.database.tenant(tenant_id or self.tenant_id) as tx:
            one = await actions.found(tx, made.endpoint.endpoint_id)
            await actions.pass_over(tx, one, await actions.last_seq(tx))
        return made

    def desk(self, *, linger: float = 0.0, chance: float = 0.0) -> Desk:
        """Without lingering: what was done is written down at once."""
        way = Way(self.client, frozenset(self.allow), self.timeouts)
        return Desk(
            *(self.database, self.sealer, way, Slots(*self.slots), BASE),
            *(render_changes, lambda: chance, linger),
        )

    async def number(self) -> None:
        while await Sequencer(self.database).run_once():
            pass

    async def happen(self, *types: str, tenant_id: TenantId | None = None) -> None:
        """Events, each in a transaction of its own, numbered."""
        for type_ in types:
            async with self.database.tenant(tenant_id or self.tenant_id) as tx:
                emit(tx, Event(type_, f"thing-{next(_numbers)}", {"after": {"name": "Zoë"}}))
        await self.number()

    async def dispatch(self, **more: Any) -> int:
        return await Dispatcher(self.desk(**more)).run_once()

    async def act(self, does: Callable[[TenantTx], Awaitable[Any]]) -> Any:
        async with self.database.tenant(self.tenant_id) as tx:
            return await does(tx)

    async def state(self, made: Made) -> Endpoint:
        async with self.database.tenant(self.tenant_id) as tx:
            found = await queries.endpoint(tx, made.endpoint.endpoint_id, deleted=True)
        assert found is not None
        return found

    async def deliveries(self, made: Made) -> list[Delivery]:
        """The oldest first."""
        async with self.database.tenant(self.tenant_id) as tx:
            rows = await tx.fetch(
                f"""SELECT {queries.DELIVERY_COLUMNS} FROM webhook_delivery d
                WHERE d.tenant_id = $1 AND d.endpoint_id = $2 ORDER BY d.delivery_id""",
                *(tx.tenant_id, made.endpoint.endpoint_id),
            )
        return [queries.delivery_of(row) for row in rows]

    async def attempts(self, delivery: Delivery) -> list[Attempt]:
        async with self.database.tenant(self.tenant_id) as tx:
            return await queries.attempts(tx, delivery.delivery_id)

    async def alerts(self) -> list[tuple[str, str, str]]:
        async with self.database.tenant(self.tenant_id) as tx:
            rows = await tx.fetch(
                "SELECT kind, severity, state FROM alert WHERE tenant_id = $1 ORDER BY first_at, kind", tx.tenant_id
            )
        return [(row["kind"], row["severity"], row["state"]) for row in rows]


@pytest.fixture
async def ground(
    server: embedded.Server, connect_args: ConnectArgs, make_tenant: MakeTenant, sealer: Sealer
) -> AsyncGenerator[Ground]:
    # A dispatcher serves every tenant: what other tests left is not its business here.
    admin = await asyncpg.connect(server.admin_dsn.replace("/postgres?", "/stoa?"))
    await admin.execute("UPDATE webhook_endpoint SET deleted_at = now() WHERE deleted_at IS NULL")
    await admin.close()
    clock = TestClock()
    database = await open_database(connect_args, clock=clock)
    tenant_id = await make_tenant(owner_email="owner@acme.example")
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(HttpClient())
        made = Ground(database, tenant_id, clock, sealer, client, stack, make_tenant)
        # What was told of making the tenant comes first in its log.
        await made.number()
        yield made
    await database.close()


def types_of(served: Served) -> list[str]:
    """The types of the events that came, in order."""
    return [msgspec.json.decode(seen.body)["type"] for seen in served.seen]


def ids_of(served: Served) -> list[str]:
    """The webhook-ids that came, in order."""
    return [seen.headers["webhook-id"] for seen in served.seen]


async def hang(_: Seen, __: asyncio.StreamWriter) -> None:
    """Takes the request and never answers."""
    await asyncio.Event().wait()


__all__ = ["BASE", "EndpointId", "Ground", "TestClock", "hang", "ids_of", "replace", "types_of"]
