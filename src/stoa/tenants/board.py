"""The operator's board in SQL: every tenant with its standing, found, filtered, sorted and paged.

It reads `tenant` and `tenant_status` alone, through the columns that stoa_platform was granted. Lateness depends on the
hour, so it is computed here, on each tenant's own clock; a few thousand rows are sorted in less than it takes to draw
one page (tests/tenants/test_board.py reads the plans).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from stoa.db.transactions import PlatformTx
from stoa.kernel.cursors import Position, id_mark, mark_of, moment_mark, number_mark, read_position, text_mark
from stoa.kernel.filters import (
    Attribute,
    AttrType,
    Binding,
    Catalogue,
    Column,
    Exists,
    Operator,
    Typed,
    sql,
)
from stoa.kernel.fold import fold
from stoa.kernel.ids import TenantId
from stoa.tenants.phases import RISING, PhaseState
from stoa.tenants.status import COLUMNS, TenantStatus, status_of

BoardSort = Literal["urgency", "name", "success"]

_STALE: Final = RISING.index(PhaseState.STALE)
_LATE: Final = "coalesce(s.late_from <= $1::timestamptz + t.clock_offset, false)"
_WORST: Final = f"CASE WHEN {_LATE} THEN greatest(coalesce(s.worst, 0), {_STALE}) ELSE coalesce(s.worst, 0) END"
# The worst phase decides; an open critical alert counts for as much as a missed success. Then the number of alerts.
_URGENCY: Final = f"""greatest({_WORST}, CASE WHEN s.critical_alerts > 0 THEN {_STALE} ELSE 0 END) * 100
  + least(coalesce(s.open_alerts, 0), 99)"""
_SUCCESS: Final = "coalesce((extract(epoch FROM s.oldest_success_at) * 1000000)::bigint, -1)"
_FROM: Final = "FROM tenant t LEFT JOIN tenant_status s ON s.tenant_id = t.tenant_id"
_SCOPE: Final = "($2::uuid[] IS NULL OR t.tenant_id = ANY($2))"
# A tenant counts under the state of each of its phases; `ok` and `off` are said of the whole.
_ADMITS: Final[Mapping[PhaseState, str]] = {
    PhaseState.OFF: f"({_WORST}) = 0",
    PhaseState.OK: f"({_WORST}) = {RISING.index(PhaseState.OK)}",
    PhaseState.WAITING: "'waiting' = ANY(s.states)",
    PhaseState.PAUSED: "'paused' = ANY(s.states)",
    PhaseState.STALE: _LATE,
    PhaseState.HELD: "'held' = ANY(s.states)",
    PhaseState.FAILING: "'failing' = ANY(s.states)",
}
STATES: Final = tuple(_ADMITS)
_STATES_OF_ONE: Final = ", ".join(f"CASE WHEN {admits} THEN '{state}' END" for state, admits in _ADMITS.items())

_WORD: Final = frozenset({Operator.EQ, Operator.NE})
CATALOGUE: Final = Catalogue(
    (
        Attribute("state", case_exact=True, multi_valued=True, operators=_WORD),
        Attribute("name"),
        Attribute("slug", case_exact=True),
        Attribute("sandbox", AttrType.BOOLEAN),
        Attribute("alerts", AttrType.INTEGER),
        Attribute("critical_alerts", AttrType.INTEGER),
        Attribute("people", AttrType.INTEGER),
        Attribute("active_people", AttrType.INTEGER),
        Attribute("oldest_success", AttrType.DATETIME),
        Attribute("created_at", AttrType.DATETIME),
    )
)
BINDING: Final[Binding] = {
    "state": Exists(f"unnest(ARRAY[{_STATES_OF_ONE}]) AS x(state)", {"value": Column("x.state")}),
    "name": Column("t.name", "t.name_key"),
    "slug": Column("t.slug"),
    "sandbox": Column("t.sandbox"),
    "alerts": Column("coalesce(s.open_alerts, 0)"),
    "critical_alerts": Column("coalesce(s.critical_alerts, 0)"),
    "people": Column("coalesce(s.people, 0)"),
    "active_people": Column("coalesce(s.active_people, 0)"),
    "oldest_success": Column("s.oldest_success_at"),
    "created_at": Column("t.created_at"),
}
# What is sorted by before name and id; ascending, so that one comparison of rows finds where the next page begins.
_KEYS: Final[Mapping[BoardSort, tuple[str, ...]]] = {
    "urgency": (f"-({_URGENCY})::bigint",),
    "name": (),
    "success": (_SUCCESS,),
}


@dataclass(frozen=True, slots=True)
class BoardAsk:
    """What is asked of the board.

    Attributes:
        search: part of a name or slug, in any case; empty for all.
        where: a filter, checked against CATALOGUE; None for none.
        descending: from the other end: the least urgent, Z, the latest success first.
        after: where the last page ended: its `next`.
        only: the tenants that the visitor may see; None for all.
    """

    search: str = ""
    where: Typed | None = None
    sort: BoardSort = "urgency"
    descending: bool = False
    after: Position | None = None
    limit: int = 50
    only: Sequence[TenantId] | None = None


@dataclass(frozen=True, slots=True)
class BoardSummary:
    """What stands above the board.

    Attributes:
        by_state: how many tenants have a phase in each state; a tenant may count under several.
        oldest_success_at: the success that lies farthest back of any connected phase.
    """

    tenants: int
    by_state: Mapping[PhaseState, int]
    open_alerts: int
    critical_alerts: int
    oldest_success_at: datetime | None


@dataclass(frozen=True, slots=True)
class BoardPage:
    """Rows of the board, and where the next page begins; None at the end."""

    rows: Sequence[TenantStatus]
    next: Position | None


async def board(tx: PlatformTx, ask: BoardAsk) -> BoardPage:
    """A page of the board. Pages that follow each other see lateness as of the first one, so that the clock alone moves
    no tenant from one page to another.

    Raises:
        BadCursor: `ask.after` is no place in this list.
    """
    as_of = moment_mark(ask.after[0]) if ask.after else tx.now
    sql_text, params = board_query(ask, as_of)
    rows = await tx.fetch(sql_text, *params)
    shown = rows[: ask.limit]
    found = [status_of(row, tx.now + row["clock_offset"]) for row in shown]
    if len(rows) <= ask.limit:
        return BoardPage(found, None)
    last = shown[-1]
    key = (last["sort_key"],) if _KEYS[ask.sort] else ()
    return BoardPage(found, (mark_of(as_of), *key, last["name_key"], str(last["tenant_id"])))


def board_query(ask: BoardAsk, as_of: datetime) -> tuple[str, tuple[object, ...]]:
    """The statement of a page and its parameters. It asks for one row more than the page holds."""
    keys = (*_KEYS[ask.sort], "t.name_key", "t.tenant_id")
    where, params = _where(ask, as_of)
    if ask.after is not None:
        marks = ", ".join(f"${i}" for i in range(len(params) + 1, len(params) + 1 + len(keys)))
        where += f" AND ({', '.join(keys)}) {'<' if ask.descending else '>'} ({marks})"
        params += read_position(ask.after[1:], *(number_mark() for _ in _KEYS[ask.sort]), text_mark, id_mark)
    order = ", ".join(f"{key} DESC" if ask.descending else key for key in keys)
    sort_key = (*_KEYS[ask.sort], "0::bigint")[0]
    text = f"""SELECT {COLUMNS}, t.clock_offset, t.name_key, {sort_key} AS sort_key
        {_FROM} WHERE {where} ORDER BY {order} LIMIT {int(ask.limit) + 1}"""
    return text, params


async def board_summary(tx: PlatformTx, only: Sequence[TenantId] | None = None) -> BoardSummary:
    """How many tenants there are, by state, at this moment."""
    counts = ", ".join(f"count(*) FILTER (WHERE {admits}) AS {state}" for state, admits in _ADMITS.items())
    row = await tx.fetchrow(
        f"""SELECT count(*) AS tenants, {counts}, coalesce(sum(s.open_alerts), 0)::bigint AS open_alerts,
          coalesce(sum(s.critical_alerts), 0)::bigint AS critical_alerts,
          min(s.oldest_success_at) AS oldest_success_at
        {_FROM} WHERE {_SCOPE}""",
        *(tx.now, only),
    )
    assert row is not None
    return BoardSummary(
        tenants=row["tenants"],
        by_state={state: row[str(state)] for state in _ADMITS},
        open_alerts=row["open_alerts"],
        critical_alerts=row["critical_alerts"],
        oldest_success_at=row["oldest_success_at"],
    )


def _where(ask: BoardAsk, as_of: datetime) -> tuple[str, tuple[object, ...]]:
    where, params = f"$1::timestamptz IS NOT NULL AND {_SCOPE}", (as_of, ask.only)
    if ask.search:
        where += f" AND (strpos(t.name_key, ${len(params) + 1}) > 0 OR strpos(t.slug, ${len(params) + 1}) > 0)"
        # No text of the database holds a NUL; there is no character that two names would share less.
        params += (fold(ask.search).replace("\0", "\uffff"),)
    if ask.where is not None:
        condition = sql(ask.where, BINDING, first_param=len(params) + 1, now=as_of)
        where += f" AND {condition.text}"
        params += tuple(condition.params)
    return where, params
