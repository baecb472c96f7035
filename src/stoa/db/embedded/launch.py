"""Starting PostgreSQL's programs as children that end when the launcher does, and ending them."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from stoa.db.embedded.accounts import Account

_SHIM: Final = Path(__file__).with_name("exec_shim.py")
_POLL_SECONDS: Final = 0.005
_TAIL_BYTES: Final = 8192
_TAIL_LINES: Final = 20

Guard = Literal["kernel", "pipe"]


@dataclass(frozen=True, slots=True)
class Child:
    """A program that was started by `spawn`.

    Attributes:
        process: its handle; its id is the program's own, for the shim becomes the program.
        watch: the launcher's end of the pipe that its watch reads, or None where the kernel watches.
    """

    process: subprocess.Popen[bytes] = field(repr=False)
    watch: int | None


def guard_here() -> Guard:
    """Who sees to it that a program started now ends with the launcher.

    Linux does it by itself, but "the parent" is there the *thread* that forked (prctl(2), PR_SET_PDEATHSIG): so only
    for the main thread, which lives as long as the process. Else a small watch process at a pipe does it.
    """
    on_main_thread = threading.current_thread() is threading.main_thread()
    return "kernel" if sys.platform == "linux" and on_main_thread else "pipe"


def spawn(
    command: list[str],
    *,
    account: Account,
    log: Path,
    death_signal: signal.Signals,
    keep: tuple[int, ...] = (),
    guard: Guard | None = None,
) -> Child:
    """Starts a program as `account`, in a session of its own (Ctrl-C in the terminal is the launcher's affair), output
    appended to `log`.

    Args:
        command: program and arguments.
        account: who it runs as.
        log: file the account may write.
        death_signal: what it is sent when the launcher has died.
        keep: open files that it inherits.
        guard: how its end is tied to the launcher's; None chooses.
    """
    reader, writer = os.pipe() if (guard or guard_here()) == "pipe" else (None, None)
    orders = {
        "parent": os.getpid(),
        "uid": account.uid if account.switched else None,
        "gid": account.gid if account.switched else None,
        "log": str(log),
        "signal": int(death_signal),
        "watch": reader,
    }
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_SHIM), json.dumps(orders), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd="/",
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            pass_fds=(*keep, *(() if reader is None else (reader,))),
            start_new_session=True,
        )
    except OSError:
        if writer is not None:
            os.close(writer)
        raise
    finally:
        if reader is not None:
            os.close(reader)
    return Child(process, writer)


async def ended(child: Child, within: float) -> int | None:
    """Waits for the program's end: its return code (negative: a signal), or None if it lives after `within` seconds."""
    deadline = time.monotonic() + within
    while child.process.poll() is None:
        if time.monotonic() > deadline:
            return None
        await asyncio.sleep(_POLL_SECONDS)
    return child.process.returncode


async def end(child: Child, signals: list[tuple[signal.Signals, float]]) -> int | None:
    """Sends each signal in turn and waits the seconds beside it. The return code, or None if nothing helped."""
    code = child.process.poll()
    for number, seconds in signals:
        if code is not None:
            break
        child.process.send_signal(number)
        code = await ended(child, seconds)
    if code is not None:
        release(child)
    return code


def release(child: Child) -> None:
    """Closes what the launcher holds of a program that has ended, and sends its watch home."""
    if child.watch is not None:
        with contextlib.suppress(OSError):
            os.write(child.watch, b".")
        with contextlib.suppress(OSError):
            os.close(child.watch)
    if child.process.stderr is not None:
        child.process.stderr.close()


def last_words(child: Child, log: Path) -> str:
    """What the program said last: the shim's complaint if it never came to run, and the end of its log."""
    complaint = b""
    if child.process.stderr is not None and not child.process.stderr.closed:
        complaint = child.process.stderr.read(_TAIL_BYTES)
    lines = [*complaint.decode(errors="replace").splitlines(), *_tail(log)]
    return "\n".join(lines[-_TAIL_LINES:]) or "(it wrote nothing)"


def _tail(log: Path) -> list[str]:
    # The folder is the server account's: a link in it is not followed, so that root is not shown another file.
    try:
        handle = os.open(log, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return []
    with os.fdopen(handle, "rb") as file:
        file.seek(max(0, os.fstat(handle).st_size - _TAIL_BYTES))
        return file.read().decode(errors="replace").splitlines()
