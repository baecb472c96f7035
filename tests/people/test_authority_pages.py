"""The matrix of fields and sources: another order is shown before it is in force, applied by a run, and put back."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from starlette.types import ASGIApp

from stoa.access.permissions import Role
from stoa.changes.model import RunState
from stoa.db import embedded
from stoa.db.database import Database
from stoa.jobs.worker import Worker
from stoa.kernel.ids import SourceId, TenantId
from stoa.people.pages import people_pages
from stoa.people.ranking import RECOMPUTE_JOB, latest_run, recomputing_jobs
from stoa.tenants.queries import tenant as tenant_of

from ..conftest import MakeTenant
from ..web.signed_in import Browsers, application_of, browsers, text_of
from .api import client_of
from .making import report, source, sync


@pytest.fixture
def app(database: Database) -> ASGIApp:
    return application_of(database, people_pages)


@pytest.fixture
async def people(app: ASGIApp, database: Database) -> AsyncGenerator[Browsers]:
    async with browsers(app, database) as signed_in:
        yield signed_in


@pytest.fixture
async def sources(database: Database, tenant_id: TenantId) -> list[SourceId]:
    """Two HR systems that disagree about the departments of five people, and about who is active."""
    found: list[SourceId] = []
    for name, department in (("Workday", "Sales"), ("Payroll", "Finance")):
        hr = await source(database, tenant_id, "hris", name)
        rows = [
            {"external_id": f"{n}", "employee_id": f"E{n}", "display_name": f"Ada {n}", "department": department}
            | {"active": name == "Workday" or n > 0}
            for n in range(5)
        ]
        await sync(database, tenant_id, hr, report(rows))
        found.append(hr)
    return found


async def work(database: Database, tenant_id: TenantId) -> None:
    """Has a worker do the latest run, two people at a time."""
    async with database.tenant(tenant_id) as tx:
        run = await latest_run(tx)
    assert run is not None
    await Worker(database, recomputing_jobs(2)).claim_one(RECOMPUTE_JOB, str(run.run_id), tenant_id)


async def departments(database: Database, tenant_id: TenantId) -> dict[str, int]:
    async with database.tenant(tenant_id) as tx:
        rows = await tx.fetch("SELECT department, count(*) AS n FROM person GROUP BY department")
    return {row["department"]: row["n"] for row in rows}


async def test_another_order_is_tried_applied_and_put_back(
    database: Database,
    tenant_id: TenantId,
    sources: list[SourceId],
    people: Browsers,
    make_tenant: MakeTenant,
) -> None:
    async with database.tenant(tenant_id) as tx:
        base = f"/console/t/{(await tenant_of(tx)).slug}/people/authority"
    viewer, admin = [await people.of(role, tenant_id) for role in (Role.TENANT_VIEWER, Role.TENANT_ADMIN)]
    assert "the default" in text_of(await viewer.get(base))
    assert "field-department" not in (await viewer.get(base)).text
    form = {"version": "0", "field-department": "on", "how": "order", "place-1": str(sources[1])}
    assert (await viewer.post(f"{base}/preview", data=form)).status_code == 403
    for wrong in (
        {"version": "0"},
        form | {"place-1": "me"},
        form | {"place-1": "", "place-2": ""},
        form | {"version": "x"},
    ):
        assert (await admin.post(f"{base}/preview", data=wrong)).status_code == 422
    twice = form | {"place-2": str(sources[1])}
    assert "twice" in text_of(await admin.post(f"{base}/preview", data=twice))
    tried = text_of(await admin.post(f"{base}/preview", data=form))
    assert "People it would change 5" in " ".join(tried.split())
    assert await departments(database, tenant_id) == {"Sales": 5}

    assert (await admin.post(base, data=form)).status_code == 303
    assert "brought up to date" in text_of(await viewer.get(base))
    # Whoever began before it is told what changed.
    late = await admin.post(base, data=form | {"field-department": "", "field-title": "on"})
    assert late.status_code == 409
    assert "Department" in text_of(late)
    await work(database, tenant_id)
    assert await departments(database, tenant_id) == {"Finance": 5}
    async with database.tenant(tenant_id) as tx:
        run = await latest_run(tx)
        assert run is not None
        assert (run.state, run.figures["people"], run.figures["people_done"]) == (RunState.APPLIED, 5, 5)
        told = await tx.fetchval("SELECT body FROM event WHERE type = 'authority.changed'")
        assert told["after"] == {"department": [str(sources[1])]}
        assert told["before"]["department"][-2:] == [str(sources[0]), str(sources[1])]
        assert await tx.fetchval("SELECT count(*) FROM effect WHERE run_id = $1", run.run_id) == 5

    back = await admin.post(f"{base}/put-back", data={"put_back": "0", "version": "1"})
    assert back.status_code == 303
    await work(database, tenant_id)
    assert await departments(database, tenant_id) == {"Sales": 5}
    other = await people.of(Role.TENANT_ADMIN, await make_tenant(name="Other"))
    assert (await other.get(base)).status_code == 404


async def test_over_the_api_a_change_is_tried_and_lost_updates_are_refused(
    server: embedded.Server, database: Database, tenant_id: TenantId, sources: list[SourceId]
) -> None:
    async with client_of(server, database, tenant_id) as client:
        standing = await client.get("/v1/authority")
        assert standing.json()["fields"]["department"]["own"] is False
        wanted: dict[str, Any] = {"ranking": {"active": [str(sources[0])], "department": [str(sources[1])]}}
        match = {"If-Match": standing.headers["etag"]}
        tried = await client.put("/v1/authority", params={"preview": "true"}, json=wanted, headers=match)
        assert tried.status_code == 200, tried.text
        assert (tried.json()["people"], tried.json()["gets_access"], tried.json()["run_id"]) == (5, 1, None)
        done = await client.put("/v1/authority", json=wanted, headers=match)
        assert done.status_code == 202, done.text
        assert (await client.put("/v1/authority", json=wanted, headers=match)).status_code == 412
        run = await client.get(done.headers["location"])
        assert (run.json()["kind"], run.json()["state"]) == ("recompute", "queued")
        undo = await client.post(f"/v1/runs/{run.json()['id']}/rollback", headers={"Idempotency-Key": "undo-it-once"})
        assert undo.status_code == 409
        unknown: dict[str, Any] = {"ranking": {"shoe_size": []}}
        assert (await client.put("/v1/authority", json=unknown)).status_code == 400
        await work(database, tenant_id)
        assert await departments(database, tenant_id) == {"Finance": 5}
        assert (await client.get(done.headers["location"])).json()["state"] == "applied"
        undo = await client.post(f"/v1/runs/{run.json()['id']}/rollback", headers={"Idempotency-Key": "undo-it-later"})
        assert undo.status_code == 409
        assert "ranking" in undo.json()["hint"]
