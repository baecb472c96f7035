"""What becomes of runs."""

from typing import Annotated, Final

from msgspec import Meta

from stoa.events.catalogue import Body, EventType


class RunStanding(Body, frozen=True):
    """Where a run stands."""

    state: Annotated[str, Meta(description="`queued`, `planned`, `held`, `approved`, `applied`, ...")]


class RunChanged(Body, frozen=True):
    """A run, and the step that it took."""

    kind: Annotated[str, Meta(description="What made it: `sync`, `rollback`, `due`, ...")]
    target: Annotated[str, Meta(description="What it changes: `person` or `group`.")]
    source_id: Annotated[str, Meta(description="The source whose records it changes.")]
    connection_id: Annotated[str | None, Meta(description="The connection that it reads, if any.")]
    of_run: Annotated[str | None, Meta(description="Of a rollback: the run that it undoes.")]
    plan_only: Annotated[bool, Meta(description="Whether it stops at its plan until somebody approves it.")]
    reasons: Annotated[list[str], Meta(description="Codes of why it is held, stale or errored.")]
    counts: Annotated[dict[str, int], Meta(description="Changes of its plan by action.")]
    before: Annotated[RunStanding | None, Meta(description="Null of a run that was just asked for.")]
    after: RunStanding


def _run(state: str, before: str | None, summary: str, *reasons: str) -> EventType:
    return EventType(
        name=f"run.{state}",
        version=1,
        body=RunChanged,
        summary=summary,
        example={
            "kind": "sync",
            "target": "person",
            "source_id": "01980f5e-6f2a-7c3e-9a51-0d6f4b1c2a10",
            "connection_id": "01980f5e-71b4-7d02-8f33-6f1f6f0c4d21",
            "of_run": None,
            "plan_only": False,
            "reasons": list(reasons),
            "counts": {} if before is None else {"create": 3, "update": 12},
            "before": None if before is None else {"state": before},
            "after": {"state": state},
        },
    )


EVENT_TYPES: Final[tuple[EventType, ...]] = (
    _run("queued", None, "Somebody or the clock asked for a run: a sync, or a rollback."),
    _run("planned", "planning", "A run has its plan. It goes on by itself, or waits where only a plan was asked for."),
    _run("held", "planning", "A run waits for a person: a guard tripped.", "deactivate_over_threshold"),
    _run("approved", "held", "Somebody let a waiting run be applied."),
    _run("rejected", "held", "Somebody, or a newer run, ended a run without applying anything of it."),
    _run("applied", "applying", "Every change of a run is in force."),
    _run("undone", "applied", "A run was undone by a rollback."),
    _run("stale", "approved", "A run was not applied: its plan had been overtaken.", "changed_since"),
    _run("errored", "planning", "A run failed.", "remote_down"),
)
