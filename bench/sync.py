"""A report of 100,000 rows through the sync engine: first load, nothing changed, the same bytes, a hundredth changed,
and the undo of that.

Everything but the HTTP fetch is what a worker does: digest, reading, contract, keys and hashes, plan, guards, batches
of their own transactions, journal, events.
"""

import asyncio
import hashlib
import time
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
from pydantic import BaseModel

from bench.copying import copy_same_rows
from bench.ground import Ground
from bench.measuring import Taken, middle, peak_megabytes, timed, timed_here
from bench.model import Figure, Plan
from bench.reports import Reports, read_parse_hash_csv, read_parse_hash_json, write_reports
from stoa.changes.actions import queue_rollback
from stoa.changes.apply import Working
from stoa.changes.model import Run, RunState
from stoa.composition import VERSION
from stoa.db.keyring import KeyRing
from stoa.db.transactions import SYSTEM, TenantTx
from stoa.hris.workday.connector import WorkdayConnector
from stoa.kernel.ids import TenantId
from stoa.outbound.http import HttpClient
from stoa.people.target import People
from stoa.sync.actions import connect, request_sync
from stoa.sync.connectors import Connector
from stoa.sync.feeds import Feed, FeedFormat, received
from stoa.sync.jobs import SourceWorker
from stoa.sync.opening import Opener
from stoa.sync.planning import Planner
from stoa.sync.target import Planned
from stoa.tenants.model import Connection
from stoa.tenants.sealing import Sealer

ROWS = 100_000
ROUNDS = 3
_CONNECTOR = "workday"
_NO_GUARD = {"percent": 100, "absolute": 10**9}
_CONFIG = {
    "url": "https://report.invalid/workers",
    "username": "bench",
    "password": "bench",
    "guards": {"create": _NO_GUARD, "update": _NO_GUARD, "deactivate": _NO_GUARD},
}


@dataclass(frozen=True, slots=True)
class FileConnector(WorkdayConnector):
    """The Workday connector, reading a file that is here already."""

    path: Path = Path()

    async def read(
        self, config: BaseModel, client: HttpClient, into: Path, *, allow: frozenset[str] = frozenset()
    ) -> Feed:
        """The file and its digest."""
        del config, client, into, allow
        form = FeedFormat(self.path.suffix[1:])
        return await asyncio.to_thread(received, self.path, form, "")


class WatchedPeople(People):
    """People, noting when the report was read, checked and hashed, and the comparison began."""

    began = 0.0

    async def plan_report(self, tx: TenantTx, run: Run, frame: pl.DataFrame, kept_ids: frozenset[str]) -> Planned:
        """See People."""
        self.began = time.perf_counter()
        return await super().plan_report(tx, run, frame, kept_ids)


@dataclass(frozen=True, slots=True)
class Engine:
    """The engine over one ground."""

    ground: Ground
    connectors: dict[str, Connector]
    people: WatchedPeople
    opener: Opener
    worker: SourceWorker


@dataclass(slots=True)
class Times:
    """What each piece took, by round."""

    ours: dict[str, list[Taken]] = field(default_factory=lambda: defaultdict(list))
    limit: dict[str, list[Taken]] = field(default_factory=lambda: defaultdict(list))


async def run(ground: Ground, plan: Plan) -> list[Figure]:
    """Rounds of the whole sequence, each in a tenant of its own."""
    rows = plan.size or ROWS
    reports = await asyncio.to_thread(write_reports, rows, ground.folder)
    read_parse_hash_csv(reports.first)
    times = Times()
    async with _engine(ground) as engine:
        for number in range(plan.rounds or ROUNDS):
            plan.report(f"sync: round {number + 1}")
            await _round(engine, reports, times)
    return _figures(times, rows)


@asynccontextmanager
async def _engine(ground: Ground) -> AsyncGenerator[Engine]:
    ring = KeyRing.load(ground.store.key_ring)
    async with HttpClient(user_agent=f"Stoa/{VERSION}") as client:
        people = WatchedPeople()
        connectors: dict[str, Connector] = {_CONNECTOR: FileConnector()}
        opener = Opener(connectors, Sealer(ring.sealing_keys), client)
        yield Engine(ground, connectors, people, opener, SourceWorker(Planner(people, opener, ring.hash_key)))


