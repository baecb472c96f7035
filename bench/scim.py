"""SCIM over real sockets: create, PATCH and filter, against scim2-server on gunicorn, which keeps its users in memory.

8 connections of one client process. Ours stores, journals and logs every change durably, with its worker running.
"""

import asyncio
import importlib.util
import json
import os
import random
import secrets
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any
from urllib.parse import quote, urlsplit

from bench.ground import Ground
from bench.measuring import percentile, tree_seconds
from bench.model import Figure, Plan
from bench.processes import ask, listening, process
from stoa.access.actions import issue_token
from stoa.tenants.actions import ensure_source

USERS = 10_000
ROUNDS = 3
CONNECTIONS = 8
_EACH = 500
_READY_SECONDS = 60
_USER = "urn:ietf:params:scim:schemas:core:2.0:User"
_PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
Request = tuple[str, str, Any]


@dataclass(slots=True)
class Measured:
    """What one server did in one kind of request, by round."""

    rates: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    core_seconds: list[float] = field(default_factory=list)

    def note(self, n: int) -> str:
        """Latency and processor time."""
        p50, p99 = (1000 * percentile(self.latencies, share) for share in (0.5, 0.99))
        return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, {1000 * median(self.core_seconds) / n:.2f} core ms/op"


@dataclass(slots=True)
class Users:
    """The users of one store as the client knows them."""

    names: list[str] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)
    inactive: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Server:
    """A server under measurement. roots: the process above all of its own, and that of its database."""

    name: str
    port: int
    base: str
    token: str
    users: Users
    roots: tuple[int, ...]
    processes: int
    measured: dict[str, Measured] = field(default_factory=dict)

    def core_seconds(self) -> float:
        """Processor seconds so far."""
        return sum(map(tree_seconds, self.roots))


