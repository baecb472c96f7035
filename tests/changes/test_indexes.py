"""Runs and plans at size: what the lists read as the application's role."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from stoa.changes import browsing, listing
from stoa.changes.browsing import ChangesAsk
from stoa.changes.catalogue import CHANGES, CHANGES_BINDING, RUNS, RUNS_BINDING
from stoa.changes.counting import counted_window
from stoa.changes.listing import RunsAsk
from stoa.changes.model import Run
from stoa.changes.queries import run_by_id
from stoa.db import embedded
from stoa.db.database import Database, open_database
from stoa.db.transactions import TenantTx
from stoa.kernel.filters import Typed, check, parse, require_bound
from stoa.kernel.ids import RunId, SourceId, TenantId, new_id
from stoa.tenants.actions import create_tenant, ensure_source
from stoa.tenants.model import NewTenant

from ..conftest import ConnectArgs

CHANGED = 100_000
RUNS_IN_ALL = 30_000
Big = tuple[TenantId, SourceId, RunId]

_RUNS = """
INSERT INTO run (tenant_id, run_id, kind, state, target, source_id, actor, created_at, finished_at)
SELECT $1, gen_random_uuid(), 'sync',
  CASE WHEN n % 1000 = 1 THEN 'errored' WHEN n % 10000 = 2 THEN 'held' ELSE 'applied' END,
  'person', $2, 'schedule', $3::timestamptz - n * interval '1 hour', $3::timestamptz - n * interval '1 hour'
FROM generate_series(1, $4::int) AS n"""
_CHANGES = """
INSERT INTO change
  (tenant_id, run_id, action, reason, subject, source_id, resource_id, person_id, before, after, state, at)
SELECT $1, $2, CASE WHEN n % 10000 = 77 THEN 'deactivate' ELSE 'update' END,
  CASE WHEN n % 10000 = 77 THEN 'absent_from_report' ELSE 'moved' END, 'E' || lpad(n::text, 6, '0'), $3,
  gen_random_uuid(), md5(n::text)::uuid,
  jsonb_build_object('department', 'Sales', 'title', 'Engineer ' || n),
  jsonb_build_object('department', 'Research', 'title', 'Chief ' || n),
  'planned', $4
