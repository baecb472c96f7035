"""The pages of runs before a browser that runs no scripts, and runs in every state to look at."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx2
import pytest
import uvicorn
from starlette.types import ASGIApp

from stoa.access.permissions import Role
from stoa.changes import queries
from stoa.changes.counting import counted
from stoa.changes.model import Action, NewRun, Run, RunKind, RunState
from stoa.changes.pages import run_pages
from stoa.changes.rules import DEFAULT_THRESHOLDS, tripped
from stoa.db.database import Database
from stoa.kernel.ids import RunId, SourceId, TenantId
from stoa.people.queries import person_names
from stoa.people.target import People
from stoa.tenants.queries import tenant as tenant_of
from tests.conftest import MakeTenant
from tests.people import making
from tests.web.signed_in import Browsers, application_of, browsers


@dataclass
class Desk:
    """Somebody signed in before one tenant, and that tenant's Workday."""

    http: httpx2.AsyncClient
    database: Database
    tenant_id: TenantId
    slug: str
    source_id: SourceId

    @property
    def base(self) -> str:
        return f"/console/t/{self.slug}"

    async def get(self, path: str, **params: str) -> httpx2.Response:
        return await self.http.get(self.base + path, params=params or None)

    async def post(self, path: str, **fields: str) -> httpx2.Response:
        return await self.http.post(self.base + path, data=fields)

    async def run(self, run_id: RunId) -> Run:
        async with self.database.tenant(self.tenant_id, read_only=True) as tx:
            return await queries.run_by_id(tx, run_id)

    async def sync(self, rows: list[dict[str, Any]]) -> Run:
        """A report, applied."""
        return await self.apply(await self.planned(rows))

    async def apply(self, run: Run, batch_rows: int = 5000) -> Run:
        return await making.apply(self.database, self.tenant_id, run, batch_rows)

    async def planned(self, rows: list[dict[str, Any]], *, guarded: bool = False) -> Run:
        """A report as a plan; guarded: held if the guards say so."""
        async with self.database.tenant(self.tenant_id, role="sync") as tx:
            population = await tx.fetchval("SELECT count(*) FROM source_record WHERE present")
            run = await queries.insert_run(tx, NewRun(RunKind.SYNC, "person", self.source_id))
            run = await queries.enter(tx, run, RunState.PLANNING)
            await People().plan_report(tx, run, making.report(rows), frozenset())
            plan = await counted(tx, run.run_id)
            reasons = tripped(plan.counts, population, DEFAULT_THRESHOLDS) if guarded else []
            state = RunState.HELD if reasons else RunState.PLANNED
            told: dict[str, object] = {"counts": plan.counts, "figures": plan.figures(), "planned_at": tx.now}
            return await queries.enter(tx, run, state, reasons=[r.as_json() for r in reasons], **told)

    async def held(self, people: int = 60, leavers: int = 30) -> Run:
        """A run that would deactivate too many."""
        everybody = [making.worker(n, manager_ref=None) for n in range(people)]
        await self.sync(everybody)
        run = await self.planned(everybody[leavers:], guarded=True)
        assert run.state is RunState.HELD
        assert run.counts == {Action.DEACTIVATE: leavers}
        return run

    async def in_state(self, state: RunState, kind: RunKind = RunKind.SYNC, **columns: object) -> Run:
        """A run put into a state by SQL."""
        async with self.database.tenant(self.tenant_id) as tx:
            run = await queries.insert_run(tx, NewRun(kind, "person", self.source_id))
            names = "".join(f", {name} = ${i}" for i, name in enumerate(columns, start=3))
            await tx.execute(
                f"UPDATE run SET state = $2, planned_at = created_at{names} WHERE run_id = $1",
                *(run.run_id, state, *columns.values()),
            )
            return await queries.run_by_id(tx, run.run_id)

    async def plan_rollback(self, run_id: RunId) -> Run:
        """What the worker does with a queued rollback: its plan."""
        async with self.database.tenant(self.tenant_id, role="sync") as tx:
            run = await queries.run_by_id(tx, run_id)
            assert run.of_run is not None
            run = await queries.enter(tx, run, RunState.PLANNING)
            await People().plan_rollback(tx, run, await queries.run_by_id(tx, run.of_run))
            plan = await counted(tx, run.run_id)
            figures: Mapping[str, Any] = plan.figures() | ({"conflicts": plan.conflicts} if plan.conflicts else {})
            return await queries.enter(
                tx, run, RunState.PLANNED, counts=plan.counts, figures=figures, planned_at=tx.now
            )


@pytest.fixture
def pages(database: Database) -> ASGIApp:
    """The pages of runs, composed as the server composes them."""
    return application_of(database, partial(run_pages, subjects=person_names))


@pytest.fixture
async def people_at(pages: ASGIApp, database: Database) -> AsyncGenerator[Browsers]:
    """Signs people in before these pages."""
    async with browsers(pages, database) as opened:
        yield opened


async def desk_of(database: Database, people_at: Browsers, tenant_id: TenantId, role: Role) -> Desk:
    """Somebody with this role in the tenant."""
    async with database.tenant(tenant_id) as tx:
        slug = (await tenant_of(tx)).slug
    source_id = await making.source(database, tenant_id)
    return Desk(await people_at.of(role, tenant_id), database, tenant_id, slug, source_id)


@pytest.fixture
async def desk(database: Database, people_at: Browsers, tenant_id: TenantId) -> Desk:
    """An admin of a tenant."""
    return await desk_of(database, people_at, tenant_id, Role.TENANT_ADMIN)


@pytest.fixture
async def viewer(database: Database, people_at: Browsers, desk: Desk) -> Desk:
    """Somebody who may look at the same tenant."""
    return await desk_of(database, people_at, desk.tenant_id, Role.TENANT_VIEWER)


@pytest.fixture
async def stranger(database: Database, people_at: Browsers, make_tenant: MakeTenant) -> Desk:
    """An admin of another tenant."""
    return await desk_of(database, people_at, await make_tenant(), Role.TENANT_ADMIN)


@pytest.fixture
async def real(pages: ASGIApp, desk: Desk) -> AsyncGenerator[httpx2.AsyncClient]:
    """The same person before the pages on a port of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(pages, lifespan="off", ws="none", log_level="critical", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with httpx2.AsyncClient(base_url=address, timeout=30) as client:
            client.cookies.set("stoa_session", desk.http.cookies["stoa_session"])
            yield client
        server.should_exit = True
        await serving
