"""The command as a process: ready file, provisioning over real sockets, and its end."""

import asyncio
import contextlib
import json
import signal
import socket
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.stoa_simulators.conftest import ForeignServer

RUN = "from stoa_simulators.cli import main; main()"
SMALL = ("--companies", "3", "--people", "200", "--seed", "5", "--start-date", "2026-03-02")


def announced(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_bytes()) if path.exists() else None


async def ready(path: Path, process: asyncio.subprocess.Process) -> dict[str, Any]:
    """What the ready file says, once it is there."""
    async with asyncio.timeout(20):
        while (there := announced(path)) is None:
            assert process.returncode is None
            await asyncio.sleep(0.02)
    return there


@contextlib.asynccontextmanager
async def simulators(ready_file: Path) -> AsyncGenerator[tuple[asyncio.subprocess.Process, dict[str, Any]]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", RUN, *SMALL, "--ready-file", str(ready_file), stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process, await ready(ready_file, process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


class Gate:
    """Holds every request of the application behind it until `open` is set."""

    def __init__(self, app: ASGIApp) -> None:
        self.app, self.arrived, self.open = app, asyncio.Event(), asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.arrived.set()
        await self.open.wait()
        await self.app(scope, receive, send)


@contextlib.asynccontextmanager
async def listening(app: ASGIApp) -> AsyncIterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", ws="none", log_level="warning"))
    running = asyncio.create_task(server.serve(sockets=[listener]))
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    await running


async def test_provisioning_streams_progress_and_a_result_once_at_a_time(
    tmp_path: Path, foreign: ForeignServer
) -> None:
    gate = Gate(foreign.app())
    async with simulators(tmp_path / "ready") as (_, there), listening(gate) as server, httpx2.AsyncClient() as client:
        path = f"{there['base_url']}/control/companies/globex/provision"
        order = {"scim_base_url": f"{server}/scim/v2/?ignored=1", "token": "secret"}
        async with client.stream("POST", path, json=order, timeout=20) as stream:
            await gate.arrived.wait()
            assert (await client.post(path, json=order)).status_code == 409
            gate.open.set()
            lines = [json.loads(line) async for line in stream.aiter_lines()]
        company = (await client.get(f"{there['base_url']}/control/companies/globex")).json()
        again = await client.post(path, json={**order, "mode": "delta"}, timeout=20)
    result = lines[-1]["result"]
    assert result["created"] == result["people"] == company["counts"]["active"] == len(foreign.users)
    assert result["failed"] == 0
    assert all(set(line) == {"done", "total"} for line in lines[:-1])
    assert json.loads(again.text.splitlines()[-1])["result"]["unchanged"] == result["people"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    ready_file = tmp_path / "ready"
    async with simulators(ready_file) as (process, there):
        assert there["pid"] == process.pid
        async with httpx2.AsyncClient() as client:
            assert (await client.get(f"{there['base_url']}/control/health")).json()["companies"] == 3
        process.send_signal(number)
        _, errors = await process.communicate()
        assert (process.returncode, errors) == (0, b"")
        assert announced(ready_file) is None


async def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    ready_file = tmp_path / "ready"
    arguments = [sys.executable, "-c", RUN, *SMALL, "--ready-file", str(ready_file), "--die-with-parent"]
    program = f"import subprocess; subprocess.Popen({arguments!r}).wait()"
    # The child inherits the parent's standard output: it is at its end only when both are gone.
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    there = await ready(ready_file, parent)
    assert there["pid"] != parent.pid
    parent.kill()
    assert parent.stdout is not None
    async with asyncio.timeout(10):
        assert await parent.stdout.read() == b""
    await parent.wait()
    assert announced(ready_file) is None


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [(("--companies", "2", "--people", "1"), "2 companies"), (("--host", "192.0.2.1", *SMALL), "cannot listen")],
)
async def test_what_cannot_be_served_ends_with_a_reason(arguments: tuple[str, ...], reason: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", RUN, *arguments, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()
    assert process.returncode == 1
    assert reason in errors.decode()
