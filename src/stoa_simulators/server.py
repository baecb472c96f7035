"""One application with every simulated system, and the server that runs it until it is told to stop."""

import asyncio
import contextlib
import os
import signal
import socket
import uuid
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Final

import msgspec
import uvicorn
from starlette.applications import Starlette

from stoa_simulators.control import control_routes
from stoa_simulators.estate import Estate
from stoa_simulators.workday import workday_routes

_PARENT_CHECK_SECONDS: Final = 0.5


def create_app(estate: Estate) -> Starlette:
    """The report servers of all companies, and the control interface."""
    services = {slug: tenancy.report for slug, tenancy in estate.items()}
    return Starlette(routes=[*workday_routes(services), *control_routes(estate)])


def fastest_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the event loop: uvloop where it is installed."""
    return uvicorn.Config(app="").get_loop_factory()


class _Server(uvicorn.Server):
    """A server whose signals are handled by the loop below, so that being told to stop is a clean end."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave the signal handlers alone."""
        yield


async def serve(estate: Estate, *, host: str, port: int, ready_file: Path | None, parent: int | None) -> None:
    """Listen until SIGINT, SIGTERM, or the end of process `parent`. Port 0 is any free port.

    When the port is open `{"base_url", "pid"}` is written to `ready_file` in one step, and the file is removed at the
    end. Raises OSError when the address cannot be bound.
    """
    listener = _listener(host, port)
    config = uvicorn.Config(
        create_app(estate), lifespan="off", ws="none", log_level="warning", timeout_graceful_shutdown=2
    )
    server = _Server(config)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _stop, server)
    if parent is not None:
        _watch_parent(loop, server, parent)
    if ready_file is not None:
        _announce(ready_file, host, listener.getsockname()[1])
    try:
        await server.serve(sockets=[listener])
    finally:
        if ready_file is not None:
            _withdraw(ready_file)


def _stop(server: uvicorn.Server) -> None:
    server.should_exit = True


def _watch_parent(loop: asyncio.AbstractEventLoop, server: uvicorn.Server, parent: int) -> None:
    """Where the kernel does not tell of the parent's end, being handed to another parent does."""
    if os.getppid() == parent:
        loop.call_later(_PARENT_CHECK_SECONDS, _watch_parent, loop, server, parent)
    else:
        _stop(server)


def _listener(host: str, port: int) -> socket.socket:
    """A listening socket; connections made from now on wait until they are accepted."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener


def _announce(ready_file: Path, host: str, port: int) -> None:
    """Written beside its place and moved there, so that a reader sees all of it or nothing."""
    shown = f"[{host}]" if ":" in host else host
    scratch = ready_file.with_name(f".{ready_file.name}.{uuid.uuid4().hex}")
    scratch.write_bytes(msgspec.json.encode({"base_url": f"http://{shown}:{port}", "pid": os.getpid()}))
    scratch.replace(ready_file)


def _withdraw(ready_file: Path) -> None:
    ready_file.unlink(missing_ok=True)
