"""Making PostgreSQL's folder, and clearing what a crash has left in it."""

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Final

from stoa.db.embedded.accounts import Account
from stoa.db.embedded.binaries import Binaries
from stoa.db.embedded.folders import Folders, private_folder
from stoa.db.embedded.launch import end, last_words, release, spawn
from stoa.db.embedded.launch import ended as child_ended
from stoa.db.embedded.problems import AlreadyRunning, EmbeddedProblem, StartFailed

SUPERUSER: Final = "stoa_admin"
_INITDB_SECONDS: Final = 120.0


def major_of(cluster: Path) -> int | None:
    """The major version that made the folder; None if there is no cluster yet.

    Raises:
        EmbeddedProblem: the folder is there, and is no cluster.
    """
    if not cluster.exists():
        return None
    try:
        return int((cluster / "PG_VERSION").read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise EmbeddedProblem(f"The folder {cluster} is not a PostgreSQL database folder (PG_VERSION).") from error


async def make_cluster(
    folders: Folders, binaries: Binaries, account: Account, password: str, *, ephemeral: bool
) -> None:
    """Runs initdb beside the final place and moves the result there, so that a cluster is whole or missing.

    Raises:
        StartFailed: initdb failed; the detail has its last lines.
    """
    draft = Path(tempfile.mkdtemp(prefix="draft-", dir=folders.base))
    private_folder(draft, account)
    secret = _secret_file(folders.base, password, account)
    log = folders.log.with_name("initdb.log")
    command = [str(binaries.bin_dir / "initdb"), "-D", str(draft), "-U", SUPERUSER, f"--pwfile={secret}"]
    command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--data-checksums", "--no-instructions"]
    command += ["--no-sync"] if ephemeral else []
    try:
        child = spawn(command, account=account, log=log, death_signal=signal.SIGTERM, keep=(folders.lock,))
        try:
            code = await child_ended(child, _INITDB_SECONDS)
            if code != 0:
                raise StartFailed(f"initdb failed (code {code}):\n{last_words(child, log)}")
            release(child)
        finally:
            await end(child, [(signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)])
        await asyncio.to_thread(draft.rename, folders.cluster)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    finally:
        secret.unlink(missing_ok=True)


def clear_stale_pid(cluster: Path, account: Account) -> None:
    """Removes the postmaster.pid of a server that is gone, if its number belongs to some other process by now.

    Called with the folder's lock held, so no server of ours is alive. PostgreSQL itself handles numbers that nobody
    has, but takes any process with the number for a server; after a restart of a container that is the rule.

    Raises:
        AlreadyRunning: a server that was started by other means runs on the folder.
    """
    path = cluster / "postmaster.pid"
    try:
        pid = int(path.read_text(encoding="ascii").splitlines()[0])
    except (OSError, ValueError, IndexError):
        return
    if sys.platform != "linux":
        return
    if _serves(pid, cluster, account):
        raise AlreadyRunning(f"A PostgreSQL server that Stoa did not start runs on {cluster} (process {pid}).")
    path.unlink(missing_ok=True)


def _serves(pid: int, cluster: Path, account: Account) -> bool:
    # A server's working directory is its cluster.
    process = Path(f"/proc/{pid}")
    try:
        return process.stat().st_uid == account.uid and (process / "cwd").readlink() == cluster.resolve()
    except OSError:
        return False


def is_ready(cluster: Path, pid: int) -> bool:
    """Whether the server with this process id accepts connections: line 8 of postmaster.pid, as pg_ctl reads it."""
    try:
        lines = (cluster / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"


def _secret_file(base: Path, password: str, account: Account) -> Path:
    handle, name = tempfile.mkstemp(prefix="draft-secret-", dir=base)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(password)
        if account.switched:
            os.fchown(handle, account.uid, account.gid)
    return Path(name)
