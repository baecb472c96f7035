"""A run as its page tells it: what it is, how it stands, what follows, and what can be done about it."""

# ruff: noqa: S608 - a constant of the code; every value is a bound parameter

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from stoa.changes.counting import PlanCount, counted_window, plan_of
from stoa.changes.holding import with_counts
from stoa.changes.listing import rollbacks_of
from stoa.changes.model import Action, Run, RunKind, RunState
from stoa.changes.queries import RUN_COLUMNS, no_such_run, run_by_id, run_of
from stoa.db.transactions import TenantTx
from stoa.kernel.ids import RunId
from stoa.tenants import queries as tenants
from stoa.tenants.model import Connection, Source

# States in which the worker, and nobody else, moves a run on.
_MOVING: Final = frozenset({RunState.QUEUED, RunState.PLANNING, RunState.APPROVED, RunState.APPLYING})
_REJECTABLE: Final = frozenset({RunState.HELD, RunState.PLANNED, RunState.QUEUED, RunState.APPROVED})
_BY_HARM: Final = (
    *(Action.DEACTIVATE, Action.REMOVE, Action.UPDATE, Action.LINK, Action.CREATE),
    Action.REACTIVATE,
)
_OVER: Final = frozenset({RunState.REJECTED, RunState.ERRORED, RunState.STALE, RunState.UNDONE, RunState.APPLIED})


@dataclass(frozen=True, slots=True)
class Story:
    """One run with what belongs to it.

    Attributes:
        now: the tenant's clock when this was read.
        connection: through which it came, if any.
        plan: what it consists of; of a SCIM hour what it consists of by now.
        undoes: the run that this one is a rollback of.
        rollbacks: of this one, the newest first.
    """

    now: datetime
    run: Run
    source: Source | None
    connection: Connection | None
    plan: PlanCount
    undoes: Run | None
    rollbacks: Sequence[Run]

    @property
    def moving(self) -> bool:
        """Whether the worker is at it, or about to be."""
        run = self.run
        return run.state in _MOVING or (run.state is RunState.PLANNED and not run.plan_only)

    @property
    def waiting(self) -> bool:
        """Whether it waits for a person."""
        return waits(self.run)

    @property
    def blocked(self) -> bool:
        """Whether its report was of no use, so that there is nothing that could be approved."""
        return bool(self.run.figures.get("blocked"))

    @property
    def approvable(self) -> bool:
        """Whether it can be approved now."""
        return self.waiting and not self.blocked

    @property
    def rejectable(self) -> bool:
        """Whether it can be put away now."""
        return self.run.state in _REJECTABLE

    @property
    def rollback_under_way(self) -> Run | None:
        """The rollback of this run that is not over yet."""
        return next((run for run in self.rollbacks if run.state not in _OVER), None)

    @property
    def undoable(self) -> bool:
        """Whether a rollback of it can be planned now."""
        run = self.run
        if self.rollback_under_way is not None:
            return False
        if self.collects and run.state is RunState.REJECTED:
            # Its rollback was queued with the rejection; this is for one that failed.
            return self.effects > 0 and not self.undone
        return run.state is RunState.APPLIED and self.effects > 0

    @property
    def collects(self) -> bool:
        """Whether it holds effects of single requests, which their source has said already."""
        return self.run.kind is RunKind.SCIM_HOLD

    @property
    def conflicts(self) -> int:
        """Changes that were, or will be, left alone."""
        return int(self.run.figures.get("conflicts", self.plan.conflicts))

    @property
    def in_doubt(self) -> list[tuple[str, int]]:
        """The plan by action, what people are most hurt by first."""
        counts = self.plan.counts
        return [(action, counts[action]) for action in _BY_HARM if counts.get(action)]

    @property
    def effects(self) -> int:
        """Changes that take effect."""
        return max(0, self.plan.changes - max(self.conflicts, self.plan.conflicts))

    @property
    def undone(self) -> int:
        """Changes that a rollback has taken back."""
        return int(self.run.figures.get("undone", 0))

    @property
    def seconds(self) -> float:
        """How long its plan and its application took, waiting left out."""
        return took(self.run)

    @property
    def elapsed(self) -> float | None:
        """Seconds since its first batch was begun; None before."""
        begun = self.run.applying_at
        return None if begun is None else max(0.0, (self.now - begun).total_seconds())

    @property
    def rate(self) -> int | None:
        """Changes in a second, while it is being applied; None while that cannot be told."""
        elapsed = self.elapsed
        return round(self.run.changes_done / elapsed) if elapsed and self.run.changes_done else None

    @property
    def remaining(self) -> float | None:
        """Seconds that it will take from here, at the pace so far."""
        rate = self.rate
        return (self.plan.changes - self.run.changes_done) / rate if rate else None

    @property
    def hour(self) -> tuple[datetime, datetime]:
        """The clock hour (UTC) whose requests a SCIM hour holds."""
        begins = self.run.created_at.replace(minute=0, second=0, microsecond=0)
        return begins, begins + timedelta(hours=1)


