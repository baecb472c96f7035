"""SCIM servers under measurement, with the client that speaks to them: ours, and the peers in their own set-ups.

One client process with as many connections as it is told. Ours stores, journals and logs every change durably, with
its worker running.
"""

import asyncio
import importlib.util
import json
import os
import secrets
import shutil
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from bench.ground import Ground
from bench.measuring import percentile, tree_seconds
from bench.processes import ROOT, ask, listening, process
from stoa.access.actions import issue_token
from stoa.people.guard_rules import Guard, GuardKind
from stoa.people.thresholds import set_guard
from stoa.tenants.actions import ensure_source

CONNECTIONS = 8
_PROCESSES = 2
_READY_SECONDS = 60
_SCIMMY = ROOT / "bench" / "peers" / "scimmy"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
Request = tuple[str, str, Any]
Process = asyncio.subprocess.Process


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
    """A server under measurement.

    Attributes:
        roots: the process above all of its own, and that of its database.
        measured: by kind of request and number of connections.
    """

    name: str
    port: int
    base: str
    token: str
    users: Users
    roots: tuple[int, ...]
    measured: dict[tuple[str, int], Measured] = field(default_factory=dict)

    def core_seconds(self) -> float:
        """Processor seconds so far."""
        return sum(map(tree_seconds, self.roots))


@asynccontextmanager
async def ours(ground: Ground) -> AsyncGenerator[Server]:
    """Stoa with two web processes and its worker, for one tenant."""
    tenant_id, slug = await ground.tenant()
    async with ground.database.tenant(tenant_id) as tx:
        source = await ensure_source(tx, "idp", "Okta")
        token = (await issue_token(tx, ["scim"], "bench", source.source_id)).token
        # Else hundreds of deactivations, and of memberships that end, would wait for an admin.
        for kind in GuardKind:
            await set_guard(tx, kind, None, Guard(enabled=False))
    ready = ground.folder / "ready.json"
    env = {**ground.env(), "STOA_WEB_PROCESSES": str(_PROCESSES)}
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
        roots = (one.pid, ground.server.pid)
        yield Server(f"Stoa, {_PROCESSES} processes", port, f"/t/{slug}/scim/v2", token, Users(), roots)


@asynccontextmanager
async def peers(ground: Ground) -> AsyncGenerator[list[Server]]:
    """Those that are installed: scim2-server on gunicorn, in memory; django-scim2 on gunicorn and SCIMMY on express,
    both on this PostgreSQL.
    """
    found: list[Server] = []
    async with AsyncExitStack() as exits:
        if importlib.util.find_spec("scim2_server") is not None:
            command = [sys.executable, "-m", "bench.peers.serve_scim2"]
            found.append(await exits.enter_async_context(_peer("scim2-server, in memory", command, {}, ())))
        database = {"BENCH_DSN": ground.admin_dsn}
        roots = (ground.server.pid,)
        if importlib.util.find_spec("django_scim") is not None:
            command = [sys.executable, "-m", "bench.peers.serve_django"]
            found.append(await exits.enter_async_context(_peer("django-scim2, 4 processes", command, database, roots)))
        node = shutil.which("node") or str(ROOT / ".venv" / "bin" / "node")
        if (_SCIMMY / "node_modules").is_dir():
            command = [node, str(_SCIMMY / "serve.mjs")]
            found.append(await exits.enter_async_context(_peer("SCIMMY on express", command, database, roots)))
        yield found


@asynccontextmanager
async def _peer(
    name: str, command: Sequence[str], env: Mapping[str, str], roots: tuple[int, ...]
) -> AsyncGenerator[Server]:
    token = secrets.token_urlsafe(16)
    async with listening() as listener:
        port = listener.getsockname()[1]
        # gunicorn takes over only blocking sockets.
        listener.setblocking(True)
        around = {**os.environ, **env, "BENCH_TOKEN": token}
        descriptor = listener.fileno()
        async with process([str(descriptor)], around, fds=(descriptor,), program=command) as one:
            # Ours is closed, so that a peer that falls over is noticed.
            await _answers(port, token)
            listener.close()
            yield Server(name, port, "", token, Users(), (one.pid, *roots))


async def _answers(port: int, token: str) -> None:
    """Waits for the first answer: connections wait in the socket's queue meanwhile."""
    async with asyncio.timeout(_READY_SECONDS):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"GET /ServiceProviderConfig HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
            b"Authorization: Bearer " + token.encode() + b"\r\n\r\n"
        )
        await reader.read()
        writer.close()


async def create(client: Process, server: Server, n: int) -> None:
    """Has a server make further users."""
    for start in range(0, n, 1000):
        await answered(client, server, creates(server, min(1000, n - start)))


async def answered(
    client: Process, server: Server, requests: Sequence[Request], *, connections: int = CONNECTIONS
) -> dict[str, Any]:
    """Sends requests, and notes the ids of users that were made. Raises ProcessFailedError, RuntimeError."""
    wanted = [(method, server.base + path, body) for method, path, body in requests]
    question = {"port": server.port, "token": server.token, "connections": connections, "requests": wanted}
    answer = await ask(client, question)
    for (method, path, body), identity in zip(requests, answer["ids"], strict=True):
        if path != "/Users" and not path.startswith("/Users?"):
            continue
        if identity is None:
            raise RuntimeError(f"{server.name} answered a {method} without the one user that was asked for")
        if method == "POST":
            server.users.ids[body["userName"]] = identity
    return answer


async def measure(
    client: Process, server: Server, kind: str, requests: Sequence[Request], *, connections: int
) -> float:
    """Sends requests and notes what they took. Gives the seconds."""
    before = server.core_seconds()
    answer = await answered(client, server, requests, connections=connections)
    measured = server.measured.setdefault((kind, connections), Measured())
    measured.core_seconds.append(server.core_seconds() - before)
    measured.rates.append(len(requests) / answer["seconds"])
    measured.latencies += answer["latencies"]
    return answer["seconds"]


def creates(server: Server, n: int) -> list[Request]:
    """Requests that make n users whom the server has not."""
    known = server.users.names
    first = len(known)
    known += [f"person{number}@acme.example" for number in range(first, first + n)]
    return [("POST", "/Users", user(number, known[number])) for number in range(first, first + n)]


def user(number: int, name: str) -> dict[str, Any]:
    """A user as an identity provider sends one."""
    given, family = f"Given{number % 4000}", f"Family{number % 9000}"
    return {
        "schemas": [USER],
        "userName": name,
        "externalId": f"00u{number:09}",
        "active": True,
        "displayName": f"{given} {family}",
        "name": {"givenName": given, "familyName": family},
        "emails": [{"value": name, "type": "work", "primary": True}],
        "title": "Engineer",
        "preferredLanguage": "en",
    }
