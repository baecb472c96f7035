"""Factories and yardsticks for people: reports as frames, runs carried out, and the digest of a tenant's state."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import polars as pl

from stoa.changes import queries
from stoa.changes.apply import Working, apply_run
from stoa.changes.model import NewRun, Run, RunKind, RunState
from stoa.db.database import Database
from stoa.db.transactions import SYSTEM, TenantTx
from stoa.kernel.ids import RunId, SourceId, TenantId
from stoa.people.fields import KEY_COLUMNS
from stoa.people.target import FIELD_SPECS, People
from stoa.sync.model import FieldType
from stoa.sync.rowhash import with_keys_and_hash
from stoa.tenants.actions import ensure_source

HASH_KEY = b"0123456789abcdef0123456789abcdef"
_SCHEMA: dict[str, Any] = {"external_id": pl.String, "active": pl.Boolean} | {
    name: pl.Date if spec.type is FieldType.DATE else pl.String for name, spec in FIELD_SPECS.items()
}


def report(rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """A report's rows, typed and hashed as sync hands them over. Each needs external_id; active is true unless said."""
    full = [{"active": True} | dict(row) for row in rows]
    frame = pl.DataFrame([{name: row.get(name) for name in _SCHEMA} for row in full], schema=_SCHEMA)
    return with_keys_and_hash(frame, FIELD_SPECS, HASH_KEY)


async def no_fence(_: TenantTx) -> None:
    """A fence that nobody contests."""


def working(database: Database, tenant_id: TenantId) -> Working:
    """A worker alone in the world."""
    return Working(database, tenant_id, SYSTEM, 1, no_fence)


async def source(database: Database, tenant_id: TenantId, kind: str = "hris", name: str = "Workday") -> SourceId:
    """A source of a tenant."""
    async with database.tenant(tenant_id) as tx:
        return (await ensure_source(tx, kind, name)).source_id


async def _at_end(tx: TenantTx, run: Run) -> None:
    del tx, run


async def plan(
    database: Database,
    tenant_id: TenantId,
    source_id: SourceId,
    frame: pl.DataFrame,
    kept: frozenset[str] = frozenset(),
) -> Run:
    """A planned run of a report."""
    async with database.tenant(tenant_id, role="sync") as tx:
        run = await queries.insert_run(tx, NewRun(RunKind.SYNC, "person", source_id))
        run = await queries.enter(tx, run, RunState.PLANNING)
        await People().plan_report(tx, run, frame, kept)
        counts, _ = await queries.count_plan(tx, run.run_id)
        return await queries.enter(tx, run, RunState.PLANNED, counts=counts, planned_at=tx.now)


async def apply(database: Database, tenant_id: TenantId, run: Run, batch_rows: int = 5000) -> Run:
    """A planned run applied."""
    return await apply_run(working(database, tenant_id), run, People(), _at_end, batch_rows=batch_rows)


async def due(database: Database, tenant_id: TenantId, source_id: SourceId) -> Run:
    """What is due in a source, planned and applied."""
    async with database.tenant(tenant_id, role="sync") as tx:
        run = await queries.insert_run(tx, NewRun(RunKind.DUE, "person", source_id))
        run = await queries.enter(tx, run, RunState.PLANNING)
        await People().plan_due(tx, run)
        counts, _ = await queries.count_plan(tx, run.run_id)
        run = await queries.enter(tx, run, RunState.PLANNED, counts=counts, planned_at=tx.now)
    return await apply(database, tenant_id, run)


async def sync(
    database: Database,
    tenant_id: TenantId,
    source_id: SourceId,
    frame: pl.DataFrame,
    kept: frozenset[str] = frozenset(),
    batch_rows: int = 5000,
) -> Run:
    """A report planned and applied."""
    run = await plan(database, tenant_id, source_id, frame, kept)
    return await apply_run(working(database, tenant_id), run, People(), _at_end, batch_rows=batch_rows)


async def plan_rollback(database: Database, tenant_id: TenantId, of_run: RunId) -> Run:
    """The planned run that undoes another."""
    async with database.tenant(tenant_id, role="sync") as tx:
        undone = await queries.run_by_id(tx, of_run)
        run = await queries.insert_run(tx, NewRun(RunKind.ROLLBACK, "person", undone.source_id, of_run=of_run))
        run = await queries.enter(tx, run, RunState.PLANNING)
        await People().plan_rollback(tx, run, undone)
        counts, conflicts = await queries.count_plan(tx, run.run_id)
        figures = {"conflicts": conflicts}
        return await queries.enter(tx, run, RunState.PLANNED, counts=counts, figures=figures, planned_at=tx.now)


async def rollback(database: Database, tenant_id: TenantId, of_run: RunId, batch_rows: int = 5000) -> Run:
    """A run undone."""
    return await apply(database, tenant_id, await plan_rollback(database, tenant_id, of_run), batch_rows)


_RECORDS = "tenant_id, source_id, external_id, resource_id, person_id, present, asserted_active, active"
_PERSONS = "person_id, active, manager_id, merged_into"


async def state(database: Database, tenant_id: TenantId) -> dict[str, list[dict[str, Any]]]:
    """What an undo must bring back: assertions, links, effective values, future dates. No counters, no times."""
    fields = ", ".join(FIELD_SPECS)
    keys = ", ".join(KEY_COLUMNS)
    people = ", ".join(name for name in FIELD_SPECS if name != "manager_ref")
    async with database.tenant(tenant_id) as tx:
        records = await tx.fetch(
            f"SELECT {_RECORDS}, {fields}, {keys}, scim_external_id, raw, row_hash FROM source_record ORDER BY 2, 3"
        )
        persons = await tx.fetch(f"SELECT {_PERSONS}, {people}, {keys} FROM person ORDER BY person_id")
        due = await tx.fetch(
            "SELECT source_id, external_id, due_on, active FROM due_change WHERE due_on > $1 ORDER BY 1, 2, 3",
            tx.now.date(),
        )
    return {"records": [dict(r) for r in records], "persons": [dict(p) for p in persons], "due": [dict(d) for d in due]}


def worker(number: int, **values: Any) -> dict[str, Any]:
    """A row of a report."""
    return {
        "external_id": f"E{number:05}",
        "employee_id": f"E{number:05}",
        "given_name": f"Given{number}",
        "family_name": "Ó Súilleabháin" if number % 7 == 0 else f"Family{number}",
        "display_name": f"Given{number} Family{number}",
        "email": f"person{number}@acme.example",
        "department": ("Sales", "Research", "Finance")[number % 3],
        "title": "Engineer",
        "hire_date": date(2020, 1, 1 + number % 28),
        "manager_ref": None if number == 0 else f"E{(number - 1) // 5:05}",
    } | values
