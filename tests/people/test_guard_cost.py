"""What a deactivation pays for being looked at: one statement that reads no more than it takes to tell."""

import json
import os
from datetime import timedelta
from typing import Any

import asyncpg

from stoa.db import embedded
from stoa.db.database import Database
from stoa.kernel.ids import SourceId, TenantId
from stoa.people import actions
from stoa.people.guard_rules import Guard, GuardKind
from stoa.people.model import Asserted, Changed
from stoa.people.queries import record_by_key
from stoa.people.thresholds import set_guard

from .making import report, source, sync, worker

PEOPLE = int(os.environ.get("STOA_TEST_PEOPLE", "6000"))


async def _filled(database: Database, tenant_id: TenantId) -> SourceId:
    """A source with many people, with deactivations of all times, and 400 of this hour."""
    source_id = await source(database, tenant_id, "idp", "Okta")
    await sync(database, tenant_id, source_id, report(worker(n, manager_ref=None) for n in range(PEOPLE)))
    async with database.tenant(tenant_id) as tx:
        await tx.execute(
            """INSERT INTO change (tenant_id, run_id, action, reason, subject, source_id, resource_id, person_id,
              before, after, state, at)
            SELECT tenant_id, last_run, 'deactivate', 'inactive_in_source', external_id, source_id, resource_id,
              person_id, '{"active": true}', '{"active": false}', 'applied', $2::timestamptz - (interval '1 minute' * n)
            FROM (SELECT *, row_number() OVER () / 7 AS n FROM source_record WHERE tenant_id = $1) AS numbered""",
            *(tx.tenant_id, tx.now - timedelta(minutes=1)),
        )
    return source_id


async def test_it_is_one_statement_that_stops_at_the_threshold(
    database: Database, server: embedded.Server, database_url: str, tenant_id: TenantId
) -> None:
    source_id = await _filled(database, tenant_id)
    name = database_url.split("?")[0].rsplit("/", 1)[-1]
    admin = await asyncpg.connect(server.admin_dsn.replace("/postgres?", f"/{name}?"))
    await admin.execute("ANALYZE change, run, source_record")
    await admin.close()
    async with database.tenant(tenant_id) as tx:
        # There have been more of them, but so many always pass: the look goes as far as it ever goes.
        await set_guard(tx, GuardKind.DEACTIVATE, None, Guard(absolute=200, percent=100, floor=1_000))
    asked = await _statements(database, tenant_id, source_id, "E00007")
    (look,) = [one for one in asked if "guard_threshold" in one[0]]
    assert not [sql for sql, _ in asked if "count(*)" in sql and "source_record" in sql]
    async with database.tenant(tenant_id) as tx:
        told = json.loads(await tx.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {look[0]}", *look[1]))
    nodes = list(_nodes(told[0]["Plan"]))
    (counted,) = [node for node in nodes if node.get("Index Name") == "change_deactivated"]
    assert counted["Actual Rows"] == 201
    assert not [node for node in nodes if node["Node Type"] == "Seq Scan" and node["Relation Name"] == "change"]
    assert told[0]["Plan"]["Shared Hit Blocks"] + told[0]["Plan"]["Shared Read Blocks"] < 300


async def _statements(
    database: Database, tenant_id: TenantId, source_id: SourceId, key: str
) -> list[tuple[str, tuple[Any, ...]]]:
    """What a deactivation sends."""
    sent: list[tuple[str, tuple[Any, ...]]] = []
    async with database.tenant(tenant_id) as tx:
        record = await record_by_key(tx, source_id, key)
        assert record is not None
        with tx.connection.query_logger(lambda one: sent.append((one.query, tuple(one.args)))):
            done = await actions.assert_record(tx, record, Asserted(record.values, False, None, record.raw))
        assert isinstance(done, Changed)
        assert done.held is None
        # The logger is called in the loop's next round, which another statement waits for.
        await tx.fetchval("SELECT 1")
    return sent


def _nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for part in plan.get("Plans", []) for node in _nodes(part))]
