"""The whole application with a company behind it: a worker's hands, a report that was held, a browser."""

import asyncio
import json
import os
import shutil
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import uvicorn
from playwright.async_api import Browser, Page, Request, async_playwright
from starlette.types import ASGIApp

from stoa.access.operators import NewOperator, create_operator
from stoa.access.permissions import PLATFORM_ROLES, Role
from stoa.alerts.actions import MAIL_JOB
from stoa.alerts.queries import recent_alerts
from stoa.changes import queries
from stoa.changes.actions import SOURCE_JOB
from stoa.changes.model import Run, RunState
from stoa.composition import Platform, Store, platform
from stoa.db.embedded import Server
from stoa.identity.scim.log.writer import request_log, vault_of
from stoa.jobs.worker import Worker
from stoa.kernel.ids import RunId, TenantId
from stoa.main import serve
from stoa.people.journal import TARGET
from stoa.settings import Settings
from stoa.sync.actions import connect, request_sync
from stoa.tenants.actions import create_tenant
from stoa.tenants.model import Connection, NewTenant
from stoa_simulators.estate import Tenancy, build_estate
from stoa_simulators.server import create_app
from stoa_simulators.workday.faults import FaultKind, make_fault

PEOPLE: Final = 120
AXE: Final = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
RULES: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@dataclass(frozen=True, slots=True)
class Company:
    """A tenant with a Workday connection; its first report is applied, and its second one is held.

    Attributes:
        held: the run that would deactivate half of the people.
    """

    parts: Platform
    tenant_id: TenantId
    slug: str
    connection: Connection
    worker: Worker
    held: Run

    @property
    def base(self) -> str:
        return f"/console/t/{self.slug}"

    async def work(self) -> None:
        """What a worker does: the runs of the source that wait."""
        await self.worker.claim_one(SOURCE_JOB, str(self.connection.source_id), self.tenant_id)

    async def mail(self) -> None:
        """What a worker does, too: the mails about alerts."""
        async with self.parts.database.tenant(self.tenant_id, read_only=True) as tx:
            alerts = await recent_alerts(tx)
        for alert in alerts:
            await self.worker.claim_one(MAIL_JOB, str(alert.alert_id), self.tenant_id)

    async def run(self, run_id: RunId) -> Run:
        async with self.parts.database.tenant(self.tenant_id, read_only=True) as tx:
            return await queries.run_by_id(tx, run_id)

    async def one(self, sql: str) -> Any:
        """The first value of a query over the tenant ($1)."""
        async with self.parts.database.tenant(self.tenant_id, read_only=True) as tx:
            return await tx.fetchval(sql, self.tenant_id)


@dataclass(frozen=True, slots=True)
class World:
    """The server at an address, and what is behind it."""

    parts: Platform
    app: ASGIApp
    address: str
    tenancy: Tenancy
    report: dict[str, Any]

    async def account(self, role: Role, tenant_id: TenantId | None = None) -> tuple[str, str]:
        """A new operator: the e-mail address and the first password."""
        number = os.urandom(5).hex()
        grants = {} if role in PLATFORM_ROLES or tenant_id is None else {tenant_id: role}
        new = NewOperator(f"{number}@journey.example", "Ada Byron", role if role in PLATFORM_ROLES else None, grants)
        async with self.parts.database.platform() as tx:
            operator, password = await create_operator(tx, new)
        return operator.email, password

    async def company(self, name: str = "Acme Industries") -> Company:
        """A company whose second report has lost half of its rows."""
        database = self.parts.database
        slug = f"journey-{os.urandom(5).hex()}"
        tenant = NewTenant(slug, name, owner_name="Grace Hopper", owner_email="grace@acme.example")
        tenant_id = TenantId((await create_tenant(database, tenant)).tenant_id)
        async with database.tenant(tenant_id) as tx:
            connection = await connect(tx, self.parts.opener, "workday", None, self.report)
        worker = Worker(database, self.parts.handlers())
        self.tenancy.report.fault = None
        for fault in (None, make_fault(FaultKind.HALF_ROWS, None, None, None)):
            self.tenancy.report.fault = fault
            async with database.tenant(tenant_id) as tx:
                run = await request_sync(tx, connection, TARGET)
            await worker.claim_one(SOURCE_JOB, str(connection.source_id), tenant_id)
        async with database.tenant(tenant_id, read_only=True) as tx:
            held = await queries.run_by_id(tx, run.run_id)
        assert held.state is RunState.HELD
        assert held.counts["deactivate"] > 0
        return Company(self.parts, tenant_id, slug, connection, worker, held)


