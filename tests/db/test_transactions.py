"""Transactions, their parts, their hooks, and their end whatever happens in the middle."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

import asyncpg
import pytest

from stoa.db.database import Database, TransactionFailedError, open_database
from stoa.db.transactions import TenantTx
from stoa.kernel.ids import TenantId
from tests.conftest import ConnectArgs

ADD = "INSERT INTO domain (tenant_id, domain, proven_at) VALUES ($1, $2, $3)"
SETTING = "SELECT nullif(current_setting('stoa.tenant', true), '')"
# Sleeps in the server, where a cancellation must reach it.
LONG = "SELECT pg_sleep(60)"


async def add(tx: TenantTx, domain: str) -> None:
    await tx.execute(ADD, tx.tenant_id, domain, tx.now)


async def domains(database: Database, tenant_id: TenantId) -> list[str]:
    async with database.tenant(tenant_id, read_only=True) as tx:
        rows = await tx.fetch("SELECT domain FROM domain WHERE tenant_id = $1 ORDER BY domain", tenant_id)
    return [row["domain"] for row in rows]


@pytest.fixture
async def single(connect_args: ConnectArgs) -> AsyncGenerator[Database]:
    """Pools of one connection: whoever comes next gets the very one that was used before."""
    opened = await open_database(connect_args, sizes={"app": 1, "sync": 1, "platform": 1})
    yield opened
    await opened.close()


@pytest.fixture
async def root(server: Any) -> AsyncGenerator[asyncpg.Connection]:
    connection = await asyncpg.connect(server.admin_dsn, database="stoa")
    yield connection
    await connection.close()


async def assert_clean(database: Database, root: asyncpg.Connection, role: str = "app") -> int:
    """The pool's one connection is at rest, in no transaction and of no tenant. Gives its process id."""
    async with asyncio.timeout(10), database._pools[role].acquire() as connection:
        pid = await connection.fetchval("SELECT pg_backend_pid()")
        assert not connection.is_in_transaction()
        assert await connection.fetchval(SETTING) is None
    # Asked from outside and while nobody uses it.
    assert await root.fetchval("SELECT state FROM pg_stat_activity WHERE pid = $1", pid) == "idle"
    return int(pid)


async def test_a_block_commits_at_its_end_and_an_exception_undoes_it(database: Database, tenant_id: TenantId) -> None:
    async with database.tenant(tenant_id) as tx:
        await add(tx, "kept.example")
    with pytest.raises(LookupError):
        await _fail_after_adding(database, tenant_id)
    assert await domains(database, tenant_id) == ["kept.example"]


async def _fail_after_adding(database: Database, tenant_id: TenantId) -> None:
    async with database.tenant(tenant_id) as tx:
        await add(tx, "lost.example")
        raise LookupError


async def test_a_failed_statement_that_nobody_minded_is_not_taken_for_a_commit(
    database: Database, tenant_id: TenantId
) -> None:
    async def swallow() -> None:
        async with database.tenant(tenant_id) as tx:
            await add(tx, "a.example")
            with pytest.raises(asyncpg.UniqueViolationError):
                await add(tx, "a.example")

    with pytest.raises(TransactionFailedError):
        await swallow()
    assert await domains(database, tenant_id) == []


async def test_a_read_only_transaction_writes_nothing(database: Database, tenant_id: TenantId) -> None:
    async def write() -> None:
        async with database.tenant(tenant_id, read_only=True) as tx:
            await add(tx, "a.example")

    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await write()


async def test_savepoints_are_nested_and_each_undoes_its_own_part(database: Database, tenant_id: TenantId) -> None:
    async with database.tenant(tenant_id) as tx:
        await add(tx, "a.example")
        async with tx.savepoint():
            await add(tx, "b.example")
            with suppress(LookupError):
                async with tx.savepoint():
                    await add(tx, "c.example")
                    async with tx.savepoint():
                        await add(tx, "d.example")
                    raise LookupError
            async with tx.savepoint():
                await add(tx, "e.example")
        with pytest.raises(asyncpg.UniqueViolationError):
            async with tx.savepoint():
                await add(tx, "a.example")
    assert await domains(database, tenant_id) == ["a.example", "b.example", "e.example"]


