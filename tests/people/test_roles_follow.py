"""Roles follow what a source pushes, and who comes at the same moment is not left out."""

import asyncio

from stoa.db.database import Database
from stoa.db.transactions import TenantTx
from stoa.kernel.ids import GroupId, SourceId, TenantId
from stoa.people import queries
from stoa.people.actions import remove_record
from stoa.people.groups_actions import change_group, make_group, remove_group
from stoa.people.groups_model import Delta, Group, GroupAsserted, GroupMade, Replaced
from stoa.people.groups_queries import group_by_id
from stoa.people.roles_actions import add_rule, remove_rule
from stoa.people.roles_model import RemoveRule, Role
from stoa.people.roles_preview import preview
from stoa.people.roles_queries import is_admin, other_admins

from .grouping import make_person, roles_in
from .making import source
from .rebuilding import people_of, rebuilt


async def pushed(tx: TenantTx, source_id: SourceId, name: str, *members: object) -> Group:
    """A group as a source pushes it."""
    made = await make_group(tx, source_id, GroupAsserted(name), Replaced(frozenset(members)))  # pyright: ignore[reportArgumentType] - ids of records
    assert isinstance(made, GroupMade)
    return made.group


async def again(tx: TenantTx, source_id: SourceId, group_id: GroupId) -> Group:
    """The group, locked."""
    found = await group_by_id(tx, source_id, group_id, lock=True)
    assert found is not None
    return found


async def test_roles_come_and_go_with_what_the_source_pushes(database: Database, tenant_id: TenantId) -> None:
    okta = await source(database, tenant_id, "idp", "Okta")
    async with database.tenant(tenant_id) as tx:
        (ada, ada_id), (bob, bob_id) = await make_person(tx, okta, "ada"), await make_person(tx, okta, "bob")
        authors = await pushed(tx, okta, "Authors", ada)
        await add_rule(tx, authors.group_id, Role.AUTHOR)
        assert await roles_in(tx) == {ada_id: {"author"}}
    async with database.tenant(tenant_id) as tx:
        group = await again(tx, okta, authors.group_id)
        await change_group(tx, group, None, Delta(add=frozenset([bob]), remove=frozenset([ada])))
        assert await roles_in(tx) == {bob_id: {"author"}}
    async with database.tenant(tenant_id) as tx:
        record = await queries.record_by_resource(tx, okta, bob, lock=True)
        assert record is not None
        await remove_record(tx, record)
        assert await roles_in(tx) == {}
    async with database.tenant(tenant_id) as tx:
        group = await again(tx, okta, authors.group_id)
        await change_group(tx, group, None, Replaced(frozenset([ada])))
        assert await roles_in(tx) == {ada_id: {"author"}}
        await remove_group(tx, await again(tx, okta, authors.group_id))
        assert await roles_in(tx) == {}
    async with database.tenant(tenant_id) as tx:
        # It comes back with its rule.
        await pushed(tx, okta, "authors", ada)
        assert await roles_in(tx) == {ada_id: {"author"}}
    assert (await people_of(database, tenant_id))[str(ada_id)]["roles"] == ["author"]
    assert await rebuilt(database, tenant_id) == await people_of(database, tenant_id)


async def test_who_comes_into_a_group_while_its_rule_is_made_is_not_left_out(
    database: Database, tenant_id: TenantId
) -> None:
    okta = await source(database, tenant_id, "idp", "Okta")
    async with database.tenant(tenant_id) as tx:
        people = [await make_person(tx, okta, f"p{n}") for n in range(8)]
        group = await pushed(tx, okta, "Authors", people[0][0])
        rule = await add_rule(tx, group.group_id, Role.REPORTER)

    async def come(record: object) -> None:
        async with database.tenant(tenant_id) as tx:
            one = await again(tx, okta, group.group_id)
            await change_group(tx, one, None, Delta(add=frozenset([record])))  # pyright: ignore[reportArgumentType] - a record's id

    async def rules() -> None:
        async with database.tenant(tenant_id) as tx:
            await add_rule(tx, group.group_id, Role.AUTHOR)
        async with database.tenant(tenant_id) as tx:
            await remove_rule(tx, rule.rule_id)

    await asyncio.gather(*(come(record) for record, _ in people[1:]), rules())
    async with database.tenant(tenant_id) as tx:
        assert await roles_in(tx) == {person_id: {"author"} for _, person_id in people}


async def test_of_two_rules_that_go_at_the_same_moment_one_keeps_an_admin(
    database: Database, tenant_id: TenantId
) -> None:
    okta = await source(database, tenant_id, "idp", "Okta")
    async with database.tenant(tenant_id) as tx:
        pair = [await make_person(tx, okta, name) for name in ("ada", "bob")]
        groups = [await pushed(tx, okta, f"Admins {n}", record) for n, (record, _) in enumerate(pair)]
        made = [await add_rule(tx, group.group_id, Role.ADMIN) for group in groups]
        for rule in made:
            assert (await preview(tx, RemoveRule(rule.rule_id))).refusal is None

    async def go(n: int) -> None:
        async with database.tenant(tenant_id) as tx:
            await remove_rule(tx, made[n].rule_id)

    done = await asyncio.gather(go(0), go(1), return_exceptions=True)
    assert sorted(type(one).__name__ for one in done) == ["NoAdminLeft", "NoneType"]
    async with database.tenant(tenant_id) as tx:
        left = [person_id for _, person_id in pair if await is_admin(tx, person_id)]
        assert len(left) == 1
        assert not await other_admins(tx, left[0])
