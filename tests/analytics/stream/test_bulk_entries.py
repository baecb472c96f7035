"""A page inside a large bulk entry: it shows what the whole shows, and its cost does not grow with the run."""

import re

import pytest

from stoa.analytics.stream.reading import read
from stoa.changes import rendering
from stoa.db.database import Database
from stoa.db.transactions import TenantTx
from stoa.kernel.ids import TenantId

from ...people.making import report, source, sync, worker
from .writing import number

# More than a batch, so that the run goes on beyond the entry.
PEOPLE = 5_600


@pytest.mark.all
async def test_a_page_deep_inside_a_bulk_entry(database: Database, tenant_id: TenantId) -> None:
    hr = await source(database, tenant_id)
    run = await sync(database, tenant_id, hr, report(worker(n) for n in range(PEOPLE)))
    await number(database, tenant_id)
    async with database.tenant(tenant_id) as tx:
        entries = await tx.fetch(
            "SELECT first_seq, n, ord_from, ord_to FROM entry WHERE run_id = $1 AND n > 1000 ORDER BY first_seq",
            run.run_id,
        )
        assert [entry["n"] for entry in entries] == [5_000, 5_000]
        for entry, type_ in zip(entries, ("person.created", "person_record.created"), strict=True):
            whole = await read(tx, entry["first_seq"] - 1, 1_000)
            assert {event.type for event in whole.events} == {type_}
            deep = await read(tx, entry["first_seq"] + 4_900, 50)
            assert [event.seq for event in deep.events] == list(
                range(entry["first_seq"] + 4_901, entry["first_seq"] + 4_951)
            )
            assert len({event.subject for event in (*whole.events, *deep.events)}) == 1_050
            await check_plan(tx, run.run_id, entry["ord_from"], entry["ord_to"])


async def check_plan(tx: TenantTx, run_id: object, ord_from: int, ord_to: int) -> None:
    """Each row of the page is found by its key, whatever statistics say of the run."""
    rows = await tx.fetch(
        f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {rendering.ROWS}",
        *(tx.tenant_id, run_id, ord_from, ord_to, 4_900, 50),
    )
    plan = "\n".join(row[0] for row in rows)
    assert not re.search(r"Rows Removed by Join Filter: \d{3,}", plan), plan
    assert re.search(r"Index Cond: .*ord = ", plan), plan


@pytest.mark.parametrize("limit", [1, 1_000])
async def test_a_page_may_begin_and_end_in_the_middle_of_entries(
    database: Database, tenant_id: TenantId, limit: int
) -> None:
    hr = await source(database, tenant_id)
    await sync(database, tenant_id, hr, report(worker(n) for n in range(40)), batch_rows=7)
    await number(database, tenant_id)
    async with database.tenant(tenant_id) as tx:
        whole = (await read(tx, 0, 1_000)).events
        for after in range(len(whole)):
            found = (await read(tx, after, limit)).events
            assert found == whole[after : after + limit]
