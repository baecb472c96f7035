"""Reports applied set by set: first load, no change, changes with reasons, leavers, undo."""

from datetime import date

from stoa.db.database import Database
from stoa.kernel.ids import TenantId
from stoa.people.actions import provision
from stoa.people.model import Asserted, Provisioned
from stoa.people.queries import headcount, persons_page
from stoa.tenants.actions import prove_domain

from .making import report, rollback, source, state, sync, worker


async def test_first_load_makes_everybody_with_managers(database: Database, tenant_id: TenantId) -> None:
    source_id = await source(database, tenant_id)
    run = await sync(database, tenant_id, source_id, report(worker(n) for n in range(60)), batch_rows=7)
    assert run.state == "applied"
    assert run.counts == {"create": 60}
    async with database.tenant(tenant_id) as tx:
        assert await headcount(tx) == (60, 60)
        people = {p.values["employee_id"]: p for p in await persons_page(tx)}
    assert people["E00000"].manager_id is None
    assert people["E00017"].manager_id == people["E00003"].person_id
    assert people["E00007"].keys["display_name_key"] == "given7 family7"


async def test_same_report_twice_changes_nothing(database: Database, tenant_id: TenantId) -> None:
    source_id = await source(database, tenant_id)
    rows = [worker(n) for n in range(40)]
    await sync(database, tenant_id, source_id, report(rows))
    before = await state(database, tenant_id)
    again = await sync(database, tenant_id, source_id, report(reversed(rows)))
    assert again.counts == {}
    assert await state(database, tenant_id) == before


async def test_joiners_movers_and_leavers_have_reasons_and_can_be_undone(
    database: Database, tenant_id: TenantId
) -> None:
    source_id = await source(database, tenant_id)
    rows = {n: worker(n) for n in range(40)}
    await sync(database, tenant_id, source_id, report(rows.values()))
    before = await state(database, tenant_id)
    del rows[39]
    rows[38]["department"] = "Legal"
    rows[37]["family_name"] = "Müller"
    rows[36] |= {"active": False}
    rows[35] |= {"termination_date": date(2021, 1, 1)}
    rows[60] = worker(60, manager_ref="E00061")
    rows[61] = worker(61)
    run = await sync(database, tenant_id, source_id, report(rows.values()))
    async with database.tenant(tenant_id) as tx:
        told = await tx.fetch("SELECT subject, action, reason FROM change WHERE run_id = $1", run.run_id)
    assert {(r["subject"], r["action"], r["reason"]) for r in told} == {
        ("E00039", "deactivate", "absent_from_report"),
        ("E00038", "update", "moved"),
        ("E00037", "update", "renamed"),
        ("E00036", "deactivate", "inactive_in_source"),
        ("E00035", "deactivate", "termination_date_passed"),
        ("E00060", "create", "nobody_matches"),
        ("E00061", "create", "nobody_matches"),
    }
    undone = await rollback(database, tenant_id, run.run_id)
    assert undone.counts == {"reactivate": 3, "update": 2, "remove": 2}
    assert await state(database, tenant_id) == before


async def test_a_person_is_linked_to_one_row_and_whoever_shares_the_address_is_new(
    database: Database, tenant_id: TenantId
) -> None:
    okta = await source(database, tenant_id, "idp", "Okta")
    hr = await source(database, tenant_id)
    async with database.tenant(tenant_id) as tx:
        await prove_domain(tx, "acme.example")
        made = await provision(tx, okta, Asserted({"employee_id": "E1", "email": "ann@acme.example"}, active=True))
        assert isinstance(made, Provisioned)
    rows = [
        {"external_id": "w1", "employee_id": "E1", "manager_ref": "w2"},
        {"external_id": "w2", "email": "Ann@acme.example"},
    ]
    run = await sync(database, tenant_id, hr, report(rows), batch_rows=1)
    assert (run.counts, run.figures) == ({"link": 1, "create": 1}, {})
    assert (await sync(database, tenant_id, hr, report(rows))).counts == {}


async def test_what_one_row_gives_up_is_free_for_the_next(database: Database, tenant_id: TenantId) -> None:
    hr = await source(database, tenant_id)
    async with database.tenant(tenant_id) as tx:
        await prove_domain(tx, "acme.example")
    rows = [
        {"external_id": "w1", "employee_id": "E1"},
        {"external_id": "w2", "employee_id": "E2", "email": "bo@acme.example"},
        {"external_id": "w3", "email": "cy@acme.example"},
    ]
    await sync(database, tenant_id, hr, report(rows))
    # An employee id is given to somebody else, and two people come back under new keys: by employee id, by address.
    rows = [
        {"external_id": "w1", "employee_id": "E9"},
        {"external_id": "n1", "employee_id": "E1"},
        {"external_id": "n2", "employee_id": "E2"},
        {"external_id": "n3", "email": "cy@acme.example"},
    ]
    run = await sync(database, tenant_id, hr, report(rows), batch_rows=50)
    assert (run.counts, run.figures) == ({"update": 1, "deactivate": 2, "create": 1, "link": 2}, {})
    async with database.tenant(tenant_id) as tx:
        assert await headcount(tx) == (4, 4)
    assert (await sync(database, tenant_id, hr, report(rows))).counts == {}
