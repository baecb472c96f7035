"""The console's pages at 3,000 tenants and a company of 100,000 people, each against a bare route that runs the page's
own main query and answers the rows as JSON.

One reader, one connection: what is measured is the time until the whole page is there.
"""

import asyncio
import os
import random
import socket
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from bench.bare import ROWS
from bench.company import DEPARTMENTS, FAMILIES, GIVEN, Company, make_company, make_crowd
from bench.ground import Ground
from bench.measuring import percentile
from bench.model import Figure, Plan
from bench.processes import ask, listening, process
from stoa.access.operators import NewOperator, create_operator
from stoa.access.permissions import Role
from stoa.access.sessions import open_session

PEOPLE: Final = 100_000
ROUNDS: Final = 4
_EACH: Final = 50
_GOAL: Final = 6.0
_READY_SECONDS: Final = 60
# The address of a page, and that of the bare route.
Addresses = tuple[str, str]


@dataclass(slots=True)
class Page:
    """One kind of page and the seconds that it and its bare route took."""

    name: str
    addresses: Callable[[random.Random], Addresses]
    ours: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)


async def run(ground: Ground, plan: Plan) -> list[Figure]:
    """Both servers over the same data, then rounds of each page, page and bare route in turn."""
    people = plan.size or PEOPLE
    tenants = max(20, people * 3 // 100)
    plan.report(f"console: {tenants:,} tenants, {people:,} people")
    company = await make_company(ground, people)
    await make_crowd(ground, tenants)
    await ground.settle()
    luck = random.Random(7)
    async with AsyncExitStack() as exits:
        client = await exits.enter_async_context(process(["bench.requests"], os.environ))
        headers = {"Cookie": f"stoa_session={await _signed_in(ground)}", "Accept": "text/html"}
        ours = await exits.enter_async_context(server(ground, ["stoa.cli", "web", "--fd"], "/healthz"))
        bare = await exits.enter_async_context(server(ground, ["bench.bare"], "/board"))
        pages = _pages(company)
        for page in pages:
            # The first of each compiles its template, prepares its statements and opens its connections.
            await _measure(client, page, (ours, bare), headers, [page.addresses(luck) for _ in range(5)])
            page.ours.clear()
            page.bare.clear()
        for number in range(plan.rounds or ROUNDS):
            plan.report(f"console: round {number + 1}")
            for page in pages:
                asked = [page.addresses(luck) for _ in range(_EACH)]
                await _measure(client, page, (ours, bare), headers, asked)
    return [figure for page in pages for figure in _figures(page)]


def _pages(company: Company) -> list[Page]:
    base, bare = f"/console/t/{company.slug}", f"/{company.tenant_id}"
    plan = f"/runs/{company.run_id}/changes"

    def people(**query: str) -> Addresses:
        asked = f"/people?{urlencode({**query, 'limit': ROWS})}"
        return f"{base}{asked}", f"{bare}{asked}"

    def searched(luck: random.Random) -> Addresses:
        return people(q=f"{luck.choice(GIVEN)} {luck.choice(('Smith', 'Jones'))}{luck.randrange(FAMILIES)}"[:9])

    def filtered(luck: random.Random) -> Addresses:
        return people(filter=f'department eq "D{luck.randrange(DEPARTMENTS)}"')

    def profile(luck: random.Random) -> Addresses:
        person = f"/people/{luck.choice(company.person_ids)}"
        return f"{base}{person}", f"{bare}{person}"

    return [
        Page("board", lambda _: (f"/console?limit={ROWS}", "/board")),
        Page("person search", searched),
        Page("people, filtered", filtered),
        Page("profile", profile),
        Page("plan", lambda _: (f"{base}{plan}?limit={ROWS}", f"{bare}{plan}")),
    ]


async def _signed_in(ground: Ground) -> str:
    """The token of somebody who may see everything."""
    async with ground.database.platform() as tx:
        operator, _ = await create_operator(tx, NewOperator("bench@example.com", "Bench", Role.PLATFORM_ADMIN, {}))
        await tx.execute(
            "UPDATE operator SET must_change_password = false WHERE operator_id = $1", operator.operator_id
        )
        return await open_session(tx, operator.operator_id, user_agent="bench", address="127.0.0.1")


@asynccontextmanager
async def server(ground: Ground, arguments: list[str], probe: str) -> AsyncGenerator[int]:
    """One process on a port of its own, once it answers."""
    async with listening() as listener:
        port: int = listener.getsockname()[1]
        async with process([*arguments, str(listener.fileno())], ground.env(), fds=(listener.fileno(),)) as one:
            # From here on it is the server's alone, so that nobody waits at it for a server that has ended.
            listener.close()
            await _answers(port, probe, one)
            yield port


async def _answers(port: int, probe: str, one: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(_READY_SECONDS):
        # The listener is open before the server is: the connection waits in its queue.
        reader, writer = await asyncio.open_connection("127.0.0.1", port, family=socket.AF_INET)
        writer.write(f"GET {probe} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        try:
            status = await reader.readline()
        except ConnectionError:
            status = b""
        writer.close()
    if b" 200 " not in status:
        raise RuntimeError(f"A server said {status!r} to {probe}; its code is {one.returncode}.")


async def _measure(
    client: asyncio.subprocess.Process,
    page: Page,
    ports: tuple[int, int],
    headers: Mapping[str, str],
    asked: list[Addresses],
) -> None:
    for port, side, taken in zip(ports, (0, 1), (page.ours, page.bare), strict=True):
        question: dict[str, Any] = {
            "port": port,
            "connections": 1,
            "headers": {**headers, "Accept-Encoding": "gzip"},
            "pages": True,
            "requests": [["GET", addresses[side], None] for addresses in asked],
        }
        taken += (await ask(client, question))["latencies"]


def _figures(page: Page) -> list[Figure]:
    against = "bare route: the main query alone, as JSON"
    return [
        Figure(
            "console",
            f"{page.name}, {told}",
            percentile(page.ours, share),
            "s",
            percentile(page.bare, share),
            against,
            _GOAL,
            f"{len(page.ours)} requests",
        )
        for told, share in (("p50", 0.5), ("p99", 0.99))
    ]