def waits(run: Run) -> bool:
    """Whether a run waits for a person: `standing.WAITS`."""
    return run.state is RunState.HELD or (run.state is RunState.PLANNED and run.plan_only)


def took(run: Run) -> float:
    """Seconds that a run's plan and its application took, waiting left out."""
    return float(run.figures.get("plan_seconds", 0)) + float(run.figures.get("apply_seconds", 0))


_RUN: Final = f"""
SELECT {RUN_COLUMNS}, (SELECT (s.source_id, s.kind, s.name, s.created_at) FROM source s
  WHERE s.tenant_id = $1 AND s.source_id = run.source_id) AS source
FROM run WHERE tenant_id = $1 AND run_id = $2"""


async def story_of(tx: TenantTx, run_id: RunId, *, alone: bool = False) -> Story:
    """A run with what belongs to it. alone: without its connection and the runs that it undoes or that undo it.

    Raises NoSuchRun.
    """
    row = await tx.fetchrow(_RUN, tx.tenant_id, run_id)
    if row is None:
        raise no_such_run(run_id)
    run, source = await with_counts(tx, run_of(row)), None if row["source"] is None else Source(*row["source"])
    window = run.kind is RunKind.SCIM_WINDOW
    plan = await counted_window(tx, run.run_id) if window else plan_of(run.figures, run.counts)
    if alone:
        return Story(tx.now, run, source, None, plan, None, ())
    undoes = None if run.of_run is None else await run_by_id(tx, run.of_run)
    connection_id = run.connection_id or (undoes and undoes.connection_id)
    return Story(
        tx.now,
        run,
        source,
        await tenants.connection(tx, connection_id) if connection_id else None,
        plan,
        undoes,
        await rollbacks_of(tx, run.run_id),
    )


# ------------------------------------------------------------------ why


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a run is held, stale or failed.

    Attributes:
        code, detail, hint: as they stand on the run.
        meter: a figure beside its limit, if that is what it is about.
        by_run: the run that it speaks of, if any.
    """

    code: str
    detail: str
    hint: str
    meter: "Meter | None"
    by_run: str | None


@dataclass(frozen=True, slots=True)
class Meter:
    """How much of something, and how much is allowed without a person.

    Attributes:
        action: what the run would do to so many.
        count, population: of how many records.
        percent, limit_percent: as shares; limit: the most in number. Runs of an earlier version have no limits.
    """

    action: str
    count: int
    population: int
    percent: float
    limit_percent: float | None
    limit: int | None

    @property
    def limit_count(self) -> int | None:
        """The limit that was passed, in records."""
        if self.limit_percent is not None and self.percent > self.limit_percent:
            return int(self.population * self.limit_percent / 100)
        return self.limit

    @property
    def of(self) -> int:
        """What a bar for the count and one for the limit are both drawn to."""
        return max(self.population, self.count, self.limit_count or 0, 1)


def causes_of(run: Run) -> list[Cause]:
    """The reasons on a run."""
    return [_cause(reason) for reason in run.reasons]


def _cause(reason: Mapping[str, Any]) -> Cause:
    figures: Mapping[str, Any] = reason.get("figures") or {}
    meter = None
    if "percent" in figures and "population" in figures:
        meter = Meter(
            str(figures["action"]), int(figures["count"]), int(figures["population"]), float(figures["percent"]),
            figures.get("limit_percent"), figures.get("limit"),
        )  # fmt: skip
    return Cause(reason["code"], reason["detail"], reason.get("hint", ""), meter, figures.get("run_id"))


# ------------------------------------------------------------------ what happened when


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a run's history. what: a code that the page has words for."""

    at: datetime
    what: str
    by: str | None = None
    note: str | None = None
    run_id: RunId | None = None


def steps_of(story: Story) -> list[Step]:
    """What happened to a run, the first first."""
    run = story.run
    window = run.kind is RunKind.SCIM_WINDOW
    collects = run.kind is RunKind.SCIM_HOLD
    steps = [Step(run.created_at, "held" if collects else ("opened" if window else "queued"), run.actor)]
    if run.planned_at is not None and not window and not collects:
        held = run.state is not RunState.ERRORED and any(reason["code"] != "overtaken" for reason in run.reasons)
        steps.append(Step(run.planned_at, "held" if held else "planned"))
    if run.decided_at is not None:
        steps.append(Step(run.decided_at, _decision(run), run.decided_by, run.decided_note))
    if run.applying_at is not None:
        steps.append(Step(run.applying_at, "applying"))
    if run.finished_at is not None and run.state is not RunState.REJECTED:
        steps.append(Step(run.finished_at, _end(run)))
    undoing = [one for one in story.rollbacks if one.state is RunState.APPLIED and one.finished_at is not None]
    steps += [
        Step(one.finished_at, "undone", one.decided_by or one.actor, None, one.run_id)
        for one in undoing
        if one.finished_at
    ]
    return sorted(steps, key=lambda step: step.at)


def _decision(run: Run) -> str:
    return "rejected" if run.state is RunState.REJECTED else "approved"


def _end(run: Run) -> str:
    return "applied" if run.state is RunState.UNDONE else str(run.state)
