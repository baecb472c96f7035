"""Runs and changes in SQL."""

# ruff: noqa: S608 - identifiers are code (`enter` checks that they are); every value is a bound parameter

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

from stoa.changes.model import Action, Change, NewRun, NoSuchRun, Run, RunKind, RunState, WrongState
from stoa.changes.rules import sources_of
from stoa.changes.standing import note_transition
from stoa.changes.telling import tell_run
from stoa.db.transactions import Row, TenantTx
from stoa.kernel.ids import ConnectionId, RunId, SourceId, new_id

RUN_COLUMNS = """run_id, kind, state, target, source_id, connection_id, of_run, plan_only, actor, input_digest,
 mapping_version,
 authority_version, lease_epoch, reasons, counts, figures, applied_through, created_at, planned_at, decided_at,
 decided_by, finished_at, applying_at, changes_done, decided_note, since"""
# A row that says 'planned' stands where its run stands.
STATE = """CASE WHEN c.state <> 'planned' THEN c.state WHEN c.ord <= r.applied_through THEN 'applied'
 WHEN r.state IN ('rejected', 'held') THEN r.state ELSE 'planned' END"""


_RUN_FIELDS = tuple(field.name for field in fields(Run))


def run_of(row: Row) -> Run:
    """A run from a row that has RUN_COLUMNS, and may have more."""
    values: dict[str, Any] = {name: row[name] for name in _RUN_FIELDS}
    values["kind"], values["state"] = RunKind(row["kind"]), RunState(row["state"])
    return Run(**values)


def change_of(row: Row) -> Change:
    """A change from a row that has its columns, with its standing as `state`."""
    values: dict[str, Any] = dict(row.items())
    values["action"] = Action(row["action"])
    return Change(**values)


async def insert_run(tx: TenantTx, new: NewRun) -> Run:
    """A fresh run in state `queued`."""
    row = await tx.fetchrow(
        f"""INSERT INTO run
          (tenant_id, run_id, kind, state, target, source_id, connection_id, of_run, plan_only, actor, created_at,
           since)
        VALUES ($1, $2, $3, 'queued', $4, $5, $6, $7, $8, $9, $10, $11) RETURNING {RUN_COLUMNS}""",
        *(tx.tenant_id, new_id(), new.kind, new.target, new.source_id, new.connection_id, new.of_run, new.plan_only),
        *(tx.origin.actor, tx.now, new.since),
    )
    assert row is not None
    made = run_of(row)
    tell_run(tx, None, made)
    return made


async def run_by_id(tx: TenantTx, run_id: UUID, *, lock: bool = False) -> Run:
    """The run. Raises NoSuchRun."""
    row = await tx.fetchrow(
        f"SELECT {RUN_COLUMNS} FROM run WHERE tenant_id = $1 AND run_id = $2{' FOR UPDATE' if lock else ''}",
        tx.tenant_id,
        run_id,
    )
    if row is None:
        raise no_such_run(run_id)
    return run_of(row)


def no_such_run(run_id: UUID) -> NoSuchRun:
    """Nobody has the run in this tenant."""
    hint = "The page of runs, and `stoa sync list`, show those there are."
    return NoSuchRun(f"There is no run {run_id} in this tenant.", hint=hint)


async def recent_runs(tx: TenantTx, *, source_id: SourceId | None = None, limit: int = 20) -> list[Run]:
    """The latest runs, newest first (index run_recent, or run_source)."""
    rows = await tx.fetch(
        f"""SELECT {RUN_COLUMNS} FROM run WHERE tenant_id = $1 AND ($2::uuid IS NULL OR source_id = $2)
        ORDER BY created_at DESC, run_id DESC LIMIT $3""",
        tx.tenant_id, source_id, limit,
    )  # fmt: skip
    return [run_of(row) for row in rows]


async def next_open_run(tx: TenantTx, source_id: SourceId) -> Run | None:
    """The oldest run of a source that a worker can go on with (index run_open).

    Whatever was approved or begun comes first, then what is queued.
    """
    row = await tx.fetchrow(
        f"""SELECT {RUN_COLUMNS} FROM run WHERE tenant_id = $1 AND source_id = $2
        AND (state IN ('queued', 'planning', 'approved', 'applying') OR (state = 'planned' AND NOT plan_only))
        -- Recomputing changes no record of a source: it has a job of its own.
        AND kind <> 'recompute'
        ORDER BY state IN ('applying', 'approved') DESC, created_at, run_id LIMIT 1""",
        tx.tenant_id, source_id,
    )  # fmt: skip
    return None if row is None else run_of(row)


