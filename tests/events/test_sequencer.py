"""Numbers under concurrency: without gaps, and causal for each row."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest

from stoa.db.database import Database
from stoa.events.actions import emit, number_entries
from stoa.events.model import Event, StoredEvent
from stoa.events.queries import last_seq, read_events, tenants_with_unnumbered
from stoa.events.sequencer import Sequencer
from stoa.events.verifying import verify_chain
from stoa.kernel.ids import TenantId

MakeTenant = Callable[[], Awaitable[TenantId]]
WRITERS, WRITES, ROWS = 16, 25, 4


class ChangedMindError(Exception):
    """Rolls a writer's transaction back."""


async def make_rows(database: Database, tenant_id: TenantId) -> None:
    """Rows that writers fight for: sources, whose name counts its versions."""
    async with database.tenant(tenant_id) as tx:
        await tx.execute(
            "INSERT INTO source (tenant_id, source_id, kind, name, name_key, created_at) "
            "SELECT $1, gen_random_uuid(), 'import', '0', 'row ' || n, $2 FROM generate_series(1, $3::int) n",
            tenant_id,
            tx.now,
            ROWS,
        )


async def change(database: Database, tenant_id: TenantId, row: int, dice: random.Random) -> None:
    """Raises the version of a row, and of some a second one, and says so. One in four changes its mind."""
    async with database.tenant(tenant_id) as tx:
        for name in sorted({row, dice.randint(1, ROWS)}):
            version = await tx.fetchval(
                "UPDATE source SET name = (name::int + 1)::text WHERE tenant_id = $1 AND name_key = 'row ' || $2::text "
                "RETURNING name::int",
                tenant_id,
                str(name),
            )
            emit(tx, Event("row.changed", f"row {name}", {"version": version}))
        if dice.random() < 0.25:
            raise ChangedMindError


async def all_events(database: Database, tenant_id: TenantId, start: int, page: int) -> list[StoredEvent]:
    events: list[StoredEvent] = []
    while True:
        async with database.tenant(tenant_id) as tx:
            found = await read_events(tx, start + len(events), page)
        if not found:
            return events
        events += found


@pytest.mark.parametrize("seed", [1, 2])
async def test_numbers_have_no_gap_and_follow_each_row_under_concurrent_writers_and_sequencers(
    database: Database, tenant_id: TenantId, seed: int
) -> None:
    await make_rows(database, tenant_id)
    async with database.tenant(tenant_id) as tx:
        await number_entries(tx)
        start = await last_seq(tx)
    done = asyncio.Event()

    async def writer(number: int) -> None:
        dice = random.Random(seed * 1000 + number)
        for _ in range(WRITES):
            try:
                await change(database, tenant_id, dice.randint(1, ROWS), dice)
            except ChangedMindError:
                continue

    async def sequencer() -> None:
        while not done.is_set():
            async with database.tenant(tenant_id) as tx:
                await number_entries(tx, limit=7)

    sequencers = [asyncio.create_task(sequencer()) for _ in range(2)]
    await asyncio.gather(*map(writer, range(WRITERS)))
    done.set()
    await asyncio.gather(*sequencers)

    events = await all_events(database, tenant_id, start, page=17)
    assert [event.seq for event in events] == list(range(start + 1, start + len(events) + 1))
    versions: defaultdict[str, list[int]] = defaultdict(list)
    for event in events:
        versions[event.subject].append(event.body["version"])
    async with database.tenant(tenant_id) as tx:
        rows = await tx.fetch(
            "SELECT name_key, name::int AS version FROM source WHERE tenant_id = $1 AND name_key LIKE 'row %'",
            tenant_id,
        )
        assert await verify_chain(tx) is None
    assert versions == {row["name_key"]: list(range(1, row["version"] + 1)) for row in rows}
    assert len(events) > WRITERS * WRITES / 2


async def test_two_sequencers_at_once_number_each_entry_once(database: Database, tenant_id: TenantId) -> None:
    for number in range(30):
        async with database.tenant(tenant_id) as tx:
            emit(tx, Event("thing.made", str(number), {}))

    async def number_some() -> int:
        async with database.tenant(tenant_id) as tx:
            return await number_entries(tx, limit=5)

    counts = await asyncio.gather(*(number_some() for _ in range(8)))
    async with database.tenant(tenant_id) as tx:
        entries = await tx.fetch(
            "SELECT entry_no, first_seq, n FROM entry WHERE tenant_id = $1 ORDER BY entry_no", tenant_id
        )
        assert await verify_chain(tx) is None
    assert sum(counts) == len(entries)
    assert entries[0]["first_seq"] == 1
    assert all(next_["first_seq"] == entry["first_seq"] + entry["n"] for entry, next_ in pairwise(entries))


async def test_an_entry_that_commits_late_is_numbered_after_those_before_it(
    database: Database, tenant_id: TenantId
) -> None:
    async with database.tenant(tenant_id) as tx:
        await number_entries(tx)
        start = await last_seq(tx)
    async with database.tenant(tenant_id) as slow:
        emit(slow, Event("thing.made", "slow", {}))
        await slow.finish()
        async with database.tenant(tenant_id) as fast:
            emit(fast, Event("thing.made", "fast", {}))
        async with database.tenant(tenant_id) as reader:
            assert [event.subject for event in await read_events(reader, start, 10)] == ["fast"]
    async with database.tenant(tenant_id) as tx:
        events = await read_events(tx, start, 10)
        assert await verify_chain(tx) is None
    assert [event.subject for event in events[:2]] == ["fast", "slow"]


async def test_the_running_sequencer_numbers_every_tenant_and_is_woken_by_the_commit(
    database: Database, make_tenant: MakeTenant
) -> None:
    tenants = [await make_tenant() for _ in range(3)]
    stop = asyncio.Event()
    running = asyncio.create_task(Sequencer(database, batch=2).run(stop))
    for tenant_id in tenants:
        for number in range(5):
            async with database.tenant(tenant_id) as tx:
                emit(tx, Event("thing.made", str(number), {}))
    async with asyncio.timeout(10):
        for tenant_id in tenants:
            await until_numbered(database, tenant_id)
        stop.set()
        await running


async def until_numbered(database: Database, tenant_id: TenantId) -> None:
    while True:
        async with database.tenant(tenant_id, read_only=True) as tx:
            if not await tx.fetchval(
                "SELECT count(*) FROM entry WHERE tenant_id = $1 AND first_seq IS NULL", tenant_id
            ):
                return


async def test_only_tenants_with_something_to_number_are_visited(database: Database, make_tenant: MakeTenant) -> None:
    quiet, busy = await make_tenant(), await make_tenant()
    await Sequencer(database).run_once()
    async with database.tenant(busy) as tx:
        emit(tx, Event("thing.made", "a", {}))
        emit(tx, Event("thing.made", "b", {}))
    async with database.platform() as tx:
        waiting = await tenants_with_unnumbered(tx)
    assert busy in waiting
    assert quiet not in waiting
