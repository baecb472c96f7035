"""Connections, and what their runs set aside, over the public API."""

# ruff: noqa: S608 - the text is code; every value is a bound parameter

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec

from stoa.api.lists import ListQuery, Page, RowsQuery, page, read_list
from stoa.api.operations import Answer, Call, Handler, Operation
from stoa.api.tables import MOMENT, Table, rows_of
from stoa.api.tenants import ID
from stoa.changes.queries import run_by_id
from stoa.changes.routes import RunShown, run_id_of, shown
from stoa.kernel.cursors import BadCursor, text_mark
from stoa.kernel.filters import Attribute, AttrType, Catalogue, Column, FilterError
from stoa.kernel.ids import ConnectionId, parse_id
from stoa.kernel.problems import BadInput, NotFound
from stoa.sync import actions, changing, quarantine
from stoa.sync.model import QuarantinedRow
from stoa.sync.target import SyncTarget
from stoa.tenants.model import Connection

_When = Annotated[datetime, msgspec.Meta(tz=True)]


class ConnectionShown(msgspec.Struct, frozen=True):
    """A connection to another system: what it is, and how fresh what came over it is."""

    id: UUID
    source_id: UUID
    connector: Annotated[str, msgspec.Meta(description="The kind of system, such as `workday`.")]
    name: str
    state: Annotated[str, msgspec.Meta(description="`active` or `paused`.")]
    paused_reason: str | None
    failing: Annotated[str | None, msgspec.Meta(description="The code of the last error, until it goes well again.")]
    contact_at: Annotated[_When | None, msgspec.Meta(description="When the other side was last read.")]
    success_at: Annotated[_When | None, msgspec.Meta(description="When what it said was last applied.")]
    expected_by: Annotated[_When | None, msgspec.Meta(description="When the next success is due at the latest.")]
    created_at: _When


class QuarantinedShown(msgspec.Struct, frozen=True):
    """A row that a run set aside, with every reason. Nothing of it was applied."""

    id: Annotated[int, msgspec.Meta(description="Its place among the feed's rows, from 1.")]
    external_id: str | None
    reasons: list[dict[str, Any]]
    raw: Annotated[dict[str, str], msgspec.Meta(description="Its cells as they were sent.")]


class SyncAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a sync is to be run."""

    plan_only: Annotated[bool, msgspec.Meta(description="Stop at the plan, and wait for approval.")] = False


class PauseAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a connection is paused."""

    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=changing.LONGEST_REASON)]


_CATALOGUE: Final = Catalogue(
    (
        Attribute("id", AttrType.UUID),
        Attribute("source_id", AttrType.UUID),
        Attribute("connector", case_exact=True),
        Attribute("name", case_exact=True),
        Attribute("state", case_exact=True),
        Attribute("failing", case_exact=True),
        Attribute("contact_at", AttrType.DATETIME),
        Attribute("success_at", AttrType.DATETIME),
        Attribute("expected_by", AttrType.DATETIME),
        Attribute("created_at", AttrType.DATETIME),
        Attribute("updated_at", AttrType.DATETIME),
    )
)
_CHANGED: Final = "greatest(c.created_at, c.contact_at, c.success_at, c.changed_at)"
_TABLE: Final = Table(
    select="SELECT c.connection_id AS id, c.source_id, c.connector, c.name, c.state, c.paused_reason, c.failing, "
    f"c.contact_at, c.success_at, c.expected_by, c.created_at, {_CHANGED} AS updated_at FROM connection c "
    "WHERE c.tenant_id = $1",
    key="c.connection_id",
    binding={
        "id": Column("c.connection_id"),
        "updated_at": Column(_CHANGED),
        **{
            name: Column(f"c.{name}")
            for name in (
                *("source_id", "connector", "name", "state", "failing", "contact_at", "success_at", "expected_by"),
                "created_at",
            )
        },
    },
    sorts={
        "created_at": ("c.created_at", MOMENT),
        "updated_at": (_CHANGED, MOMENT),
        "name": ('c.name COLLATE "C"', text_mark),
    },
)
_ONE: Final = "/v1/connections/{connection_id}"


