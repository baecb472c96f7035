"""A run and its changes as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from stoa.kernel.ids import ConnectionId, RunId, SourceId
from stoa.kernel.problems import Conflict, NotFound


class RunState(StrEnum):
    """Where a run stands. `rules.TRANSITIONS` says what may follow what."""

    QUEUED = "queued"
    PLANNING = "planning"
    PLANNED = "planned"
    HELD = "held"
    APPROVED = "approved"
    REJECTED = "rejected"
    APPLYING = "applying"
    APPLIED = "applied"
    UNDONE = "undone"
    STALE = "stale"
    ERRORED = "errored"


class RunKind(StrEnum):
    """What made the run."""

    SYNC = "sync"
    SCIM_WINDOW = "scim_window"
    SCIM_HOLD = "scim_hold"
    DUE = "due"
    MERGE = "merge"
    IMPORT = "import"
    BULK = "bulk"
    ROLLBACK = "rollback"
    RECOMPUTE = "recompute"


class Action(StrEnum):
    """What a change does to a record. The set is closed; the reason beside it says why."""

    CREATE = "create"
    LINK = "link"
    UPDATE = "update"
    DEACTIVATE = "deactivate"
    REACTIVATE = "reactivate"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a run is held, stale or errored, in words for the admin who must decide.

    Attributes:
        code: stable name, such as `deactivate_over_threshold`.
        detail: what was found.
        hint: what to do.
        figures: numbers behind it.
    """

    code: str
    detail: str
    hint: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def as_json(self) -> dict[str, Any]:
        """The reason as it is stored and printed."""
        return {
            "code": self.code,
            "detail": self.detail,
            "hint": self.hint,
            **({"figures": dict(self.figures)} if self.figures else {}),
        }


@dataclass(frozen=True, slots=True)
class Run:
    """One life cycle for everything that changes records.

    `counts` is the plan by action; `figures` holds what else was counted, such as rows read or quarantined, and
    `seconds`.
    `applied_through` is the last `ord` whose batch was committed, `changes_done` how many changes that are, and
    `applying_at` when the first of its batches was begun.
    `decided_note` is what whoever approved or rejected it wrote beside it.
    `since` is set of a rollback that undoes no single run (`of_run`), but what its source did from that moment on.
    """

    run_id: RunId
    kind: RunKind
    state: RunState
    target: str
    source_id: SourceId
    connection_id: ConnectionId | None
    of_run: RunId | None
    plan_only: bool
    actor: str
    input_digest: bytes | None
    mapping_version: int | None
    authority_version: int | None
    lease_epoch: int
    reasons: list[dict[str, Any]]
    counts: dict[str, int]
    figures: dict[str, Any]
    applied_through: int
    created_at: datetime
    planned_at: datetime | None
    decided_at: datetime | None
    decided_by: str | None
    finished_at: datetime | None
    applying_at: datetime | None = None
    changes_done: int = 0
    decided_note: str | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class NewRun:
    """What is needed to queue a run."""

    kind: RunKind
    target: str
    source_id: SourceId
    connection_id: ConnectionId | None = None
    of_run: RunId | None = None
    plan_only: bool = False
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One row of a plan, which is also its journal row.

    `state` is the row's own standing with that of its run considered. before and after hold only the columns that
    differ; before is None for a record that is made, after is None for one that goes.
    """

    run_id: RunId
    ord: int
    action: Action
    reason: str
    subject: str
    source_id: SourceId
    resource_id: Any
    person_id: Any
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    state: str
    note: dict[str, Any] | None
    at: datetime


class NoSuchRun(NotFound):
    """The tenant has no run with this id. The list of runs shows those that there are."""

    code = "no_such_run"


class WrongState(Conflict):
    """The run is not in a state in which this can be done.

    Read the run: its state says whether it waits for a decision, works, or has ended.
    """

    code = "wrong_run_state"
