"""After any history, by writers one after another or at once, the standing says what the tables say."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

import pytest

from stoa.access.actions import issue_token, revoke
from stoa.alerts.actions import raise_alert, resolve_alerts
from stoa.alerts.handling import acknowledge, mute
from stoa.alerts.model import SEVERITIES
from stoa.alerts.queries import current_alerts
from stoa.changes import actions as changes
from stoa.changes import queries
from stoa.changes.model import NewRun, Run, RunKind, RunState
from stoa.db.database import Database
from stoa.db.transactions import TenantTx
from stoa.jobs.worker import Worker
from stoa.kernel.ids import ConnectionId, CredentialId, SourceId, TenantId
from stoa.kernel.problems import Problem
from stoa.people import actions as people
from stoa.people.counting import recount_all
from stoa.people.model import Asserted
from stoa.people.queries import record_by_resource
from stoa.tenants import status
from stoa.tenants.actions import create_connection, ensure_source, pause_connection, resume_connection
from stoa.tenants.model import NewConnection, Phase
from stoa.tenants.phases import PhaseStatus, summary
from stoa.tenants.sealing import Sealer
from stoa.tenants.status import RECOUNT_JOB, TenantStatus, ask_recount

STEPS: Final = 60


@dataclass
class Ground:
    """A tenant with an identity provider and two HR systems."""

    database: Database
    tenant_id: TenantId
    idp: SourceId
    connections: list[tuple[ConnectionId, SourceId]]
    luck: random.Random

    async def pick_run(self, tx: TenantTx, *states: str) -> Run | None:
        rows = await tx.fetch(
            "SELECT run_id FROM run WHERE tenant_id = $1 AND state = ANY($2) ORDER BY run_id", tx.tenant_id, states
        )
        return await queries.run_by_id(tx, self.luck.choice(rows)["run_id"]) if rows else None


@pytest.fixture
async def ground(database: Database, tenant_id: TenantId, sealer: Sealer) -> Ground:
    connections: list[tuple[ConnectionId, SourceId]] = []
    async with database.tenant(tenant_id) as tx:
        idp = (await ensure_source(tx, "idp", "Okta")).source_id
        for name in ("Workday", "Files"):
            source = await ensure_source(tx, "hris", name)
            made = await create_connection(tx, sealer, NewConnection(source.source_id, "workday", name, {}))
            connections.append((made.connection_id, source.source_id))
    return Ground(database, tenant_id, idp, connections, random.Random(7))


async def issue(on: Ground, tx: TenantTx) -> None:
    await issue_token(tx, ["scim"], "t", on.idp)


async def withdraw(on: Ground, tx: TenantTx) -> None:
    rows = await tx.fetch("SELECT credential_id FROM credential WHERE tenant_id = $1", tx.tenant_id)
    if rows:
        await revoke(tx, CredentialId(on.luck.choice(rows)["credential_id"]))


async def begin(on: Ground, tx: TenantTx) -> None:
    connection_id, source_id = on.luck.choice(on.connections)
    plan_only = on.luck.random() < 0.5
    new = NewRun(RunKind.SYNC, "person", source_id, connection_id, plan_only=plan_only)
    await queries.enter(tx, await queries.insert_run(tx, new), RunState.PLANNING)


async def plan(on: Ground, tx: TenantTx) -> None:
    run = await on.pick_run(tx, "planning")
    if run is not None:
        state = on.luck.choice([RunState.HELD, RunState.PLANNED, RunState.ERRORED])
        reasons = [{"code": on.luck.choice(["remote_down", "bad_mapping"]), "detail": "x"}]
        await queries.enter(tx, run, state, planned_at=tx.now, reasons=reasons if state != "planned" else [])


async def decide(on: Ground, tx: TenantTx) -> None:
    run = await on.pick_run(tx, "held", "planned")
    if run is not None:
        await on.luck.choice([changes.approve, changes.reject])(tx, run.run_id)


async def overtake(on: Ground, tx: TenantTx) -> None:
    run = await on.pick_run(tx, "held", "planned")
    if run is not None:
        await queries.enter(tx, run, RunState.STALE)


async def apply(on: Ground, tx: TenantTx) -> None:
    run = await on.pick_run(tx, "approved")
    if run is not None:
        done = await queries.enter(tx, run, RunState.APPLYING)
        await queries.enter(tx, done, RunState.APPLIED, finished_at=tx.now)


async def alert(on: Ground, tx: TenantTx) -> None:
    severity = on.luck.choice(SEVERITIES)
    await raise_alert(tx, "k", str(on.luck.randrange(4)), severity, "t", "d", "h")


async def settle_alert(on: Ground, tx: TenantTx) -> None:
    await resolve_alerts(tx, "k", str(on.luck.randrange(4)))


async def handle_alert(on: Ground, tx: TenantTx) -> None:
    found = await current_alerts(tx)
    if found:
        one = on.luck.choice(found).alert_id
        if on.luck.random() < 0.5:
            await acknowledge(tx, one)
        else:
            await mute(tx, one, "known", tx.now + timedelta(days=1))


async def join(on: Ground, tx: TenantTx) -> None:
    values = {"user_name": f"u{on.luck.randrange(10**9)}@x.example"}
    await people.provision(tx, on.idp, Asserted(values=values, active=on.luck.random() < 0.8))


async def leave(on: Ground, tx: TenantTx) -> None:
    rows = await tx.fetch(
        "SELECT resource_id FROM source_record WHERE tenant_id = $1 AND present ORDER BY external_id", tx.tenant_id
    )
    if rows:
        record = await record_by_resource(tx, on.idp, on.luck.choice(rows)["resource_id"], lock=True)
        if record is not None:
            await people.remove_record(tx, record)


async def pause(on: Ground, tx: TenantTx) -> None:
    await pause_connection(tx, on.luck.choice(on.connections)[0], "being moved")


async def resume(on: Ground, tx: TenantTx) -> None:
    await resume_connection(tx, on.luck.choice(on.connections)[0])


async def ask(on: Ground, tx: TenantTx) -> None:
    del on
    await ask_recount(tx)


ACTS: Final[tuple[Callable[[Ground, TenantTx], Awaitable[None]], ...]] = (
    *(issue, withdraw, begin, begin, plan, plan, decide, overtake, apply, alert, settle_alert, handle_alert),
    *(join, join, leave, pause, resume, ask),
)


class UndoneError(Exception):
    """Has a transaction undone."""


async def history(on: Ground) -> None:
    """One writer. Some of what it does is refused, and some is undone."""
    for _ in range(STEPS):
        act = on.luck.choice(ACTS)
        with contextlib.suppress(Problem, UndoneError):
            async with on.database.tenant(on.tenant_id) as tx:
                await act(on, tx)
                if on.luck.random() < 0.15:
                    raise UndoneError


async def told(on: Ground) -> TenantStatus:
    async with on.database.tenant(on.tenant_id, read_only=True) as tx:
        return await status.status(tx)


async def rebuilt(on: Ground) -> dict[Phase, PhaseStatus]:
    """What the phases are by the tables, reckoned apart from what noted them."""
    async with on.database.tenant(on.tenant_id, read_only=True) as tx:
        (tokens,) = await tx.fetch(
            "SELECT count(*) AS n FROM credential WHERE tenant_id = $1 AND revoked_at IS NULL", tx.tenant_id
        )
        waiting = await tx.fetch(
            """SELECT source_id FROM run
            WHERE tenant_id = $1 AND (state = 'held' OR (state = 'planned' AND plan_only))""",
            tx.tenant_id,
        )
        rows = await tx.fetch(
            "SELECT * FROM connection WHERE tenant_id = $1 ORDER BY created_at, connection_id", tx.tenant_id
        )
    active = [row for row in rows if row["state"] == "active"]
    hris = PhaseStatus(
        connected=True,
        paused=not active,
        contact_at=max((row["contact_at"] for row in rows if row["contact_at"]), default=None),
        success_at=max((row["success_at"] for row in rows if row["success_at"]), default=None),
        held=sum(run["source_id"] != on.idp for run in waiting),
        failing=next((row["failing"] for row in active if row["failing"]), None),
    )
    idp = PhaseStatus(tokens["n"] > 0, held=sum(run["source_id"] == on.idp for run in waiting))
    return {**dict.fromkeys(Phase, PhaseStatus()), Phase.IDENTITY: idp, Phase.HRIS: hris}


async def alerts_by_the_table(on: Ground) -> tuple[int, int]:
    async with on.database.tenant(on.tenant_id, read_only=True) as tx:
        rows = await tx.fetch("SELECT severity, state FROM alert WHERE tenant_id = $1", tx.tenant_id)
    open_ones = [row["severity"] for row in rows if row["state"] in {"open", "acknowledged"}]
    return len(open_ones), open_ones.count("critical")


async def agree(on: Ground) -> None:
    found = await told(on)
    phases = await rebuilt(on)
    assert dict(found.phases) == phases
    assert (found.open_alerts, found.critical_alerts) == await alerts_by_the_table(on)
    async with on.database.platform() as tx:
        row = await tx.fetchrow(
            "SELECT states, worst, late_from, oldest_success_at FROM tenant_status WHERE tenant_id = $1", on.tenant_id
        )
    assert row is not None
    made = summary(phases)
    assert tuple(row) == (list(made.states), made.worst, made.late_from, made.oldest_success_at)


async def recounted(on: Ground) -> None:
    async with on.database.tenant(on.tenant_id) as tx:
        await ask_recount(tx)
    await Worker(on.database, {RECOUNT_JOB: recount_all}).claim_one(RECOUNT_JOB, "now", on.tenant_id)
    found = await told(on)
    async with on.database.tenant(on.tenant_id, read_only=True) as tx:
        rows = await tx.fetch("SELECT active FROM person WHERE tenant_id = $1", tx.tenant_id)
    assert (found.people, found.active_people) == (len(rows), sum(row["active"] for row in rows))


@pytest.mark.parametrize("seed", range(4))
async def test_the_standing_is_what_the_tables_say(ground: Ground, seed: int) -> None:
    ground.luck.seed(seed)
    await history(ground)
    await agree(ground)
    await recounted(ground)
    await agree(ground)


@pytest.mark.parametrize("seed", range(3))
async def test_the_standing_is_what_the_tables_say_after_writers_at_once(ground: Ground, seed: int) -> None:
    writers = [replace(ground, luck=random.Random(100 * seed + number)) for number in range(6)]
    async with asyncio.timeout(60):
        await asyncio.gather(*(history(writer) for writer in writers))
    await agree(ground)
    await recounted(ground)
    await agree(ground)


async def test_a_recount_mends_what_went_wrong(ground: Ground) -> None:
    async with ground.database.tenant(ground.tenant_id) as tx:
        await alert(ground, tx)
        await begin(ground, tx)
        await plan(ground, tx)
    async with ground.database.tenant(ground.tenant_id) as tx:
        await tx.execute(
            "UPDATE tenant_status SET phases = '{}', worst = 6, open_alerts = 77 WHERE tenant_id = $1", tx.tenant_id
        )
        await tx.execute("UPDATE tenant SET name_key = '' WHERE tenant_id = $1", tx.tenant_id)
    await recounted(ground)
    await agree(ground)
    async with ground.database.platform() as tx:
        row = await tx.fetchrow("SELECT name, name_key FROM tenant WHERE tenant_id = $1", ground.tenant_id)
    assert row is not None
    assert row["name_key"] == row["name"].casefold()


async def test_a_recount_comes_back_while_requests_go_on(ground: Ground) -> None:
    worker = Worker(ground.database, {RECOUNT_JOB: recount_all})
    async with ground.database.tenant(ground.tenant_id) as tx:
        await ask_recount(tx, lasting=timedelta(minutes=1))
    await worker.claim_one(RECOUNT_JOB, "requests", ground.tenant_id)
    async with ground.database.tenant(ground.tenant_id) as tx:
        again = await tx.fetchrow(
            "SELECT due_at, args FROM job WHERE tenant_id = $1 AND kind = $2", tx.tenant_id, RECOUNT_JOB
        )
        assert again is not None
        assert tx.now + timedelta(minutes=1) < again["due_at"] <= tx.now + timedelta(seconds=76)
        await tx.execute(
            """UPDATE job SET args = '{"until": "2020-01-01T00:00:00+00:00"}' WHERE tenant_id = $1""", tx.tenant_id
        )
    await worker.claim_one(RECOUNT_JOB, "requests", ground.tenant_id)
    async with ground.database.tenant(ground.tenant_id) as tx:
        assert (
            await tx.fetchval("SELECT count(*) FROM job WHERE tenant_id = $1 AND kind = $2", tx.tenant_id, RECOUNT_JOB)
            == 0
        )
