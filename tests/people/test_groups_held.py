"""What is held of groups: said at once, in force once it is approved, gone if it is rejected."""

import asyncio
from datetime import timedelta

import pytest

from stoa.changes import actions as runs
from stoa.changes import queries
from stoa.changes.model import NewRun, RunKind, RunState
from stoa.kernel.ids import RunId
from stoa.people import actions as people
from stoa.people.groups_model import Delta, GroupChanged, GroupUnchanged
from stoa.people.groups_target import Groups
from stoa.people.guard_rules import Guard, GuardKind
from stoa.people.model import Changed
from stoa.people.queries import record_by_resource
from stoa.people.roles import settle_roles
from stoa.people.roles_model import Role
from stoa.people.target import People

from .group_runs import apply, codes, rollback, undo_since
from .making import apply as apply_people
from .making import rollback as rollback_people
from .pushing import Clock, Idp, clock, database, idp

__all__ = ["clock", "database", "idp"]


STRICT = Guard(absolute=0, percent=0, floor=0)


async def held_run(idp: Idp) -> RunId:
    async with idp.database.tenant(idp.tenant_id) as tx:
        return await tx.fetchval(
            "SELECT run_id FROM run WHERE kind = 'scim_hold' AND target = 'group' AND state = 'held'"
        )


async def decide(idp: Idp, run_id: RunId, *, approve: bool) -> None:
    async with idp.database.tenant(idp.tenant_id) as tx:
        run = await (runs.approve if approve else runs.reject)(tx, run_id)
        back = None if approve else await runs.open_rollback(tx, run_id)
    if approve:
        await apply(idp.database, idp.tenant_id, run)
    else:
        assert back is not None
        async with idp.database.tenant(idp.tenant_id) as tx:
            await tx.execute("UPDATE run SET state = 'errored' WHERE run_id = $1", back.run_id)
        await rollback(idp.database, idp.tenant_id, run_id)


@pytest.mark.parametrize("approve", [True, False])
async def test_what_is_held_is_said_and_counts_once_it_is_approved(idp: Idp, clock: Clock, approve: bool) -> None:
    group = await idp.make("Team", 0, 1, 2)
    await idp.give(group, Role.AUTHOR)
    standing = await idp.state()
    await idp.guard(GuardKind.EMPTY_GROUP, STRICT)
    await idp.guard(GuardKind.GRANT_ROLE, STRICT)
    clock.next_hour()
    outcomes = [await idp.change(group, Delta(idp.ids(3, 4), idp.ids(0, 1))) for _ in range(2)]
    assert [type(one) for one in outcomes] == [GroupChanged, GroupUnchanged]
    assert await idp.members(group) == [2, 3, 4]
    assert await idp.roles() == {number: {"author"} for number in (0, 1, 2)}
    # What the client takes back before anybody has decided waits no longer.
    await idp.add(group, 0)
    await idp.remove(group, 4)
    run_id = await held_run(idp)
    await decide(idp, run_id, approve=approve)
    async with idp.database.tenant(idp.tenant_id) as tx:
        assert not await tx.fetchval("SELECT count(*) FROM group_member WHERE held_run IS NOT NULL")
        assert not await tx.fetchval("SELECT count(*) FROM group_member WHERE asserted <> in_force")
    if approve:
        assert await idp.members(group) == [0, 2, 3]
        assert await idp.roles() == {number: {"author"} for number in (0, 2, 3)}
    else:
        assert await idp.state() == standing


@pytest.mark.parametrize("approve", [True, False])
async def test_who_waits_goes_or_stays_with_a_group_that_was_deleted(idp: Idp, clock: Clock, approve: bool) -> None:
    group = await idp.make("Team", 0, 1, 2)
    await idp.change_awaiting(group, Delta(frozenset({"e-1", "e-2"})))
    await idp.give(group, Role.AUTHOR)
    standing = await idp.state()
    await idp.guard(GuardKind.EMPTY_GROUP, STRICT)
    clock.next_hour()
    await idp.remove(group, 0)
    assert (await idp.delete(group)).held == await held_run(idp)
    assert await idp.roles() == {number: {"author"} for number in (0, 1, 2)}
    await decide(idp, await held_run(idp), approve=approve)
    assert await idp.state() == ({"groups": [], "awaited": [], "members": [], "roles": []} if approve else standing)
    # What was rejected is undone already, and what was approved is undone with the hour.
    again = await undo_since(idp.database, idp.tenant_id, idp.source_id, clock.now)
    assert bool(again.counts) is approve
    assert await codes(idp.database, idp.tenant_id, again.run_id) == {}
    assert await idp.state() == standing


async def test_nobody_waits_for_a_run_that_was_rejected(idp: Idp) -> None:
    group = await idp.make("Team", 0, 1)
    await idp.give(group, Role.AUTHOR)
    await idp.guard(GuardKind.EMPTY_GROUP, STRICT)
    await idp.delete(group)
    # The group cannot come back: another has taken its name.
    await idp.change(await idp.make("Crew"), name="Team")
    await decide(idp, await held_run(idp), approve=False)
    assert await idp.roles() == {}
    assert not (await idp.state())["members"]


