"""A tenant with something on every page, among fifty others, before the pages of every room."""

import secrets
from dataclasses import dataclass
from datetime import timedelta

from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from stoa.alerts.actions import raise_alert
from stoa.changes import queries
from stoa.changes.counting import counted
from stoa.changes.model import NewRun, RunKind, RunState
from stoa.changes.pages import run_pages
from stoa.changes.rules import DEFAULT_THRESHOLDS, tripped
from stoa.console.pages import console_pages
from stoa.db.database import Database
from stoa.kernel.ids import PersonId, RunId, TenantId
from stoa.people import queries as people
from stoa.people.pages import people_pages
from stoa.people.queries import person_names
from stoa.people.target import People
from stoa.tenants import status
from stoa.tenants.model import Phase
from stoa.web.alerts import alert_pages
from stoa.web.compression import compressed
from stoa.web.visiting import Shell
from tests.conftest import MakeTenant
from tests.people import making
from tests.web.signed_in import application_of

TENANTS = 50
CHANGES = 50
_WORKERS = 80


@dataclass(frozen=True, slots=True)
class Estate:
    """What there is to look at. run_id: a held run of CHANGES changes."""

    tenant_id: TenantId
    slug: str
    run_id: RunId
    person_id: PersonId

    @property
    def pages(self) -> dict[str, str]:
        """Address by name."""
        base = f"/console/t/{self.slug}"
        run = f"{base}/runs/{self.run_id}"
        return {
            "board": f"/console?limit={TENANTS}",
            "run": run,
            "plan": f"{run}/changes?limit={CHANGES}",
            "person": f"{base}/people/{self.person_id}",
            "alerts": f"{base}/alerts",
        }


def application(database: Database) -> ASGIApp:
    """The pages of every room that the estate has something on, compressed as the server compresses them."""

    def pages(shell: Shell) -> list[BaseRoute]:
        return [
            *console_pages(shell),
            *alert_pages(shell),
            *run_pages(shell, subjects=person_names),
            *people_pages(shell),
        ]

    return compressed(application_of(database, pages))


async def make_estate(database: Database, make_tenant: MakeTenant) -> Estate:
    """Fifty tenants in all, one of them with people, a held run and alerts."""
    slug = f"estate-{secrets.token_hex(6)}"
    tenant_id = await make_tenant(slug=slug, name="Estate")
    for number in range(TENANTS - 1):
        await _stand(database, await make_tenant(), number)
    await _stand(database, tenant_id, 10)
    run_id, person_id = await _held_run(database, tenant_id)
    async with database.tenant(tenant_id) as tx:
        for number in range(12):
            await raise_alert(
                tx, kind="run_held", key=f"{number}", severity=("info", "warning", "critical")[number % 3],
                title=f"Run {number} waits", detail="It would deactivate more people than the guard admits.",
                hint="Look at its plan, then approve or reject it.",
            )  # fmt: skip
    return Estate(tenant_id, slug, run_id, person_id)


async def _stand(database: Database, tenant_id: TenantId, number: int) -> None:
    async with database.tenant(tenant_id) as tx:
        success = tx.now - timedelta(minutes=number * 7)
        for phase in (Phase.IDENTITY, Phase.HRIS, Phase.CRM):
            await status.note_phase(tx, phase, connected=True, contact_at=success, success_at=success)
        if number % 10 == 0:
            await status.note_phase(tx, Phase.HRIS, failing="remote_down")


async def _held_run(database: Database, tenant_id: TenantId) -> tuple[RunId, PersonId]:
    """A run that would deactivate too many, and one of those whom it would not."""
    source_id = await making.source(database, tenant_id)
    everybody = [making.worker(n, manager_ref=None) for n in range(_WORKERS)]
    await making.sync(database, tenant_id, source_id, making.report(everybody))
    async with database.tenant(tenant_id, role="sync") as tx:
        run = await queries.insert_run(tx, NewRun(RunKind.SYNC, "person", source_id))
        run = await queries.enter(tx, run, RunState.PLANNING)
        await People().plan_report(tx, run, making.report(everybody[CHANGES:]), frozenset())
        plan = await counted(tx, run.run_id)
        reasons = [reason.as_json() for reason in tripped(plan.counts, _WORKERS, DEFAULT_THRESHOLDS)]
        run = await queries.enter(
            tx, run, RunState.HELD, reasons=reasons, counts=plan.counts, figures=plan.figures(), planned_at=tx.now
        )
        record = await people.record_by_key(tx, source_id, everybody[-1]["external_id"])
    assert record is not None
    return run.run_id, record.person_id
