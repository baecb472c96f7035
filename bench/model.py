"""What a benchmark gives: rows of the table."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum

from bench.ground import Ground


class Verdict(StrEnum):
    """How a figure stands to its goal; `reported` has none."""

    MET = "met"
    NOT_MET = "not met"
    REPORTED = "reported"


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table.

    Attributes:
        bench: the benchmark it belongs to.
        name: what was measured.
        ours, peer: medians in `unit`; peer is None where there is nothing to compare with.
        against: what the peer or limit is.
        goal: the ratio ours/peer that is wanted; at most that for times, at least that for rates.
        note: spread, processor seconds, memory.
    """

    bench: str
    name: str
    ours: float
    unit: str
    peer: float | None = None
    against: str = ""
    goal: float | None = None
    note: str = ""

    @property
    def is_rate(self) -> bool:
        """Whether more is better."""
        return self.unit.endswith("/s")

    @property
    def ratio(self) -> float | None:
        """Ours over the peer's."""
        return self.ours / self.peer if self.peer else None

    @property
    def verdict(self) -> Verdict:
        """How the ratio stands to the goal."""
        if self.goal is None or self.ratio is None:
            return Verdict.REPORTED
        met = self.ratio >= self.goal if self.is_rate else self.ratio <= self.goal
        return Verdict.MET if met else Verdict.NOT_MET


@dataclass(frozen=True, slots=True)
class Plan:
    """How large and how often.

    Attributes:
        size: rows, users or jobs; None is the benchmark's own default.
        rounds: interleaved repetitions; None is the benchmark's own default.
        report: told of progress.
    """

    size: int | None = None
    rounds: int | None = None
    report: Callable[[str], None] = field(default=print)


Benchmark = Callable[[Ground, Plan], Awaitable[list[Figure]]]
