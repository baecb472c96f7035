"""`stoa demo --exit`: its wall time, and where it goes by its own account."""

import asyncio
import re
import sys
import time

from bench.ground import Ground
from bench.model import Figure, Plan
from bench.processes import ProcessFailedError, process

PEOPLE = 40_000
TENANTS = 30
_PEOPLE_OF_SMALLEST = 50
_TIME = re.compile(
    r"Time: start (?P<start>[\d.]+) s, tenants (?P<tenants>[\d.]+) s, SCIM (?P<scim>[\d.]+) s "
    r"\((?P<requests>[\d,]+) requests, (?P<rate>[\d,]+)/s\), Workday syncs (?P<sync>[\d.]+) s"
)


async def run(ground: Ground, plan: Plan) -> list[Figure]:
    """One demo with a database of its own, which does not sync to disk."""
    people = plan.size or PEOPLE
    tenants = max(1, min(TENANTS, people // (2 * _PEOPLE_OF_SMALLEST)))
    plan.report(f"demo: {tenants} tenants, {people:,} people")
    began = time.perf_counter()
    said = await _played(ground, tenants, people)
    wall = time.perf_counter() - began
    told = _TIME.search(" ".join(said.split()))
    if told is None:
        raise ProcessFailedError(f"stoa demo does not say where its time went:\n{said[-2000:]}")
    spent = {name: float(told[name]) for name in ("start", "tenants", "scim", "sync")}
    note = "its own ephemeral database: fsync off"
    rest = wall - sum(spent.values())
    return [
        Figure("demo", f"{tenants} tenants, {people:,} people", wall, "s", note=note),
        Figure("demo", "start: database, migrations, simulators, processes", spent["start"], "s"),
        Figure("demo", "making the tenants", spent["tenants"], "s"),
        Figure("demo", f"SCIM, {told['requests']} requests", spent["scim"], "s", note=f"{told['rate']} requests/s"),
        Figure("demo", "Workday syncs", spent["sync"], "s"),
        Figure("demo", "a day, a held report, an undo, the end", rest, "s"),
    ]


async def _played(ground: Ground, tenants: int, people: int) -> str:
    arguments = ["stoa.cli", "demo", "--exit", "--tenants", str(tenants), "--people", str(people)]
    env = {**ground.env(), "COLUMNS": "400"}
    # It brings a database of its own; this one would not be used, and its key ring does not fit.
    for name in ("STOA_DATABASE_URL", "STOA_KEY_RING"):
        env.pop(name)
    async with process(arguments, env) as one:
        assert one.stdout is not None
        said = (await one.stdout.read()).decode()
        code = await asyncio.wait_for(one.wait(), 60)
    if code:
        sys.stderr.write(said)
        raise ProcessFailedError(f"stoa demo ended with the code {code}.")
    return said
