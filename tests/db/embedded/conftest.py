"""Folders that the server's account can reach, and processes that start servers."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stoa.db.embedded import EmbeddedConfig, binaries, folders, running

LAUNCHER = Path(__file__).with_name("launcher.py")
NOBODY = 65534
# Each major version once: the system's or the wheel's.
BY_MAJOR = {found.major: found for found in reversed(list(binaries.installed()))}
OLDEST_AND_NEWEST = sorted({min(BY_MAJOR), max(BY_MAJOR)})


@dataclass(frozen=True, slots=True)
class Launched:
    """A launcher process and what it said about its server."""

    process: subprocess.Popen[str]
    said: dict[str, Any]

    def finish(self) -> int:
        """Lets it stop its server; its exit code."""
        self.process.communicate(timeout=30)
        return self.process.returncode

    def kill(self) -> None:
        """Kills it as nothing can be caught."""
        self.process.kill()
        assert self.process.wait(10) == -signal.SIGKILL

    def server_is_gone(self) -> bool:
        """Whether the postmaster has ended, and every process that inherited the lock from it."""
        return is_gone(self.said["pid"]) and not folders.is_locked(Path(self.said["base"]))


def eventually(true: Callable[[], bool], seconds: float = 15.0) -> bool:
    """Whether it becomes true in time."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def is_gone(pid: int) -> bool:
    """Whether the process has ended; one that nobody has collected yet has."""
    try:
        os.kill(pid, 0)
        status = Path(f"/proc/{pid}/stat")
        return status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z"
    except (ProcessLookupError, FileNotFoundError):
        return True


@pytest.fixture
def place() -> Generator[Path]:
    """A folder with a short path that every account may pass through."""
    folder = Path(tempfile.mkdtemp(prefix="stoa-test-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def config(place: Path) -> EmbeddedConfig:
    """A database folder that lasts."""
    return EmbeddedConfig(data_dir=place / "db", keyring_path=place / "keys" / "keyring.json")


@pytest.fixture(scope="session")
def made() -> Generator[EmbeddedConfig]:
    """A database folder that a server has made and left; tests start servers on it and leave it fit to start."""
    folder = Path(tempfile.mkdtemp(prefix="stoa-test-", dir="/tmp"))
    folder.chmod(0o755)
    config = EmbeddedConfig(data_dir=folder / "db", keyring_path=folder / "keys" / "keyring.json")

    async def once() -> None:
        async with running(config):
            pass

    # A loop of its own, away from the one of the test that asks first.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, once()).result()
    yield config
    shutil.rmtree(folder)


@pytest.fixture
def launch() -> Generator[Callable[..., Launched]]:
    """Starts launcher processes; whatever is left of them is killed at the end."""
    processes: list[subprocess.Popen[str]] = []

    def start(*, prefix: tuple[str, ...] = (), env: dict[str, str] | None = None, **options: object) -> Launched:
        given = json.dumps({name: value if name == "thread" else str(value) for name, value in options.items()})
        process = subprocess.Popen(
            [*prefix, sys.executable, str(LAUNCHER), given],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(env or {})},
        )
        processes.append(process)
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        assert line, process.stderr.read()
        return Launched(process, json.loads(line))

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.communicate()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def ordinary_user() -> tuple[str, ...]:
    """The words that make root run a command as an ordinary user, who may read the interpreter even in root's home."""
    reading = "+dac_override,+dac_read_search"
    return (
        "setpriv",
        f"--reuid={NOBODY}",
        f"--regid={NOBODY}",
        "--clear-groups",
        f"--inh-caps=-all,{reading}",
        f"--ambient-caps=-all,{reading}",
        "--",
    )
