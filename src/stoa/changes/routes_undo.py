"""Undoing what a source did from a moment on, over the public API."""

from datetime import datetime
from typing import Annotated, Any

import msgspec

from stoa.api.operations import Answer, Call, Operation
from stoa.api.tenants import ID
from stoa.changes import actions
from stoa.changes.model import WrongState
from stoa.changes.routes import RunShown, shown
from stoa.changes.undoing import TARGETS
from stoa.kernel.ids import SourceId, parse_id
from stoa.kernel.problems import BadInput, NotFound
from stoa.tenants.queries import source as source_of


class UndoSince(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From when on everything is to be undone."""

    since: Annotated[datetime, msgspec.Meta(tz=True, description="At most 30 days ago.")]


class UndoPlanned(msgspec.Struct, frozen=True):
    """The runs that undo, one for each kind of record."""

    runs: list[RunShown]


def operations() -> tuple[Operation, ...]:
    """The one operation."""
    return (
        Operation(
            id="undoSource",
            method="POST",
            path="/v1/sources/{source_id}/undo",
            tag="Runs",
            summary="Plan undoing what a source did from a moment on",
            description="Makes one run for each kind of record, `person` and `group`, that puts back everything that "
            "the source said at or after the moment, and what of it waits for a decision. Each waits at its plan, with "
            "the conflicts that it found, until it is approved; one that has nothing to do ends by itself.",
            path_params={"source_id": ID},
            scope="runs:write",
            handler=_undo,
            body=UndoSince,
            answers={202: UndoPlanned},
            problems=(WrongState, BadInput),
            idempotency="required",
            body_example={"since": "2026-03-01T14:05:00Z"},
        ),
    )


async def _undo(call: Call[Any, UndoSince]) -> Answer:
    source_id = parse_id(call.path["source_id"])
    if source_id is None or await source_of(call.tx, SourceId(source_id)) is None:
        raise NotFound("There is no such source in this tenant.", hint="A run names its source as `source_id`.")
    runs = await actions.queue_undo_since(call.tx, SourceId(source_id), call.body.since, TARGETS)
    return Answer(202, UndoPlanned([shown(run) for run in runs]))