def operations(target: SyncTarget) -> tuple[Operation, ...]:
    """Connections, runs of them, and quarantine. target: what the runs of connections change."""
    one: Any = {"tag": "Connections", "path_params": {"connection_id": ID}}
    acts: Any = {**one, "method": "POST", "scope": "connections:write"}
    return (
        Operation(
            id="listConnections", method="GET", path="/v1/connections", tag="Connections", summary="List connections",
            scope="connections:read", handler=_list, query=ListQuery, answers={200: Page[ConnectionShown]},
            problems=(BadCursor, FilterError),
        ),
        Operation(
            id="getConnection", method="GET", path=_ONE, summary="Get a connection", scope="connections:read",
            handler=_get, answers={200: ConnectionShown}, **one,
        ),
        Operation(
            id="syncConnection", path=f"{_ONE}/sync", summary="Run a sync",
            description="Queues a run, which is answered. It is planned, guarded, and applied or held like any other.",
            handler=_syncing(target), body=SyncAsked, body_example={"plan_only": True}, answers={202: RunShown},
            problems=(actions.Paused,), idempotency="required", **acts,
        ),
        Operation(
            id="pauseConnection", path=f"{_ONE}/pause", summary="Pause a connection",
            description="It does not run, by the clock or by hand, until it is resumed.", handler=_pause,
            body=PauseAsked, body_example={"reason": "The feed is being rebuilt."}, answers={200: ConnectionShown},
            problems=(BadInput,), idempotency="optional", **acts,
        ),
        Operation(
            id="resumeConnection", path=f"{_ONE}/resume", summary="Resume a connection", handler=_resume,
            answers={200: ConnectionShown}, idempotency="optional", **acts,
        ),
        Operation(
            id="listQuarantine", method="GET", path="/v1/runs/{run_id}/quarantine", tag="Runs",
            summary="List the rows that a run set aside",
            description="Rows that could not be accepted, each with every reason. They never change once the "
            "run is planned, so `updated_since` is not offered.",
            scope="runs:read", handler=_quarantine, query=RowsQuery, path_params={"run_id": ID},
            answers={200: Page[QuarantinedShown]}, problems=(BadCursor, FilterError),
        ),
    )  # fmt: skip


async def _list(call: Call[ListQuery, None]) -> Answer:
    ask = read_list(call, _CATALOGUE, tuple(_TABLE.sorts), default="created_at")
    rows, after = await rows_of(call.tx, _TABLE, ask)
    return page(call, ask, [ConnectionShown(**{name: row[name] for name in _NAMES}) for row in rows], after)


_NAMES: Final = ConnectionShown.__struct_fields__


async def _get(call: Call[Any, None]) -> Answer:
    return Answer(content=_shown(await changing.connection_of(call.tx, _id(call))))


def _syncing(target: SyncTarget) -> Handler:
    async def sync(call: Call[Any, SyncAsked]) -> Answer:
        connection = await changing.connection_of(call.tx, _id(call))
        run = await actions.request_sync(call.tx, connection, target.name, plan_only=call.body.plan_only)
        return Answer(202, shown(run), headers=(("location", call.url(f"/v1/runs/{run.run_id}")),))

    return sync


async def _pause(call: Call[Any, PauseAsked]) -> Answer:
    return Answer(content=_shown(await changing.pause(call.tx, _id(call), call.body.reason)))


async def _resume(call: Call[Any, None]) -> Answer:
    return Answer(content=_shown(await changing.resume(call.tx, _id(call))))


async def _quarantine(call: Call[RowsQuery, None]) -> Answer:
    run = await run_by_id(call.tx, run_id_of(call))
    ask = read_list(call, quarantine.CATALOGUE, ("id",), default="id", since="")
    wanted = quarantine.RowsAsk(where=ask.where, descending=ask.descending, after=ask.after, limit=ask.limit)
    found = await quarantine.rows_found(call.tx, run.run_id, wanted)
    return page(call, ask, [_row(one) for one in found.rows], found.next)


def _id(call: Call[Any, Any]) -> ConnectionId:
    found = parse_id(call.path["connection_id"])
    if found is None:
        raise NotFound("There is no such connection.", hint="The list of connections shows those there are.")
    return ConnectionId(found)


def _shown(one: Connection) -> ConnectionShown:
    return ConnectionShown(
        one.connection_id, one.source_id, one.connector, one.name, one.state, one.paused_reason, one.failing,
        one.contact_at, one.success_at, one.expected_by, one.created_at,
    )  # fmt: skip


def _row(one: QuarantinedRow) -> QuarantinedShown:
    return QuarantinedShown(
        one.row_no, one.external_id, [msgspec.to_builtins(reason) for reason in one.reasons], dict(one.raw)
    )
