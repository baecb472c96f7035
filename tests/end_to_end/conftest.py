"""Stoa as it is used: real processes, found by the commands through the state folder."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from stoa.cli.children import PARENT_VARIABLE
from tests.commands import Ran, run_command

COMMAND_SECONDS = 60
START_SECONDS = 40


def eventually(true: Callable[[], Any], seconds: float = 20.0) -> bool:
    """Whether it becomes true in time."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def processes_of(place: Path) -> list[int]:
    """The processes whose environment or command line names this folder: everything that was started with it."""
    mark = os.fsencode(place)
    found: list[int] = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            if mark in (folder / "environ").read_bytes() or mark in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except (OSError, ProcessLookupError):
            continue
    return found


@dataclass
class Place:
    """A state folder of its own, and the commands that use it."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def environ(self, **more: str) -> dict[str, str]:
        """The environment of a process; temporary files of it are below `folder`."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("STOA_")}
        return {**kept, "STOA_STATE_DIR": str(self.state), "COLUMNS": "80", **self.env, **more}

    def start(self, *words: str, log: str = "log", **env: str) -> subprocess.Popen[bytes]:
        """Begins `stoa WORDS` in a process group of its own. It ends with the tests, even when they are killed."""
        env[PARENT_VARIABLE] = str(os.getpid())
        with (self.folder / log).open("ab") as sink:
            return subprocess.Popen(
                [sys.executable, "-m", "stoa.cli", *words],
                env=self.environ(**env), stdout=sink, stderr=sink, stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip

    def run(self, *words: str, code: int = 0, **env: str) -> Ran:
        """`stoa WORDS` to its end, which is with this exit code."""
        done = run_command(words, self.environ(**env), COMMAND_SECONDS)
        assert done.code == code, (words, done)
        assert "Traceback" not in done.err, done.err
        return done

    def json(self, *words: str, code: int = 0) -> Any:
        """What `stoa WORDS --json` prints: one document, and nothing else."""
        return json.loads(self.run(*words, "--json", code=code).out)

    def log(self, name: str = "log") -> str:
        return (self.folder / name).read_text("utf-8", errors="replace")


@dataclass
class Dev:
    """A running `stoa dev`."""

    place: Place
    process: subprocess.Popen[bytes]
    about: dict[str, Any]

    @property
    def base_url(self) -> str:
        return self.about["base_url"]

    def children(self) -> dict[str, int]:
        """Process ids by what they are: web, worker, postgres."""
        found: dict[str, int] = {}
        listed = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        for pid in {int(pid) for file in listed for pid in file.read_text().split()}:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            name = (
                "postgres"
                if b"postgres" in words[0]
                else next((w.decode() for w in (b"web", b"worker") if w in words), "")
            )
            found[name] = pid
        return found

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Tells it to end; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(40)


def begin_dev(place: Place, *words: str, ephemeral: bool = True, **env: str) -> Dev:
    """`stoa dev`, when it is ready."""
    ready = place.folder / "ready.json"
    options = ["--ephemeral"] if ephemeral else ["--port", "0"]
    process = place.start("dev", *options, "--ready-file", str(ready), *words, **env)
    assert eventually(lambda: ready.exists() or process.poll() is not None, START_SECONDS)
    assert process.poll() is None, place.log()
    return Dev(place, process, json.loads(ready.read_text()))


@dataclass
class Simulated:
    """Running simulators."""

    base_url: str
    client: httpx2.Client

    @property
    def address(self) -> str:
        return self.base_url.removeprefix("http://")

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.client.request(method, f"{self.base_url}/control{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def companies(self) -> list[dict[str, Any]]:
        return self.ask("GET", "/companies")["companies"]

    def advance(self, slug: str, days: int = 1) -> dict[str, int]:
        return self.ask("POST", f"/companies/{slug}/advance", {"days": days})["counts"]

    def fault(self, slug: str, fault: str, **more: Any) -> None:
        self.ask("POST", f"/companies/{slug}/faults", {"fault": fault, **more})

    def mend(self, slug: str) -> None:
        self.ask("DELETE", f"/companies/{slug}/faults")

    def config(self, slug: str, **more: Any) -> dict[str, Any]:
        """A Workday connection's settings."""
        report = self.ask("GET", f"/companies/{slug}")["workday"]
        url = f"{self.base_url}{report['url_path_json'].split('?')[0]}"
        return {"url": url, "format": "json", "username": report["user"], "password": report["password"], **more}

    def push(self, slug: str, scim_base_url: str, token: str, mode: str = "full") -> dict[str, Any]:
        """Has the company's identity provider push its people; its own report."""
        order = {"scim_base_url": scim_base_url, "token": token, "mode": mode, "concurrency": 4}
        answer = self.client.post(f"{self.base_url}/control/companies/{slug}/provision", json=order, timeout=60)
        return json.loads(answer.text.splitlines()[-1])["result"]


def begin_simulators(place: Place, companies: int, people: int) -> tuple[subprocess.Popen[bytes], Simulated]:
    """`stoa-simulators`, when they answer."""
    ready = place.folder / "simulators.json"
    options = ["--companies", str(companies), "--people", str(people), "--ready-file", str(ready), "--die-with-parent"]
    program = "from stoa_simulators.cli import main; main()"
    with (place.folder / "simulators.log").open("ab") as sink:
        process = subprocess.Popen([sys.executable, "-c", program, *options], stdout=sink, stderr=sink)
    assert eventually(lambda: ready.exists() or process.poll() is not None, START_SECONDS)
    assert process.poll() is None, (place.folder / "simulators.log").read_text()
    return process, Simulated(json.loads(ready.read_text())["base_url"], httpx2.Client(timeout=30))


def made_place() -> Place:
    """A folder that the database's account can pass through."""
    folder = Path(tempfile.mkdtemp(prefix="stoa-e2e-", dir="/tmp"))
    folder.chmod(0o755)
    return Place(folder)


def end_all(place: Place) -> None:
    """Kills whatever a failed test has left, and removes the folder."""
    for pid in processes_of(place.folder):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    eventually(lambda: not processes_of(place.folder))
    shutil.rmtree(place.folder, ignore_errors=True)


@pytest.fixture
def place() -> Generator[Place]:
    """A place for one test."""
    made = made_place()
    yield made
    end_all(made)
