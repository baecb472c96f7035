"""Runs of groups carried out, and what an undo of them must bring back."""

from datetime import datetime
from typing import Any

from stoa.changes import queries
from stoa.changes.apply import apply_run
from stoa.changes.model import NewRun, Run, RunKind, RunState
from stoa.db.database import Database
from stoa.db.transactions import TenantTx
from stoa.kernel.ids import RunId, SourceId, TenantId
from stoa.people.groups_target import Groups

from .making import working


async def _at_end(tx: TenantTx, run: Run) -> None:
    del tx, run


async def apply(database: Database, tenant_id: TenantId, run: Run, batch_rows: int = 5000) -> Run:
    """A planned or approved run applied."""
    return await apply_run(working(database, tenant_id), run, Groups(), _at_end, batch_rows=batch_rows)


async def rollback(database: Database, tenant_id: TenantId, of_run: RunId, batch_rows: int = 5000) -> Run:
    """A run of groups undone."""
    async with database.tenant(tenant_id, role="sync") as tx:
        undone = await queries.run_by_id(tx, of_run)
        run = await queries.insert_run(tx, NewRun(RunKind.ROLLBACK, "group", undone.source_id, of_run=of_run))
        run = await queries.enter(tx, run, RunState.PLANNING)
        await Groups().plan_rollback(tx, run, undone)
        run = await _planned(tx, run)
    return await apply(database, tenant_id, run, batch_rows)


async def undo_since(database: Database, tenant_id: TenantId, source_id: SourceId, since: datetime) -> Run:
    """What a source did to its groups from a moment on, undone."""
    async with database.tenant(tenant_id, role="sync") as tx:
        run = await queries.insert_run(tx, NewRun(RunKind.ROLLBACK, "group", source_id, since=since))
        run = await queries.enter(tx, run, RunState.PLANNING)
        await Groups().plan_undo_since(tx, run, since)
        run = await _planned(tx, run)
    return await apply(database, tenant_id, run)


async def _planned(tx: TenantTx, run: Run) -> Run:
    counts, conflicts = await queries.count_plan(tx, run.run_id)
    return await queries.enter(
        tx, run, RunState.PLANNED, counts=counts, figures={"conflicts": conflicts}, planned_at=tx.now
    )


async def window(database: Database, tenant_id: TenantId) -> RunId:
    """The latest hour of requests about groups."""
    async with database.tenant(tenant_id) as tx:
        return await tx.fetchval(
            "SELECT run_id FROM run WHERE kind = 'scim_window' AND target = 'group' ORDER BY created_at DESC LIMIT 1"
        )


async def codes(database: Database, tenant_id: TenantId, run_id: RunId) -> dict[str, int]:
    """How many conflicts of a run have each code."""
    async with database.tenant(tenant_id) as tx:
        rows = await tx.fetch(
            """SELECT note->>'code' AS code, count(*) AS n FROM change WHERE run_id = $1 AND state = 'conflict'
            GROUP BY 1""",
            run_id,
        )
    return {row["code"]: row["n"] for row in rows}


async def state(database: Database, tenant_id: TenantId) -> dict[str, Any]:
    """Groups that are there, who is in them by the source's word and in force, who is awaited, and roles. No counters,
    no times.
    """
    async with database.tenant(tenant_id) as tx:
        groups = await tx.fetch(
            """SELECT group_id, display_name, display_name_key, scim_external_id, raw, member_count, awaited_count
            FROM person_group WHERE present ORDER BY group_id"""
        )
        awaited = await tx.fetch("SELECT group_id, value_key, value, source_id FROM group_awaited ORDER BY 1, 2")
        members = await tx.fetch(
            "SELECT group_id, resource_id, asserted, in_force, held_run FROM group_member ORDER BY 1, 2"
        )
        roles = await tx.fetch("SELECT person_id, role FROM person_role ORDER BY 1, 2")
    return {
        "groups": [dict(r) for r in groups],
        "awaited": [dict(r) for r in awaited],
        "members": [dict(r) for r in members],
        "roles": [dict(r) for r in roles],
    }
