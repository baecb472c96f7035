"""The audit log over the public API: who did what, when and from where."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec

from stoa.api.lists import Page, RowsQuery, page, read_list
from stoa.api.operations import Answer, Call, Operation
from stoa.events.trail import CATALOGUE, TrailAsk, TrailLine, trail_page
from stoa.kernel.cursors import BadCursor
from stoa.kernel.filters import FilterError

_About = msgspec.Meta


class AuditLine(msgspec.Struct, frozen=True):
    """One line of the audit log: one event, or one entry that stands for many changes of a run."""

    id: Annotated[str, _About(description="Its place: the entry's number, and the event's within it.")]
    at: Annotated[datetime, _About(tz=True)]
    actor: Annotated[str, _About(description="Who: `operator:ID`, `client:ID`, `credential:ID`, `scim:ID`, a job.")]
    via: Annotated[str, _About(description="By which way: `console`, `api`, `scim`, `cli`, `worker`.")]
    address: Annotated[str | None, _About(description="From where, if it came over the network.")]
    request_id: Annotated[str | None, _About(description="The trace id of the request or job.")]
    run_id: UUID | None
    sequence: Annotated[int | None, _About(description="The number of its (first) event; null for a moment at first.")]
    count: Annotated[int, _About(description="How many events it stands for.")]
    type: Annotated[str | None, _About(description="Null for a bulk entry, whose events /v1/events has one by one.")]
    subject: str | None
    data: Annotated[dict[str, Any] | None, _About(description="What happened, with before and after.")]
    erased: Annotated[bool, _About(description="Whether its content was erased; its place in the chain still holds.")]


_SORTS: Final = ("at",)


def operations() -> tuple[Operation, ...]:
    """The log, to be read."""
    return (
        Operation(
            id="listAudit", method="GET", path="/v1/audit", tag="Audit", summary="List the audit log",
            description="Every write of the tenant by console, API, SCIM and job, the latest first. The log is only "
            "ever added to, so `updated_since` is not offered: filter by `at`. A page looks through a bounded number "
            "of entries, so one with few items, or none, may still have a `next_cursor`.",
            scope="audit:read", handler=_list, query=RowsQuery, answers={200: Page[AuditLine]},
            problems=(BadCursor, FilterError), cost=2,
        ),
    )  # fmt: skip


async def _list(call: Call[RowsQuery, None]) -> Answer:
    ask = read_list(call, CATALOGUE, _SORTS, default="-at")
    found = await trail_page(
        call.tx, TrailAsk(where=ask.where, descending=ask.descending, after=ask.after, limit=ask.limit)
    )
    return page(call, ask, [_shown(line) for line in found.lines], found.next)


def _shown(line: TrailLine) -> AuditLine:
    return AuditLine(
        f"{line.entry_no}.{line.ord}", line.at, line.actor, line.via, line.address, line.request_id, line.run_id,
        line.seq, line.n, line.type, line.subject, line.body, line.erased,
    )  # fmt: skip
