"""What may follow what, and which changes are too many to be believed."""

from collections.abc import Mapping
from dataclasses import dataclass

from stoa.changes.model import Action, Reason, RunState

# The only transitions there are. A killed worker leaves `planning` or `applying`; the next one starts the plan anew, or
# goes on applying.
TRANSITIONS: Mapping[RunState, frozenset[RunState]] = {
    RunState.QUEUED: frozenset({RunState.PLANNING, RunState.ERRORED, RunState.REJECTED}),
    RunState.PLANNING: frozenset(
        {RunState.PLANNING, RunState.PLANNED, RunState.HELD, RunState.APPLIED, RunState.ERRORED}
    ),
    RunState.PLANNED: frozenset({RunState.APPLYING, RunState.APPROVED, RunState.REJECTED, RunState.STALE}),
    RunState.HELD: frozenset({RunState.APPROVED, RunState.REJECTED, RunState.STALE}),
    RunState.APPROVED: frozenset({RunState.APPLYING, RunState.STALE, RunState.REJECTED}),
    RunState.APPLYING: frozenset({RunState.APPLYING, RunState.APPLIED, RunState.ERRORED}),
    RunState.APPLIED: frozenset({RunState.UNDONE}),
    RunState.REJECTED: frozenset(),
    RunState.UNDONE: frozenset(),
    RunState.STALE: frozenset(),
    RunState.ERRORED: frozenset(),
}
FINISHED = frozenset(
    {RunState.APPLIED, RunState.REJECTED, RunState.UNDONE, RunState.STALE, RunState.ERRORED},
)


def sources_of(state: RunState) -> list[str]:
    """The states from which `state` may be entered: what a conditional UPDATE names."""
    return [str(before) for before, after in TRANSITIONS.items() if state in after]


@dataclass(frozen=True, slots=True)
class Threshold:
    """How many changes of one kind a run may make without a person's consent.

    The run is held when there are more than `floor` of them and either more than `percent` of the population or more
    than `absolute`.
    """

    percent: float
    absolute: int
    floor: int = 5


# Deactivations cost people their access, so they are the first to be doubted. A first load has no population and is not
# measured in per cent.
DEFAULT_THRESHOLDS: Mapping[Action, Threshold] = {
    Action.DEACTIVATE: Threshold(percent=10, absolute=500),
    Action.REACTIVATE: Threshold(percent=20, absolute=1000),
    Action.UPDATE: Threshold(percent=50, absolute=20_000),
    Action.CREATE: Threshold(percent=50, absolute=20_000),
    Action.LINK: Threshold(percent=100, absolute=50_000),
    Action.REMOVE: Threshold(percent=100, absolute=50_000),
}


def tripped(counts: Mapping[str, int], population: int, thresholds: Mapping[Action, Threshold]) -> list[Reason]:
    """The reasons for which a plan must wait for a person, none if it may be applied.

    counts: changes by action.
    population: records of the source before the run; 0 for a first load, which no percentage can measure.
    """
    reasons: list[Reason] = []
    if population == 0:
        return reasons
    for action, limit in thresholds.items():
        n = counts.get(action, 0)
        share = 100 * n / population
        if n <= limit.floor or (share <= limit.percent and n <= limit.absolute):
            continue
        over = (
            f"{share:.1f} % of {population:,} records (limit {limit.percent:g} %)"
            if share > limit.percent
            else f"the limit is {limit.absolute:,}"
        )
        reasons.append(
            Reason(
                code=f"{action}_over_threshold",
                detail=f"The run would {action} {n:,} people: {over}.",
                hint="Compare with the source system. Approve the run if this is meant, otherwise reject it and have "
                "the source corrected.",
                figures={
                    "action": str(action),
                    "count": n,
                    "population": population,
                    "percent": round(share, 1),
                    "limit_percent": limit.percent,
                    "limit": limit.absolute,
                },
            )
        )
    return reasons
