"""Starting and stopping the embedded server."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast
from urllib.parse import quote

from stoa.db import roles
from stoa.db.embedded import binaries, folders
from stoa.db.embedded.accounts import Account, server_account
from stoa.db.embedded.cluster import SUPERUSER, clear_stale_pid, is_ready, major_of, make_cluster
from stoa.db.embedded.config import EmbeddedConfig, server_settings
from stoa.db.embedded.folders import Folders
from stoa.db.embedded.launch import Child, end, last_words, spawn
from stoa.db.embedded.problems import EmbeddedProblem, StartFailed
from stoa.db.keyring import KeyRing, KeyRingMissing

_POLL_SECONDS: Final = 0.005
_AT_ONCE: Final = [(signal.SIGQUIT, 10.0), (signal.SIGKILL, 5.0)]


@dataclass(frozen=True, slots=True)
class Server:
    """A running server.

    Attributes:
        url: names host and database alone: "postgresql:///stoa?host=/short/folder". `stoa.db.roles.dsn_for` adds a
            role.
        admin_dsn: the superuser's; for making roles and for backups of the whole, never for serving.
        pid: the postmaster's process id.
        major: PostgreSQL's major version.
        keyring_path: the key ring with the roles' passwords.
        log_path: what the server writes about itself.
        socket_dir: the folder of its unix socket.
        data_dir: the database folder.
        hold: the launcher's own.
    """

    url: str
    admin_dsn: str = field(repr=False)
    pid: int
    major: int
    keyring_path: Path
    log_path: Path
    socket_dir: Path
    data_dir: Path
    hold: "Hold" = field(repr=False, compare=False)

    @property
    def alive(self) -> bool:
        """Whether the server process is still there."""
        return self.hold.child.process.poll() is None


@dataclass(slots=True)
class Hold:
    """What the launcher keeps of a server until `stop`; of no use to others."""

    child: Child
    folders: Folders
    ephemeral: bool
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class Running:
    """Where another process's server is, as its folder says.

    Attributes:
        url: as in `Server`.
        keyring_path: as in `Server`.
        launcher: process id of whoever started it.
    """

    url: str
    keyring_path: Path
    launcher: int


@asynccontextmanager
async def running(config: EmbeddedConfig) -> AsyncGenerator[Server]:
    """A server for the length of the block. Raises as `start` does."""
    server = await start(config)
    try:
        yield server
    finally:
        await stop(server)


async def start(config: EmbeddedConfig) -> Server:
    """Starts the server, making its folder, key ring, roles and database where they are missing.

    The server ends when this process ends, however that happens. Called on another thread than the main one, that is
    seen to by a small watch process. Whoever calls this calls `stop` in the end; `running` does both.

    Raises:
        NoBinaries: no PostgreSQL of a fitting version.
        AlreadyRunning: the database folder is in use.
        StartFailed: PostgreSQL gave up; the detail has the last lines of its log.
        KeyRingProblem: the key ring is damaged, open to others, or missing while the database folder is there.
        EmbeddedProblem: a folder is out of reach or belongs to somebody else.
    """
    places, account = await _places(config)
    try:
        keyring_path = config.keyring_path or places.base / "keyring.json"
        major = major_of(places.cluster)
        programs = await asyncio.to_thread(
            binaries.choose, account, major=major, bin_dir=config.bin_dir, cache_dir=config.cache_dir
        )
        password = _superuser_password(keyring_path, has_cluster=major is not None)
        if major is None:
            await make_cluster(places, programs, account, password, ephemeral=config.ephemeral)
        clear_stale_pid(places.cluster, account)
        child = await _serving(config, places, programs.bin_dir / "postgres", account)
    except BaseException:
        folders.close(places)
        raise
    host = quote(str(places.sockets), safe="/")
    server = Server(
        url=f"postgresql:///{quote(config.database, safe='')}?host={host}",
        admin_dsn=f"postgresql://{SUPERUSER}:{quote(password, safe='')}@/postgres?host={host}",
        pid=child.process.pid,
        major=programs.major,
        keyring_path=keyring_path,
        log_path=places.log,
        socket_dir=places.sockets,
        data_dir=places.base,
        hold=Hold(child, places, config.ephemeral),
    )
    try:
        await roles.init_roles(server.admin_dsn, keyring_path, config.database)
        _write_state(server)
    except BaseException:
        await stop(server)
        raise
    return server


async def stop(server: Server) -> None:
    """Ends the server: a durable one with a checkpoint (fast shutdown), an ephemeral one at once. A second call does
    nothing.

    Raises:
        EmbeddedProblem: the process does not end, whatever it is sent; its folder stays locked.
    """
    hold = server.hold
    if hold.stopped:
        return
    hold.stopped = True
    # The signals are those of the PostgreSQL manual, "Shutting Down the Server".
    steps = _AT_ONCE if hold.ephemeral else [(signal.SIGINT, 60.0), *_AT_ONCE]
    if await end(hold.child, steps) is None:
        raise EmbeddedProblem(f"The PostgreSQL server (process {server.pid}) does not end.")
    await asyncio.to_thread(folders.close, hold.folders)


def find_running(data_dir: Path) -> Running | None:
    """The server that runs on a database folder, or None: for commands that use another process's server."""
    if not folders.is_locked(data_dir):
        return None
    try:
        state = cast("dict[str, str | int]", json.loads((data_dir / "server.json").read_text(encoding="utf-8")))
        return Running(str(state["url"]), Path(str(state["keyring"])), int(state["launcher"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


async def _places(config: EmbeddedConfig) -> tuple[Folders, Account]:
    if config.data_dir is None:
        account = server_account(Path("/nonexistent"))
        return await folders.open_ephemeral(config.run_dir, account), account
    account = server_account(config.data_dir / "cluster")
    return await folders.open_lasting(config.data_dir, config.run_dir, account), account


def _superuser_password(keyring_path: Path, *, has_cluster: bool) -> str:
    """The superuser's password, kept in the key ring from before the cluster is made."""
    try:
        ring = KeyRing.load(keyring_path)
    except KeyRingMissing:
        if has_cluster:
            raise
        ring = KeyRing.create(keyring_path)
    known = ring.passwords.get(SUPERUSER)
    if known is not None:
        return known
    if has_cluster:
        raise EmbeddedProblem(
            f"The key ring {keyring_path} is not the one this database folder was made with: it lacks {SUPERUSER}.",
            hint="Use the key ring that belongs to the folder.",
        )
    password = secrets.token_urlsafe(32)
    ring.with_passwords({SUPERUSER: password}).save(keyring_path)
    return password


async def _serving(config: EmbeddedConfig, places: Folders, program: Path, account: Account) -> Child:
    command = [str(program), "-D", str(places.cluster), *server_settings(places.sockets, ephemeral=config.ephemeral)]
    death_signal = signal.SIGQUIT if config.ephemeral else signal.SIGINT
    child = spawn(command, account=account, log=places.log, death_signal=death_signal, keep=(places.lock,))
    try:
        deadline = time.monotonic() + config.start_seconds
        while not is_ready(places.cluster, child.process.pid):
            code = child.process.poll()
            if code is not None:
                raise StartFailed(f"PostgreSQL did not start (code {code}):\n{last_words(child, places.log)}")
            if time.monotonic() > deadline:
                await end(child, _AT_ONCE)
                raise StartFailed(
                    f"PostgreSQL is not ready after {config.start_seconds:.0f} s:\n{last_words(child, places.log)}"
                )
            await asyncio.sleep(_POLL_SECONDS)
    except BaseException:
        await end(child, _AT_ONCE)
        raise
    return child


def _write_state(server: Server) -> None:
    state = {"url": server.url, "keyring": str(server.keyring_path.absolute()), "launcher": os.getpid()}
    draft = server.hold.folders.state.with_suffix(".draft")
    with contextlib.suppress(FileNotFoundError):
        draft.unlink()
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(state, file)
    draft.replace(server.hold.folders.state)