async def run(ground: Ground, plan: Plan) -> list[Figure]:
    """Both sides filled with the same users, then rounds of the three kinds of request, server by server in turn."""
    size = plan.size or USERS
    each = min(_EACH, max(1, size // 4))
    luck = random.Random(7)
    async with AsyncExitStack() as exits:
        client = await exits.enter_async_context(process(["bench.requests"], os.environ))
        servers = await _servers(exits, ground)
        for users in {id(server.users): server for server in servers}.values():
            plan.report(f"scim: {users.name} takes {size:,} users")
            await _create(client, users, size)
        for number in range(plan.rounds or ROUNDS):
            plan.report(f"scim: round {number + 1}")
            for kind, prepare in _KINDS.items():
                for server in servers[number % len(servers) :] + servers[: number % len(servers)]:
                    await _measure(client, server, kind, prepare(server, each, luck))
    return _figures(servers, size, each)


async def _servers(exits: AsyncExitStack, ground: Ground) -> list[Server]:
    tenant_id, slug = await ground.tenant()
    async with ground.database.tenant(tenant_id) as tx:
        source = await ensure_source(tx, "idp", "Okta")
        token = (await issue_token(tx, ["scim"], "bench", source.source_id)).token
    users = Users()
    found = [await exits.enter_async_context(_ours(ground, slug, token, users, processes)) for processes in (1, 2)]
    if importlib.util.find_spec("scim2_server") is not None:
        found.append(await exits.enter_async_context(_peer()))
    return found


@asynccontextmanager
async def _ours(ground: Ground, slug: str, token: str, users: Users, processes: int) -> AsyncGenerator[Server]:
    ready = ground.folder / f"ready-{processes}.json"
    env = {**ground.env(), "STOA_WEB_PROCESSES": str(processes)}
    arguments = ["stoa.cli", "dev", "--port", "0", "--quiet", "--ready-file", str(ready)]
    async with process(arguments, env) as one:
        async with asyncio.timeout(_READY_SECONDS):
            while not ready.exists():
                if one.returncode is not None:
                    raise RuntimeError(f"stoa dev ended with the code {one.returncode}")
                await asyncio.sleep(0.05)
        about: dict[str, str] = json.loads(ready.read_text())
        port = urlsplit(about["base_url"]).port
        assert port is not None
        name = f"{processes} process{'es' if processes > 1 else ''}"
        yield Server(name, port, f"/t/{slug}/scim/v2", token, users, (one.pid, ground.server.pid), processes)


@asynccontextmanager
async def _peer() -> AsyncGenerator[Server]:
    token = secrets.token_urlsafe(16)
    async with listening() as listener:
        port = listener.getsockname()[1]
        # gunicorn takes over only blocking sockets.
        listener.setblocking(True)
        arguments = ["bench.peers.serve_scim2", str(listener.fileno())]
        async with process(arguments, {**os.environ, "BENCH_TOKEN": token}, fds=(listener.fileno(),)) as one:
            listener.close()
            yield Server("scim2-server", port, "", token, Users(), (one.pid,), 1)


async def _create(client: asyncio.subprocess.Process, server: Server, n: int) -> None:
    for start in range(0, n, 1000):
        await _answered(client, server, _creates(server, min(1000, n - start)))


async def _answered(client: asyncio.subprocess.Process, server: Server, requests: Sequence[Request]) -> dict[str, Any]:
    wanted = [(method, server.base + path, body) for method, path, body in requests]
    question = {"port": server.port, "token": server.token, "connections": CONNECTIONS, "requests": wanted}
    answer = await ask(client, question)
    for (method, _, body), identity in zip(requests, answer["ids"], strict=True):
        # A PATCH may be answered by 204 without a body (RFC 7644, 3.5.2).
        if identity is None and method != "PATCH":
            raise RuntimeError(f"{server.name} answered a {method} without the one user that was asked for")
        if method == "POST" and identity is not None:
            server.users.ids[body["userName"]] = identity
    return answer


async def _measure(client: asyncio.subprocess.Process, server: Server, kind: str, requests: Sequence[Request]) -> None:
    before = server.core_seconds()
    answer = await _answered(client, server, requests)
    measured = server.measured.setdefault(kind, Measured())
    measured.core_seconds.append(server.core_seconds() - before)
    measured.rates.append(len(requests) / answer["seconds"])
    measured.latencies += answer["latencies"]


def _creates(server: Server, n: int) -> list[Request]:
    known = server.users.names
    first = len(known)
    known += [f"person{number}@acme.example" for number in range(first, first + n)]
    return [("POST", "/Users", _user(number, known[number])) for number in range(first, first + n)]


def _user(number: int, name: str) -> dict[str, Any]:
    given, family = f"Given{number % 4000}", f"Family{number % 9000}"
    return {
        "schemas": [_USER],
        "userName": name,
        "externalId": f"00u{number:09}",
        "active": True,
        "displayName": f"{given} {family}",
        "name": {"givenName": given, "familyName": family},
        "emails": [{"value": name, "type": "work", "primary": True}],
        "title": "Engineer",
        "preferredLanguage": "en",
    }


def _create_requests(server: Server, n: int, luck: random.Random) -> list[Request]:
    del luck
    return _creates(server, n)


def _patch_requests(server: Server, n: int, luck: random.Random) -> list[Request]:
    users = server.users
    chosen = luck.sample(users.names, n)
    requests: list[Request] = []
    for name in chosen:
        active = name in users.inactive
        (users.inactive.discard if active else users.inactive.add)(name)
        operation = {"op": "replace", "path": "active", "value": active}
        requests.append(("PATCH", f"/Users/{users.ids[name]}", {"schemas": [_PATCH], "Operations": [operation]}))
    return requests


def _filter_requests(server: Server, n: int, luck: random.Random) -> list[Request]:
    chosen = luck.sample(server.users.names, n)
    return [("GET", "/Users?filter=" + quote(f'userName eq "{name}"'), None) for name in chosen]


_KINDS: dict[str, Callable[[Server, int, random.Random], list[Request]]] = {
    "create": _create_requests,
    "PATCH active": _patch_requests,
    "filter userName eq": _filter_requests,
}


def _figures(servers: Sequence[Server], size: int, each: int) -> list[Figure]:
    peer = next((server for server in servers if server.name == "scim2-server"), None)
    against = "scim2-server, 1 process, in memory" if peer else "scim2-server is not installed: tools/setup.sh bench"
    figures: list[Figure] = []
    for kind in _KINDS:
        theirs = peer.measured[kind] if peer else None
        for server in servers:
            if server is peer:
                continue
            mine = server.measured[kind]
            # The goals of a server as it is deployed: with more than one process.
            goal, goal_p99 = (2.0, 0.6) if server.processes > 1 else (None, None)
            note = f"{mine.note(each)}; peer {theirs.note(each)}" if theirs else mine.note(each)
            title = f"{kind}, {size:,} users, {server.name}"
            rate = median(theirs.rates) if theirs else None
            figures.append(Figure("scim", title, median(mine.rates), "ops/s", rate, against, goal, note))
            if theirs and goal_p99:
                p99 = percentile(mine.latencies, 0.99), percentile(theirs.latencies, 0.99)
                figures.append(Figure("scim", f"{title}, p99", p99[0], "s", p99[1], against, goal_p99))
    return figures