async def test_an_undone_part_leaves_nothing_to_be_done_later(database: Database, tenant_id: TenantId) -> None:
    done: list[str] = []

    def hook(name: str) -> Any:
        async def run(_: TenantTx) -> None:
            done.append(name)

        return run

    async with database.notifier.listening("undone") as undone, database.notifier.listening("kept") as kept:
        # The first ring tells that the channel is listened to.
        await asyncio.wait_for(undone.wait(), 10)
        undone.clear()
        async with database.tenant(tenant_id) as tx:
            tx.memo["list"] = ("before",)
            tx.before_commit("one", hook("one"))
            tx.after_commit(lambda: done.append("after"))
            tx.wake("kept")
            with suppress(LookupError):
                async with tx.savepoint():
                    tx.memo["list"] = (*tx.memo["list"], "inside")
                    tx.memo["other"] = ("inside",)
                    tx.before_commit("one", hook("replaced"))
                    tx.before_commit("two", hook("two"))
                    tx.after_commit(lambda: done.append("after undone"))
                    tx.wake("undone")
                    raise LookupError
            assert tx.memo == {"list": ("before",)}
            async with tx.savepoint():
                tx.memo["list"] = (*tx.memo["list"], "kept")
                tx.before_commit("three", hook("three"))
            assert tx.memo == {"list": ("before", "kept")}
        assert done == ["one", "three", "after"]
        assert kept.is_set()
        assert not undone.is_set()


async def test_a_timeout_inside_a_part_undoes_the_part_alone(single: Database, tenant_id: TenantId) -> None:
    async with single.tenant(tenant_id) as tx:
        await add(tx, "a.example")
        with suppress(TimeoutError):
            async with asyncio.timeout(0.05), tx.savepoint():
                await add(tx, "b.example")
                await tx.execute(LONG)
        await add(tx, "c.example")
    assert await domains(single, tenant_id) == ["a.example", "c.example"]


async def test_hooks_may_ask_for_hooks_and_the_events_come_last(database: Database, tenant_id: TenantId) -> None:
    order: list[str] = []

    async def events(_: TenantTx) -> None:
        order.append("events")

    async def second(_: TenantTx) -> None:
        order.append("second")

    async def first(tx: TenantTx) -> None:
        order.append("first")
        tx.before_commit("second", second)

    async with database.tenant(tenant_id) as tx:
        tx.before_commit("events", events)
        tx.before_commit("first", first)
        tx.before_commit("first", first)
    assert order == ["first", "second", "events"]


async def test_a_hook_that_fails_undoes_the_whole(database: Database, tenant_id: TenantId) -> None:
    woken: list[str] = []

    async def refuse(_: TenantTx) -> None:
        raise LookupError

    async def write() -> None:
        async with database.tenant(tenant_id) as tx:
            await add(tx, "a.example")
            tx.before_commit("refuse", refuse)
            tx.after_commit(lambda: woken.append("never"))

    with pytest.raises(LookupError):
        await write()
    assert await domains(database, tenant_id) == []
    assert woken == []


@pytest.mark.parametrize("role", ["app", "sync"])
async def test_no_tenant_stays_on_a_connection(
    single: Database, root: asyncpg.Connection, tenant_id: TenantId, role: Any
) -> None:
    async with single.tenant(tenant_id, role=role) as tx:
        assert await tx.fetchval(SETTING) == str(tenant_id)
        pid = await tx.fetchval("SELECT pg_backend_pid()")
    assert await assert_clean(single, root, role) == pid
    with pytest.raises(LookupError):
        async with single.tenant(tenant_id, role=role):
            raise LookupError
    assert await assert_clean(single, root, role) == pid


async def _in_the_server(root: asyncpg.Connection, query: str) -> None:
    while not await root.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE query = $1 AND state = 'active' AND usename = 'stoa_app'", query
    ):
        pass


async def test_a_cancelled_statement_leaves_no_open_transaction(
    single: Database, root: asyncpg.Connection, tenant_id: TenantId
) -> None:
    async def work() -> None:
        async with single.tenant(tenant_id) as tx:
            await add(tx, "a.example")
            await tx.execute(LONG)

    task = asyncio.create_task(work())
    await _in_the_server(root, LONG)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await assert_clean(single, root)
    assert await domains(single, tenant_id) == []


async def test_a_second_cancellation_while_undoing_leaves_none_either(
    single: Database, root: asyncpg.Connection, tenant_id: TenantId
) -> None:
    async def work() -> None:
        async with single.tenant(tenant_id) as tx:
            await add(tx, "a.example")
            await tx.execute(LONG)

    task = asyncio.create_task(work())
    await _in_the_server(root, LONG)
    task.cancel()
    for _ in range(3):
        await asyncio.sleep(0)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await assert_clean(single, root)
    assert await domains(single, tenant_id) == []


