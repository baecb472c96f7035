"""A server that is killed between the work and the answer: the same request again gets the first answer."""

import asyncio
import json
import signal
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx2
import pytest

from stoa.db.database import Database
from stoa.kernel.ids import TenantId
from stoa.people.identity_locks import lock_all_identifiers
from tests.api.calling import token_of
from tests.people.api import OWN, key, names, people

_ROOT = Path(__file__).parents[2]
BODY = {"display_name": "Ada", "employee_id": "1"}


@asynccontextmanager
async def web(process_env: dict[str, str], port: int) -> AsyncGenerator[asyncio.subprocess.Process]:
    """A web server in a process of its own, when it is ready."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "stoa.cli", "web", "--host", "127.0.0.1", "--port", str(port)),
        cwd=_ROOT, env=process_env, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(60), httpx2.AsyncClient() as client:
            while True:
                assert child.returncode is None
                try:
                    if (await client.get(f"http://127.0.0.1:{port}/readyz")).status_code == 200:
                        break
                except httpx2.TransportError:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(child.wait(), 0.05)
        yield child
    finally:
        if child.returncode is None:
            child.send_signal(signal.SIGKILL)
        await child.wait()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


async def send(port: int, token: str, path: str, body: object, name: str) -> asyncio.StreamWriter:
    """Sends a request and reads nothing of its answer."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
        f"Idempotency-Key: {name}\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    writer.write(head.encode() + content)
    await writer.drain()
    return writer


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """Closes the connection, whatever has become of it."""
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


@pytest.mark.all
@pytest.mark.parametrize(
    ("path", "body", "made"),
    [
        ("/v1/people", BODY, 1),
        (
            "/v1/bulk/people",
            {"items": [{"action": "create", "external_id": f"E{n}", "person": {}} for n in range(9)]},
            9,
        ),
    ],
)
async def test_killed_between_the_commit_and_the_answer(
    database: Database, tenant_id: TenantId, process_env: dict[str, str], path: str, body: object, made: int
) -> None:
    port, token = free_port(), await token_of(database, tenant_id, source=OWN)
    async with web(process_env, port) as server:
        writer = await send(port, token, path, body, "once")
        async with asyncio.timeout(30):
            while not await is_answer_kept(database, tenant_id):
                assert server.returncode is None
        server.send_signal(signal.SIGKILL)
        await server.wait()
        await hang_up(writer)
    async with web(process_env, port), calling(port, token) as client:
        again = await client.post(path, content=json.dumps(body).encode(), headers=key("once"))
        assert again.headers["idempotency-replayed"] == "true"
        once_more = await client.post(path, content=json.dumps(body).encode(), headers=key("once"))
        assert (again.status_code, again.content) == (once_more.status_code, once_more.content)
        assert len(await people(client)) == made


@pytest.mark.all
async def test_killed_before_the_commit_nothing_is_done_and_the_retry_does_it(
    database: Database, tenant_id: TenantId, process_env: dict[str, str]
) -> None:
    port, token = free_port(), await token_of(database, tenant_id, source=OWN)
    async with web(process_env, port) as server:
        async with database.tenant(tenant_id) as tx:
            await lock_all_identifiers(tx)
            writer = await send(port, token, "/v1/people", BODY, "once")
            async with asyncio.timeout(30):
                while not await tx.fetchval(
                    "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)"
                ):
                    assert server.returncode is None
            server.send_signal(signal.SIGKILL)
            await server.wait()
            await hang_up(writer)
        assert not await is_answer_kept(database, tenant_id)
    async with web(process_env, port), calling(port, token) as client:
        async with asyncio.timeout(30):
            # The database may take a moment to see that the first is gone, who has claimed the key.
            while (again := await client.post("/v1/people", json=BODY, headers=key("once"))).status_code == 409:
                assert again.json()["code"] == "idempotency_in_flight"
        assert again.status_code == 201
        assert "idempotency-replayed" not in again.headers
        assert names(await people(client)) == ["Ada"]


@asynccontextmanager
async def calling(port: int, token: str) -> AsyncGenerator[httpx2.AsyncClient]:
    """A client of that server."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers) as client:
        yield client


async def is_answer_kept(database: Database, tenant_id: TenantId) -> bool:
    """Whether an answer is stored under a key, so that the work is done."""
    async with database.tenant(tenant_id) as tx:
        return await tx.fetchval("SELECT EXISTS (SELECT FROM idempotency_key WHERE tenant_id = $1)", tenant_id)


@pytest.mark.all
async def test_two_servers_that_are_asked_at_once_make_one_person(
    database: Database, tenant_id: TenantId, process_env: dict[str, str]
) -> None:
    ports, token = (free_port(), free_port()), await token_of(database, tenant_id, source=OWN)
    async with (
        web(process_env, ports[0]),
        web(process_env, ports[1]),
        calling(ports[0], token) as one,
        calling(ports[1], token) as other,
    ):
        for number in range(10):
            name, body = f"race {number}", {"user_name": f"racer{number}", "display_name": "Ada"}
            answers = await asyncio.gather(
                *(client.post("/v1/people", json=body, headers=key(name)) for client in (one, other) for _ in range(6))
            )
            made = {answer.json()["id"] for answer in answers if answer.status_code == 201}
            told = {answer.json()["code"] for answer in answers if answer.status_code != 201}
            assert len(made) == 1
            assert told <= {"idempotency_in_flight"}
            assert [a.headers.get("idempotency-replayed") for a in answers if a.status_code == 201].count(None) == 1
        assert len(await people(one)) == 10
