"""The `stoa-simulators` command."""

import asyncio
import ctypes
import os
import signal
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from cyclopts import App

from stoa_simulators.estate import build_estate
from stoa_simulators.server import fastest_loop, serve

_PR_SET_PDEATHSIG: Final = 1

app = App(name="stoa-simulators", help="Okta, Entra and Workday, simulated over their real protocols.")


@app.default
def run(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    companies: int = 30,
    people: int = 40_000,
    seed: int = 7,
    start_date: date | None = None,
    ready_file: Path | None = None,
    die_with_parent: bool = False,
) -> None:
    """Serve simulated companies until interrupted.

    Parameters
    ----------
    host
        Address to listen on. The control interface answers loopback only, whatever this is.
    port
        Port to listen on; 0 takes a free one.
    companies
        How many companies there are.
    people
        How many active workers and future hires they have together on the first day.
    seed
        The same seed gives the same companies and the same days.
    start_date
        The companies' first day (YYYY-MM-DD); today in UTC when left out.
    ready_file
        File that gets {"base_url", "pid"} as JSON once the port is open.
    die_with_parent
        End when the process that started this one ends.
    """
    parent = os.getppid() if die_with_parent else None
    if parent is not None:
        _ask_for_death_signal(parent)
    try:
        estate = build_estate(companies=companies, people=people, seed=seed, start=start_date or _today())
    except ValueError as error:
        sys.exit(f"stoa-simulators: {error}")
    try:
        with asyncio.Runner(loop_factory=fastest_loop()) as runner:
            runner.run(serve(estate, host=host, port=port, ready_file=ready_file, parent=parent))
    except OSError as error:
        sys.exit(f"stoa-simulators: cannot listen on {host} port {port}: {error.strerror}")


def _today() -> date:
    """The date in UTC, which is what a server beside this one goes by, whatever zone the machine is in."""
    return datetime.now(UTC).date()


def _ask_for_death_signal(parent: int) -> None:
    """Have the kernel send SIGTERM when the parent ends (Linux); leave at once if it ended before this was asked."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("stoa-simulators: the parent process has ended")


def main() -> None:
    """Entry point of the command."""
    app()
