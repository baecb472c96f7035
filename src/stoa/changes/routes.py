"""Runs and their changes over the public API."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec

from stoa.api.lists import ListQuery, Page, page, read_list
from stoa.api.operations import Answer, Call, Operation
from stoa.api.tables import MOMENT, Table, rows_of, with_change_column, with_change_time
from stoa.api.tenants import ID
from stoa.changes import actions, queries
from stoa.changes.browsing import ChangesAsk, changes_found
from stoa.changes.catalogue import CHANGES, RUNS, RUNS_BINDING
from stoa.changes.holding import with_counts
from stoa.changes.model import Action, Change, Run, RunKind, RunState, WrongState
from stoa.changes.queries import RUN_COLUMNS, run_of
from stoa.changes.rendering import outside
from stoa.kernel.cursors import BadCursor
from stoa.kernel.filters import FilterError
from stoa.kernel.ids import RunId, parse_id
from stoa.kernel.problems import BadInput, NotFound

_MOMENT: Final = msgspec.Meta(tz=True)
_When = Annotated[datetime, _MOMENT]


class RunShown(msgspec.Struct, frozen=True):
    """A run: planned, guarded, perhaps held, applied, and undoable by another run."""

    id: UUID
    kind: RunKind
    state: RunState
    source_id: UUID
    connection_id: UUID | None
    of_run: Annotated[UUID | None, msgspec.Meta(description="The run that this one rolls back.")]
    since: Annotated[
        _When | None, msgspec.Meta(description="Of a rollback: it undoes what the source did from this moment on.")
    ]
    plan_only: Annotated[bool, msgspec.Meta(description="Whether it waits for approval whatever it plans.")]
    reasons: Annotated[
        list[dict[str, Any]], msgspec.Meta(description="Why it is held, stale or errored: code, detail, hint, figures.")
    ]
    counts: Annotated[dict[str, int], msgspec.Meta(description="Planned changes by action.")]
    changes_done: int
    actor: str
    created_at: _When
    planned_at: _When | None
    decided_at: _When | None
    decided_by: str | None
    decided_note: str | None
    finished_at: _When | None
    target: Annotated[str, msgspec.Meta(description="What it changes: `person` or `group`.")]


class ChangeShown(msgspec.Struct, frozen=True):
    """One change of a run: what is planned is also the journal of what was done."""

    id: Annotated[int, msgspec.Meta(description="Its place in the order of all changes of the tenant.")]
    action: Action
    reason: Annotated[str, msgspec.Meta(description="The rule by which it came about.")]
    state: str
    external_id: Annotated[
        str,
        msgspec.Meta(description="The record's key in its source; of a group its id, of a membership `group/record`."),
    ]
    source_id: UUID
    person_id: Annotated[
        UUID | None, msgspec.Meta(description="Whom it is about; null for a change of a group itself.")
    ]
    before: Annotated[dict[str, Any] | None, msgspec.Meta(description="Members that differ, as they were.")]
    after: Annotated[dict[str, Any] | None, msgspec.Meta(description="Members that differ, as they are now.")]
    at: _When


class Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A decision about a run."""

    note: Annotated[
        str, msgspec.Meta(max_length=actions.LONGEST_NOTE, description="Why, for whoever looks at it later.")
    ] = ""


_CHANGED: Final = "greatest(r.created_at, r.planned_at, r.decided_at, r.applying_at, r.finished_at)"
_RUNS: Final = with_change_time(RUNS)
_TABLE: Final = Table(
    select=f"SELECT {RUN_COLUMNS}, r.run_id AS id, {_CHANGED} AS updated_at FROM run r WHERE r.tenant_id = $1",  # noqa: S608 - code
    key="r.run_id",
    binding=with_change_column(RUNS_BINDING, _CHANGED),
    sorts={"created_at": ("r.created_at", MOMENT), "updated_at": (_CHANGED, MOMENT)},
)
_ONE: Final = "/v1/runs/{run_id}"


