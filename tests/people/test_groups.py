"""Groups and who is in them: changed, undone, told of."""

from datetime import timedelta
from typing import Any

from stoa.changes.model import RunState
from stoa.changes.rendering import render_changes
from stoa.kernel.ids import GroupId
from stoa.people import actions as people
from stoa.people.groups_actions import make_group
from stoa.people.groups_model import (
    Delta,
    GroupAsserted,
    GroupUnchanged,
    Replaced,
    UnknownMembers,
)
from stoa.people.groups_queries import group_by_id, groups_of
from stoa.people.queries import record_by_resource
from stoa.people.roles_model import Role

from .group_runs import rollback, undo_since
from .making import rollback as rollback_people
from .making import source
from .pushing import Clock, Idp, clock, database, idp

__all__ = ["clock", "database", "idp"]


async def test_what_an_hour_did_goes_back_with_its_roles_and_comes_again(idp: Idp, clock: Clock) -> None:
    stays, goes, renamed = await idp.make("Stays", 0, 1), await idp.make("Goes", 1, 2), await idp.make("Old name", 3)
    await idp.give(goes, Role.AUTHOR)
    await idp.give(stays, Role.REPORTER)
    before = await idp.state()
    clock.next_hour()
    await idp.make("New", 0, 4)
    await idp.add(stays, 2, 3)
    await idp.remove(stays, 0)
    await idp.delete(goes)
    await idp.change(renamed, Replaced(idp.ids(4, 5)), name="Goes")
    after = await idp.state()
    assert await idp.roles() == {1: {"reporter"}, 2: {"reporter"}, 3: {"reporter"}}
    undone = await rollback(idp.database, idp.tenant_id, await idp.window(), batch_rows=3)
    assert await idp.state() == before
    assert undone.figures["conflicts"] == 0
    assert await idp.roles() == {0: {"reporter"}, 1: {"reporter", "author"}, 2: {"author"}}
    clock.next_hour()
    await idp.undo(undone.run_id)
    assert await idp.state() == after


async def test_what_came_to_nothing_within_the_hour_needs_no_undoing(idp: Idp, clock: Clock) -> None:
    group = await idp.make("Team", 0)
    clock.next_hour()
    passing = await idp.make("Passing", 1)
    await idp.delete(passing)
    await idp.add(group, 1)
    await idp.remove(group, 1)
    await idp.change(group, name="Crew")
    await idp.change(group, name="Team")
    run = await rollback(idp.database, idp.tenant_id, await idp.window())
    assert run.counts == {}


async def test_what_was_changed_since_is_listed_and_left_alone(idp: Idp, clock: Clock) -> None:
    group, other = await idp.make("Team", 0), await idp.make("Other")
    clock.next_hour()
    hour = await idp.make("Of this hour", 0)
    await idp.add(group, 1, 2)
    await idp.remove(group, 0)
    await idp.change(other, name="Another")
    undone = await idp.window()
    clock.next_hour()
    await idp.add(hour, 3)
    await idp.remove(group, 1)
    await idp.add(group, 0)
    await idp.change(other, name="Yet another")
    taken = await idp.make("Other")
    before = await idp.state()
    found = await idp.undo(undone)
    assert found == {"membership_is_gone": 1, "membership_exists": 1, "changed_since": 1, "group_has_members": 1}
    after = await idp.state()
    assert [one["display_name"] for one in after["groups"]] == [one["display_name"] for one in before["groups"]]
    assert await idp.members(group) == [0]
    assert await idp.members(hour) == [3]
    assert taken.present


async def test_names_that_went_round_go_back_and_one_that_is_taken_does_not(idp: Idp, clock: Clock) -> None:
    a, b, c = [await idp.make(name) for name in ("A", "B", "C")]
    before = await idp.state()
    clock.next_hour()
    await idp.change(a, name="X")
    await idp.change(b, name="A")
    await idp.change(c, name="B")
    await idp.change(a, name="C")
    undone = await idp.window()
    assert await idp.undo(undone) == {}
    assert await idp.state() == before
    clock.next_hour()
    await idp.change(a, name="Z")
    undone = await idp.window()
    clock.next_hour()
    await idp.make("a")
    assert await idp.undo(undone) == {"group_name_taken": 1}


async def test_since_a_moment_is_as_it_was_at_the_moment(idp: Idp, clock: Clock) -> None:
    group = await idp.make("Team", 0, 1)
    before, since = await idp.state(), clock.now + timedelta(minutes=1)
    clock.now = since
    await idp.add(group, 2)
    clock.next_hour()
    await idp.change(group, Replaced(idp.ids(4)), name="Crew")
    clock.next_hour()
    await idp.delete(group)
    run = await undo_since(idp.database, idp.tenant_id, idp.source_id, since)
    assert (run.state, run.figures["conflicts"]) == (RunState.APPLIED, 0)
    assert await idp.state() == before


