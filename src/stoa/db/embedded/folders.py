"""The folders of one embedded server, their owners, and the lock that lets one server in at a time.

BASE/             the launcher's, 0700; 0711 when the server has an account of its own and must pass through
BASE/lock         held (flock) by the launcher and every process of the server: free when all are gone
BASE/server.json  where the running server is; written by the launcher
BASE/cluster/     PostgreSQL's own folder, 0700, the server account's
BASE/log/         its log, 0700, the server account's
BASE/run/         the folder of the unix socket, 0700, the server account's
"""

import asyncio
import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stoa.db.embedded.accounts import Account, can_reach
from stoa.db.embedded.problems import AlreadyRunning, EmbeddedProblem

SOCKET_NAME: Final = ".s.PGSQL.5432"
SOCKET_PATH_BYTES: Final = 100  # sun_path holds 104 bytes on BSD and macOS, 108 on Linux; unix(7)
_EPHEMERAL_PREFIX: Final = "stoa-pg-"
_SOCKETS_PREFIX: Final = "stoa-run-"
_LOCK_SECONDS: Final = 15.0
_POLL_SECONDS: Final = 0.02
_LOG_BYTES: Final = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Folders:
    """The places of one server; see the module.

    Attributes:
        base: the folder of it all.
        sockets: the folder of the unix socket, short enough for one.
        temporary: folders to remove at the end.
        lock: open file that holds the lock.
    """

    base: Path
    sockets: Path
    temporary: tuple[Path, ...]
    lock: int

    @property
    def cluster(self) -> Path:
        """PostgreSQL's own folder (PGDATA)."""
        return self.base / "cluster"

    @property
    def log(self) -> Path:
        """What the server writes about itself."""
        return self.base / "log" / "postgres.log"

    @property
    def state(self) -> Path:
        """Says where the running server is."""
        return self.base / "server.json"


async def open_lasting(data_dir: Path, run_dir: Path | None, account: Account) -> Folders:
    """Makes what is missing below `data_dir`, and takes its lock.

    Raises:
        AlreadyRunning: another server has the lock.
        EmbeddedProblem: a folder cannot be made, belongs to another account, or is out of the server account's reach.
    """
    try:
        base = _made(data_dir, account)
        lock = await _locked(base / "lock")
        try:
            return _furnished(base, run_dir, account, lock, temporary=())
        except BaseException:
            unlock(lock)
            raise
    except OSError as error:
        raise EmbeddedProblem(f"The database folder {data_dir} cannot be prepared: {error.strerror}.") from error


async def open_ephemeral(run_dir: Path | None, account: Account) -> Folders:
    """Makes a temporary folder, takes its lock, and removes those that launchers which were killed have left behind."""
    parent = next((place for place in _temporary_places() if can_reach(account, place)), Path("/tmp"))  # noqa: S108
    try:
        while True:
            base = Path(tempfile.mkdtemp(prefix=_EPHEMERAL_PREFIX, dir=parent))
            try:
                _own(base, account)
                lock = await _locked(base / "lock")
            except FileNotFoundError:
                continue
            if (base / "lock").exists():
                break
            unlock(lock)  # Somebody's sweep came between making the file and locking it.
        _sweep(parent)
        return _furnished(base, run_dir, account, lock, temporary=(base,))
    except OSError as error:
        raise EmbeddedProblem(f"A temporary database folder cannot be made in {parent}: {error.strerror}.") from error


def close(folders: Folders) -> None:
    """Removes what was temporary, and gives the lock back."""
    folders.state.unlink(missing_ok=True)
    for folder in folders.temporary:
        shutil.rmtree(folder, ignore_errors=True)
    unlock(folders.lock)


def unlock(lock: int) -> None:
    """Gives the lock back, also where a forked process still has the file open."""
    with contextlib.suppress(OSError):
        os.ftruncate(lock, 0)
        fcntl.flock(lock, fcntl.LOCK_UN)
    os.close(lock)


