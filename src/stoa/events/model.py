"""What is written to the event log and what is read from it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from stoa.db.transactions import Origin, TenantTx
from stoa.kernel.ids import RunId
from stoa.kernel.problems import Problem

# The notifier's channel on which every commit that wrote an entry is told.
CHANNEL: Final = "stoa_events"
# The one on which it is told that events got their numbers, so that readers by cursor find them.
NUMBERED_CHANNEL: Final = "stoa_numbered"
# Stands in the place of an event whose content was erased or is past its retention, so that a cursor never meets a
# hole.
ERASED: Final = "event.erased"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, named in the past tense.

    Attributes:
        type: dotted name, for example `person.deactivated`.
        subject: what it happened to, for example a person's id.
        body: JSON object; further facts.
    """

    type: str
    subject: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event with its place in the tenant's log.

    Attributes:
        seq: 1, 2, 3, ... without a gap; a reader's cursor.
        at: the tenant's clock when its transaction began.
        actor, via: who acted, and by which way (`Origin`).
        run_id: the run it belongs to, if any.
    """

    seq: int
    type: str
    subject: str
    at: datetime
    actor: str
    via: str
    run_id: RunId | None
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Batch:
    """One bulk entry: `n` events, rendered from the rows ord_from..ord_to (both included) of a run when they are
    read.

    origin: who acts, where that is another than the transaction's.
    """

    run_id: RunId
    ord_from: int
    ord_to: int
    n: int
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class Broken:
    """Where the log is not what was once written.

    Attributes:
        seq: the first event number that cannot be trusted.
        entry_no: the entry found there, or None if it is missing.
        reason: `gap` (an entry is missing or has another length), `chain` (its place was changed), `digest` (its
            content was changed), or `head` (the end of the log was cut off).
    """

    seq: int
    entry_no: int | None
    reason: str


# (tx, run_id, ord_from, ord_to, offset, limit) -> of the events of those rows, in order of ord, those from `offset` on
# (0: the first), at most `limit`. Handed in: the rows belong to a room above this one.
Renderer = Callable[[TenantTx, RunId, int, int, int, int], Awaitable[list[Event]]]


class RendererMissing(Problem):
    """A part of the server reads the event log without knowing how to show changes of many people at once.

    It is a fault of Stoa itself: report it with the trace id.
    """

    code = "renderer_missing"
