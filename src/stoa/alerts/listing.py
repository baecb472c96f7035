"""Alerts found, filtered, sorted and paged. Each order has an index (tests/alerts/test_listing.py reads the plans)."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal

from stoa.alerts.catalogue import BINDING
from stoa.alerts.model import SEVERITIES, Alert
from stoa.alerts.queries import COLUMNS, alert_of
from stoa.db.transactions import Row, TenantTx
from stoa.kernel.cursors import Position, id_mark, mark_of, moment_mark, number_mark, read_position
from stoa.kernel.filters import Typed, sql
from stoa.kernel.fold import fold

Shown = Literal["open", "muted", "resolved", "all"]
AlertSort = Literal["last_at", "severity", "first_at"]

# Open ones are those that need somebody. The first conditions are those of the index alert_current.
_SHOWN: Final[Mapping[Shown, str]] = {
    "open": "a.state <> 'resolved' AND a.state <> 'muted'",
    "muted": "a.state <> 'resolved' AND a.state = 'muted'",
    "resolved": "a.state = 'resolved'",
    "all": "TRUE",
}
_KEYS: Final[Mapping[AlertSort, tuple[str, ...]]] = {
    "last_at": ("last_at",),
    "severity": ("urgency", "last_at"),
    "first_at": ("first_at",),
}
_READERS: Final = {
    "urgency": number_mark(1, len(SEVERITIES)),
    "last_at": moment_mark,
    "first_at": moment_mark,
    "alert_id": id_mark,
}
# A search reads what it goes past; a filter may be of any kind.
_SCAN_MILLISECONDS: Final = 5_000
_EXPORTED_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class AlertsAsk:
    """What is asked of the list.

    Attributes:
        search: part of the title or of what happened, in any case; empty for all.
        where: a filter, checked against `catalogue.CATALOGUE`; None for none.
        after: where the last page ended: its `next`.
    """

    shown: Shown = "open"
    search: str = ""
    where: Typed | None = None
    sort: AlertSort = "last_at"
    descending: bool = True
    after: Position | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class AlertsPage:
    """Alerts, and where the next page begins; None at the end."""

    rows: Sequence[Alert]
    next: Position | None


async def alerts_page(tx: TenantTx, ask: AlertsAsk) -> AlertsPage:
    """A page of the tenant's alerts. Raises BadCursor for a position that is none."""
    keys = (*_KEYS[ask.sort], "alert_id")
    where, params = _where(tx, ask)
    if ask.after is not None:
        marks = ", ".join(f"${i}" for i in range(len(params) + 1, len(params) + 1 + len(keys)))
        names = ", ".join(f"a.{key}" for key in keys)
        where += f" AND ({names}) {'<' if ask.descending else '>'} ({marks})"
        params += read_position(ask.after, *(_READERS[key] for key in keys))
    order = ", ".join(f"a.{key} DESC" if ask.descending else f"a.{key}" for key in keys)
    if ask.search or ask.where is not None:
        await tx.execute(f"SET LOCAL statement_timeout = {_SCAN_MILLISECONDS}")
    rows = await tx.fetch(
        f"SELECT {COLUMNS}, urgency FROM alert AS a WHERE {where} ORDER BY {order} LIMIT {int(ask.limit) + 1}",  # noqa: S608 - names are code, values are bound
        *params,
    )
    shown = rows[: ask.limit]
    following = _position(shown[-1], keys) if len(rows) > ask.limit else None
    return AlertsPage([alert_of(row) for row in shown], following)


async def all_alerts(tx: TenantTx, ask: AlertsAsk) -> AsyncGenerator[Alert]:
    """Every alert that is asked for, in the same order, page after page."""
    after: Position | None = None
    while True:
        page = await alerts_page(tx, replace(ask, after=after, limit=_EXPORTED_AT_ONCE))
        for alert in page.rows:
            yield alert
        if page.next is None:
            return
        after = page.next


async def counts(tx: TenantTx) -> dict[Shown, int]:
    """How many are open and how many muted; resolved ones are too many to count for a page (index alert_once)."""
    row = await tx.fetchrow(
        """SELECT count(*) FILTER (WHERE state <> 'muted') AS open, count(*) FILTER (WHERE state = 'muted') AS muted
           FROM alert WHERE tenant_id = $1 AND state <> 'resolved'""",
        tx.tenant_id,
    )
    assert row is not None
    return {"open": row["open"], "muted": row["muted"]}


def _where(tx: TenantTx, ask: AlertsAsk) -> tuple[str, tuple[object, ...]]:
    where = f"a.tenant_id = $1 AND {_SHOWN[ask.shown]}"
    params: tuple[object, ...] = (tx.tenant_id,)
    if ask.search:
        where += ' AND strpos(coalesce(a.search_key, a.title COLLATE "C"), $2) > 0'
        params += (fold(ask.search.replace("\0", "")),)
    if ask.where is not None:
        condition = sql(ask.where, BINDING, first_param=len(params) + 1, now=tx.now)
        where += f" AND {condition.text}"
        params += tuple(condition.params)
    return where, params


def _position(row: Row, keys: tuple[str, ...]) -> Position:
    return tuple(_mark(row[key]) for key in keys)


def _mark(value: object) -> int | str:
    match value:
        case datetime():
            return mark_of(value)
        case int():
            return value
        case _:
            return str(value)
