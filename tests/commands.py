"""The command `stoa` in processes of their own, which begin where Python has read its modules already.

To read them takes a second of one core, and the tests give more than a hundred commands. So each process of tests keeps
one that has read them and does nothing but fork; what is forked has the environment, the words and the output that it
is given. Tests of starting and ending start the real program.
"""

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stoa.cli import main

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload([__name__])


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


def run_command(words: tuple[str, ...], env: Mapping[str, str], seconds: float = 60) -> Ran:
    """`stoa WORDS` to its end. Raises TimeoutError when it takes longer; it is killed then."""
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        process = _SERVER.Process(target=_command, args=(words, dict(env), str(out), str(err)))
        process.start()
        process.join(seconds)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise TimeoutError(f"stoa {' '.join(words)} did not end:\n{err.read_text('utf-8')}")
        code = process.exitcode
        process.close()
        return Ran(code, out.read_text("utf-8"), err.read_text("utf-8"))


def _command(words: tuple[str, ...], env: dict[str, str], out: str, err: str) -> None:
    for path, number in ((os.devnull, 0), (out, 1), (err, 2)):
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(handle, number)
        os.close(handle)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = ["stoa", *words]
    main()
