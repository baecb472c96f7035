"""Child processes that never outlive their parent, and are started again when they fall."""

import asyncio
import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

import structlog

# Linux: prctl(PR_SET_PDEATHSIG, signal).
_SET_DEATH_SIGNAL = 1
PARENT_VARIABLE = "STOA_PARENT_PID"
_STOP_SECONDS = 15.0
_log = structlog.get_logger()


def die_with_parent() -> None:
    """Has this process end when the one that started it does, if that one asked for it by STOA_PARENT_PID; called first
    of all in a child.
    """
    given = os.environ.pop(PARENT_VARIABLE, "")
    if not given.isdigit():
        return
    parent = int(given)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_SET_DEATH_SIGNAL, signal.SIGTERM)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)
    threading.Thread(target=_watch, args=(parent,), daemon=True, name="parent watch").start()


def _watch(parent: int) -> None:
    """Where there is no death signal, and when the graceful end takes too long after it."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_STOP_SECONDS)
    os._exit(1)


class Child:
    """One supervised process: started again after a fall, ended with SIGTERM and, if it will not, SIGKILL."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        env: Mapping[str, str],
        *,
        fds: tuple[int, ...] = (),
        log: int | None = None,
    ) -> None:
        self.name = name
        self._command = command
        self._env = {**env, PARENT_VARIABLE: str(os.getpid())}
        self._fds = fds
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self.falls = 0

    @property
    def pid(self) -> int | None:
        """The process id, while it runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def start(self) -> None:
        """Starts the process and its supervision."""
        await self._spawn()
        self._task = asyncio.create_task(self._supervise())

    async def _spawn(self) -> None:
        # A session of its own: Ctrl-C reaches the parent alone, which ends its children in order.
        self._process = await asyncio.create_subprocess_exec(
            *self._command, env=self._env, pass_fds=self._fds, start_new_session=True, stdin=asyncio.subprocess.DEVNULL,
            stdout=self._log, stderr=self._log,
        )  # fmt: skip

    async def _supervise(self) -> None:
        pause = 0.2
        while True:
            assert self._process is not None
            started = time.monotonic()
            code = await self._process.wait()
            if self._stopping:
                return
            self.falls += 1
            pause = 0.2 if time.monotonic() - started > 10 else min(pause * 2, 5.0)
            _log.warning("process_fell", name=self.name, code=code)
            await asyncio.sleep(pause)
            await self._spawn()

    async def stop(self) -> None:
        """Ends the process and waits for it."""
        self._stopping = True
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), _STOP_SECONDS)
        except TimeoutError:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
