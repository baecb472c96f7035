"""A large company and a crowd of tenants, made by SQL: what the console's pages are drawn of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg

from bench.ground import Ground
from stoa.changes.counting import counted
from stoa.db.database import prepare_connection
from stoa.kernel.ids import RunId, TenantId, new_id
from stoa.tenants import phases
from stoa.tenants.actions import ensure_source
from stoa.tenants.model import Phase
from stoa.tenants.phases import PhaseStatus

DEPARTMENTS: Final = 20
FAMILIES: Final = 997
GIVEN: Final = ("Ann", "Bob", "Cid", "Dora", "Eve")

_TENANTS: Final = """
INSERT INTO tenant (tenant_id, slug, name, name_key, created_at)
SELECT gen_random_uuid(), 'crowd-' || n, 'Crowd ' || n, 'crowd ' || n, $2 FROM generate_series(1, $1) AS n
RETURNING tenant_id"""
_STATUS: Final = """
INSERT INTO tenant_status (tenant_id, phases, states, worst, late_from, oldest_success_at, open_alerts, critical_alerts,
  people, active_people, people_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)"""
_RUN: Final = """
INSERT INTO run (tenant_id, run_id, kind, state, target, source_id, actor, applied_through, created_at, planned_at,
  finished_at)
VALUES ($1, $2, 'sync', $3, 'person', $4, 'system', 0, $5, $5, $6)"""
_TEXTS: Final = "display_name, given_name, family_name, user_name, email, employee_id, title, department"
_KEYS: Final = "display_name_key, user_name_key, email_key, employee_id_key"
# Names of ASCII letters, which lower() folds as kernel.fold does; a department has people of every name.
_PEOPLE: Final = f"""
INSERT INTO person (tenant_id, person_id, active, created_run, created_at, updated_at, {_TEXTS}, {_KEYS},
  family_name_key, manager_id)
SELECT $1::uuid, md5($1::text || n)::uuid, n % 20 > 0, $2, $3, $3::timestamptz - n * interval '1 minute',
  g || ' ' || f, g, f, 'user' || n, 'person' || n || '@acme.example', 'E' || n, 'Engineer',
  'D' || n / 7 % {DEPARTMENTS},
  lower(g || ' ' || f), 'user' || n, 'person' || n || '@acme.example', 'e' || n, lower(f),
  md5($1::text || n / 10)::uuid
FROM (SELECT n, ($5::text[])[1 + n % {len(GIVEN)}] AS g,
  (ARRAY['Smith', 'Small', 'Jones', 'Berg'])[1 + n % 4] || n % {FAMILIES} AS f
  FROM generate_series(1, $4) AS n) AS made"""
_RECORDS: Final = f"""
INSERT INTO source_record (tenant_id, source_id, external_id, resource_id, person_id, present, asserted_active, active,
  {_TEXTS}, {_KEYS}, last_run, created_at, updated_at)
SELECT tenant_id, $2, employee_id, person_id, person_id, true, active, active, {_TEXTS}, {_KEYS}, created_run,
  created_at, created_at
FROM person WHERE tenant_id = $1"""
_LOADED: Final = """
INSERT INTO change (tenant_id, run_id, action, reason, subject, source_id, resource_id, person_id, after, state, at)
SELECT tenant_id, $2, 'create', 'nobody_matches', external_id, source_id, resource_id, person_id,
  jsonb_build_object('display_name', display_name, 'given_name', given_name, 'family_name', family_name,
    'user_name', user_name, 'email', email, 'employee_id', employee_id, 'title', title, 'department', department,
    'active', active), 'applied', created_at FROM source_record WHERE tenant_id = $1"""
_PLANNED: Final = """
INSERT INTO change (tenant_id, run_id, action, reason, subject, source_id, resource_id, person_id, before, after, state,
  at)
SELECT tenant_id, $2, 'update', 'moved', external_id, source_id, resource_id, person_id,
  jsonb_build_object('department', department, 'title', title),
  jsonb_build_object('department', 'Merged', 'title', 'Architect'), 'planned', created_at
FROM source_record WHERE tenant_id = $1 ORDER BY external_id"""


@dataclass(frozen=True, slots=True)
class Company:
    """The large tenant.

    Attributes:
        run_id: a held run with a planned change of each.
    """

    tenant_id: TenantId
    slug: str
    run_id: RunId
    person_ids: Sequence[UUID]


async def make_company(ground: Ground, people: int) -> Company:
    """A tenant with `people`, the run that brought them, and the held run that would move them all."""
    tenant_id, slug = await ground.tenant()
    loaded, held = RunId(new_id()), RunId(new_id())
    async with ground.database.tenant(tenant_id, role="sync") as tx:
        source_id = (await ensure_source(tx, "hris", "Workday")).source_id
        await tx.execute(_RUN, tenant_id, loaded, "applied", source_id, tx.now, tx.now)
        await tx.execute(_PEOPLE, tenant_id, loaded, tx.now, people, list(GIVEN))
        await tx.execute(_RECORDS, tenant_id, source_id)
        await tx.execute(_LOADED, tenant_id, loaded)
        await tx.execute(_RUN, tenant_id, held, "held", source_id, tx.now, None)
        await tx.execute(_PLANNED, tenant_id, held)
        plan = await counted(tx, held)
        for run_id, counts, figures in ((held, plan.counts, plan.figures()), (loaded, {"create": people}, {})):
            await tx.execute(
                "UPDATE run SET counts = $3, figures = $4 WHERE tenant_id = $1 AND run_id = $2",
                *(tenant_id, run_id, counts, figures),
            )
        rows = await tx.fetch("SELECT person_id FROM person WHERE tenant_id = $1 ORDER BY person_id", tenant_id)
    return Company(tenant_id, slug, held, [row["person_id"] for row in rows])


async def make_crowd(ground: Ground, tenants: int) -> None:
    """Tenants in every state, and statistics for the planner."""
    admin = await asyncpg.connect(ground.admin_dsn)
    try:
        await prepare_connection(admin)
        now = ground.database.clock()
        made = await admin.fetch(_TENANTS, tenants, now)
        await admin.executemany(_STATUS, [_standing(row["tenant_id"], n, now) for n, row in enumerate(made)])
        await admin.execute("VACUUM ANALYZE tenant, tenant_status, person, source_record, change, run")
    finally:
        await admin.close()


def _standing(tenant_id: UUID, n: int, now: datetime) -> tuple[object, ...]:
    found = _phases(n, now)
    made = phases.summary(found)
    values = (phases.as_json(found), list(made.states), made.worst, made.late_from, made.oldest_success_at)
    return (tenant_id, *values, n % 7, n % 7 // 6, 10 * n, 9 * n, now)


def _phases(n: int, now: datetime) -> Mapping[Phase, PhaseStatus]:
    """One tenant in ten fails, in fourteen waits for a person, in nine is late; the rest are well."""
    success = now - timedelta(minutes=n % 600)
    common: dict[str, Any] = {"connected": True, "contact_at": success, "success_at": success}
    late = now + timedelta(hours=-1 if n % 9 == 0 else 6)
    return phases.from_json({}) | {
        Phase.IDENTITY: PhaseStatus(**common, failing="remote_down" if n % 10 == 0 else None),
        Phase.HRIS: PhaseStatus(**common, expected_by=late, held=2 if n % 14 == 0 else 0),
        Phase.CRM: PhaseStatus(**common, paused=n % 11 == 0),
    }