def is_locked(base: Path) -> bool:
    """Whether a server has the folder at this moment."""
    try:
        lock = os.open(base / "lock", os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(lock)


def private_folder(path: Path, account: Account) -> None:
    """Makes a folder, mode 0700, the account's."""
    path.mkdir(mode=0o700, exist_ok=True)
    if account.switched:
        os.chown(path, account.uid, account.gid, follow_symlinks=False)
    path.chmod(0o700)


def _made(data_dir: Path, account: Account) -> Path:
    base = data_dir.absolute()
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    _own(base, account)
    return base


def _own(base: Path, account: Account) -> None:
    status = base.stat()
    if status.st_uid != os.geteuid():
        raise EmbeddedProblem(
            f"The database folder {base} belongs to another account (number {status.st_uid}).",
            hint="Start Stoa as that account, or choose another folder.",
        )
    base.chmod(0o711 if account.switched else 0o700)
    if account.switched and not can_reach(account, base):
        raise EmbeddedProblem(
            f"The account {account.name}, which PostgreSQL runs as when started by root, cannot reach {base}.",
            hint="Choose a database folder outside root's home, for example /var/lib/stoa.",
        )


def _furnished(
    base: Path, run_dir: Path | None, account: Account, lock: int, *, temporary: tuple[Path, ...]
) -> Folders:
    private_folder(base / "log", account)
    log = base / "log" / "postgres.log"
    if log.exists() and log.lstat().st_size > _LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
    for leftover in base.glob("draft-*"):
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink()
    sockets = base / "run" if run_dir is None else run_dir.absolute() / "postgresql"
    sockets.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    if len(os.fsencode(sockets / SOCKET_NAME)) >= SOCKET_PATH_BYTES or not can_reach(account, sockets.parent):
        sockets = Path(tempfile.mkdtemp(prefix=_SOCKETS_PREFIX, dir="/tmp"))
        temporary = (*temporary, sockets)
    private_folder(sockets, account)
    return Folders(base, sockets, temporary, lock)


def _temporary_places() -> list[Path]:
    short = [Path("/tmp")]  # noqa: S108 - mkdtemp makes a private folder in it
    usual = Path(tempfile.gettempdir())
    room = len(f"/{_EPHEMERAL_PREFIX}12345678/run/{SOCKET_NAME}")
    return [usual, *short] if len(os.fsencode(usual)) + room < SOCKET_PATH_BYTES else [*short, usual]


async def _locked(path: Path) -> int:
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        deadline = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                _refuse_if_alive(lock, path.parent, late=time.monotonic() > deadline)
                # The launcher is gone and its server is just ending.
                await asyncio.sleep(_POLL_SECONDS)
            else:
                os.ftruncate(lock, 0)
                os.pwrite(lock, str(os.getpid()).encode(), 0)
                return lock
    except BaseException:
        os.close(lock)
        raise


def _refuse_if_alive(lock: int, base: Path, *, late: bool) -> None:
    holder = os.pread(lock, 20, 0).decode(errors="replace").strip()
    if holder.isdecimal() and _alive(int(holder)):
        raise AlreadyRunning(
            f"The database folder {base} is in use: process {holder} runs a server on it.",
            hint="Stop that one first, or let it serve you.",
        )
    if late:
        raise AlreadyRunning(
            f"The database folder {base} is in use by a server that does not end; its launcher is gone."
        )


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _sweep(parent: Path) -> None:
    """Removes temporary database folders of this user whose lock is free: every process that knew them is gone."""
    for base in parent.glob(f"{_EPHEMERAL_PREFIX}*"):
        with contextlib.suppress(OSError):
            status = base.lstat()
            if status.st_uid != os.geteuid() or base.is_symlink() or not base.is_dir():
                continue
            lock = os.open(base / "lock", os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(base, ignore_errors=True)
            finally:
                os.close(lock)
