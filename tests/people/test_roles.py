"""Roles that follow from groups: the rule itself, the statement that must give the same, and changes of rules."""

from dataclasses import replace
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stoa.changes.rendering import render_changes
from stoa.db.database import Database
from stoa.db.transactions import TenantTx
from stoa.events.model import StoredEvent
from stoa.events.queries import read_events
from stoa.kernel.ids import GroupId, PersonId, TenantId, new_id
from stoa.people.roles import settle_roles
from stoa.people.roles_actions import NoAdminLeft, RuleExists, add_rule, remove_rule
from stoa.people.roles_model import AddRule, RemoveRule, Role, RuleChange
from stoa.people.roles_preview import GroupIsGone, NoSuchGroup, preview
from stoa.people.roles_queries import NoSuchRule, belonging, is_admin, other_admins, role_map
from stoa.people.roles_rules import Membership, roles_of

from ..conftest import MakeTenant
from .conftest import EXAMPLES, World
from .grouping import make_group, make_person, put_in, roles_in, take_out
from .making import source

A, B = GroupId(UUID(int=1)), GroupId(UUID(int=2))
IN_A, IN_B = Membership(A, True), Membership(B, True)
RULES = {A: {Role.ADMIN, Role.AUTHOR}, B: {Role.AUTHOR}}


@pytest.mark.parametrize(
    ("memberships", "has"),
    [
        ([], set[Role]()),
        ([IN_A], {Role.ADMIN, Role.AUTHOR}),
        ([IN_B], {Role.AUTHOR}),
        ([IN_A, IN_B, IN_B], {Role.ADMIN, Role.AUTHOR}),
        ([replace(IN_A, in_force=False), IN_B], {Role.AUTHOR}),
        ([Membership(GroupId(UUID(int=3)), True)], set[Role]()),
    ],
)
def test_a_person_has_what_any_group_that_counts_gives(memberships: list[Membership], has: set[Role]) -> None:
    assert roles_of(memberships, RULES) == has


async def told(database: Database, tenant_id: TenantId, prefix: str) -> list[StoredEvent]:
    """Events of a kind, in order."""
    async with database.tenant(tenant_id) as tx:
        found = await read_events(tx, 0, 1_000, render_changes)
    return [one for one in found if one.type.startswith(prefix)]


async def epochs(tx: TenantTx) -> dict[Any, int]:
    return {
        row["person_id"]: row["access_epoch"] for row in await tx.fetch("SELECT person_id, access_epoch FROM person")
    }


async def test_rules_are_made_and_removed_with_what_follows(database: Database, tenant_id: TenantId) -> None:
    okta = await source(database, tenant_id, "idp", "Okta")
    async with database.tenant(tenant_id) as tx:
        (ada, ada_id), (bob, bob_id) = (
            await make_person(tx, okta, "ada"),
            await make_person(tx, okta, "bob", active=False),
        )
        authors = await make_group(tx, okta, "Authors", [ada, bob])
        staff = await make_group(tx, okta, "Staff", [ada])
        before = await epochs(tx)
        rule = await add_rule(tx, authors, Role.AUTHOR)
        assert await roles_in(tx) == {ada_id: {"author"}, bob_id: {"author"}}
        assert await epochs(tx) == {person_id: epoch + 1 for person_id, epoch in before.items()}
        with pytest.raises(RuleExists):
            await add_rule(tx, authors, Role.AUTHOR)
        await add_rule(tx, staff, Role.AUTHOR)
    assert [(one.type, one.body["gains"]) for one in await told(database, tenant_id, "role_rule.")] == [
        ("role_rule.added", 2),
        ("role_rule.added", 0),
    ]
    async with database.tenant(tenant_id) as tx:
        assert (await preview(tx, RemoveRule(rule.rule_id))).loses[0].person_id == bob_id
        removed = await remove_rule(tx, rule.rule_id)
        assert (removed.group_name, removed.source_name, removed.role) == ("Authors", "Okta", Role.AUTHOR)
        # Another group still gives it to Ada; and nothing is told of her, or of anybody twice.
        assert await roles_in(tx) == {ada_id: {"author"}}
        await settle_roles(tx, [ada_id, bob_id, PersonId(new_id())], None)
        (role,) = (await belonging(tx, ada_id)).roles
        assert [one.name for one in role.groups] == ["Staff"]
        with pytest.raises(NoSuchRule):
            await remove_rule(tx, rule.rule_id)
    last = (await told(database, tenant_id, "person.roles_changed"))[-1]
    assert (last.subject, last.body["before"], last.body["after"]) == (
        str(bob_id),
        {"roles": ["author"]},
        {"roles": []},
    )
    assert len(await told(database, tenant_id, "person.roles_changed")) == 3


