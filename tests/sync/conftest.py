"""A tenant with a Workday connection to a simulated company, and a worker for its runs."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stoa.changes import actions, queries
from stoa.changes.actions import SOURCE_JOB
from stoa.changes.model import NewRun, Run, RunKind
from stoa.db.database import Database
from stoa.jobs.model import Outcome
from stoa.jobs.worker import Worker
from stoa.kernel.ids import RunId, TenantId
from stoa.outbound.http import HttpClient
from stoa.people.journal import TARGET
from stoa.people.target import People
from stoa.sync.actions import connect, request_sync
from stoa.sync.connectors import discover
from stoa.sync.jobs import SourceWorker
from stoa.sync.opening import Opener
from stoa.sync.planning import Planner
from stoa.tenants.model import Connection
from stoa.tenants.sealing import Sealer
from stoa_simulators.company import Status
from stoa_simulators.estate import Tenancy, build_estate
from stoa_simulators.server import create_app
from stoa_simulators.workday.faults import FaultKind, make_fault
from tests.conftest import MakeTenant
from tests.hosting import Host

PEOPLE = 120
HASH_KEY = b"0123456789abcdef0123456789abcdef"


@dataclass
class Office:
    """One tenant, its company and its connection. `offset` is how far the tenant's days are ahead."""

    database: Database
    tenant_id: TenantId
    tenancy: Tenancy
    connection: Connection
    worker: Worker
    source_worker: SourceWorker
    config: dict[str, Any]
    offset: dict[TenantId, timedelta] = field(default_factory=dict[TenantId, timedelta])

    def fault(self, kind: str, requests: int | None = None, column: str | None = None) -> None:
        """Breaks the report until it is mended."""
        self.tenancy.report.fault = make_fault(FaultKind(kind), column, requests, None)

    def mend(self) -> None:
        self.tenancy.report.fault = None

    def a_day_passes(self, days: int = 1) -> None:
        """In the company and for the tenant."""
        self.tenancy.company.advance(days)
        self.time_passes(days)

    def time_passes(self, days: int = 1) -> None:
        """For the tenant alone."""
        self.offset[self.tenant_id] = self.offset.get(self.tenant_id, timedelta()) + timedelta(days=days)

    def someone_leaves_in(self, days: int) -> str:
        """Gives an active worker a last day; the worker's id."""
        company = self.tenancy.company
        leaver = next(p for p in reversed(company.people.values()) if p.status is Status.ACTIVE)
        company.people[leaver.employee_id] = replace(leaver, termination_date=company.today + timedelta(days=days))
        return leaver.employee_id

    async def ask(self, *, plan_only: bool = False) -> Run:
        """A queued run."""
        async with self.database.tenant(self.tenant_id) as tx:
            return await request_sync(tx, self.connection, TARGET, plan_only=plan_only)

    async def work(self) -> Outcome | None:
        """Works off what is open."""
        return await self.worker.claim_one(SOURCE_JOB, str(self.connection.source_id), self.tenant_id)

    async def run(self, run_id: RunId) -> Run:
        async with self.database.tenant(self.tenant_id, read_only=True) as tx:
            return await queries.run_by_id(tx, run_id)

    async def sync(self, *, plan_only: bool = False) -> Run:
        """A run as far as it goes without a person."""
        asked = await self.ask(plan_only=plan_only)
        await self.work()
        return await self.run(asked.run_id)

    async def due(self) -> Run:
        """The run of the dates that have come."""
        async with self.database.tenant(self.tenant_id) as tx:
            asked = await actions.queue_run(tx, NewRun(RunKind.DUE, TARGET, self.connection.source_id))
        await self.work()
        return await self.run(asked.run_id)

    async def approve(self, run: Run) -> Run:
        async with self.database.tenant(self.tenant_id) as tx:
            await actions.approve(tx, run.run_id)
        await self.work()
        return await self.run(run.run_id)

    async def roll_back(self, run: Run) -> Run:
        async with self.database.tenant(self.tenant_id) as tx:
            asked = await actions.queue_rollback(tx, run.run_id)
        await self.work()
        return await self.run(asked.run_id)

    async def fetch(self, sql: str) -> list[dict[str, Any]]:
        """Rows of the tenant."""
        async with self.database.tenant(self.tenant_id, read_only=True) as tx:
            return [dict(row) for row in await tx.fetch(sql, self.tenant_id)]

    async def alerts(self) -> list[tuple[str, str]]:
        """Kind and state of each alert, the oldest first."""
        rows = await self.fetch("SELECT kind, state FROM alert WHERE tenant_id = $1 ORDER BY first_at, alert_id")
        return [(row["kind"], row["state"]) for row in rows]


OpenOffice = Callable[..., Awaitable[Office]]


async def _at_once(_: float) -> None:
    """Waits of the client take no time here."""
    await asyncio.sleep(0)


@pytest.fixture
async def open_office(
    database: Database, sealer: Sealer, make_tenant: MakeTenant, host: Host
) -> AsyncGenerator[OpenOffice]:
    """Makes an office; keyword arguments are those of the connection's settings."""
    offsets: dict[TenantId, timedelta] = {}

    async def offset_of(tenant_id: TenantId) -> timedelta:
        return offsets.get(tenant_id, timedelta())

    database.use_clock_offset(offset_of)
    estate = build_estate(companies=1, people=PEOPLE, seed=11, start=datetime.now(UTC).date())
    ((slug, tenancy),) = estate.items()
    address = host.address
    with host.serving(create_app(estate)):
        async with HttpClient(sleep=_at_once) as client:
            opener = Opener(discover(("stoa.hris",)), sealer, client, frozenset({address}))
            source_worker = SourceWorker(Planner(People(), opener, HASH_KEY))

            async def make(**more: Any) -> Office:
                tenant_id = await make_tenant(owner_email=f"owner@{slug}.example", sandbox=True)
                report = tenancy.report
                config = {"url": f"http://{address}{report.path}", "username": report.user, "password": report.password}
                config = json.loads(json.dumps(config | {"format": "json"} | more))
                async with database.tenant(tenant_id) as tx:
                    connection = await connect(tx, opener, "workday", None, config)
                worker = Worker(database, source_worker.handlers())
                return Office(database, tenant_id, tenancy, connection, worker, source_worker, config, offsets)

            yield make


@pytest.fixture
async def office(open_office: OpenOffice) -> Office:
    """An office whose first report is applied."""
    made = await open_office()
    first = await made.sync()
    assert (first.state, first.counts["create"]) == ("applied", PEOPLE)
    return made