def operations() -> tuple[Operation, ...]:
    """Runs, their changes, and decisions."""
    one: Any = {"tag": "Runs", "path_params": {"run_id": ID}}
    decides: Any = {
        **one, "method": "POST", "scope": "runs:write", "body": Decision, "answers": {200: RunShown},
        "problems": (WrongState, BadInput), "idempotency": "optional",
        "body_example": {"note": "Looked at it with HR."},
    }  # fmt: skip
    return (
        Operation(
            id="listRuns", method="GET", path="/v1/runs", tag="Runs", summary="List runs",
            description="The latest first. `filter=state eq \"held\"` leaves those that wait for a decision.",
            scope="runs:read", handler=_list, query=ListQuery, answers={200: Page[RunShown]},
            problems=(BadCursor, FilterError),
        ),
        Operation(
            id="getRun", method="GET", path=_ONE, summary="Get a run", scope="runs:read", handler=_get,
            answers={200: RunShown}, **one,
        ),
        Operation(
            id="listChanges", method="GET", path=f"{_ONE}/changes", summary="List the changes of a run",
            description="The plan of a run, change by change, which is its journal once it is applied. `updated_since` "
            "compares when a change was planned.",
            scope="runs:read", handler=_changes, query=ListQuery, answers={200: Page[ChangeShown]},
            problems=(BadCursor, FilterError), **one,
        ),
        Operation(
            id="approveRun", path=f"{_ONE}/approve", summary="Approve a held or planned run",
            description="It is then applied as it was planned, unless the source's records have changed since: then it "
            "is stale, and nothing is applied.",
            handler=_deciding(actions.approve), **decides,
        ),
        Operation(
            id="rejectRun", path=f"{_ONE}/reject", summary="Reject a run", description="Nothing of it is applied.",
            handler=_deciding(actions.reject), **decides,
        ),
        Operation(
            id="rollBackRun", method="POST", path=f"{_ONE}/rollback", summary="Plan the rollback of an applied run",
            description="Makes another run that undoes this one. It waits at its plan, with the conflicts that it "
            "found, until it is approved.",
            scope="runs:write", handler=_roll_back, answers={202: RunShown}, problems=(WrongState,),
            idempotency="required", **one,
        ),
    )  # fmt: skip


async def _list(call: Call[ListQuery, None]) -> Answer:
    ask = read_list(call, _RUNS, tuple(_TABLE.sorts), default="-created_at")
    rows, after = await rows_of(call.tx, _TABLE, ask)
    return page(call, ask, [shown(await with_counts(call.tx, run_of(row))) for row in rows], after)


async def _get(call: Call[Any, None]) -> Answer:
    return Answer(content=shown(await with_counts(call.tx, await queries.run_by_id(call.tx, run_id_of(call)))))


async def _changes(call: Call[ListQuery, None]) -> Answer:
    run = await queries.run_by_id(call.tx, run_id_of(call))
    ask = read_list(call, CHANGES, ("id",), default="id", since="at")
    found = await changes_found(
        call.tx, run, ChangesAsk(where=ask.where, descending=ask.descending, after=ask.after, limit=ask.limit)
    )
    return page(call, ask, [_change(one) for one in found.rows], found.next)


def _deciding(decide: Callable[..., Awaitable[Run]]) -> Callable[[Call[Any, Decision]], Awaitable[Answer]]:
    async def decided(call: Call[Any, Decision]) -> Answer:
        run = await decide(call.tx, run_id_of(call), note=actions.checked_note(call.body.note))
        return Answer(content=shown(run))

    return decided


async def _roll_back(call: Call[Any, None]) -> Answer:
    run = await actions.queue_rollback(call.tx, run_id_of(call), plan_only=True)
    return Answer(202, shown(run), headers=(("location", call.url(f"/v1/runs/{run.run_id}")),))


def run_id_of(call: Call[Any, Any]) -> RunId:
    """The run that the path names. Raises NotFound for what is no id."""
    found = parse_id(call.path["run_id"])
    if found is None:
        raise NotFound("There is no such run in this tenant.", hint="The list of runs has those that there are.")
    return RunId(found)


def shown(run: Run) -> RunShown:
    """A run as the API shows it."""
    return RunShown(
        run.run_id, run.kind, run.state, run.source_id, run.connection_id, run.of_run, run.since, run.plan_only,
        run.reasons, run.counts, run.changes_done, run.actor, run.created_at, run.planned_at, run.decided_at,
        run.decided_by, run.decided_note, run.finished_at, run.target,
    )  # fmt: skip


def _change(one: Change) -> ChangeShown:
    return ChangeShown(
        one.ord, one.action, one.reason, one.state, one.subject, one.source_id, one.person_id, outside(one.before),
        outside(one.after), one.at,
    )  # fmt: skip
