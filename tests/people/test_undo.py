"""Undo: names that moved on, people whom something else holds, runs that must not come back by themselves."""

from collections.abc import AsyncGenerator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from stoa.changes import queries as runs
from stoa.db import embedded
from stoa.db.database import Database, open_database
from stoa.kernel.ids import PersonId, RunId, SourceId, TenantId
from stoa.people import actions, queries
from stoa.people.model import Asserted, Changed, Provisioned, Record
from stoa.people.plan import redone

from ..conftest import ConnectArgs
from .making import due, plan, report, rollback, source, state, sync, worker


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 3, 10, 9, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def database(connect_args: ConnectArgs, clock: Clock) -> AsyncGenerator[Database]:
    opened = await open_database(connect_args, clock=clock)
    yield opened
    await opened.close()


@pytest.fixture
async def okta(database: Database, tenant_id: TenantId) -> SourceId:
    return await source(database, tenant_id, "idp", "Okta")


async def post(database: Database, tenant_id: TenantId, source_id: SourceId, name: str, **values: Any) -> Record:
    async with database.tenant(tenant_id) as tx:
        given = Asserted({"user_name": name, **values}, True, f"id-{name}", {"userName": name})
        made = await actions.provision(tx, source_id, given)
        assert isinstance(made, Provisioned)
        return made.record


async def rename(database: Database, tenant_id: TenantId, record: Record, name: str, **values: Any) -> None:
    async with database.tenant(tenant_id) as tx:
        found = await queries.record_by_resource(tx, record.source_id, record.resource_id, lock=True)
        assert found is not None
        given = Asserted({"user_name": name, **values}, True, record.scim_external_id, {"userName": name})
        assert isinstance(await actions.assert_record(tx, found, given), Changed)


async def window(database: Database, tenant_id: TenantId) -> RunId:
    async with database.tenant(tenant_id) as tx:
        return await tx.fetchval("SELECT run_id FROM run WHERE kind = 'scim_window' ORDER BY created_at DESC LIMIT 1")


async def conflicts(database: Database, tenant_id: TenantId, run_id: RunId) -> dict[str, str]:
    """Code of each conflict by the record's user name."""
    async with database.tenant(tenant_id) as tx:
        rows = await tx.fetch(
            """SELECT r.user_name, c.note->>'code' AS code FROM change c JOIN source_record r
            ON r.tenant_id = c.tenant_id AND r.source_id = c.source_id AND r.external_id = c.subject
            WHERE c.run_id = $1 AND c.state = 'conflict'""",
            run_id,
        )
        return {row["user_name"]: row["code"] for row in rows}


async def test_names_that_went_round_go_back(
    database: Database, tenant_id: TenantId, okta: SourceId, clock: Clock
) -> None:
    a, b, c = [await post(database, tenant_id, okta, name) for name in ("a", "b", "c")]
    before = await state(database, tenant_id)
    clock.now += timedelta(hours=1)
    await rename(database, tenant_id, a, "x")
    await rename(database, tenant_id, b, "a")
    await rename(database, tenant_id, c, "b")
    await rename(database, tenant_id, a, "c")
    run = await rollback(database, tenant_id, await window(database, tenant_id))
    assert run.figures["conflicts"] == 0
    assert await state(database, tenant_id) == before


async def test_a_name_that_went_to_a_deleted_users_successor_goes_back(
    database: Database, tenant_id: TenantId, okta: SourceId, clock: Clock
) -> None:
    a, b = [await post(database, tenant_id, okta, name) for name in ("a", "b")]
    before = await state(database, tenant_id)
    clock.now += timedelta(hours=1)
    async with database.tenant(tenant_id) as tx:
        await actions.remove_record(tx, a)
    await rename(database, tenant_id, b, "a")
    run = await rollback(database, tenant_id, await window(database, tenant_id))
    assert run.figures["conflicts"] == 0
    assert await state(database, tenant_id) == before


async def test_a_name_that_somebody_has_by_now_is_left_alone_and_so_is_who_waits_for_it(
    database: Database, tenant_id: TenantId, okta: SourceId, clock: Clock
) -> None:
    a, b = [await post(database, tenant_id, okta, name) for name in ("a", "b")]
    clock.now += timedelta(hours=1)
    await rename(database, tenant_id, a, "x")
    await rename(database, tenant_id, b, "a")
    undone = await window(database, tenant_id)
    clock.now += timedelta(hours=1)
    async with database.tenant(tenant_id) as tx:
        assert isinstance(await actions.provision(tx, okta, Asserted({"user_name": "B"}, True, "new", {})), Provisioned)
    run = await rollback(database, tenant_id, undone)
    # b is taken, so its old owner keeps the name a, so a's old owner stays x.
    assert await conflicts(database, tenant_id, run.run_id) == {"a": "user_name_taken", "x": "user_name_taken"}
    assert run.figures["conflicts"] == 2


