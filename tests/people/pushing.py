"""An identity provider that pushes groups, on a clock that tests set."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from stoa.db.database import Database, open_database
from stoa.kernel.ids import PersonId, ResourceId, RunId, SourceId, TenantId
from stoa.people.groups_actions import change_group, make_group, remove_group
from stoa.people.groups_model import (
    Delta,
    Group,
    GroupAsserted,
    GroupChanged,
    GroupMade,
    GroupUnchanged,
    Memberships,
    Replaced,
    UnknownMembers,
)
from stoa.people.groups_queries import group_by_id, members_of
from stoa.people.guard_rules import Guard, GuardKind
from stoa.people.model import Refused
from stoa.people.roles_actions import add_rule
from stoa.people.roles_model import Role
from stoa.people.thresholds import set_guard

from ..conftest import ConnectArgs
from .group_runs import codes, rollback, state, window
from .grouping import make_person
from .making import source


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 3, 10, 9, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def next_hour(self) -> None:
        self.now += timedelta(hours=1)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def database(connect_args: ConnectArgs, clock: Clock) -> AsyncGenerator[Database]:
    opened = await open_database(connect_args, clock=clock)
    yield opened
    await opened.close()


class Idp:
    """A tenant's identity provider with some people."""

    def __init__(self, database: Database, tenant_id: TenantId, source_id: SourceId) -> None:
        self.database, self.tenant_id, self.source_id = database, tenant_id, source_id
        self.people: list[ResourceId] = []
        self.persons: list[PersonId] = []

    async def hire(self, n: int) -> None:
        async with self.database.tenant(self.tenant_id) as tx:
            for _ in range(n):
                resource_id, person_id = await make_person(tx, self.source_id, f"p{len(self.people)}")
                self.people.append(resource_id)
                self.persons.append(person_id)

    def ids(self, *numbers: int) -> frozenset[UUID]:
        return frozenset(self.people[number] for number in numbers)

    async def make(self, name: str, *members: int, external_id: str | None = None) -> Group:
        async with self.database.tenant(self.tenant_id) as tx:
            said = GroupAsserted(name, external_id, {"displayName": name})
            made = await make_group(tx, self.source_id, said, Replaced(self.ids(*members)))
            assert isinstance(made, GroupMade)
            return made.group

    async def change(
        self, group: Group, members: Memberships | None = None, *, name: str | None = None
    ) -> GroupChanged | GroupUnchanged | UnknownMembers | Refused:
        async with self.database.tenant(self.tenant_id) as tx:
            found = await group_by_id(tx, self.source_id, group.group_id, lock=True)
            assert found is not None
            said = None if name is None else GroupAsserted(name, found.scim_external_id, {"displayName": name})
            return await change_group(tx, found, said, members)

    async def change_awaiting(self, group: Group, members: Memberships) -> None:
        """As `change`, of a source whose members who are not here yet are awaited."""
        async with self.database.tenant(self.tenant_id) as tx:
            found = await group_by_id(tx, self.source_id, group.group_id, lock=True)
            assert found is not None
            assert isinstance(await change_group(tx, found, None, members, awaits=True), GroupChanged)

    async def add(self, group: Group, *numbers: int) -> Any:
        return await self.change(group, Delta(add=self.ids(*numbers)))

    async def remove(self, group: Group, *numbers: int) -> Any:
        return await self.change(group, Delta(remove=self.ids(*numbers)))

    async def delete(self, group: Group) -> GroupChanged:
        async with self.database.tenant(self.tenant_id) as tx:
            found = await group_by_id(tx, self.source_id, group.group_id, lock=True)
            assert found is not None
            return await remove_group(tx, found)

    async def give(self, group: Group, role: Role) -> None:
        async with self.database.tenant(self.tenant_id) as tx:
            await add_rule(tx, group.group_id, role)

    async def guard(self, kind: GuardKind, guard: Guard) -> None:
        async with self.database.tenant(self.tenant_id) as tx:
            await set_guard(tx, kind, None, guard)

    async def roles(self) -> dict[int, set[str]]:
        async with self.database.tenant(self.tenant_id) as tx:
            rows = await tx.fetch("SELECT person_id, role FROM person_role")
        found: dict[int, set[str]] = {}
        for row in rows:
            found.setdefault(self.persons.index(row["person_id"]), set()).add(row["role"])
        return found

    async def members(self, group: Group) -> list[int]:
        async with self.database.tenant(self.tenant_id) as tx:
            found = await members_of(tx, [group.group_id])
        return [self.people.index(one.resource_id) for one in found[group.group_id]]

    async def state(self) -> dict[str, Any]:
        return await state(self.database, self.tenant_id)

    async def window(self) -> RunId:
        return await window(self.database, self.tenant_id)

    async def undo(self, run_id: RunId, batch_rows: int = 5000) -> dict[str, int]:
        run = await rollback(self.database, self.tenant_id, run_id, batch_rows)
        return await codes(self.database, self.tenant_id, run.run_id)


@pytest.fixture
async def idp(database: Database, tenant_id: TenantId) -> Idp:
    made = Idp(database, tenant_id, await source(database, tenant_id, "idp", "Okta"))
    await made.hire(6)
    return made
