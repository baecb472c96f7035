"""The search for duplicates: whoever changed, in bounded steps, by indexes, and never with the square of a company."""

import json
import time
from resource import RUSAGE_SELF, getrusage

import asyncpg
import pytest

from stoa.db.database import Database
from stoa.db.embedded import Server
from stoa.kernel.ids import TenantId
from stoa.people.duplicates import ask_for_everybody
from stoa.people.duplicates_comparing import SHARING, compare
from stoa.people.duplicates_listing import count_open, standing
from stoa.people.duplicates_rules import COMMON
from tests.people.making import report, source, sync, worker
from tests.people.test_api_merges import searched
from tests.people.test_indexes import nodes_of

MANY = 100_000
_SECONDS = 300
_MEBIBYTES = 64


async def test_what_too_many_share_compares_nobody_until_few_do(database: Database, tenant_id: TenantId) -> None:
    hr = await source(database, tenant_id)
    johns = [
        worker(n, display_name="John Smith", given_name=None, family_name=None, department="Sales", hire_date=None,
               manager_ref=None)
        for n in range(COMMON + 1)
    ]  # fmt: skip
    await sync(database, tenant_id, hr, report(johns))
    await searched(database, tenant_id, batch=4)
    async with database.tenant(tenant_id) as tx:
        assert (await count_open(tx), (await standing(tx)).common > 0) == (0, True)
    # All but three go to other departments: those who are left are compared, and whoever left is not.
    moved = [john | {"department": f"D{n}"} for n, john in enumerate(johns[3:])]
    await sync(database, tenant_id, hr, report([*johns[:3], *moved]))
    await searched(database, tenant_id, batch=4)
    async with database.tenant(tenant_id) as tx:
        assert await count_open(tx) == 0
        await ask_for_everybody(tx)
    await searched(database, tenant_id)
    async with database.tenant(tenant_id) as tx:
        found = await tx.fetch("SELECT score, evidence FROM duplicate_pair")
        # One source knows them as several people with numbers of their own, so it takes more than this to be shown.
        assert [tuple(row) for row in found] == []
        assert (await standing(tx)).common == 0
        await tx.execute("UPDATE source_record SET employee_id = NULL, employee_id_key = NULL")
        await ask_for_everybody(tx)
    await searched(database, tenant_id)
    async with database.tenant(tenant_id) as tx:
        found = await tx.fetch("SELECT score, evidence FROM duplicate_pair")
        assert [tuple(row) for row in found] == [(34, ["name_department", "not_source"])] * 3


@pytest.mark.all
@pytest.mark.timeout(900)
async def test_a_hundred_thousand_people_are_compared_in_minutes_by_indexes_alone(
    database: Database, tenant_id: TenantId, server: Server, database_url: str
) -> None:
    hr, payroll = await source(database, tenant_id), await source(database, tenant_id, name="Payroll")
    # A tenth of them stands twice; a fifth of all bears one name.
    people = [worker(n) | ({"display_name": "John Smith"} if n % 5 == 0 else {}) for n in range(MANY - MANY // 10)]
    await sync(database, tenant_id, hr, report(people))
    twins = [
        people[n] | {"external_id": f"P{n}", "employee_id": f"P{n}", "email": f"{n}@home.example", "manager_ref": None}
        for n in range(0, MANY, 10)
        if n < len(people)
    ]
    await sync(database, tenant_id, payroll, report(twins))
    before, began = getrusage(RUSAGE_SELF).ru_maxrss, time.monotonic()
    await searched(database, tenant_id, batch=500)
    assert time.monotonic() - began < _SECONDS
    # In KiB. Whatever the size of the company, a batch is held at a time.
    assert getrusage(RUSAGE_SELF).ru_maxrss - before < _MEBIBYTES * 1024
    admin = await asyncpg.connect(server.admin_dsn.replace("/postgres?", f"/{_name(database_url)}?"))
    await admin.execute("ANALYZE duplicate_key, duplicate_pair, person, source_record, change")
    await admin.close()
    async with database.tenant(tenant_id) as tx:
        assert await count_open(tx) > 0
        ids = [row["person_id"] for row in await tx.fetch("SELECT person_id FROM person LIMIT 500")]
        plan = json.loads(await tx.fetchval(f"EXPLAIN (FORMAT JSON) {SHARING}", tenant_id, ids))
        assert nodes_of(plan) == {"duplicate_key_person", "duplicate_key_pkey"}
        again = time.monotonic()
        await compare(tx, ids)
        assert time.monotonic() - again < 10


def _name(database_url: str) -> str:
    return database_url.split("?")[0].rsplit("/", 1)[-1]