async def test_who_is_deleted_leaves_and_who_is_inactive_stays(idp: Idp, clock: Clock) -> None:
    group, other = await idp.make("Team", 0, 1, 2), await idp.make("Other", 1)
    await idp.give(group, Role.AUTHOR)
    clock.next_hour()
    async with idp.database.tenant(idp.tenant_id) as tx:
        found = await record_by_resource(tx, idp.source_id, idp.people[1], lock=True)
        assert found is not None
        await people.remove_record(tx, found)
    assert await idp.members(group) == [0, 2]
    assert await idp.members(other) == []
    assert await idp.roles() == {0: {"author"}, 2: {"author"}}
    async with idp.database.tenant(idp.tenant_id) as tx:
        assert {one["member_count"] for one in await tx.fetch("SELECT member_count FROM person_group")} == {2, 0}
        undone = await tx.fetchval(
            "SELECT run_id FROM run WHERE target = 'person' AND kind = 'scim_window' ORDER BY created_at DESC LIMIT 1"
        )
    await rollback_people(idp.database, idp.tenant_id, undone)
    assert await idp.undo(await idp.window()) == {}
    assert await idp.members(group) == [0, 1, 2]
    assert await idp.roles() == {number: {"author"} for number in (0, 1, 2)}


async def test_whose_making_is_undone_leaves_the_groups(idp: Idp, clock: Clock) -> None:
    group = await idp.make("Team", 0)
    clock.next_hour()
    await idp.hire(1)
    await idp.add(group, 6)
    async with idp.database.tenant(idp.tenant_id) as tx:
        undone = await tx.fetchval(
            "SELECT run_id FROM run WHERE target = 'person' AND kind = 'scim_window' ORDER BY created_at DESC LIMIT 1"
        )
    await rollback_people(idp.database, idp.tenant_id, undone)
    assert await idp.members(group) == [0]
    async with idp.database.tenant(idp.tenant_id) as tx:
        found = await group_by_id(tx, idp.source_id, group.group_id)
        assert found is not None
        assert found.member_count == 1


async def test_unknown_members_are_named_and_nothing_is_written(idp: Idp, make_tenant: Any) -> None:
    other = Idp(idp.database, await make_tenant(), idp.source_id)
    other.source_id = await source(idp.database, other.tenant_id, "idp", "Okta")
    await other.hire(1)
    group = await idp.make("Team", 0)
    before = await idp.state()
    strangers = {other.people[0], group.group_id}
    outcome = await idp.change(group, Delta(idp.ids(1) | strangers), name="Crew")
    assert isinstance(outcome, UnknownMembers)
    assert (set(outcome.ids), outcome.groups) == (strangers, {group.group_id})
    async with idp.database.tenant(idp.tenant_id) as tx:
        made = await make_group(tx, idp.source_id, GroupAsserted("New"), Replaced(frozenset({other.people[0]})))
        assert isinstance(made, UnknownMembers)
    assert await idp.state() == before
    async with idp.database.tenant(other.tenant_id) as tx:
        assert await group_by_id(tx, other.source_id, group.group_id) is None
        assert await groups_of(tx, idp.people) == {}


async def test_events_tell_of_each_change_that_took_effect(idp: Idp, clock: Clock) -> None:
    group = await idp.make("Team", 0)
    await idp.add(group, 1)
    await idp.change(group, Delta(remove=idp.ids(0)), name="Crew")
    await idp.delete(group)
    async with idp.database.tenant(idp.tenant_id) as tx:
        entries = await tx.fetch(
            """SELECT e.run_id, e.ord_from, e.ord_to, e.n FROM entry e JOIN run r USING (tenant_id, run_id)
            WHERE r.target = 'group' ORDER BY e.entry_no"""
        )
        told: list[Any] = []
        for row in entries:
            events = await render_changes(tx, row["run_id"], row["ord_from"], row["ord_to"], 0, 100)
            assert len(events) == row["n"]
            told += events
    subject = f"group:{group.group_id}"
    assert [(event.type, event.subject) for event in told] == [
        ("group.created", subject),
        ("group.member_added", str(idp.persons[0])),
        ("group.member_added", str(idp.persons[1])),
        ("group.updated", subject),
        ("group.member_removed", str(idp.persons[0])),
        ("group.member_removed", str(idp.persons[1])),
        ("group.removed", subject),
    ]
    assert told[3].body["before"] == {"display_name": "Team"}
    assert told[3].body["after"] == {"display_name": "Crew"}
    assert told[4].body["before"] == {"group_id": str(group.group_id), "display_name": "Crew"}


async def test_a_deleted_group_comes_back_under_its_id(idp: Idp) -> None:
    group = await idp.make("Team", 0, external_id="00g1")
    assert isinstance(await idp.change(group, Delta(idp.ids(0))), GroupUnchanged)
    await idp.delete(group)
    by_name = await idp.make("team", 1)
    assert by_name.group_id == group.group_id
    await idp.delete(by_name)
    other = await idp.make("Other", external_id="00g2")
    await idp.delete(other)
    again = await idp.make("Quite another", 2, external_id="00g2")
    assert GroupId(again.group_id) == other.group_id
    assert await idp.members(again) == [2]