async def test_a_cancellation_at_any_turn_of_the_loop_leaves_none(
    single: Database, root: asyncpg.Connection, tenant_id: TenantId
) -> None:
    """From before BEGIN to after COMMIT: the change is there wholly or not at all, and the connection is at rest."""
    ended: set[int] = set()

    async def work(turns: int) -> None:
        async with single.tenant(tenant_id) as tx:
            await add(tx, f"a{turns}.example")
            await add(tx, f"b{turns}.example")
        ended.add(turns)

    turns, step = 0, 1
    while not ended:
        task = asyncio.create_task(work(turns))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        await assert_clean(single, root)
        found = [name for name in await domains(single, tenant_id) if name[1:] == f"{turns}.example"]
        assert found in ([], [f"a{turns}.example", f"b{turns}.example"])
        assert bool(found) >= (turns in ended)
        turns, step = turns + step, max(step, turns // 8)


async def test_a_connection_that_is_lost_in_the_middle_undoes_all_and_is_replaced(
    single: Database, root: asyncpg.Connection, tenant_id: TenantId
) -> None:
    async def work() -> None:
        async with single.tenant(tenant_id) as tx:
            await add(tx, "a.example")
            async with tx.savepoint():
                await root.execute("SELECT pg_terminate_backend($1)", await tx.fetchval("SELECT pg_backend_pid()"))
                await add(tx, "b.example")

    with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError)):
        await work()
    await assert_clean(single, root)
    assert await domains(single, tenant_id) == []


async def test_the_platform_undoes_and_wakes_as_well(
    single: Database, root: asyncpg.Connection, tenant_id: TenantId
) -> None:
    with pytest.raises(LookupError):
        async with single.platform():
            raise LookupError
    await assert_clean(single, root, "platform")
    async with single.notifier.listening("platform.done") as bell:
        async with single.platform() as tx:
            tx.wake("platform.done")
            assert not bell.is_set()
        assert bell.is_set()


async def test_statements_at_once_leave_nothing_open_and_are_not_undone(
    single: Database, root: asyncpg.Connection
) -> None:
    async def fail() -> None:
        async with single.platform_at_once() as tx:
            tx.wake("platform.done")
            assert await tx.fetchval("SELECT count(*) FROM tenant_slug WHERE slug = 'nobody'") == 0
            await tx.fetch("SELECT none_such FROM tenant_slug")

    async with single.notifier.listening("platform.done") as bell:
        with pytest.raises(asyncpg.UndefinedColumnError):
            await fail()
        assert not bell.is_set()
        await assert_clean(single, root, "platform")
        async with single.platform_at_once() as tx:
            first = await tx.fetchval("SELECT now()")
            tx.wake("platform.done")
            assert await tx.fetchval("SELECT now()") > first
        assert bell.is_set()


async def test_a_connection_that_is_lost_at_once_is_told_and_replaced(
    single: Database, root: asyncpg.Connection
) -> None:
    async def work() -> None:
        async with single.platform_at_once() as tx:
            await root.execute("SELECT pg_terminate_backend($1)", await tx.fetchval("SELECT pg_backend_pid()"))
            await tx.fetchval("SELECT count(*) FROM tenant_slug")

    with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError)):
        await work()
    await assert_clean(single, root, "platform")


async def test_rows_for_staging_must_name_their_tenant_and_run(database: Database, tenant_id: TenantId) -> None:
    async with database.tenant(tenant_id, role="sync") as tx:
        with pytest.raises(ValueError, match="name their tenant and their run"):
            await tx.copy_to_stage("person_gone", ["tenant_id", "external_id"], b"")


async def test_with_one_plan_no_table_is_read_whole(database: Database, tenant_id: TenantId) -> None:
    # A plan may be made while a table is empty, and kept while it fills.
    asked = "SELECT current_setting('plan_cache_mode'), current_setting('enable_seqscan')"
    async with database.tenant(tenant_id, one_plan=True) as tx:
        assert tuple((await tx.fetch(asked))[0]) == ("force_generic_plan", "off")
    async with database.tenant(tenant_id) as tx:
        assert tuple((await tx.fetch(asked))[0]) == ("auto", "on")


async def test_what_is_to_come_first_does(database: Database, tenant_id: TenantId) -> None:
    async with database.tenant(tenant_id, first="SET LOCAL lock_timeout = 300", also="SELECT 1 WHERE true") as tx:
        assert tx.found
        assert await tx.fetchval("SELECT current_setting('lock_timeout')") == "300ms"


async def test_a_fresh_connection_reads_a_row_that_holds_ids(connect_args: ConnectArgs, tenant_id: TenantId) -> None:
    fresh = await open_database(connect_args, sizes={"app": 1})
    try:
        async with fresh.tenant(tenant_id) as tx:
            found = await tx.fetchval("SELECT ARRAY(SELECT ('title'::text, ARRAY[tenant_id]) FROM tenant)")
    finally:
        await fresh.close()
    assert [tuple(row) for row in found] == [("title", [tenant_id])]