async def enter(tx: TenantTx, run: Run, state: RunState, **columns: object) -> Run:
    """Moves a run to `state` by a conditional UPDATE, setting further columns on the way.

    Raises WrongState when the run is no longer in a state from which that is possible.
    """
    names = list(columns)
    assert all(name.isidentifier() for name in names)
    sets = "".join(f", {name} = ${i}" for i, name in enumerate(names, start=5))
    row = await tx.fetchrow(
        f"""UPDATE run SET state = $3{sets} WHERE tenant_id = $1 AND run_id = $2 AND state = ANY($4)
        RETURNING {RUN_COLUMNS}""",
        tx.tenant_id, run.run_id, state, sources_of(state), *columns.values(),
    )  # fmt: skip
    if row is None:
        now = await run_by_id(tx, run.run_id)
        raise WrongState(
            f"The run {run.run_id} is {now.state} and cannot become {state}.",
            hint="Look at it again: somebody else may have acted on it.",
        )
    after = run_of(row)
    await note_transition(tx, run, after)
    tell_run(tx, run, after)
    return after


async def set_progress(tx: TenantTx, run_id: RunId, through: int, n: int) -> None:
    """Notes that `n` further changes, up to `through`, are applied, in the transaction that applied them."""
    await tx.execute(
        """UPDATE run SET applied_through = $3, changes_done = changes_done + $4
        WHERE tenant_id = $1 AND run_id = $2""",
        tx.tenant_id, run_id, through, n,
    )  # fmt: skip


async def next_batch(tx: TenantTx, run: Run, size: int) -> tuple[int, int, int] | None:
    """First and last ord of the next batch of changes to apply, and how many they are; None when all are applied."""
    row = await tx.fetchrow(
        """SELECT min(ord) AS first, max(ord) AS last, count(*) AS n FROM (
          SELECT ord FROM change WHERE tenant_id = $1 AND run_id = $2 AND ord > $3 ORDER BY ord LIMIT $4) AS batch""",
        tx.tenant_id, run.run_id, run.applied_through, size,
    )  # fmt: skip
    return None if row is None or row["first"] is None else (row["first"], row["last"], row["n"])


async def count_plan(tx: TenantTx, run_id: RunId) -> tuple[dict[str, int], int]:
    """Planned changes by action, and how many are conflicts."""
    rows = await tx.fetch(
        """SELECT action, state = 'conflict' AS conflict, count(*) AS n FROM change
        WHERE tenant_id = $1 AND run_id = $2 GROUP BY 1, 2""",
        *(tx.tenant_id, run_id),
    )
    counts = {row["action"]: row["n"] for row in rows if not row["conflict"]}
    return counts, sum(row["n"] for row in rows if row["conflict"])


async def count_conflicts(tx: TenantTx, run_id: RunId) -> int:
    """How many changes of the run met something else than they had planned for."""
    return await tx.fetchval(
        "SELECT count(*) FROM change WHERE tenant_id = $1 AND run_id = $2 AND state = 'conflict'", tx.tenant_id, run_id
    )


async def changes_page(
    tx: TenantTx,
    run_id: RunId,
    *,
    after: int = 0,
    limit: int = 100,
    actions: Sequence[str] | None = None,
    conflicts_only: bool = False,
) -> list[Change]:
    """A page of a run's changes in their order, each with its standing."""
    rows = await tx.fetch(
        f"""SELECT c.run_id, c.ord, c.action, c.reason, c.subject, c.source_id, c.resource_id, c.person_id,
          c.before, c.after, {STATE} AS state, c.note, c.at
        FROM change c JOIN run r ON r.tenant_id = c.tenant_id AND r.run_id = c.run_id
        WHERE c.tenant_id = $1 AND c.run_id = $2 AND c.ord > $3 AND ($4::text[] IS NULL OR c.action = ANY($4))
          AND (NOT $5 OR c.state = 'conflict')
        ORDER BY c.ord LIMIT $6""",
        tx.tenant_id, run_id, after, actions, conflicts_only, limit,
    )  # fmt: skip
    return [change_of(row) for row in rows]


async def clear_plan(tx: TenantTx, run_id: RunId) -> None:
    """Forgets a plan that was never finished, so that it can be made anew."""
    await tx.execute("DELETE FROM change WHERE tenant_id = $1 AND run_id = $2", tx.tenant_id, run_id)


async def applied_since(tx: TenantTx, run: Run, since: datetime) -> RunId | None:
    """A later run that changed the same kind of records of the source since `since`, if any: it makes an older plan
    stale.
    """
    return await tx.fetchval(
        """SELECT run_id FROM run WHERE tenant_id = $1 AND source_id = $2 AND run_id <> $3 AND applied_through > 0
          AND finished_at > $4 AND kind NOT IN ('scim_window', 'scim_hold') AND target = $5
        LIMIT 1""",
        tx.tenant_id, run.source_id, run.run_id, since, run.target,
    )  # fmt: skip


async def connection_of(tx: TenantTx, run: Run) -> ConnectionId | None:
    """The connection behind a run; for a rollback that of the run it undoes."""
    if run.connection_id is not None or run.of_run is None:
        return run.connection_id
    return (await run_by_id(tx, run.of_run)).connection_id
