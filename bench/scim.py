"""SCIM over real sockets: create, PATCH and filter, against the best of three peers, at 10,000 users and at 100,000.

The peers are in the set-ups in which they are fastest here; scim2-server keeps its users in memory. Rates are those at
the number of connections at which a server is fastest, latencies those at the lower one.
"""

import asyncio
import os
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from itertools import product
from statistics import median
from urllib.parse import quote

from bench.ground import Ground
from bench.measuring import percentile
from bench.model import Figure, Plan
from bench.processes import process
from bench.scim_servers import CONNECTIONS, PATCH, Measured, Request, Server, create, creates, measure, ours, peers

USERS = 10_000
MANY = 100_000
ROUNDS = 3
_EACH = 1_000
LOADS = (CONNECTIONS, 32)
_RATE_GOAL = 2.0
_P99_GOAL = 1.0
_SIZE_GOAL = 1.2


async def run(ground: Ground, plan: Plan) -> list[Figure]:
    """All stores filled with the same users, then rounds of the three kinds of request, server by server in turn; then
    ours with ten times as many.
    """
    size = plan.size or USERS
    each = min(_EACH, max(1, size // 4))
    rounds = plan.rounds or ROUNDS
    luck = random.Random(7)
    async with AsyncExitStack() as exits:
        client = await exits.enter_async_context(process(["bench.requests"], os.environ))
        mine = await exits.enter_async_context(ours(ground))
        others = await exits.enter_async_context(peers(ground))
        for server in (mine, *others):
            plan.report(f"scim: {server.name} takes {size:,} users")
            await create(client, server, size)
        await ground.tidy()
        await _rounds(plan, client, [mine, *others], rounds, each, luck)
        figures = _figures(mine, others, size, each)
        many = MANY if plan.size is None else 2 * size
        plan.report(f"scim: Stoa takes {many - size:,} users more")
        await create(client, mine, many - size)
        await ground.tidy()
        few, mine.measured = mine.measured, {}
        await _rounds(plan, client, [mine], rounds, each, luck)
    return figures + [_larger(kind, mine, few, (size, many)) for kind in _KINDS]


async def _rounds(
    plan: Plan, client: asyncio.subprocess.Process, servers: Sequence[Server], n: int, each: int, luck: random.Random
) -> None:
    for number in range(n):
        plan.report(f"scim: round {number + 1}")
        for (kind, prepare), load in product(_KINDS.items(), LOADS):
            for server in [*servers[number % len(servers) :], *servers[: number % len(servers)]]:
                await measure(client, server, kind, prepare(server, each, luck), connections=load)


def _create_requests(server: Server, n: int, luck: random.Random) -> list[Request]:
    del luck
    return creates(server, n)


def _patch_requests(server: Server, n: int, luck: random.Random) -> list[Request]:
    users = server.users
    chosen = luck.sample(users.names, n)
    requests: list[Request] = []
    for name in chosen:
        active = name in users.inactive
        (users.inactive.discard if active else users.inactive.add)(name)
        operation = {"op": "replace", "path": "active", "value": active}
        requests.append(("PATCH", f"/Users/{users.ids[name]}", {"schemas": [PATCH], "Operations": [operation]}))
    return requests


def _filter_requests(server: Server, n: int, luck: random.Random) -> list[Request]:
    chosen = luck.sample(server.users.names, n)
    return [("GET", "/Users?filter=" + quote(f'userName eq "{name}"'), None) for name in chosen]


_KINDS: dict[str, Callable[[Server, int, random.Random], list[Request]]] = {
    "create": _create_requests,
    "PATCH active": _patch_requests,
    "filter userName eq": _filter_requests,
}


def _figures(mine: Server, others: Sequence[Server], size: int, each: int) -> list[Figure]:
    figures: list[Figure] = []
    for kind in _KINDS:
        fastest = max(others, key=lambda one: _rate(one.measured, kind), default=None)
        steadiest = min(others, key=lambda one: _p99(one, kind), default=None)
        against = fastest.name if fastest else "no peer is installed: sh tools/setup.sh bench"
        rate = _rate(fastest.measured, kind) if fastest else None
        all_rates = ", ".join(f"{one.name} {_each_rate(one, kind)}" for one in others)
        title = f"{kind}, {size:,} users"
        few = mine.measured[kind, CONNECTIONS].note(each)
        note = f"{_each_rate(mine, kind)}, {few} at {CONNECTIONS}; {all_rates}"
        figures.append(Figure("scim", title, _rate(mine.measured, kind), "ops/s", rate, against, _RATE_GOAL, note))
        if steadiest:
            p99, least = _p99(mine, kind), _p99(steadiest, kind)
            title = f"{title}, p99 at {CONNECTIONS} connections"
            figures.append(Figure("scim", title, p99, "s", least, steadiest.name, _P99_GOAL))
    return figures


def _rate(measured: Mapping[tuple[str, int], Measured], kind: str) -> float:
    """With as many connections as are best."""
    return max(median(measured[kind, load].rates) for load in LOADS)


def _each_rate(server: Server, kind: str) -> str:
    rates = (f"{median(server.measured[kind, load].rates):,.0f}" for load in LOADS)
    return f"{' and '.join(rates)}/s at {' and '.join(map(str, LOADS))} connections"


def _p99(server: Server, kind: str) -> float:
    return percentile(server.measured[kind, CONNECTIONS].latencies, 0.99)


def _larger(kind: str, server: Server, few: Mapping[tuple[str, int], Measured], sizes: tuple[int, int]) -> Figure:
    """What an operation costs with many users, against what it costs with few."""
    title = f"{kind}, {sizes[1]:,} users, a request"
    cost, before = (1 / _rate(measured, kind) for measured in (server.measured, few))
    return Figure("scim", title, cost, "s", before, f"the same with {sizes[0]:,}", _SIZE_GOAL)
