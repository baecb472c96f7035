"""Wall seconds, processor seconds of both sides, memory."""

import os
import resource
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeVar

T = TypeVar("T")
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds that a piece of work took: on the wall, of this process's processors, of the database server's."""

    wall: float
    client: float
    server: float

    def __add__(self, other: "Taken") -> "Taken":
        """One piece after the other."""
        return Taken(self.wall + other.wall, self.client + other.client, self.server + other.server)


def tree_seconds(root: int) -> float:
    """Processor seconds of a process, of those below it, and of those of them that have ended."""
    return _seconds_of(root) + sum(tree_seconds(child) for child in _children(root))


def _children(parent: int) -> list[int]:
    threads = Path(f"/proc/{parent}/task")
    try:
        return [int(pid) for thread in threads.iterdir() for pid in (thread / "children").read_text().split()]
    except FileNotFoundError:
        return []


def _seconds_of(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    # utime, stime, and those of children that have ended (proc(5), fields 14 to 17).
    return sum(int(field) for field in fields[11:15]) / _TICK


async def timed(work: Callable[[], Awaitable[T]], postmaster: int) -> tuple[T, Taken]:
    """What `work` gives and what it took."""
    server, client, wall = tree_seconds(postmaster), time.process_time(), time.perf_counter()
    result = await work()
    taken = Taken(time.perf_counter() - wall, time.process_time() - client, max(0.0, tree_seconds(postmaster) - server))
    return result, taken


def timed_here(work: Callable[[], object]) -> Taken:
    """What a piece of work without the database took."""
    client, wall = time.process_time(), time.perf_counter()
    work()
    return Taken(time.perf_counter() - wall, time.process_time() - client, 0.0)


def middle(taken: Sequence[Taken]) -> Taken:
    """The median of each part."""
    return Taken(median(t.wall for t in taken), median(t.client for t in taken), median(t.server for t in taken))


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def peak_megabytes() -> float:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