async def test_both_admins_of_one_run_are_the_last(idp: Idp) -> None:
    group = await idp.make("Admins", 0, 1, 2, 3)
    await idp.give(group, Role.ADMIN)
    await idp.guard(GuardKind.EMPTY_GROUP, STRICT)
    await idp.guard(GuardKind.DEACTIVATE, STRICT)
    # Nobody of them has lost anything, but all may by one word.
    for number in (0, 1):
        await idp.remove(group, number)
    for number in (2, 3):
        async with idp.database.tenant(idp.tenant_id) as tx:
            found = await record_by_resource(tx, idp.source_id, idp.people[number], lock=True)
            assert found is not None
            await people.remove_record(tx, found)
    async with idp.database.tenant(idp.tenant_id) as tx:
        rows = await tx.fetch("SELECT reasons FROM run WHERE kind = 'scim_hold' ORDER BY target")
    assert [[reason["code"] for reason in row["reasons"]] for row in rows] == [
        ["memberships_over_threshold"],
        ["deactivate_over_threshold", "last_admin"],
    ]
    assert len(await idp.roles()) == 4


async def test_a_run_whose_all_was_taken_back_ends_and_a_deleted_user_waits_nowhere(idp: Idp) -> None:
    group = await idp.make("Team", 0, 1)
    await idp.guard(GuardKind.EMPTY_GROUP, STRICT)
    outcome = await idp.remove(group, 0, 1)
    assert outcome.held == await held_run(idp)
    await idp.add(group, 0)
    async with idp.database.tenant(idp.tenant_id) as tx:
        found = await record_by_resource(tx, idp.source_id, idp.people[1], lock=True)
        assert found is not None
        await people.remove_record(tx, found)
        run = await queries.run_by_id(tx, outcome.held)
        assert run.state is RunState.STALE
        assert await tx.fetchval("SELECT count(*) FROM group_member") == 1


@pytest.mark.parametrize("approve", [True, False])
async def test_whose_deletion_waits_stays_in_the_groups_until_it_is_approved(idp: Idp, approve: bool) -> None:
    group = await idp.make("Team", 0, 1)
    await idp.give(group, Role.AUTHOR)
    await idp.guard(GuardKind.DEACTIVATE, STRICT)
    async with idp.database.tenant(idp.tenant_id) as tx:
        found = await record_by_resource(tx, idp.source_id, idp.people[0], lock=True)
        assert found is not None
        outcome = await people.remove_record(tx, found)
        assert isinstance(outcome, Changed)
        assert outcome.held is not None
        assert await tx.fetchval("SELECT count(*) FROM group_member") == 2
    assert await idp.members(group) == [1]
    async with idp.database.tenant(idp.tenant_id) as tx:
        run = await (runs.approve if approve else runs.reject)(tx, outcome.held)
        if not approve:
            back = await runs.open_rollback(tx, outcome.held)
            assert back is not None
            await tx.execute("UPDATE run SET state = 'errored' WHERE run_id = $1", back.run_id)
    if approve:
        await apply_people(idp.database, idp.tenant_id, run)
    else:
        await rollback_people(idp.database, idp.tenant_id, outcome.held)
    left = [1] if approve else [0, 1]
    assert await idp.members(group) == left
    assert await idp.roles() == {number: {"author"} for number in left}
    async with idp.database.tenant(idp.tenant_id) as tx:
        assert await tx.fetchval("SELECT count(*) FROM group_member") == len(left)


async def test_the_last_admin_stays_one_until_somebody_has_decided(idp: Idp) -> None:
    group = await idp.make("Admins", 0, 1)
    await idp.give(group, Role.ADMIN)
    assert (await idp.remove(group, 0)).held is None
    assert (await idp.remove(group, 1)).held is not None
    assert await idp.roles() == {1: {"admin"}}
    assert (await idp.delete(group)).held is None
    async with idp.database.tenant(idp.tenant_id) as tx:
        await settle_roles(tx, idp.persons, None)
    assert await idp.roles() == {1: {"admin"}}


async def test_undoing_the_group_of_the_last_admins_is_doubted(idp: Idp, clock: Clock) -> None:
    await idp.give(await idp.make("Others", 1), Role.ADMIN)
    clock.next_hour()
    await idp.give(await idp.make("Admins", 0, 1), Role.ADMIN)
    window = await idp.window()

    async def doubted() -> list[str]:
        async with idp.database.tenant(idp.tenant_id) as tx:
            undone = await queries.run_by_id(tx, window)
            run = await queries.insert_run(tx, NewRun(RunKind.ROLLBACK, "group", idp.source_id, of_run=window))
            run = await queries.enter(tx, run, RunState.PLANNING)
            await Groups().plan_rollback(tx, run, undone)
            found = [reason.code for reason in await People().doubts(tx, run, "Somebody")]
            await queries.enter(tx, run, RunState.ERRORED)
            return found

    assert await doubted() == []
    async with idp.database.tenant(idp.tenant_id) as tx:
        await tx.execute("UPDATE person SET active = false WHERE person_id = $1", idp.persons[1])
    assert await doubted() == ["last_admin"]


async def test_who_comes_while_somebody_approves_is_counted_after_it(idp: Idp, clock: Clock) -> None:
    await idp.guard(GuardKind.DEACTIVATE, Guard(absolute=1, percent=100, floor=0))

    async def remove(number: int) -> RunId | None:
        async with idp.database.tenant(idp.tenant_id) as tx:
            found = await record_by_resource(tx, idp.source_id, idp.people[number], lock=True)
            assert found is not None
            outcome = await people.remove_record(tx, found)
            assert isinstance(outcome, Changed)
            return outcome.held

    assert await remove(0) is None
    held = await remove(1)
    assert held is not None
    clock.now += timedelta(minutes=1)
    async with idp.database.tenant(idp.tenant_id) as tx:
        await runs.approve(tx, held)
        coming = asyncio.create_task(remove(2))
        await waits_for_a_lock(idp)
    # What was approved is not counted again.
    assert await coming is None


async def waits_for_a_lock(idp: Idp) -> None:
    async with idp.database.tenant(idp.tenant_id) as tx:
        while not await tx.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):
            pass
