"""Rows set aside are kept beside their run."""

from stoa.changes.model import NewRun, RunKind
from stoa.changes.queries import insert_run
from stoa.db.database import Database
from stoa.db.transactions import SYSTEM
from stoa.kernel.ids import RunId, TenantId
from stoa.sync import quarantine
from stoa.sync.model import QuarantinedRow, RowReason
from stoa.tenants.actions import ensure_source
from tests.conftest import MakeTenant
from tests.sync.feed_cases import judge, row


async def a_run(database: Database, tenant_id: TenantId) -> RunId:
    async with database.tenant(tenant_id, SYSTEM, role="sync") as tx:
        source = await ensure_source(tx, "hris", "Workday")
        made = await insert_run(tx, NewRun(kind=RunKind.SYNC, target="people", source_id=source.source_id))
        return made.run_id


async def test_rows_come_back_in_order_and_by_page(database: Database, tenant_id: TenantId) -> None:
    run_id = await a_run(database, tenant_id)
    set_aside = judge(*(row(n, Hired="?" if n % 2 else None, Type="?") for n in range(5)), row(1, ID=None)).quarantined
    async with database.tenant(tenant_id, SYSTEM, role="sync") as tx:
        await quarantine.write(tx, run_id, set_aside)
        await quarantine.write(tx, run_id, set_aside)
        assert tuple(await quarantine.rows_of_run(tx, run_id)) == set_aside
        assert tuple(await quarantine.rows_of_run(tx, run_id, after=2, limit=3)) == set_aside[2:5]
        assert await quarantine.count_of_run(tx, run_id) == 6


async def test_reasons_are_counted(database: Database, tenant_id: TenantId) -> None:
    run_id = await a_run(database, tenant_id)
    set_aside = judge(*(row(n, Hired="?" if n < 2 else None, Type="Robot") for n in range(3))).quarantined
    async with database.tenant(tenant_id, SYSTEM, role="sync") as tx:
        await quarantine.write(tx, run_id, set_aside)
        first, second = await quarantine.reasons_of_run(tx, run_id)
    assert (first.code, first.column, first.rows) == ("unknown_value", "Type", 3)
    assert first.example == 'Type is "Robot"; known values are Employee, Contractor.'
    assert (second.code, second.column, second.rows) == ("not_a_date", "Hired", 2)


async def test_what_postgresql_cannot_store_is_shown(database: Database, tenant_id: TenantId) -> None:
    run_id = await a_run(database, tenant_id)
    hostile = QuarantinedRow(1, "E\0", (RowReason("x", "A\0", "\0"),), {"A\0": "\0" + "y" * 5000})
    async with database.tenant(tenant_id, SYSTEM, role="sync") as tx:
        await quarantine.write(tx, run_id, [hostile])
        (stored,) = await quarantine.rows_of_run(tx, run_id)
    assert (stored.external_id, stored.reasons) == ("E\u2400", (RowReason("x", "A\u2400", "\u2400"),))
    (cell,) = stored.raw.values()
    assert (cell[0], cell[-1], len(cell)) == ("\u2400", "…", 2001)


async def test_many_rows_are_written(database: Database, tenant_id: TenantId) -> None:
    run_id = await a_run(database, tenant_id)
    set_aside = judge(*(row(n, Hired="?") for n in range(4500))).quarantined
    async with database.tenant(tenant_id, SYSTEM, role="sync") as tx:
        await quarantine.write(tx, run_id, set_aside)
        assert await quarantine.count_of_run(tx, run_id) == 4500
        await quarantine.clear(tx, run_id)
        assert await quarantine.count_of_run(tx, run_id) == 0


async def test_another_tenant_sees_nothing(database: Database, tenant_id: TenantId, make_tenant: MakeTenant) -> None:
    run_id = await a_run(database, tenant_id)
    async with database.tenant(tenant_id, SYSTEM, role="sync") as tx:
        await quarantine.write(tx, run_id, judge(row(1, Hired="?")).quarantined)
    async with database.tenant(await make_tenant(), SYSTEM, role="sync") as tx:
        assert await quarantine.rows_of_run(tx, run_id) == []
        assert await quarantine.reasons_of_run(tx, run_id) == []