@asynccontextmanager
async def _listening(app: Any, listener: socket.socket) -> AsyncGenerator[None]:
    server = uvicorn.Server(
        uvicorn.Config(app, lifespan="off", ws="none", log_level="critical", timeout_graceful_shutdown=5)
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    yield
    server.should_exit = True
    await serving


@asynccontextmanager
async def world_of(server: Server, folder: Path) -> AsyncGenerator[World]:
    """The application on a free port of this machine, and one simulated company on another."""
    estate = build_estate(companies=1, people=PEOPLE, seed=11, start=datetime.now(UTC).date())
    tenancy = next(iter(estate.values()))
    report = tenancy.report
    with socket.create_server(("127.0.0.1", 0)) as outside, socket.create_server(("127.0.0.1", 0)) as inside:
        there, port = f"127.0.0.1:{outside.getsockname()[1]}", inside.getsockname()[1]
        settings = Settings(
            database_url=server.url,
            key_ring=server.keyring_path,
            state_dir=folder,
            mailbox=folder / "mailbox",
            port=port,
            outbound_allow=frozenset({there}),
            development=True,
        )
        config = {"url": f"http://{there}{report.path}", "username": report.user, "password": report.password}
        config = json.loads(json.dumps(config | {"format": "json"}))
        stopping = asyncio.Event()
        async with (
            platform(settings, Store(server.url, server.keyring_path)) as parts,
            request_log(parts.database, vault_of(parts.sealer, parts.source_worker.planner.hash_key)) as log,
        ):
            app = serve(parts, stopping, log)
            async with _listening(create_app(estate), outside), _listening(app, inside):
                yield World(parts, app, f"http://127.0.0.1:{port}", tenancy, config)
                stopping.set()


# ------------------------------------------------------------------ the browser


@asynccontextmanager
async def chromium() -> AsyncGenerator[Browser]:
    """Debian's chromium."""
    executable = shutil.which("chromium")
    assert executable, "install it with: apt-get install -y chromium"
    async with async_playwright() as playwright:
        # No sandbox: it refuses to start as root, which is what the build machine is.
        opened = await playwright.chromium.launch(executable_path=executable, chromium_sandbox=False)
        yield opened
        await opened.close()


def complaints_of(page: Page) -> list[str]:
    """Whatever the browser complains of from now on. The end of a stream is none: a page that is left closes it."""
    complaints: list[str] = []

    def failed(request: Request) -> None:
        if not request.url.partition("?")[0].endswith("/live"):
            complaints.append(f"{request.url}: {request.failure}")

    page.on(
        "console", lambda message: complaints.append(message.text) if message.type in {"warning", "error"} else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", failed)
    return complaints


async def violations(page: Page) -> list[str]:
    """What axe finds on a page."""
    await page.evaluate(AXE.read_text(encoding="utf-8"))
    found: dict[str, Any] = await page.evaluate("rules => axe.run(document, {runOnly: rules})", RULES)
    return [f"{rule['id']}: {node['html'][:300]}" for rule in found["violations"] for node in rule["nodes"]]


async def overflow(page: Page) -> str | None:
    """What makes a page wider than its window; None: nothing does."""
    return await page.evaluate(
        """() => {
            if (document.documentElement.scrollWidth <= innerWidth) return null
            const wide = [...document.querySelectorAll("body *")].filter(
                one => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest(".scroll"))
            const parts = wide.slice(-3).map(one => one.outerHTML.slice(0, 200))
            return `${document.documentElement.scrollWidth} px: ${parts}`
        }"""
    )