async def test_a_deleted_users_last_names_come_back_with_the_undo_of_the_undo(
    database: Database, tenant_id: TenantId, okta: SourceId, clock: Clock
) -> None:
    a = await post(database, tenant_id, okta, "a")
    clock.now += timedelta(hours=1)
    await rename(database, tenant_id, a, "b")
    async with database.tenant(tenant_id) as tx:
        found = await queries.record_by_resource(tx, okta, a.resource_id, lock=True)
        assert found is not None
        await actions.remove_record(tx, found)
    after = await state(database, tenant_id)
    undone = await rollback(database, tenant_id, await window(database, tenant_id))
    assert undone.counts == {"reactivate": 1}
    await rollback(database, tenant_id, undone.run_id)
    assert await state(database, tenant_id) == after


async def test_what_came_to_nothing_within_the_hour_is_no_conflict(
    database: Database, tenant_id: TenantId, okta: SourceId, clock: Clock
) -> None:
    a = await post(database, tenant_id, okta, "a")
    before = await state(database, tenant_id)
    clock.now += timedelta(hours=1)
    async with database.tenant(tenant_id) as tx:
        await actions.remove_record(tx, a)
    await post(database, tenant_id, okta, "a")
    run = await rollback(database, tenant_id, await window(database, tenant_id))
    assert (run.counts, run.figures["conflicts"]) == ({}, 0)
    assert await state(database, tenant_id) == before


async def test_a_clients_id_that_somebody_has_by_now_is_left_alone(
    database: Database, tenant_id: TenantId, okta: SourceId, clock: Clock
) -> None:
    a = await post(database, tenant_id, okta, "a")
    clock.now += timedelta(hours=1)
    async with database.tenant(tenant_id) as tx:
        given = Asserted({"user_name": "a"}, True, "other", {"userName": "a"})
        assert isinstance(await actions.assert_record(tx, a, given), Changed)
    undone = await window(database, tenant_id)
    clock.now += timedelta(hours=1)
    async with database.tenant(tenant_id) as tx:
        taken = await actions.provision(tx, okta, Asserted({"user_name": "new"}, True, "id-a", {}))
        assert isinstance(taken, Provisioned)
    run = await rollback(database, tenant_id, undone)
    assert await conflicts(database, tenant_id, run.run_id) == {"a": "external_id_taken"}


async def test_a_report_may_name_one_user_twice(database: Database, tenant_id: TenantId) -> None:
    hr = await source(database, tenant_id)
    rows = [worker(1, user_name="ada"), worker(2, user_name="ADA")]
    assert (await sync(database, tenant_id, hr, report(rows))).counts == {"create": 2}


async def test_an_hour_can_be_undone_again_when_more_came_in_it(
    database: Database, tenant_id: TenantId, okta: SourceId
) -> None:
    before = await state(database, tenant_id)
    await post(database, tenant_id, okta, "a")
    await rollback(database, tenant_id, await window(database, tenant_id))
    await post(database, tenant_id, okta, "b")
    run = await rollback(database, tenant_id, await window(database, tenant_id))
    assert run.counts == {"remove": 1}
    assert await state(database, tenant_id) == before


async def test_a_person_whom_another_source_knows_stays(
    database: Database, tenant_id: TenantId, okta: SourceId
) -> None:
    hr = await source(database, tenant_id)
    run = await sync(database, tenant_id, hr, report([worker(0), worker(1), worker(2)]))
    linked = await post(database, tenant_id, okta, "a", employee_id="E00001")
    await rollback(database, tenant_id, run.run_id)
    async with database.tenant(tenant_id) as tx:
        people = await queries.persons_page(tx)
    assert [p.person_id for p in people] == [linked.person_id]
    # Nothing of what only the report said is left.
    assert (people[0].values["email"], people[0].values["employee_id"], people[0].manager_id) == (None, "E00001", None)


