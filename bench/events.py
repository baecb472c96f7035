"""A page of the event stream in a database of 10,000 events, and in one of 3,000 tenants with ten million.

The same tenant's share in both: what is measured is what the others cost. A page is read, row-secured, in a transaction
of its own, and written as CloudEvents.
"""

import random
import time
from dataclasses import dataclass, field
from hashlib import md5
from statistics import median
from typing import Final
from uuid import UUID

import asyncpg
import msgspec

from bench.ground import Ground
from bench.ground import ground as another_ground
from bench.measuring import percentile
from bench.model import Figure, Plan
from stoa.analytics.stream.asking import asked_where
from stoa.analytics.stream.reading import read
from stoa.events.envelope import envelope
from stoa.kernel.filters import Typed
from stoa.kernel.ids import TenantId

EVENTS: Final = 10_000_000
ROUNDS: Final = 3
_OF_A_TENANT: Final = 3_340
_FEW_TENANTS: Final = 3
_OF_AN_ENTRY: Final = 20
_PAGE: Final = 100
_EACH: Final = 150
_GOAL: Final = 1.2
_FILTER: Final = 'subject ew "7"'

# Entries as they are written by many tenants at the same time: one of each in turn. $1: the first tenant and the last.
_ENTRIES: Final = """
INSERT INTO entry (tenant_id, entry_no, at, actor, via, n, salt, digest, first_seq, chain)
SELECT md5('tenant ' || t)::uuid, nextval('entry_no_seq'), '2026-01-01'::timestamptz + i * interval '1 minute',
  'scim:01980f5e-6f2a-7c3e-9a51-0d6f4b1c2a10', 'scim', $3, 'salt', sha256('x'), (i - 1) * $3 + 1, sha256('y')
FROM generate_series(1, $4::int) AS i, generate_series($1::int, $2::int) AS t"""
_EVENTS: Final = """
INSERT INTO event (tenant_id, entry_no, ord, type, subject, body)
SELECT e.tenant_id, e.entry_no, o, 'connection.reconfigured', 'connection:' || (e.first_seq + o),
  jsonb_build_object('fields', jsonb_build_array('url', 'username'), 'mapping_version', e.first_seq + o)
FROM entry e, generate_series(0, $1::int - 1) AS o
WHERE e.entry_no > $2 ORDER BY e.entry_no, o"""
_INDEXES: Final = """
SELECT i.indexrelid::regclass::text AS name, pg_get_indexdef(i.indexrelid) AS made FROM pg_index i
WHERE i.indrelid IN ('entry'::regclass, 'event'::regclass) AND NOT i.indisprimary"""
_encode = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(slots=True)
class _Seconds:
    """What pages took: plain and filtered ones of tenants that are read all the time, and of tenants that nobody read
    for long.
    """

    plain: list[float] = field(default_factory=list[float])
    filtered: list[float] = field(default_factory=list[float])
    cold: list[float] = field(default_factory=list[float])


async def run(ground: Ground, plan: Plan) -> list[Figure]:
    """A second server has the few events; both are measured in turn."""
    tenants = max(_FEW_TENANTS + 1, (plan.size or EVENTS) // _OF_A_TENANT)
    began = time.perf_counter()
    await _fill(ground, 1, tenants)
    plan.report(f"events: {tenants * _OF_A_TENANT:,} events filled in {time.perf_counter() - began:.0f} s")
    few, many = _Seconds(), _Seconds()
    async with another_ground() as other:
        await _fill(other, 1, _FEW_TENANTS)
        luck = random.Random(7)
        for number in range(plan.rounds or ROUNDS):
            plan.report(f"events: round {number + 1}")
            for turn in range(-_FEW_TENANTS * 5, _EACH):
                tenant, after = 1 + luck.randrange(_FEW_TENANTS), luck.randrange(_OF_A_TENANT - _PAGE)
                for where, seconds in ((other, few), (ground, many)):
                    await _measure(where, tenant, after, seconds, kept=turn >= 0)
            for _ in range(_EACH // 5):
                tenant = 1 + luck.randrange(tenants)
                many.cold.append(await _page(ground, tenant, luck.randrange(_OF_A_TENANT - _PAGE), None))
    against = f"the same page with {_FEW_TENANTS * _OF_A_TENANT:,} events"
    size = f"{tenants * _OF_A_TENANT:,} events of {tenants:,} tenants"
    return [
        _figure(f"a page of {_PAGE}, {size}", many.plain, few.plain, against, _GOAL),
        _figure(f"a filtered page, {size}", many.filtered, few.filtered, against, _GOAL),
        _figure(f"a page of any tenant, cold, {size}", many.cold, few.plain, f"{against}, warm", None),
    ]


def _figure(name: str, ours: list[float], peer: list[float], against: str, goal: float | None) -> Figure:
    note = f"p95 {percentile(ours, 0.95) * 1000:.1f} ms, with few events {percentile(peer, 0.95) * 1000:.1f} ms"
    return Figure("events", name, median(ours), "s", median(peer), against, goal, note)


async def _fill(ground: Ground, first: int, last: int) -> None:
    """The logs of some tenants. Indexes are made anew afterwards, which is quicker for millions of rows."""
    admin = await asyncpg.connect(ground.admin_dsn)
    try:
        before = await admin.fetchval("SELECT coalesce(max(entry_no), 0) FROM entry")
        indexes = await admin.fetch(_INDEXES) if last - first > 10 else []
        for index in indexes:
            await admin.execute(f"DROP INDEX {index['name']}")
        entries = _OF_A_TENANT // _OF_AN_ENTRY
        await admin.execute(_ENTRIES, first, last, _OF_AN_ENTRY, entries)
        await admin.execute(_EVENTS, _OF_AN_ENTRY, before)
        await admin.execute("SET maintenance_work_mem = '512MB'")
        for index in indexes:
            await admin.execute(index["made"])
        await admin.execute("VACUUM ANALYZE entry")
        await admin.execute("VACUUM ANALYZE event")
        await admin.execute("CHECKPOINT")
    finally:
        await admin.close()


async def _measure(ground: Ground, tenant: int, after: int, seconds: _Seconds, *, kept: bool) -> None:
    plain = await _page(ground, tenant, after, None)
    filtered = await _page(ground, tenant, after, asked_where(_FILTER))
    if kept:
        seconds.plain.append(plain)
        seconds.filtered.append(filtered)


async def _page(ground: Ground, tenant: int, after: int, where: Typed | None) -> float:
    tenant_id = TenantId(UUID(md5(b"tenant %d" % tenant, usedforsecurity=False).hexdigest()))
    began = time.perf_counter()
    async with ground.database.tenant(tenant_id, read_only=True) as tx:
        found = await read(tx, after, _PAGE, where)
    for event in found.events:
        _encode(envelope(event, tenant_id=tenant_id, tenant_slug="bench", base_url="https://stoa.example"))
    if where is None and len(found.events) != _PAGE:
        raise RuntimeError(f"A page has {len(found.events)} events instead of {_PAGE}.")
    return time.perf_counter() - began
