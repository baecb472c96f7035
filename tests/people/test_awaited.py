"""Members who are not here yet and come in a later hour: each hour undone by itself, and what an undo leaves alone."""

import msgspec

from stoa.changes.rendering import render_changes
from stoa.events.catalogue import discover
from stoa.events.model import Event
from stoa.people.actions import provision
from stoa.people.groups_actions import make_group
from stoa.people.groups_admitting import admit
from stoa.people.groups_model import Delta, GroupAsserted, GroupMade, Replaced
from stoa.people.model import Asserted, Provisioned
from stoa.people.roles_model import Role

from .group_runs import codes, rollback, undo_since
from .pushing import Clock, Idp, clock, database, idp

__all__ = ["clock", "database", "idp"]


async def awaiting(idp: Idp, name: str) -> None:
    """A group that awaits one, and gives a role."""
    async with idp.database.tenant(idp.tenant_id) as tx:
        made = await make_group(tx, idp.source_id, GroupAsserted("Crew"), Replaced(frozenset({name})), awaits=True)
    assert isinstance(made, GroupMade)
    assert (made.group.member_count, made.group.awaited_count) == (0, 1)
    await idp.give(made.group, Role.AUTHOR)


async def come(idp: Idp, name: str) -> int:
    """Somebody of that external id, and into how many groups they came."""
    async with idp.database.tenant(idp.tenant_id) as tx:
        made = await provision(tx, idp.source_id, Asserted({"user_name": name}, True, scim_external_id=name))
        assert isinstance(made, Provisioned)
        idp.people.append(made.record.resource_id)
        idp.persons.append(made.record.person_id)
        first = await admit(tx, idp.source_id, made.record)
        assert await admit(tx, idp.source_id, made.record) == 0
    return first


async def test_who_came_is_awaited_again_when_that_hour_is_undone(idp: Idp, clock: Clock) -> None:
    await awaiting(idp, "e-1")
    before = await idp.state()
    clock.next_hour()
    assert await come(idp, "e-1") == 1
    after = await idp.state()
    assert list((await idp.roles()).values()) == [{"author"}]
    undone = await rollback(idp.database, idp.tenant_id, await idp.window())
    assert await codes(idp.database, idp.tenant_id, undone.run_id) == {}
    assert await idp.state() == before
    clock.next_hour()
    await rollback(idp.database, idp.tenant_id, undone.run_id)
    assert await idp.state() == after


async def test_an_hour_of_waiting_is_left_alone_once_they_have_come(idp: Idp, clock: Clock) -> None:
    await awaiting(idp, "e-1")
    first = await idp.window()
    clock.next_hour()
    await come(idp, "e-1")
    after = await idp.state()
    undone = await rollback(idp.database, idp.tenant_id, first)
    assert await codes(idp.database, idp.tenant_id, undone.run_id) == {"awaited_is_gone": 1, "group_has_members": 1}
    assert await idp.state() == after


async def test_waiting_and_coming_are_undone_together(idp: Idp, clock: Clock) -> None:
    group = await idp.make("Plain", 0)
    before = await idp.state()
    clock.next_hour()
    since = clock.now
    await awaiting(idp, "e-1")
    await idp.add(group, 1)
    await come(idp, "e-1")
    run = await undo_since(idp.database, idp.tenant_id, idp.source_id, since)
    assert run.figures["conflicts"] == 0
    assert await idp.state() == before


async def test_events_tell_of_the_waiting_and_of_its_end(idp: Idp) -> None:
    await awaiting(idp, "e-1")
    await come(idp, "e-1")
    async with idp.database.tenant(idp.tenant_id) as tx:
        entries = await tx.fetch(
            """SELECT e.run_id, e.ord_from, e.ord_to, e.n FROM entry e JOIN run r USING (tenant_id, run_id)
            WHERE r.target = 'group' AND e.ord_from IS NOT NULL ORDER BY e.entry_no"""
        )
        told: list[Event] = []
        for row in entries:
            events = await render_changes(tx, row["run_id"], row["ord_from"], row["ord_to"], 0, 100)
            assert len(events) == row["n"]
            told += events
    assert [(one.type, one.body["reason"]) for one in told] == [
        ("group.created", "new_group"),
        ("group.member_awaited", "member_awaited"),
        ("group.member_added", "member_added"),
        ("group.member_not_awaited", "awaited_came"),
    ]
    assert told[1].subject == told[3].subject == told[0].subject
    assert told[1].body["after"]["awaited"] == told[3].body["before"]["awaited"] == "e-1"
    for one in told:
        msgspec.convert(one.body, discover()[one.type].body)


async def test_a_group_that_awaits_others_since_stays(idp: Idp, clock: Clock) -> None:
    group = await idp.make("Crew")
    first = await idp.window()
    clock.next_hour()
    async with idp.database.tenant(idp.tenant_id) as tx:
        again = await make_group(tx, idp.source_id, GroupAsserted("Other"), Replaced(frozenset({"e-1"})), awaits=True)
        assert isinstance(again, GroupMade)
    await idp.change_awaiting(group, Delta(add=frozenset({"e-2"})))
    undone = await rollback(idp.database, idp.tenant_id, first)
    assert await codes(idp.database, idp.tenant_id, undone.run_id) == {"group_has_members": 1}
