"""Processes: the whole stack for development, or the parts one by one for operation."""

import asyncio
import gc
import json
import os
import signal
import socket
import sys
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import uvicorn
import uvloop
from cyclopts import App

from stoa.cli.common import err, out
from stoa.cli.stack import stack
from stoa.composition import Store
from stoa.db.migrations import migrate
from stoa.db.roles import init_roles
from stoa.kernel.problems import Misconfigured, Problem
from stoa.logs import set_up_logging
from stoa.main import Application, create_app
from stoa.settings import Settings, read_settings
from stoa.worker import run_worker

db_app = App(name="db", help="Prepare an external PostgreSQL.")
_GRACE_SECONDS = 10
# As uvicorn's own command has it.
_NOT_STARTED = 3
T = TypeVar("T")


class _Server(uvicorn.Server):
    """Has the application end its streams first: uvicorn waits for every answer that is under way.

    What is there once it has started stays to the end, and is a hundred thousand objects: searching them for garbage
    halts every request for up to a tenth of a second, now and again. So they are set aside.
    """

    def __init__(self, config: uvicorn.Config, application: Application) -> None:
        super().__init__(config)
        self._application = application

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to serve."""
        await super().startup(sockets)
        gc.collect()
        gc.freeze()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends the server."""
        self._application.stop()
        await super().shutdown(sockets)


class DatabaseEnded(Problem):
    """The database that was started here is not there any more.

    Its log, in the state folder, says why it ended. Start the command again.
    """

    code = "database_ended"


async def dev(
    *,
    ephemeral: bool = False,
    ready_file: Path | None = None,
    host: str | None = None,
    port: int | None = None,
    allow: tuple[str, ...] = (),
    quiet: bool = False,
) -> None:
    """Run everything on this machine: database, migrations, web and worker. Ctrl-C ends it all.

    Args:
        ephemeral: Keep the database in a temporary folder and leave nothing behind.
        ready_file: When ready, write {"base_url", "pid", ...} to this file.
        host: The address to listen on.
        port: The port to listen on; 0 takes a free one, which is the default with --ephemeral.
        allow: An exact host:port that connections may name although it is not public, such as 127.0.0.1:9000; may be
            repeated.
        quiet: Say nothing but what goes wrong.
    """
    settings = read_settings()
    if quiet:
        settings = settings.model_copy(update={"log_level": "warning"})
    set_up_logging(settings, "dev")
    chosen = port if port is not None else (0 if ephemeral and "STOA_PORT" not in os.environ else settings.port)
    settings = settings.model_copy(
        update={
            "host": host or settings.host,
            "port": chosen,
            "outbound_allow": settings.outbound_allow | frozenset(allow),
            "development": True,
        }
    )
    await unless_stopped(_dev(settings, ephemeral=ephemeral, ready_file=ready_file, quiet=quiet))


async def _dev(settings: Settings, *, ephemeral: bool, ready_file: Path | None, quiet: bool) -> None:
    """Serves until it is cancelled. Raises when the database ends by itself."""
    async with stack(settings, ephemeral=ephemeral) as running:
        about = {
            "base_url": running.base_url,
            "pid": os.getpid(),
            "database_url": running.store.url,
            "key_ring": str(running.store.key_ring),
        }
        with _announced_in(ready_file, json.dumps(about)):
            if not quiet:
                out.print(
                    f"Stoa runs at {running.base_url}, the console at {running.base_url}/console; Ctrl-C ends it."
                )
                out.print("An account: stoa operator create YOU@EXAMPLE.COM --name YOU --platform-role admin.")
            while running.database_alive():
                await asyncio.sleep(1)
        raise DatabaseEnded("The database server ended.", hint="Its log says why; `stoa dev` starts it again.")


@contextmanager
def _announced_in(path: Path | None, text: str) -> Generator[None]:
    if path is None:
        yield
        return
    try:
        _write_whole(path, text)
    except OSError as error:
        raise Misconfigured(f"The file {path} cannot be written: {error.strerror}.") from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


async def unless_stopped(work: Coroutine[Any, Any, T]) -> T | None:
    """What `work` gives, or None when SIGTERM, SIGINT or SIGHUP came first: then it is cancelled, however far it is,
    and has tidied up.
    """
    stop = asyncio.ensure_future(_stop_event().wait())
    task = asyncio.ensure_future(work)
    await asyncio.wait({stop, task}, return_when=asyncio.FIRST_COMPLETED)
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
    stop.cancel()
    return None if task.cancelled() else task.result()


def _stop_event() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # nohup asks that the end of the terminal be ignored.
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, stop.set)
    return stop


def _write_whole(path: Path, text: str) -> None:
    """Puts a file in place at once, never half written."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text, "utf-8")
    draft.replace(path)


def web(*, host: str | None = None, port: int | None = None, fd: int | None = None) -> None:
    """Run one web server process on the configured database.

    Args:
        host: The address to listen on.
        port: The port to listen on.
        fd: A listening socket inherited from the parent, instead of an address.
    """
    settings = _configured()
    application = create_app(settings)
    config = uvicorn.Config(
        application,
        host=host or settings.host,
        port=settings.port if port is None else port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="on",
        timeout_graceful_shutdown=_GRACE_SECONDS,
        h11_max_incomplete_event_size=32 * 1024,
    )
    # Not by uvicorn's own `fd`: it takes every inherited socket for a Unix one, so that TCP_NODELAY is not set on what
    # it accepts, and each answer waits 40 ms for the client's delayed acknowledgement.
    server = _Server(config, application)
    server.run(sockets=None if fd is None else [socket.socket(fileno=fd)])
    if not server.started:
        sys.exit(_NOT_STARTED)


def worker() -> None:
    """Run one worker process on the configured database."""
    settings = _configured()
    set_up_logging(settings, "worker")
    # As the web processes do (`_Server`), whose loop it has too.
    gc.collect()
    gc.freeze()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run_worker(settings, Store(str(settings.database_url), settings.key_ring_path)))


def _configured() -> Settings:
    settings = read_settings()
    if settings.database_url is None:
        raise Misconfigured(
            "STOA_DATABASE_URL is not set.", hint="Set it, or use `stoa dev`, which brings a database of its own."
        )
    return settings


@db_app.command(name="init")
async def init_database(*, admin_url: str, database: str = "stoa") -> None:
    """Make Stoa's roles and database on an external PostgreSQL 15 to 18, and write their passwords to the key ring.

    Args:
        admin_url: An administrator with CREATEROLE and CREATEDB; no superuser is needed.
        database: The database's name.
    """
    settings = read_settings()
    settings.key_ring_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    await init_roles(admin_url, settings.key_ring_path, database)
    out.print(f"Roles and database are ready; their passwords are in {settings.key_ring_path}.")
    err.print(f"Next: set STOA_DATABASE_URL=postgresql://HOST:PORT/{database} and run `stoa db migrate`.")


@db_app.command(name="migrate")
async def migrate_database() -> None:
    """Apply the migrations that are missing on the configured database."""
    settings = _configured()
    applied = await migrate(Store(str(settings.database_url), settings.key_ring_path).connect_args("stoa_migrator"))
    out.print(f"Applied: {', '.join(applied)}" if applied else "Nothing to apply.")