async def test_a_person_who_is_referred_to_stays_without_values_and_access(
    database: Database, tenant_id: TenantId, server: embedded.Server, database_url: str
) -> None:
    hr = await source(database, tenant_id)
    run = await sync(database, tenant_id, hr, report([worker(n) for n in range(5)]))
    async with database.tenant(tenant_id) as tx:
        ids = [p.person_id for p in await queries.persons_page(tx)]
        # One has taken another in, by a merge: that one is told apart by the id that is named.
        await tx.execute("UPDATE person SET merged_into = $1 WHERE person_id = $2", ids[1], ids[4])
        await tx.execute("UPDATE source_record SET person_id = $1 WHERE person_id = $2", ids[1], ids[4])
    admin = await asyncpg.connect(_as_admin(server.admin_dsn, database_url))
    try:
        await admin.execute(
            """CREATE TABLE keepsake (tenant_id uuid, person_id uuid,
            FOREIGN KEY (tenant_id, person_id) REFERENCES person (tenant_id, person_id))"""
        )
        await admin.execute("INSERT INTO keepsake VALUES ($1, $2)", tenant_id, ids[2])
        await rollback(database, tenant_id, run.run_id)
    finally:
        await admin.execute("DROP TABLE IF EXISTS keepsake")
        await admin.close()
    async with database.tenant(tenant_id) as tx:
        assert await tx.fetchval("SELECT count(*) FROM source_record") == 0
        assert {p.person_id for p in await queries.persons_page(tx)} == {ids[1], ids[2]}
        for person_id in ids[1], ids[2]:
            person = await queries.person_by_id(tx, person_id)
            assert person is not None
            assert (person.active, person.access_epoch, set(person.values.values())) == (False, 2, {None})


def _as_admin(admin_dsn: str, database_url: str) -> str:
    name = database_url.split("?")[0].rsplit("/", 1)[-1]
    return admin_dsn.replace("/postgres?", f"/{name}?")


async def test_a_person_who_comes_back_by_undo_of_undo_has_no_old_sessions(
    database: Database, tenant_id: TenantId
) -> None:
    hr = await source(database, tenant_id)
    run = await sync(database, tenant_id, hr, report([worker(1)]))
    async with database.tenant(tenant_id) as tx:
        person_id = PersonId((await queries.persons_page(tx))[0].person_id)
    undone = await rollback(database, tenant_id, run.run_id)
    await rollback(database, tenant_id, undone.run_id)
    async with database.tenant(tenant_id) as tx:
        person = await queries.person_by_id(tx, person_id)
        assert person is not None
        assert person.access_epoch > 1


async def test_a_hold_outlives_the_record_and_its_return(database: Database, tenant_id: TenantId) -> None:
    hr = await source(database, tenant_id)
    run = await sync(database, tenant_id, hr, report([worker(1, title="Chief")]))
    async with database.tenant(tenant_id) as tx:
        await tx.execute(
            """INSERT INTO hold
              (tenant_id, hold_id, resource_id, person_id, source_id, field, held_value, run_id, state, made_at)
            SELECT tenant_id, resource_id, resource_id, person_id, source_id, 'title', '"Engineer"', last_run,
              'held', $1
            FROM source_record""",
            tx.now,
        )
    undone = await rollback(database, tenant_id, run.run_id)
    await rollback(database, tenant_id, undone.run_id)
    async with database.tenant(tenant_id) as tx:
        assert [p.values["title"] for p in await queries.persons_page(tx)] == ["Engineer"]


async def test_what_was_undone_and_is_reported_again_is_noticed(database: Database, tenant_id: TenantId) -> None:
    hr = await source(database, tenant_id)
    rows = {n: worker(n, title="Engineer") for n in range(4)}
    await sync(database, tenant_id, hr, report(rows.values()))
    rows[1] |= {"title": "Chief"}
    rows[9] = worker(9)
    run = await sync(database, tenant_id, hr, report(rows.values()))
    await rollback(database, tenant_id, run.run_id)
    assert await _redone(database, tenant_id, hr, rows) == 2
    # Something else about the same people is news.
    rows[1] |= {"title": "Owner"}
    del rows[9]
    assert await _redone(database, tenant_id, hr, rows) == 0
    # Once another run has changed the record since, the old undo says nothing any more.
    await sync(database, tenant_id, hr, report(rows.values()))
    rows[1] |= {"title": "Chief"}
    assert await _redone(database, tenant_id, hr, rows) == 0


async def _redone(database: Database, tenant_id: TenantId, source_id: SourceId, rows: dict[int, Any]) -> int:
    run = await plan(database, tenant_id, source_id, report(rows.values()))
    async with database.tenant(tenant_id) as tx:
        n = await redone(tx, run)
        await runs.enter(tx, run, runs.RunState.REJECTED)
        return n


async def test_a_date_that_was_undone_is_still_due(database: Database, tenant_id: TenantId, clock: Clock) -> None:
    hr = await source(database, tenant_id)
    rows = [worker(1, termination_date=date(2026, 3, 10))]
    await sync(database, tenant_id, hr, report(rows))
    clock.now += timedelta(days=1)
    before = await state(database, tenant_id)
    run = await due(database, tenant_id, hr)
    assert run.counts == {"deactivate": 1}
    await rollback(database, tenant_id, run.run_id)
    assert await state(database, tenant_id) == before
    again = await plan(database, tenant_id, hr, report(rows))
    assert again.counts == {"deactivate": 1}
    async with database.tenant(tenant_id) as tx:
        assert await redone(tx, again) == 1