async def _round(engine: Engine, reports: Reports, times: Times) -> None:
    ground, ours, limit = engine.ground, times.ours, times.limit
    tenant_id, _ = await ground.tenant()
    async with ground.database.tenant(tenant_id) as tx:
        connection = await connect(tx, engine.opener, _CONNECTOR, None, _CONFIG)

    async def sync(name: str, path: Path, expected: dict[str, int]) -> Run:
        engine.connectors[_CONNECTOR] = FileConnector(path=path)
        done, taken = await timed(lambda: _sync(engine, tenant_id, connection), ground.server.pid)
        _check(done, expected)
        ours[name].append(taken)
        return done

    await sync("load", reports.first, {"create": reports.rows})
    since = time.perf_counter() - engine.people.began
    ours["load, database"].append(Taken(since, 0, ours["load"][-1].server))
    copied, _ = await copy_same_rows(ground, tenant_id)
    limit["copy"].append(copied)
    await ground.settle()
    await sync("0 %", reports.shuffled, {})
    limit["csv"].append(timed_here(lambda: read_parse_hash_csv(reports.shuffled)))
    limit["sha256"].append(timed_here(lambda: hashlib.sha256(reports.shuffled.read_bytes()).digest()))
    await sync("same bytes", reports.shuffled, {})
    limit["json"].append(timed_here(lambda: read_parse_hash_json(reports.json)))
    await sync("0 %, JSON", reports.json, {})
    expected = {"create": reports.new, "update": reports.updated, "deactivate": reports.gone}
    changed = await sync("1 %", reports.changed, expected)
    limit["csv"].append(timed_here(lambda: read_parse_hash_csv(reports.changed)))
    undone, taken = await timed(lambda: _roll_back(engine, tenant_id, changed), ground.server.pid)
    _check(undone, {"remove": reports.new, "update": reports.updated, "reactivate": reports.gone})
    ours["rollback"].append(taken)


async def _sync(engine: Engine, tenant_id: TenantId, connection: Connection) -> Run:
    async with engine.ground.database.tenant(tenant_id) as tx:
        run = await request_sync(tx, connection, engine.people.name)
    return await _worked_off(engine, tenant_id, run)


async def _roll_back(engine: Engine, tenant_id: TenantId, run: Run) -> Run:
    async with engine.ground.database.tenant(tenant_id) as tx:
        undo = await queue_rollback(tx, run.run_id)
    return await _worked_off(engine, tenant_id, undo)


async def _worked_off(engine: Engine, tenant_id: TenantId, run: Run) -> Run:
    work = Working(engine.ground.database, tenant_id, SYSTEM, 1, _uncontested)
    while run.state in {RunState.QUEUED, RunState.PLANNED}:
        run = await engine.worker.step(work, run)
    return run


async def _uncontested(tx: TenantTx) -> None:
    """A fence for a worker that is alone."""
    del tx


def _check(run: Run, counts: dict[str, int]) -> None:
    if run.state is not RunState.APPLIED or run.counts != counts or run.figures.get("quarantined"):
        raise RuntimeError(f"The run is {run.state} with {run.counts} instead of {counts}: {run.reasons} {run.figures}")


def _figures(times: Times, rows: int) -> list[Figure]:
    ours = {name: middle(taken) for name, taken in times.ours.items()}
    limit = {name: middle(taken) for name, taken in times.limit.items()}
    hashing = "Polars: read, parse, BLAKE3 of each row"

    def figure(name: str, mine: str, theirs: Taken, against: str, goal: float | None) -> Figure:
        took = ours[mine]
        note = f"processor s: client {took.client:.2f}, database {took.server:.2f}"
        return Figure("sync", name, took.wall, "s", theirs.wall, against, goal, note)

    of_all = f"{rows:,} rows"
    copy = "COPY of the rows it leaves, same keys and indexes"
    return [
        figure(f"{of_all}, first load: plan and apply", "load, database", limit["copy"], copy, 2.0),
        figure(f"{of_all}, first load: whole run", "load", limit["copy"], copy, None),
        figure("0 % changed, other order, CSV", "0 %", limit["csv"], hashing, 1.5),
        figure("0 % changed, other order, JSON", "0 %, JSON", limit["json"], hashing, None),
        figure("the same bytes again", "same bytes", limit["sha256"], "SHA-256 of the file", 2.0),
        figure("1 % changed, CSV", "1 %", limit["csv"], hashing, 5.0),
        figure("undo of the 1 % run", "rollback", ours["1 %"], "the run itself", 0.75),
        Figure("sync", "peak memory of the process", peak_megabytes(), "MB"),
    ]
