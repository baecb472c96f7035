"""Processes of a benchmark: servers on a socket that was opened for them, and clients that are spoken to by lines."""

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from stoa.cli.children import PARENT_VARIABLE

ROOT = Path(__file__).parents[1]
_END_SECONDS = 15
_ANSWER_SECONDS = 120
_LINE = 64 * 1024 * 1024


class ProcessFailedError(RuntimeError):
    """A process of the benchmark ended, or reported an error."""


@asynccontextmanager
async def listening() -> AsyncGenerator[socket.socket]:
    """A socket that listens on a free port of the loopback."""
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        listener.setblocking(False)
        yield listener


@asynccontextmanager
async def process(
    arguments: Sequence[str],
    env: Mapping[str, str],
    *,
    fds: tuple[int, ...] = (),
    program: Sequence[str] = (sys.executable, "-m"),
) -> AsyncGenerator[asyncio.subprocess.Process]:
    """`python -m ARGUMENTS`, or another program, for the length of the block; it ends with this process, whatever
    happens.
    """
    started = await asyncio.create_subprocess_exec(
        *program, *arguments, env={**env, PARENT_VARIABLE: str(os.getpid())}, cwd=ROOT, pass_fds=fds,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=_LINE,
    )  # fmt: skip
    try:
        yield started
    finally:
        if started.returncode is None:
            started.terminate()
            try:
                await asyncio.wait_for(started.wait(), _END_SECONDS)
            except TimeoutError:
                started.kill()
                await started.wait()


async def ask(one: asyncio.subprocess.Process, question: Mapping[str, Any]) -> dict[str, Any]:
    """Sends a line of JSON and waits for the line that answers it. Raises ProcessFailedError."""
    assert one.stdin is not None and one.stdout is not None  # noqa: PT018 - both are pipes
    one.stdin.write(json.dumps(question).encode() + b"\n")
    await one.stdin.drain()
    try:
        line = await asyncio.wait_for(one.stdout.readline(), _ANSWER_SECONDS)
    except TimeoutError as error:
        raise ProcessFailedError(f"A process gave no answer in {_ANSWER_SECONDS} s.") from error
    if not line:
        raise ProcessFailedError(f"A process ended in the middle of its work, with the code {await one.wait()}.")
    answer: dict[str, Any] = json.loads(line)
    if "error" in answer:
        raise ProcessFailedError(answer["error"])
    return answer
