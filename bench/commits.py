"""Commits of one tenant by 32 writers in two processes, with events and without; the worker numbers them meanwhile."""

import asyncio
import time
from collections import defaultdict
from contextlib import AsyncExitStack
from statistics import median
from typing import Any

from bench.ground import Ground
from bench.measuring import tree_seconds
from bench.model import Figure, Plan
from bench.processes import ask, process
from stoa.kernel.ids import SourceId, TenantId
from stoa.people.actions import provision
from stoa.people.model import Asserted, Provisioned
from stoa.tenants.actions import ensure_source

RECORDS = 3200
ROUNDS = 5
WRITERS = 32
_PROCESSES = 2
_SECONDS = 2.0
_NUMBERED_IN_SECONDS = 60
_PATHS = {
    "assert": "assert_record: lock, update, journal, settle",
    "update": "one UPDATE of one row",
}
Process = asyncio.subprocess.Process


async def run(ground: Ground, plan: Plan) -> list[Figure]:
    """Rounds of both paths with and without events, in changing order."""
    tenant_id, _ = await ground.tenant()
    source_id, resources = await _records(ground, tenant_id, max(WRITERS, plan.size or RECORDS))
    seconds = min(_SECONDS, 0.2 if plan.size is not None and plan.size < RECORDS else _SECONDS)
    rates: dict[tuple[str, bool], list[float]] = defaultdict(list)
    cores: dict[tuple[str, bool], list[float]] = defaultdict(list)
    lags: list[float] = []
    async with AsyncExitStack() as exits:
        await exits.enter_async_context(process(["stoa.cli", "worker"], ground.env()))
        writers = [await exits.enter_async_context(process(["bench.writers"], ground.env())) for _ in range(_PROCESSES)]
        asked = {"tenant_id": str(tenant_id), "source_id": str(source_id), "seconds": seconds}
        for path in _PATHS:
            # The first transactions prepare statements and open connections.
            await _write(ground, writers, resources, {**asked, "path": path, "events": True, "seconds": seconds / 2})
        for number in range(plan.rounds or ROUNDS):
            plan.report(f"commits: round {number + 1}")
            for path in _PATHS:
                for events in (True, False) if number % 2 else (False, True):
                    rate, core = await _write(ground, writers, resources, {**asked, "path": path, "events": events})
                    rates[path, events].append(rate)
                    cores[path, events].append(core)
                    lags.append(await _all_numbered(ground, tenant_id))
    return [_figure(path, rates, cores, lags) for path in _PATHS]


async def _records(ground: Ground, tenant_id: TenantId, n: int) -> tuple[SourceId, list[str]]:
    resources: list[str] = []
    async with ground.database.tenant(tenant_id) as tx:
        source_id = (await ensure_source(tx, "idp", "Okta")).source_id
        for number in range(n):
            name = f"person{number}@acme.example"
            values = {"user_name": name, "email": name, "given_name": f"Given{number}", "title": "Engineer"}
            made = await provision(tx, source_id, Asserted(values, active=True))
            assert isinstance(made, Provisioned)
            resources.append(str(made.record.resource_id))
    return source_id, resources


async def _write(
    ground: Ground, writers: list[Process], resources: list[str], asked: dict[str, Any]
) -> tuple[float, float]:
    """Commits each second, and processor seconds (writers and database) for each commit."""
    each = WRITERS // len(writers)
    before = tree_seconds(ground.server.pid)
    answers = await asyncio.gather(
        *(
            ask(one, {**asked, "writers": each, "resources": resources[number :: len(writers)]})
            for number, one in enumerate(writers)
        )
    )
    commits = sum(answer["commits"] for answer in answers)
    core = tree_seconds(ground.server.pid) - before + sum(answer["cpu"] for answer in answers)
    return sum(answer["commits"] / answer["seconds"] for answer in answers), core / commits


async def _all_numbered(ground: Ground, tenant_id: TenantId) -> float:
    """Waits until the sequencer has numbered everything; gives the seconds."""
    began = time.perf_counter()
    async with asyncio.timeout(_NUMBERED_IN_SECONDS):
        while True:
            async with ground.database.tenant(tenant_id) as tx:
                if not await tx.fetchval(
                    "SELECT EXISTS (SELECT FROM entry WHERE tenant_id = $1 AND first_seq IS NULL)", tenant_id
                ):
                    return time.perf_counter() - began
            await asyncio.sleep(0.01)


def _figure(
    path: str,
    rates: dict[tuple[str, bool], list[float]],
    cores: dict[tuple[str, bool], list[float]],
    lags: list[float],
) -> Figure:
    with_events, without = (1000 * median(cores[path, events]) for events in (True, False))
    note = f"core ms/commit {with_events:.2f} and {without:.2f}; all numbered {max(lags):.2f} s after the last commit"
    return Figure(
        "commits", f"{_PATHS[path]}, {WRITERS} writers", median(rates[path, True]), "commits/s",
        median(rates[path, False]), "the same without events", 0.6, note,
    )  # fmt: skip
