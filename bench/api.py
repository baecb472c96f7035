"""The public API: a person by id, and a page of a hundred, authenticated, limited and row-secured, in requests a
second, against a bare route that runs one indexed select on an unprotected copy of the table and signs nobody in.

Eight connections of one client process, one server process on each side.
"""

import asyncio
import os
import random
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

import asyncpg

from bench.company import Company, make_company
from bench.console import server
from bench.ground import Ground
from bench.measuring import percentile
from bench.model import Figure, Plan
from bench.processes import ask, process
from stoa.access.actions import issue_token
from stoa.access.limits import Limits, change_limits
from stoa.kernel.ids import TenantId

PEOPLE: Final = 100_000
ROUNDS: Final = 5
CONNECTIONS: Final = 8
PAGE: Final = 100
_GOAL: Final = 0.5
Addresses = tuple[str, str]


@dataclass(slots=True)
class Kind:
    """One kind of request and what both sides did of it, by round."""

    name: str
    each: int
    addresses: Callable[[random.Random], Addresses]
    rates: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))
    latencies: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))


async def run(ground: Ground, plan: Plan) -> list[Figure]:
    """Both servers over the same people, then rounds of each kind, side by side."""
    people = plan.size or PEOPLE
    plan.report(f"api: {people:,} people")
    company = await make_company(ground, people)
    await _copy(ground)
    token = await _token(ground, company)
    await ground.settle()
    luck = random.Random(7)
    async with AsyncExitStack() as exits:
        client = await exits.enter_async_context(process(["bench.requests"], os.environ))
        ours = await exits.enter_async_context(server(ground, ["stoa.cli", "web", "--fd"], "/healthz"))
        bare = await exits.enter_async_context(server(ground, ["bench.bare_api", ground.admin_dsn], "/ready"))
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        kinds = [
            Kind("a person", 1000, lambda luck: _person(company, luck)),
            Kind(f"a page of {PAGE}", 200, lambda luck: _page(company, luck)),
        ]
        for kind in kinds:
            # The first of each prepares its statements and opens its connections.
            await _measure(client, kind, (ours, bare), headers, [kind.addresses(luck) for _ in range(50)])
            kind.rates[0].clear()
            kind.rates[1].clear()
        for number in range(plan.rounds or ROUNDS):
            plan.report(f"api: round {number + 1}")
            for kind in kinds:
                asked = [kind.addresses(luck) for _ in range(kind.each)]
                await _measure(client, kind, (ours, bare), headers, asked)
    return [_figure(kind) for kind in kinds]


def _person(company: Company, luck: random.Random) -> Addresses:
    person = luck.choice(company.person_ids)
    return f"/v1/people/{person}", f"/{company.tenant_id}/people/{person}"


def _page(company: Company, _: random.Random) -> Addresses:
    return f"/v1/people?limit={PAGE}&sort=updated_at", f"/{company.tenant_id}/people"


async def _copy(ground: Ground) -> None:
    """The people without a policy, with the same keys and indexes."""
    admin = await asyncpg.connect(ground.admin_dsn)
    try:
        await admin.execute(
            "DROP TABLE IF EXISTS bare_person; CREATE TABLE bare_person (LIKE person INCLUDING ALL);"
            "INSERT INTO bare_person SELECT * FROM person"
        )
        await admin.execute("VACUUM ANALYZE person, bare_person")
    finally:
        await admin.close()


async def _token(ground: Ground, company: Company) -> str:
    async with ground.database.tenant(TenantId(company.tenant_id)) as tx:
        await change_limits(tx, Limits(api_per_minute=10_000_000, client_per_minute=10_000_000))
        return (await issue_token(tx, ["people:read"], "bench")).token


async def _measure(
    client: asyncio.subprocess.Process,
    kind: Kind,
    ports: tuple[int, int],
    headers: Mapping[str, str],
    asked: list[Addresses],
) -> None:
    for side, port in enumerate(ports):
        question: dict[str, Any] = {
            "port": port,
            "connections": CONNECTIONS,
            "headers": headers,
            "pages": True,
            "requests": [["GET", addresses[side], None] for addresses in asked],
        }
        answer = await ask(client, question)
        kind.rates[side].append(len(asked) / answer["seconds"])
        kind.latencies[side].extend(answer["latencies"])


def _figure(kind: Kind) -> Figure:
    ours, bare = (median(rates) for rates in kind.rates)
    told = [f"{1000 * percentile(one, 0.5):.1f} and {1000 * percentile(one, 0.99):.1f}" for one in kind.latencies]
    note = f"p50 and p99, ms: {told[0]}; bare {told[1]}"
    return Figure("api", kind.name, ours, "req/s", bare, "bare route: one indexed select", _GOAL, note)
