"""Everything that runs on one machine: database, migrations, web and worker processes."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from stoa.cli.children import Child
from stoa.cli.instances import Instance, announced, database_dir
from stoa.composition import Store
from stoa.db import embedded
from stoa.db.migrations import migrate
from stoa.kernel.problems import Misconfigured
from stoa.settings import Settings

_READY_SECONDS = 30.0
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Stack:
    """A running stack. children: web processes and worker. database_alive: False when a server of its own has ended."""

    settings: Settings
    store: Store
    base_url: str
    children: tuple[Child, ...]
    mailbox: Path
    database_alive: Callable[[], bool]


@asynccontextmanager
async def stack(
    settings: Settings, *, ephemeral: bool, report: Report = lambda _: None, log: Path | None = None
) -> AsyncGenerator[Stack]:
    """Runs everything for the length of the block, and leaves nothing behind if it is ephemeral.

    log: a file for the processes' logs (default: standard error).
    Raises Misconfigured, or a problem of the embedded server, when a part does not come up.
    """
    async with AsyncExitStack() as exits:
        report("database")
        store, folder, alive = await _database(exits, settings, ephemeral=ephemeral)
        report("migrations")
        await migrate(store.connect_args("stoa_migrator"))
        report("processes")
        mailbox = settings.mailbox or folder / "mailbox"
        listener = exits.enter_context(_listener(settings))
        host, port = listener.getsockname()[:2]
        base_url = settings.base_url or f"http://{f'[{host}]' if ':' in host else host}:{port}"
        sink = exits.enter_context(log.open("ab")) if log else None
        settings = settings.model_copy(update={"base_url": base_url})
        children = _children(settings, store, mailbox, listener, None if sink is None else sink.fileno())
        for child in children:
            exits.push_async_callback(child.stop)
            await child.start()
        await _ready(host, port, children, log)
        exits.enter_context(
            announced(
                settings,
                Instance(os.getpid(), base_url, store.url, str(store.key_ring), str(mailbox), _allowed(settings)),
            )
        )
        yield Stack(settings, store, base_url, children, mailbox, alive)


async def _database(
    exits: AsyncExitStack, settings: Settings, *, ephemeral: bool
) -> tuple[Store, Path, Callable[[], bool]]:
    """Where the data is, the folder for what else this instance keeps, and whether the server still runs."""
    if settings.database_url is not None and not ephemeral:
        return Store(settings.database_url, settings.key_ring_path), settings.state_dir, lambda: True
    config = embedded.EmbeddedConfig()
    if not ephemeral:
        config = embedded.EmbeddedConfig(data_dir=database_dir(settings), keyring_path=settings.key_ring_path)
    server = await exits.enter_async_context(embedded.running(config))
    # The folder of an ephemeral server goes with it, and even after kill -9 with the next one.
    folder = server.data_dir if ephemeral else settings.state_dir
    return Store(server.url, server.keyring_path), folder, lambda: server.alive


def _listener(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise Misconfigured(
            f"The address {settings.host}:{settings.port} cannot be listened on: {error.strerror}.",
            hint="Choose another with --port, or 0 for any free one.",
        ) from error
    listener.listen(2048)
    listener.setblocking(False)
    return listener


def _children(
    settings: Settings, store: Store, mailbox: Path, listener: socket.socket, log: int | None
) -> tuple[Child, ...]:
    env: Mapping[str, str] = {
        **os.environ,
        "STOA_DATABASE_URL": store.url,
        "STOA_KEY_RING": str(store.key_ring),
        "STOA_MAILBOX": str(mailbox),
        "STOA_BASE_URL": str(settings.base_url),
        "STOA_LOG_LEVEL": settings.log_level,
        "STOA_OUTBOUND_ALLOW": _allowed(settings),
        "STOA_DEVELOPMENT": str(settings.development).lower(),
    }
    stoa = [sys.executable, "-m", "stoa.cli"]
    fd = listener.fileno()
    web = [
        Child(f"web {n}", [*stoa, "web", "--fd", str(fd)], env, fds=(fd,), log=log)
        for n in range(settings.web_processes)
    ]
    return (*web, Child("worker", [*stoa, "worker"], env, log=log))


def _allowed(settings: Settings) -> str:
    return ",".join(sorted(settings.outbound_allow))


async def _ready(host: str, port: int, children: tuple[Child, ...], log: Path | None) -> None:
    """Waits until the web server says that it is ready. Raises Misconfigured when a process falls before that."""
    try:
        async with asyncio.timeout(_READY_SECONDS):
            while not await _answers(host, port):
                if fallen := [child.name for child in children if child.falls]:
                    raise Misconfigured(f"The process {fallen[0]} ended while it was starting.{_last_words(log)}")
                await asyncio.sleep(0.05)
    except TimeoutError as error:
        raise Misconfigured(f"The server was not ready after {_READY_SECONDS:.0f} s.{_last_words(log)}") from error


def _last_words(log: Path | None) -> str:
    if log is None:
        return " Its log above says why."
    lines = log.read_text("utf-8", errors="replace").splitlines()[-5:]
    return "\n" + "\n".join(lines)


async def _answers(host: str, port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        async with asyncio.timeout(1):
            status = await reader.readline()
        writer.close()
        await writer.wait_closed()
    except (OSError, TimeoutError):
        return False
    return b" 200 " in status
