"""Writing and reading the event log."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from stoa.db.database import Database
from stoa.db.transactions import Origin, TenantTx
from stoa.events.actions import emit, emit_batch, number_entries
from stoa.events.model import ERASED, Event, RendererMissing, StoredEvent
from stoa.events.queries import last_seq, read_events
from stoa.kernel.ids import RunId, TenantId, new_id

ORIGIN = Origin(actor="credential:1", via="scim", request_id="trace")


def event(subject: str) -> Event:
    return Event("thing.changed", subject, {"n": 1})


async def end_of_log(database: Database, tenant_id: TenantId) -> int:
    """Numbers what making the tenant wrote, and gives the last number."""
    async with database.tenant(tenant_id) as tx:
        await number_entries(tx)
        return await last_seq(tx)


async def write(database: Database, tenant_id: TenantId, *subjects: str) -> None:
    async with database.tenant(tenant_id, ORIGIN) as tx:
        for subject in subjects:
            emit(tx, event(subject))


async def read(database: Database, tenant_id: TenantId, after: int, limit: int = 100) -> list[StoredEvent]:
    async with database.tenant(tenant_id) as tx:
        return await read_events(tx, after, limit)


async def test_events_of_one_transaction_are_one_entry_with_numbers_in_order_of_emitting(
    database: Database, tenant_id: TenantId
) -> None:
    start = await end_of_log(database, tenant_id)
    await write(database, tenant_id, "a", "b", "c")
    events = await read(database, tenant_id, start)
    assert [(found.seq - start, found.subject) for found in events] == [(1, "a"), (2, "b"), (3, "c")]
    assert {(found.actor, found.via, found.type) for found in events} == {("credential:1", "scim", "thing.changed")}
    async with database.tenant(tenant_id) as tx:
        rows = await tx.fetch(
            "SELECT n, request_id FROM entry WHERE tenant_id = $1 AND first_seq = $2", tenant_id, start + 1
        )
    assert [tuple(row) for row in rows] == [(3, "trace")]


async def test_a_rolled_back_transaction_leaves_no_event(database: Database, tenant_id: TenantId) -> None:
    start = await end_of_log(database, tenant_id)

    async def give_up() -> None:
        async with database.tenant(tenant_id) as tx:
            emit(tx, event("never"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await give_up()
    await write(database, tenant_id, "after")
    assert [(found.seq, found.subject) for found in await read(database, tenant_id, start)] == [(start + 1, "after")]


async def test_a_page_ends_and_begins_in_the_middle_of_an_entry(database: Database, tenant_id: TenantId) -> None:
    start = await end_of_log(database, tenant_id)
    await write(database, tenant_id, "a", "b", "c")
    await write(database, tenant_id, "d")
    pages = [await read(database, tenant_id, start + offset, 2) for offset in (0, 1, 2, 3, 4)]
    assert [[found.subject for found in page] for page in pages] == [["a", "b"], ["b", "c"], ["c", "d"], ["d"], []]


async def test_an_event_belongs_to_the_run_that_its_entry_agrees_on(database: Database, tenant_id: TenantId) -> None:
    start = await end_of_log(database, tenant_id)
    run_id = RunId(new_id())
    async with database.tenant(tenant_id) as tx:
        emit(tx, event("in"), run_id=run_id)
    async with database.tenant(tenant_id) as tx:
        emit(tx, event("in"), run_id=run_id)
        emit(tx, event("out"))
    assert [found.run_id for found in await read(database, tenant_id, start)] == [run_id, None, None]


async def test_a_bulk_entry_larger_than_the_page_is_rendered_page_by_page(
    database: Database, tenant_id: TenantId
) -> None:
    start = await end_of_log(database, tenant_id)
    run_id = RunId(new_id())
    async with database.tenant(tenant_id) as tx:
        emit(tx, event("after the batch"))
        emit_batch(tx, run_id=run_id, ord_from=100, ord_to=300, n=7)

    async def render(_: TenantTx, run: RunId, ord_from: int, ord_to: int, offset: int, limit: int) -> list[Event]:
        assert (run, ord_from, ord_to) == (run_id, 100, 300)
        return [event(f"row {number}") for number in range(7)][offset : offset + limit]

    subjects: list[str] = []
    for after in (0, 3, 6):
        async with database.tenant(tenant_id) as tx:
            page = await read_events(tx, start + after, 3, render)
        assert [found.seq - start for found in page] == list(range(after + 1, min(after + 3, 8) + 1))
        subjects += [found.subject for found in page]
    assert subjects == [*(f"row {number}" for number in range(7)), "after the batch"]


async def test_a_reader_without_a_renderer_is_told_so(database: Database, tenant_id: TenantId) -> None:
    start = await end_of_log(database, tenant_id)
    async with database.tenant(tenant_id) as tx:
        emit_batch(tx, run_id=RunId(new_id()), ord_from=1, ord_to=1, n=1)
    with pytest.raises(RendererMissing):
        await read(database, tenant_id, start)


async def test_events_past_their_retention_do_not_stop_a_cursor(database: Database, tenant_id: TenantId) -> None:
    start = await end_of_log(database, tenant_id)
    async with database.tenant(tenant_id) as tx:
        emit_batch(tx, run_id=RunId(new_id()), ord_from=1, ord_to=9, n=3)

    async def render(*_: object) -> list[Event]:
        return []

    async with database.tenant(tenant_id) as tx:
        assert [(found.seq - start, found.type) for found in await read_events(tx, start, 2, render)] == [
            (1, ERASED),
            (2, ERASED),
        ]


async def test_a_read_only_reader_sees_what_is_numbered(database: Database, tenant_id: TenantId) -> None:
    start = await end_of_log(database, tenant_id)
    await write(database, tenant_id, "a")
    async with database.tenant(tenant_id, read_only=True) as tx:
        assert await read_events(tx, start, 10) == []
    assert len(await read(database, tenant_id, start)) == 1
    async with database.tenant(tenant_id, read_only=True) as tx:
        assert [found.subject for found in await read_events(tx, start, 10)] == ["a"]


async def test_a_reader_does_not_wait_for_a_sequencer(database: Database, tenant_id: TenantId) -> None:
    start = await end_of_log(database, tenant_id)
    await write(database, tenant_id, "a")
    async with database.tenant(tenant_id) as sequencer:
        await sequencer.fetchrow("SELECT 1 FROM event_head WHERE tenant_id = $1 FOR UPDATE", tenant_id)
        assert await read(database, tenant_id, start) == []
    assert len(await read(database, tenant_id, start)) == 1


async def test_tenants_do_not_see_each_other_and_count_for_themselves(
    database: Database, make_tenant: Callable[[], Awaitable[TenantId]]
) -> None:
    one, other = await make_tenant(), await make_tenant()
    starts = [await end_of_log(database, tenant) for tenant in (one, other)]
    await write(database, one, "mine", "mine too")
    await write(database, other, "theirs")
    assert [found.subject for found in await read(database, one, starts[0])] == ["mine", "mine too"]
    assert [(found.seq, found.subject) for found in await read(database, other, starts[1])] == [
        (starts[1] + 1, "theirs")
    ]


async def test_what_a_hook_tells_stands_in_the_entry(database: Database, tenant_id: TenantId) -> None:
    start = await end_of_log(database, tenant_id)

    async def later(tx: TenantTx) -> None:
        emit(tx, event("from a hook"))

    async with database.tenant(tenant_id) as tx:
        emit(tx, event("first"))
        tx.before_commit("later", later)
    assert [found.subject for found in await read(database, tenant_id, start)] == ["first", "from a hook"]


async def test_emitting_after_the_entry_was_written_is_refused(database: Database, tenant_id: TenantId) -> None:
    async def too_late() -> None:
        async with database.tenant(tenant_id) as tx:
            emit(tx, event("early"))
            await tx.finish()
            emit(tx, event("late"))

    with pytest.raises(RuntimeError, match="after the transaction's entry"):
        await too_late()


async def test_an_entry_bears_the_time_of_its_transaction(database: Database, tenant_id: TenantId) -> None:
    start = await end_of_log(database, tenant_id)
    before = datetime.now(UTC)
    await write(database, tenant_id, "a")
    assert before <= (await read(database, tenant_id, start))[0].at <= datetime.now(UTC)
