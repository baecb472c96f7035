"""Becomes a PostgreSQL program that cannot outlive whoever started it.

Run as a file by a bare interpreter (`python -I -S exec_shim.py ORDERS PROGRAM ARGUMENT...`), in the place of a
`preexec_fn`, which may deadlock in a process with threads. ORDERS is a JSON object:

    parent      process id of the launcher
    uid, gid    who to become, or null to stay
    log         file that takes standard output and error (appended, mode 0600), or null
    signal      what the program is sent when the launcher is gone
    watch       null: ask the kernel (Linux, PR_SET_PDEATHSIG); a number: a pipe whose end without a word means that the
                launcher is gone

It imports nothing of ours, so that it starts in a few milliseconds.
"""

import contextlib
import ctypes
import json
import os
import signal
import sys
from typing import Any, Final

PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h; prctl(2)


def main(arguments: list[str]) -> None:
    """Takes ORDERS, PROGRAM and its arguments. Ends by exec, or with an exit that says why on standard error."""
    orders: dict[str, Any] = json.loads(arguments[0])
    command = arguments[1:]
    _become(orders["uid"], orders["gid"])
    os.umask(0o077)
    if orders["watch"] is None:
        # After the change of user: the kernel clears the setting when credentials change. It survives exec.
        _ask_kernel(orders["signal"])
    else:
        _watch(orders["watch"], orders["signal"])
    if os.getppid() != orders["parent"]:
        sys.exit("the launcher ended before the server began")
    if orders["log"] is not None:
        # Opened as the user that writes it, never as root: the folder is that user's, links in it could point anywhere.
        log = os.open(orders["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted


def _become(uid: int | None, gid: int | None) -> None:
    if uid is None or gid is None:
        return
    os.setgroups([gid])
    os.setgid(gid)
    os.setuid(uid)


def _ask_kernel(number: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(number), 0, 0, 0) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")


def _watch(pipe: int, number: int) -> None:
    """Leaves a process behind that waits at the pipe. A byte: all has ended well. The bare end: the launcher died."""
    program = os.getpid()
    child = os.fork()
    if child > 0:
        os.close(pipe)
        os.waitpid(child, 0)
        return
    # Forked twice, so that the program has no child it does not know. Ctrl-C is not for the watch.
    if os.fork() > 0:
        os._exit(0)
    os.setsid()
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    # The watch must hold nothing open but its pipe: neither the terminal nor the lock of the database folder.
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(0, 1)
    os.dup2(0, 2)
    os.closerange(3, pipe)
    os.closerange(pipe + 1, 65536)
    if not os.read(pipe, 1):
        with contextlib.suppress(ProcessLookupError):
            os.kill(program, number)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