async def test_what_is_no_group_of_this_tenant_gives_nothing(
    database: Database, tenant_id: TenantId, make_tenant: MakeTenant
) -> None:
    okta = await source(database, tenant_id, "idp", "Okta")
    async with database.tenant(tenant_id) as tx:
        group = await make_group(tx, okta, "Authors")
        gone = await make_group(tx, okta, "Gone", present=False)
        rule = await add_rule(tx, group, Role.ADMIN)
        with pytest.raises(GroupIsGone):
            await add_rule(tx, gone, Role.ADMIN)
    async with database.tenant(await make_tenant()) as tx:
        for change in (AddRule(group, Role.AUTHOR), RemoveRule(rule.rule_id)):
            with pytest.raises((NoSuchGroup, NoSuchRule)):
                await preview(tx, change)
        with pytest.raises(NoSuchGroup):
            await add_rule(tx, group, Role.AUTHOR)
        with pytest.raises(NoSuchRule):
            await remove_rule(tx, rule.rule_id)


async def test_the_last_active_admin_stays(database: Database, tenant_id: TenantId) -> None:
    okta = await source(database, tenant_id, "idp", "Okta")
    async with database.tenant(tenant_id) as tx:
        (ada, ada_id), (bob, bob_id) = (
            await make_person(tx, okta, "ada"),
            await make_person(tx, okta, "bob", active=False),
        )
        admins = await make_group(tx, okta, "Admins", [ada, bob])
        rule = await add_rule(tx, admins, Role.ADMIN)
        # Bob has the role and no access.
        assert not await other_admins(tx, ada_id)
        assert await other_admins(tx, bob_id)
        assert (await is_admin(tx, ada_id), await is_admin(tx, bob_id)) == (True, False)
        shown = await preview(tx, RemoveRule(rule.rule_id))
        assert shown.refusal is not None
        assert (shown.counts.members, shown.counts.loses) == (2, 2)
    with pytest.raises(NoAdminLeft):
        async with database.tenant(tenant_id) as tx:
            await remove_rule(tx, rule.rule_id)
    async with database.tenant(tenant_id) as tx:
        assert (await roles_in(tx))[ada_id] == {"admin"}
        others = await make_group(tx, okta, "Others", [ada])
        await add_rule(tx, others, Role.ADMIN)
        assert (await preview(tx, RemoveRule(rule.rule_id))).refusal is None
        await remove_rule(tx, rule.rule_id)
        assert await roles_in(tx) == {ada_id: {"admin"}}


async def test_a_tenant_without_active_admins_may_remove_the_rule(database: Database, tenant_id: TenantId) -> None:
    okta = await source(database, tenant_id, "idp", "Okta")
    async with database.tenant(tenant_id) as tx:
        bob, _ = await make_person(tx, okta, "bob", active=False)
        rule = await add_rule(tx, await make_group(tx, okta, "Admins", [bob]), Role.ADMIN)
        await remove_rule(tx, rule.rule_id)
        assert await roles_in(tx) == {}


# ------------------------------------------------------------------ as the definition says, whatever happens


