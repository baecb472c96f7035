"""Alerts over the public API."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec

from stoa.alerts import handling, queries
from stoa.alerts.catalogue import BINDING, CATALOGUE
from stoa.alerts.model import Alert, AlertId, AlertState, Severity
from stoa.alerts.queries import COLUMNS, alert_of
from stoa.alerts.rules import LONGEST_REASON, SHORTEST_REASON
from stoa.api.lists import ListQuery, Page, page, read_list
from stoa.api.operations import Answer, Call, Operation
from stoa.api.tables import MOMENT, Table, rows_of, with_change_column, with_change_time
from stoa.api.tenants import ID
from stoa.kernel.cursors import BadCursor
from stoa.kernel.filters import FilterError
from stoa.kernel.ids import parse_id
from stoa.kernel.problems import BadInput, Conflict, NotFound

_MOMENT: Final = msgspec.Meta(tz=True)


class AlertShown(msgspec.Struct, frozen=True):
    """Something that a person should look at. At most one alert of a cause is not resolved."""

    id: UUID
    kind: Annotated[str, msgspec.Meta(description="The kind of cause, such as `run_held`.")]
    key: Annotated[str, msgspec.Meta(description="Which one of its kind, such as a source's id.")]
    severity: Severity
    state: AlertState
    title: str
    detail: str
    hint: Annotated[str, msgspec.Meta(description="What to do about it, and who can.")]
    owner_email: str | None
    occurrences: int
    run_id: UUID | None
    first_at: Annotated[datetime, _MOMENT]
    last_at: Annotated[datetime, _MOMENT]
    acknowledged_at: Annotated[datetime, _MOMENT] | None
    muted_until: Annotated[datetime, _MOMENT] | None
    resolved_at: Annotated[datetime, _MOMENT] | None


class AlertResolution(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why an alert is resolved by hand."""

    reason: Annotated[str, msgspec.Meta(min_length=SHORTEST_REASON, max_length=LONGEST_REASON)]


class Muting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Until when an alert is to be left alone, and why."""

    reason: Annotated[str, msgspec.Meta(min_length=SHORTEST_REASON, max_length=LONGEST_REASON)]
    until: Annotated[datetime, _MOMENT]


_CHANGED: Final = "greatest(a.last_at, a.acknowledged_at, a.resolved_at, a.changed_at)"
_CATALOGUE: Final = with_change_time(CATALOGUE)
_TABLE: Final = Table(
    select=f"SELECT {COLUMNS}, a.alert_id AS id, {_CHANGED} AS updated_at FROM alert a WHERE a.tenant_id = $1",  # noqa: S608 - code
    key="a.alert_id",
    binding=with_change_column(BINDING, _CHANGED),
    sorts={"last_at": ("a.last_at", MOMENT), "first_at": ("a.first_at", MOMENT), "updated_at": (_CHANGED, MOMENT)},
)
_ONE: Final = "/v1/alerts/{alert_id}"


def operations() -> tuple[Operation, ...]:
    """Alerts, and what is done about them."""
    one: Any = {"tag": "Alerts", "path_params": {"alert_id": ID}}
    acts: Any = {
        **one, "method": "POST", "scope": "alerts:write", "answers": {200: AlertShown},
        "problems": (Conflict, BadInput), "idempotency": "optional",
    }  # fmt: skip
    return (
        Operation(
            id="listAlerts", method="GET", path="/v1/alerts", tag="Alerts", summary="List alerts",
            description="The latest first. `filter=state eq \"open\"` leaves those that need somebody.",
            scope="alerts:read", handler=_list, query=ListQuery, answers={200: Page[AlertShown]},
            problems=(BadCursor, FilterError),
        ),
        Operation(
            id="getAlert", method="GET", path=_ONE, summary="Get an alert", scope="alerts:read", handler=_get,
            answers={200: AlertShown}, **one,
        ),
        Operation(
            id="acknowledgeAlert", path=f"{_ONE}/acknowledge", summary="Acknowledge an alert",
            description="Says that somebody looks after it. Its owner is not reminded any more.",
            handler=_acknowledge, **acts,
        ),
        Operation(
            id="muteAlert", path=f"{_ONE}/mute", summary="Mute an alert", handler=_mute, body=Muting,
            body_example={"reason": "Known until the new feed is there.", "until": "2027-01-31T08:00:00Z"}, **acts,
        ),
        Operation(
            id="resolveAlert", path=f"{_ONE}/resolve", summary="Resolve an alert", handler=_resolve,
            body=AlertResolution, body_example={"reason": "Mended by hand."}, **acts,
        ),
    )  # fmt: skip


async def _list(call: Call[ListQuery, None]) -> Answer:
    ask = read_list(call, _CATALOGUE, tuple(_TABLE.sorts), default="-last_at")
    rows, after = await rows_of(call.tx, _TABLE, ask)
    return page(call, ask, [_shown(alert_of(row)) for row in rows], after)


async def _get(call: Call[Any, None]) -> Answer:
    found = await queries.alert(call.tx, _id(call))
    if found is None:
        raise _none()
    return Answer(content=_shown(found))


async def _acknowledge(call: Call[Any, None]) -> Answer:
    return Answer(content=_shown(await handling.acknowledge(call.tx, _id(call))))


async def _mute(call: Call[Any, Muting]) -> Answer:
    return Answer(content=_shown(await handling.mute(call.tx, _id(call), call.body.reason, call.body.until)))


async def _resolve(call: Call[Any, AlertResolution]) -> Answer:
    return Answer(content=_shown(await handling.resolve(call.tx, _id(call), call.body.reason)))


def _id(call: Call[Any, Any]) -> AlertId:
    found = parse_id(call.path["alert_id"])
    if found is None:
        raise _none()
    return AlertId(found)


def _none() -> NotFound:
    return NotFound("There is no such alert in this tenant.", hint="The list of alerts has those that there are.")


def _shown(alert: Alert) -> AlertShown:
    return AlertShown(
        alert.alert_id, alert.kind, alert.key, alert.severity, alert.state, alert.title, alert.detail, alert.hint,
        alert.owner_email, alert.occurrences, alert.run_id, alert.first_at, alert.last_at, alert.acknowledged_at,
        alert.muted_until, alert.resolved_at,
    )  # fmt: skip
