"""Each company becomes a tenant: made, provisioned by its identity provider over SCIM, synced from its HR report."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any, Final

from stoa.access.actions import issue_token
from stoa.changes.model import Run
from stoa.cli.common import OPERATOR, Session
from stoa.cli.demo.companies import Company, Simulators
from stoa.cli.sync import wait
from stoa.cli.tenants import scim_base_url
from stoa.kernel.ids import TenantId
from stoa.people.journal import TARGET
from stoa.people.queries import headcount
from stoa.sync.actions import connect, request_sync
from stoa.tenants.actions import create_tenant, ensure_source
from stoa.tenants.model import Connection, NewTenant

# How many departments of each company are pushed as groups.
_GROUPS: Final = 3


@dataclass(slots=True)
class Onboarded:
    """One company on its way to being a tenant. seconds: by stage, plan and application of the sync together."""

    company: Company
    tenant_id: TenantId
    token: str
    connection: Connection
    pushed: dict[str, Any] = field(default_factory=dict[str, Any])
    run: Run | None = None
    seconds: dict[str, float] = field(default_factory=dict[str, float])
    people: int = 0
    active: int = 0


async def make_tenant(s: Session, simulators: Simulators, company: Company) -> Onboarded:
    """The tenant with its proven domain, a SCIM token for its identity provider, and the connection to its Workday."""
    # A sandbox: its clock can be moved, as the companies' is, and its mail stays here.
    new = NewTenant(
        company.slug, company.name, sandbox=True, owner_email=f"owner@{company.domain}", domains=(company.domain,)
    )
    tenant = await create_tenant(s.platform.database, new, OPERATOR)
    workday = company.workday
    config = {
        "url": f"{simulators.base_url}{workday['url_path_json'].split('?')[0]}",
        "format": "json",
        "username": workday["user"],
        "password": workday["password"],
    }
    async with s.platform.database.tenant(tenant.tenant_id, OPERATOR) as tx:
        source = await ensure_source(tx, "idp", company.idp_name)
        issued = await issue_token(tx, ["scim"], f"{company.idp_name} provisioning", source.source_id)
        connection = await connect(tx, s.platform.opener, "workday", "Workday", config)
    return Onboarded(company, tenant.tenant_id, issued.token, connection)


async def push_people(s: Session, simulators: Simulators, one: Onboarded, concurrency: int) -> None:
    """The identity provider pushes everybody, and its largest departments as groups."""
    started = time.monotonic()
    for department in await simulators.departments(one.company.slug, _GROUPS):
        await simulators.push_group(one.company.slug, department)
    base = scim_base_url(s.base_url, one.company.slug)
    one.pushed = await simulators.provision(one.company.slug, base, one.token, concurrency=concurrency)
    one.seconds["scim"] = time.monotonic() - started


async def sync_people(s: Session, one: Onboarded) -> Run:
    """The HR report is read, planned and applied by the worker."""
    async with s.platform.database.tenant(one.tenant_id, OPERATOR) as tx:
        run = await request_sync(tx, one.connection, TARGET)
    one.run = await wait(s, one.tenant_id, run)
    return one.run


async def count_people(s: Session, one: Onboarded) -> None:
    """How many people the tenant has now."""
    async with s.platform.database.tenant(one.tenant_id, OPERATOR, read_only=True) as tx:
        one.people, one.active = await headcount(tx)


async def in_parallel(jobs: list[Any], at_once: int) -> None:
    """Runs coroutine functions, so many at once; the first failure ends all."""
    gate = asyncio.Semaphore(at_once)

    async def one(job: Any) -> None:
        async with gate:
            await job()

    async with asyncio.TaskGroup() as group:
        for job in jobs:
            group.create_task(one(job))