class Steps:
    """Random groups, memberships and rules of one tenant."""

    def __init__(self, tx: TenantTx, chance: Random) -> None:
        self.tx, self.chance = tx, chance
        self.groups: list[GroupId] = []
        self.people: list[tuple[UUID, PersonId]] = []

    async def begin(self, sources: list[Any]) -> None:
        for n in range(6):
            self.people.append(await make_person(self.tx, self.chance.choice(sources), f"p{n}", active=n > 1))
        for n in range(4):
            self.groups.append(await make_group(self.tx, sources[0], f"G{n}", present=n > 0))

    async def step(self) -> None:
        """Something happens to groups, and everybody whom it is about is settled."""
        tx, chance = self.tx, self.chance
        group, (record, person_id) = chance.choice(self.groups), chance.choice(self.people)
        match chance.randrange(4):
            case 0:
                await put_in(tx, group, [record], asserted=True, in_force=chance.random() < 0.8)
            case 1:
                await take_out(tx, group, [record])
            case 2:
                # A merge, or a split: the record is somebody else's.
                other = chance.choice(self.people)[1]
                await tx.execute("UPDATE source_record SET person_id = $2 WHERE resource_id = $1", record, other)
            case _:
                there = chance.random() < 0.7
                await tx.execute("UPDATE source_record SET present = $2 WHERE resource_id = $1", record, there)
        await settle_roles(tx, [person_id, *(one for _, one in self.people)], None)

    async def change(self) -> RuleChange | None:
        """A change of rules that is possible."""
        rules = await role_map(self.tx)
        if rules and self.chance.random() < 0.4:
            return RemoveRule(self.chance.choice(rules).rule.rule_id)
        taken = {(line.rule.group_id, line.rule.role) for line in rules}
        free = [(group, role) for group in self.groups[1:] for role in Role if (group, role) not in taken]
        return AddRule(*self.chance.choice(free)) if free else None

    async def defined(self) -> dict[Any, set[str]]:
        """Everybody's roles by the definition."""
        rules: dict[GroupId, set[Role]] = {}
        for line in await role_map(self.tx):
            rules.setdefault(line.rule.group_id, set()).add(line.rule.role)
        rows = await self.tx.fetch(
            "SELECT r.person_id, m.group_id, m.in_force FROM group_member m JOIN source_record r USING (resource_id)"
        )
        mine: dict[Any, list[Membership]] = {}
        for row in rows:
            mine.setdefault(row["person_id"], []).append(Membership(row["group_id"], row["in_force"]))
        found = {person_id: {str(role) for role in roles_of(these, rules)} for person_id, these in mine.items()}
        return {person_id: has for person_id, has in found.items() if has}


@given(seed=st.integers(0, 2**32))
@settings(max_examples=EXAMPLES)
def test_the_statement_is_the_definition_and_the_dry_run_what_happens(world: World, seed: int) -> None:
    tenant_id = world.run(world.tenant())

    async def story() -> None:
        sources = [await source(world.database, tenant_id, "idp", name) for name in ("Okta", "Entra")]
        async with world.database.tenant(tenant_id) as tx:
            steps = Steps(tx, Random(seed))
            await steps.begin(sources)
            for _ in range(12):
                await steps.step()
                assert await roles_in(tx) == await steps.defined()
                change = await steps.change()
                if change is not None:
                    await dry_run_is_what_happens(tx, change)
                assert await roles_in(tx) == await steps.defined()

    world.run(story())


async def _undone(tx: TenantTx, change: RemoveRule) -> None:
    async with tx.savepoint():
        await remove_rule(tx, change.rule_id)


async def dry_run_is_what_happens(tx: TenantTx, change: RuleChange) -> None:
    """Looks at a change first, then makes it."""
    had, before = await roles_in(tx), await epochs(tx)
    shown = await preview(tx, change)
    if shown.refusal is not None:
        assert isinstance(change, RemoveRule)
        with pytest.raises(NoAdminLeft):
            await _undone(tx, change)
        return
    match change:
        case AddRule(group_id, role):
            await add_rule(tx, group_id, role)
        case RemoveRule(rule_id):
            await remove_rule(tx, rule_id)
    has = await roles_in(tx)
    people = had.keys() | has.keys()
    gains = {one for one in people if has.get(one, set()) - had.get(one, set())}
    loses = {one for one in people if had.get(one, set()) - has.get(one, set())}
    assert {one.person_id for one in shown.gains} == gains
    assert {one.person_id for one in shown.loses} == loses
    assert (shown.counts.gains, shown.counts.loses) == (len(gains), len(loses))
    after = await epochs(tx)
    assert {one for one in after if after[one] != before[one]} == gains | loses