FROM generate_series(1, $5::int) AS n"""


async def _filled(connect_args: ConnectArgs) -> Big:
    database = await open_database(connect_args)
    try:
        tenant_id = (await create_tenant(database, NewTenant(slug=f"big-{new_id()}"[:60], name="Big"))).tenant_id
        async with database.tenant(tenant_id) as tx:
            source_id = (await ensure_source(tx, "hris", "Workday")).source_id
            await tx.execute(_RUNS, tenant_id, source_id, tx.now, RUNS_IN_ALL)
            run_id = await tx.fetchval("SELECT run_id FROM run WHERE state = 'held' ORDER BY created_at DESC LIMIT 1")
            await tx.execute(_CHANGES, tenant_id, run_id, source_id, tx.now, CHANGED)
            other = await tx.fetchval("SELECT run_id FROM run WHERE state = 'held' ORDER BY created_at LIMIT 1")
            await tx.execute(_CHANGES, tenant_id, other, source_id, tx.now, CHANGED // 10)
        return tenant_id, source_id, run_id
    finally:
        await database.close()


@pytest.fixture(scope="module")
def big(connect_args: ConnectArgs, server: embedded.Server, database_url: str) -> Big:
    """A tenant with many runs, one of them with a long plan, and what the planner knows of it."""

    async def fill() -> Big:
        made = await _filled(connect_args)
        name = database_url.split("?")[0].rsplit("/", 1)[-1]
        admin = await asyncpg.connect(server.admin_dsn.replace("/postgres?", f"/{name}?"))
        await admin.execute("ANALYZE change, run")
        await admin.close()
        return made

    return asyncio.run(fill())


async def plans_of(database: Database, tenant_id: TenantId, look_up: Callable[[TenantTx], Awaitable[Any]]) -> list[Any]:
    """The plan of every statement that a look-up sends, carried out, as the application's role."""
    sent: list[tuple[str, tuple[object, ...]]] = []
    async with database.tenant(tenant_id, read_only=True) as tx:
        with tx.connection.query_logger(lambda record: sent.append((record.query, tuple(record.args)))):
            await look_up(tx)
        await tx.fetchval("SELECT 1")
        return [
            json.loads(await tx.fetchval(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {sql}", *params))[0]["Plan"]
            for sql, params in sent
        ]


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """A plan's nodes, the root first."""
    return [plan, *(node for part in plan.get("Plans", ()) for node in nodes(part))]


def indexes(plans: list[Any]) -> set[str]:
    """The indexes of some plans; a sequential scan counts as `seq:<table>`."""
    found = [node for plan in plans for node in nodes(plan)]
    scans = {f"seq:{node['Relation Name']}" for node in found if node["Node Type"] == "Seq Scan"}
    return scans | {node["Index Name"] for node in found if "Index Name" in node}


def read_of(plans: list[Any], table: str) -> int:
    """How many rows of a table were read, thrown away or not."""
    return sum(
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        for plan in plans
        for node in nodes(plan)
        if node.get("Relation Name") == table
    )


def runs(text: str) -> Typed:
    return check(parse(text), RUNS)


def changes(text: str) -> Typed:
    return check(parse(text), CHANGES)


async def page_of_runs(tx: TenantTx, **asked: Any) -> listing.RunsPage:
    first = await listing.runs_page(tx, RunsAsk(limit=25, **asked))
    return first if first.next is None else await listing.runs_page(tx, RunsAsk(limit=25, after=first.next, **asked))


@pytest.mark.parametrize(
    ("asked", "wanted", "most"),
    [
        ({}, "run_recent", 60),
        ({"descending": False}, "run_recent", 60),
        ({"view": "failed"}, "run_failed", 60),
        ({"view": "waiting"}, "run_waiting", 60),
        ({"view": "waiting", "descending": False}, "run_waiting", 60),
        ({"where": runs('created_at lt "2026-01-01T00:00:00Z"')}, "run_recent", 60),
    ],
)
async def test_a_list_of_runs_reads_its_page_alone(
    database: Database, big: Big, asked: dict[str, Any], wanted: str, most: int
) -> None:
    plans = await plans_of(database, big[0], lambda tx: page_of_runs(tx, **asked))
    assert wanted in indexes(plans)
    assert "seq:run" not in indexes(plans)
    assert read_of(plans, "run") <= most


async def test_counts_beside_the_tabs_have_their_indexes(database: Database, big: Big) -> None:
    async def count(tx: TenantTx) -> None:
        assert await listing.count_waiting(tx) == RUNS_IN_ALL // 10_000
        assert await listing.count_failed(tx) == RUNS_IN_ALL // 1000

    plans = await plans_of(database, big[0], count)
    assert indexes(plans) == {"run_waiting", "run_failed"}


async def test_undoing_runs_are_found_by_what_they_undo(database: Database, big: Big) -> None:
    plans = await plans_of(database, big[0], lambda tx: listing.rollbacks_of(tx, big[2]))
    assert len(indexes(plans)) == 1
    assert indexes(plans) <= {"run_of", "run_one_rollback"}


async def run_of(database: Database, big: Big) -> Run:
    async with database.tenant(big[0], read_only=True) as tx:
        return await run_by_id(tx, big[2])


@pytest.mark.parametrize(
    ("asked", "wanted", "most"),
    [
        ({}, {"change_pkey"}, 60),
        ({"descending": True}, {"change_pkey"}, 60),
        ({"where": changes('action eq "update" and reason eq "moved"')}, {"change_pkey"}, 60),
        ({"where": changes('state eq "held"')}, {"change_pkey"}, 60),
        ({"where": changes('field eq "department"')}, {"change_pkey"}, 60),
        ({"search": "E05000"}, {"change_subject"}, 60),
        ({"search": "E050001"}, {"change_subject"}, 10),
        ({"where": changes('person_id eq "c4ca4238-a0b9-2382-0dcc-509a6f75849b"')}, {"change_person"}, 10),
    ],
)
async def test_a_page_of_a_long_plan_reads_little_more_than_the_page(
    database: Database, big: Big, asked: dict[str, Any], wanted: set[str], most: int
) -> None:
    run = await run_of(database, big)
    plans = await plans_of(database, big[0], lambda tx: browsing.changes_found(tx, run, ChangesAsk(limit=50, **asked)))
    assert indexes(plans) - {"run_pkey"} == wanted
    assert read_of(plans, "change") <= most


async def test_a_page_in_the_middle_of_a_long_plan_is_as_quick_as_the_first(database: Database, big: Big) -> None:
    run = await run_of(database, big)

    async def middle(tx: TenantTx) -> None:
        after = await tx.fetchval("SELECT ord FROM change WHERE run_id = $1 AND subject = 'E060000'", run.run_id)
        page = await browsing.changes_found(tx, run, ChangesAsk(limit=50, after=(after,)))
        assert page.rows[0].subject == "E060001"

    plans = await plans_of(database, big[0], middle)
    assert read_of(plans[1:], "change") <= 60


async def test_what_is_rare_in_a_long_plan_is_found_page_by_page(database: Database, big: Big) -> None:
    run = await run_of(database, big)
    ask = ChangesAsk(limit=4, where=changes('action eq "deactivate"'))
    found: list[str] = []
    async with database.tenant(big[0], read_only=True) as tx:
        while True:
            page = await browsing.changes_found(tx, run, ask)
            found += [change.subject for change in page.rows]
            if page.next is None:
                break
            ask = ChangesAsk(limit=4, where=ask.where, after=page.next)
    assert found == [f"E{n:06}" for n in range(77, CHANGED, 10_000)]


async def test_counting_an_hour_of_requests_stops_somewhere(database: Database, big: Big) -> None:
    async with database.tenant(big[0], read_only=True) as tx:
        some = await counted_window(tx, big[2], most=1000)
        assert (some.changes, some.more) == (1001, True)
        whole = await counted_window(tx, big[2], most=CHANGED)
        assert (whole.changes, whole.more, whole.counts) == (CHANGED, False, {"deactivate": 10, "update": CHANGED - 10})


def test_every_attribute_is_bound() -> None:
    require_bound(RUNS, RUNS_BINDING)
    require_bound(CHANGES, CHANGES_BINDING)
