"""Runs found, filtered and paged. Each list has an index (tests/changes/test_indexes.py reads the plans)."""

# ruff: noqa: S608 - identifiers are code; every value is a bound parameter

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from stoa.changes.catalogue import RUNS_BINDING
from stoa.changes.holding import with_counts
from stoa.changes.model import Run
from stoa.changes.queries import RUN_COLUMNS, run_of
from stoa.changes.standing import WAITS
from stoa.db.transactions import TenantTx
from stoa.kernel.cursors import Position, id_mark, mark_of, moment_mark, read_position
from stoa.kernel.filters import Typed, sql
from stoa.kernel.fold import fold
from stoa.kernel.ids import RunId, parse_id

View = Literal["all", "waiting", "failed"]
# No stored text holds it, and the database takes none for a parameter.
NUL: Final = "\0"

# The conditions are those of the indexes run_waiting and run_failed.
_VIEWS: Final[Mapping[View, str]] = {"all": "TRUE", "waiting": f"({WAITS})", "failed": "state = 'errored'"}
_NAMED: Final = """(SELECT s.name FROM source s
  WHERE s.tenant_id = r.tenant_id AND s.source_id = r.source_id) AS source_name"""


@dataclass(frozen=True, slots=True)
class RunsAsk:
    """What is asked of the list.

    Attributes:
        search: part of a source's name in any case, or a run's id; empty for all.
        where: a filter, checked against `catalogue.RUNS`; None for none.
        descending: the newest first.
        after: where the last page ended: its `next`.
    """

    view: View = "all"
    search: str = ""
    where: Typed | None = None
    descending: bool = True
    after: Position | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class ListedRun:
    """A run and the name of its source."""

    run: Run
    source: str


@dataclass(frozen=True, slots=True)
class RunsPage:
    """Runs, and where the next page begins; None at the end."""

    rows: Sequence[ListedRun]
    next: Position | None


async def runs_page(tx: TenantTx, ask: RunsAsk) -> RunsPage:
    """A page of the tenant's runs by their beginning. Raises BadCursor for a position that is none."""
    where, params = _where(tx, ask)
    if ask.after is not None:
        mark, run_id = f"${len(params) + 1}", f"${len(params) + 2}"
        where += f" AND (r.created_at, r.run_id) {'<' if ask.descending else '>'} ({mark}, {run_id})"
        params += read_position(ask.after, moment_mark, id_mark)
    way = " DESC" if ask.descending else ""
    rows = await tx.fetch(
        f"""SELECT {RUN_COLUMNS}, {_NAMED} FROM run r WHERE r.tenant_id = $1 AND {where}
        ORDER BY r.created_at{way}, r.run_id{way} LIMIT ${len(params) + 1}""",
        *params,
        ask.limit + 1,
    )
    found = [ListedRun(await with_counts(tx, run_of(row)), row["source_name"]) for row in rows[: ask.limit]]
    return RunsPage(found, _position(found[-1].run) if len(rows) > ask.limit else None)


async def count_waiting(tx: TenantTx) -> int:
    """How many runs wait for a person."""
    return await tx.fetchval(f"SELECT count(*) FROM run WHERE tenant_id = $1 AND {WAITS}", tx.tenant_id)


async def count_failed(tx: TenantTx, most: int = 1000) -> int:
    """How many runs failed, as far as `most`."""
    return await tx.fetchval(
        "SELECT count(*) FROM (SELECT FROM run WHERE tenant_id = $1 AND state = 'errored' LIMIT $2) AS failed",
        *(tx.tenant_id, most),
    )


async def rollbacks_of(tx: TenantTx, run_id: RunId) -> list[Run]:
    """The runs that undo, undid or were to undo a run, the newest first."""
    rows = await tx.fetch(
        f"""SELECT {RUN_COLUMNS} FROM run WHERE tenant_id = $1 AND of_run = $2 AND of_run IS NOT NULL
        ORDER BY created_at DESC LIMIT 20""",
        tx.tenant_id, run_id,
    )  # fmt: skip
    return [run_of(row) for row in rows]


def _where(tx: TenantTx, ask: RunsAsk) -> tuple[str, tuple[object, ...]]:
    where, params = _VIEWS[ask.view], (tx.tenant_id,)
    text: tuple[object, ...] = params
    if search := ask.search.strip():
        run_id = parse_id(search)
        if NUL in search:
            where = f"{where} AND FALSE"
        elif run_id is not None:
            where, text = f"{where} AND r.run_id = $2", (*params, run_id)
        else:
            where += """ AND EXISTS (SELECT FROM source s WHERE s.tenant_id = $1 AND s.source_id = r.source_id
              AND strpos(s.name_key, $2) > 0)"""
            text = (*params, fold(search))
    if ask.where is not None:
        condition = sql(ask.where, RUNS_BINDING, first_param=len(text) + 1)
        where, text = f"{where} AND ({condition.text})", (*text, *condition.params)
    return where, text


def _position(run: Run) -> Position:
    return (mark_of(run.created_at), str(run.run_id))
