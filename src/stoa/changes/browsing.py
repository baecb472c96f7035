"""The changes of one run found, filtered and paged, quick for a hundred thousand of them."""

# ruff: noqa: S608 - identifiers are code; every value is a bound parameter

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from stoa.changes.catalogue import CHANGES_BINDING
from stoa.changes.listing import NUL
from stoa.changes.model import Action, Change, Run, RunKind
from stoa.changes.queries import STATE, change_of
from stoa.db.transactions import TenantTx
from stoa.kernel.cursors import Position, number_mark, read_position
from stoa.kernel.filters import Typed, sql, successor
from stoa.kernel.ids import parse_id

# Runs whose changes are all of the run's own source, so that the index by source and subject finds them.
_OF_ONE_SOURCE: Final = frozenset({RunKind.SYNC, RunKind.SCIM_WINDOW, RunKind.SCIM_HOLD, RunKind.DUE, RunKind.ROLLBACK})


@dataclass(frozen=True, slots=True)
class ChangesAsk:
    """What is asked of a run's changes.

    Attributes:
        search: what a subject begins with, or a person's id; empty for all.
        where: a filter, checked against `catalogue.CHANGES`; None for none.
        descending: the last first.
        after: where the last page ended: its `next`.
    """

    search: str = ""
    where: Typed | None = None
    descending: bool = False
    after: Position | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class ChangesPage:
    """Changes, and where the next page begins; None at the end."""

    rows: Sequence[Change]
    next: Position | None


async def changes_found(tx: TenantTx, run: Run, ask: ChangesAsk) -> ChangesPage:
    """A page of a run's changes in their order. Raises BadCursor for a position that is none."""
    where, params = _where(tx, run, ask)
    if ask.after is not None:
        where += f" AND c.ord {'<' if ask.descending else '>'} ${len(params) + 1}"
        params = (*params, *read_position(ask.after, number_mark()))
    rows = await tx.fetch(
        f"""SELECT c.run_id, c.ord, c.action, c.reason, c.subject, c.source_id, c.resource_id, c.person_id,
          c.before, c.after, {STATE} AS state, c.note, c.at
        FROM change c JOIN run r ON r.tenant_id = c.tenant_id AND r.run_id = c.run_id
        WHERE c.tenant_id = $1 AND c.run_id = $2{where}
        ORDER BY c.ord{" DESC" if ask.descending else ""} LIMIT ${len(params) + 1}""",
        *params,
        ask.limit + 1,
    )
    found = [change_of(row) for row in rows[: ask.limit]]
    return ChangesPage(found, (found[-1].ord,) if len(rows) > ask.limit else None)


def _where(tx: TenantTx, run: Run, ask: ChangesAsk) -> tuple[str, tuple[object, ...]]:
    where = ""
    params: tuple[object, ...] = (tx.tenant_id, run.run_id)
    if search := ask.search.strip():
        person_id = parse_id(search)
        if NUL in search:
            where = " AND FALSE"
        elif person_id is not None and run.kind is not RunKind.SCIM_WINDOW:
            where, params = " AND c.person_id = $3", (*params, person_id)
        elif person_id is not None:
            # A SCIM client's subjects are such ids themselves.
            where, params = " AND (c.person_id = $3 OR c.subject = $4)", (*params, person_id, str(person_id))
        else:
            where, params = _beginning(run, search, params)
    if ask.where is not None:
        condition = sql(ask.where, CHANGES_BINDING, first_param=len(params) + 1)
        where, params = f"{where} AND ({condition.text})", (*params, *condition.params)
    return where, params


def _beginning(run: Run, prefix: str, params: tuple[object, ...]) -> tuple[str, tuple[object, ...]]:
    where = ""
    # A rollback that links undoes a merge, whose records are of any source.
    if run.kind in _OF_ONE_SOURCE and not (run.kind is RunKind.ROLLBACK and Action.LINK in run.counts):
        where, params = " AND c.source_id = $3", (*params, run.source_id)
    where, params = f"{where} AND c.subject >= ${len(params) + 1}", (*params, prefix)
    after = successor(prefix)
    if after is not None:
        where, params = f"{where} AND c.subject < ${len(params) + 1}", (*params, after)
    return where, params
