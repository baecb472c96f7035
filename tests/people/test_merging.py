"""Merging and splitting people: everything that follows, and everything back."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stoa.changes.queries import changes_page, run_by_id
from stoa.composition import references
from stoa.db.errors import COLLISION
from stoa.db.transactions import TenantTx
from stoa.kernel.ids import PersonId, RunId
from stoa.people.merging import merge
from stoa.people.merging_model import AlreadyMerged, LastAdminMerged, MergeAsk, Merged, Side, Split
from stoa.people.merging_queries import merge_by_run
from stoa.people.queries import person_by_id
from stoa.people.redirects import survivor
from stoa.people.roles_actions import add_rule
from stoa.people.roles_model import Role
from stoa.people.splitting import split
from stoa.people.splitting_preview import split_preview
from stoa.people.wire_write import PersonInput
from stoa.people.writing import Written, change
from stoa.tenants.actions import ensure_source

from .conftest import EXAMPLES, World
from .grouping import make_group, make_person
from .histories import Company, Merge, merges, steps
from .making import rollback, state, worker
from .rebuilding import events_of, people_of, rebuilt
from .test_histories import check


async def merged(company: Company, survivor_id: UUID, absorbed_id: UUID, **picks: Side) -> Merged:
    """One merge in a transaction of its own."""
    async with company.world.database.tenant(company.tenant_id) as tx:
        return await merge(tx, MergeAsk(PersonId(survivor_id), PersonId(absorbed_id), picks), references())


async def parted(company: Company, done: Merged) -> Split:
    """The same merge split."""
    async with company.world.database.tenant(company.tenant_id) as tx:
        return await split(tx, done.merge.run_id)


async def found(company: Company, key: str, source: int = 0) -> PersonId:
    """Who the record of a source is about."""
    async with company.world.database.tenant(company.tenant_id) as tx:
        return await tx.fetchval(
            "SELECT person_id FROM source_record WHERE source_id = $1 AND external_id = $2",
            *(company.sources[source], key),
        )


async def company_of_two(world: World) -> Company:
    """Somebody whom two HR systems know, as two people; and whoever they manage."""
    company = await Company.found(world)
    await company.report(company.sources[0], {f"E{n:05}": worker(n) for n in range(3)})
    rows = {
        "P1": worker(
            7, external_id="P1", employee_id="P-1", display_name="Given1 Family1", email=None, manager_ref=None
        )
    }
    rows |= {"P2": worker(8, external_id="P2", employee_id="P-2", manager_ref="P1", email=None)}
    await company.report(company.sources[1], rows)
    return company


def test_a_merge_moves_all_and_a_split_brings_all_back(world: World) -> None:
    async def live() -> None:
        company = await company_of_two(world)
        database, tenant_id = world.database, company.tenant_id
        ann, twin, report = await found(company, "E00001"), await found(company, "P1", 1), await found(company, "P2", 1)
        before = await state(database, tenant_id)
        done = await merged(company, ann, twin, title="survivor", department="absorbed")
        assert (done.moved, done.overruled) == (1, [])
        async with database.tenant(tenant_id) as tx:
            person, gone = await person_by_id(tx, ann), await person_by_id(tx, twin)
            assert person is not None
            assert gone is not None
            assert (gone.merged_into, gone.active, gone.access_epoch, set(gone.values.values())) == (
                ann, False, 2, {None},
            )  # fmt: skip
            assert await survivor(tx, twin) == ann
            reporting = await person_by_id(tx, report)
            assert reporting is not None
            assert reporting.manager_id == ann
            run = await run_by_id(tx, done.merge.run_id)
            assert (run.kind, run.state, run.counts) == ("merge", "applied", {"link": 2})
        assert await rebuilt(database, tenant_id) == await people_of(database, tenant_id)
        parting = await parted(company, done)
        assert (parting.run_state, parting.conflicts) == ("applied", 0)
        assert await state(database, tenant_id) == before
        assert await rebuilt(database, tenant_id) == await people_of(database, tenant_id)
        # A rollback of the split is the merge once more; and that is undone as well, by the worker's way.
        again = await rollback(database, tenant_id, parting.run_id)
        assert again.state == "applied"
        assert await found(company, "P1", 1) == ann
        assert await rebuilt(database, tenant_id) == await people_of(database, tenant_id)
        await rollback(database, tenant_id, again.run_id, batch_rows=1)
        assert await state(database, tenant_id) == before
        assert await rebuilt(database, tenant_id) == await people_of(database, tenant_id)

    world.run(live())


async def changes_of(tx: TenantTx, run_id: UUID) -> list[tuple[str, str, str]]:
    """Action, reason and state of each change."""
    return [(one.action, one.reason, one.state) for one in await changes_page(tx, (await run_by_id(tx, run_id)).run_id)]


def test_nested_merges_are_split_in_any_order(world: World) -> None:
    async def live() -> None:
        for order in ((0, 1), (1, 0)):
            company = await Company.found(world)
            await company.report(company.sources[0], {f"E{n:05}": worker(n, manager_ref=None) for n in range(3)})
            a, b, c = [await found(company, f"E{n:05}") for n in range(3)]
            before = await state(world.database, company.tenant_id)
            merges = [await merged(company, a, b), await merged(company, c, a)]
            async with world.database.tenant(company.tenant_id) as tx:
                assert [await survivor(tx, one) for one in (a, b, c)] == [c, c, c]
            for index in order:
                await parted(company, merges[index])
            assert await state(world.database, company.tenant_id) == before
            assert await rebuilt(world.database, company.tenant_id) == await people_of(
                world.database, company.tenant_id
            )

    world.run(live())


@settings(
    deadline=None, max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(history=st.lists(steps, min_size=2, max_size=7), step=merges)
def test_a_merge_and_its_split_leave_everything_as_it_was(world: World, history: list[object], step: Merge) -> None:
    async def live() -> None:
        company = await Company.found(world)
        for earlier in history:
            await company.happen(earlier)
        before = await state(world.database, company.tenant_id)
        run_id = await company.merge(step)
        if run_id is None:
            return
        await check(company)
        after = await state(world.database, company.tenant_id)
        async with world.database.tenant(company.tenant_id) as tx:
            done = await merge_by_run(tx, run_id)
            with pytest.raises(AlreadyMerged):
                await merge(tx, MergeAsk(done.absorbed_id, done.survivor_id), references())
        assert await state(world.database, company.tenant_id) == after
        async with world.database.tenant(company.tenant_id) as tx:
            foreseen = await split_preview(tx, run_id)
            await split(tx, run_id)
        assert (foreseen.staying, foreseen.kept) == ([], [])
        assert await state(world.database, company.tenant_id) == before
        assert await rebuilt(world.database, company.tenant_id) == await people_of(world.database, company.tenant_id)

    world.run(live())


def test_what_came_after_the_merge_stays_with_its_record(world: World) -> None:
    async def live() -> None:
        company = await company_of_two(world)
        ann, twin = await found(company, "E00001"), await found(company, "P1", 1)
        done = await merged(company, ann, twin, title="survivor", department="survivor")
        # The source of the absorbed record goes on, an admin changes one of the picks in another merge, and somebody
        # comes who is recognised as the survivor.
        row = worker(7, external_id="P1", employee_id="P-1", display_name="Renamed", manager_ref=None)
        await company.report(company.sources[1], {"P1": row})
        third = await found(company, "E00002")
        again = await merged(company, ann, third, department="absorbed")
        parting = await parted(company, done)
        assert parting.conflicts == 1
        async with world.database.tenant(company.tenant_id) as tx:
            one, other = await person_by_id(tx, ann), await person_by_id(tx, twin)
            assert one is not None
            assert other is not None
            assert (other.values["display_name"], other.merged_into) == ("Renamed", None)
            assert one.values["department"] == worker(2)["department"]
            conflicts = [row for row in await changes_of(tx, parting.run_id) if row[2] == "conflict"]
            assert [(action, reason) for action, reason, _ in conflicts] == [("remove", "rollback")]
        await check(company)
        await parted(company, again)
        await check(company)
        assert await rebuilt(world.database, company.tenant_id) == await people_of(world.database, company.tenant_id)

    world.run(live())


def test_of_two_who_merge_the_same_people_at_once_one_comes_too_late(world: World) -> None:
    async def live() -> None:
        company = await company_of_two(world)
        database, tenant_id = world.database, company.tenant_id
        ann, twin = await found(company, "E00001"), await found(company, "P1", 1)

        async def one(survivor_id: PersonId, absorbed_id: PersonId) -> str:
            try:
                await merged(company, survivor_id, absorbed_id)
            except AlreadyMerged:
                return "too late"
            return "merged"

        async def write(person_id: PersonId, n: int) -> str:
            async with database.tenant(tenant_id) as tx:
                source_id = (await ensure_source(tx, "api", f"Portal {n}")).source_id
                done = await change(tx, source_id, person_id, PersonInput(phone=f"030 123{n}"), lambda _: None)
                assert isinstance(done, Written)
                return "written"

        for _ in range(6):
            told = await asyncio.gather(
                *(again(partial(one, *pair)) for pair in ((ann, twin), (twin, ann))),
                *(again(partial(write, who, n)) for n, who in enumerate([ann, twin] * 3)),
            )
            assert sorted(told) == ["merged", "too late", *["written"] * 6]
            await check(company)
            async with database.tenant(tenant_id) as tx:
                (run_id,) = await tx.fetch("SELECT run_id FROM person_merge WHERE state = 'merged'")
            await asyncio.gather(
                *(again(partial(write, who, n)) for n, who in enumerate([ann, twin])),
                again(partial(parted_run, company, run_id["run_id"])),
            )
            await check(company)
        assert await rebuilt(database, tenant_id) == await people_of(database, tenant_id)

    world.run(live())


async def again(work: Callable[[], Awaitable[str]]) -> str:
    """What the edges do: a transaction that the database has give way to another one is done again."""
    while True:
        with suppress(*COLLISION):
            return await work()


async def parted_run(company: Company, run_id: RunId) -> str:
    """A merge split, by its run."""
    async with company.world.database.tenant(company.tenant_id) as tx:
        return (await split(tx, run_id)).run_state


def test_roles_follow_the_records_and_the_last_administrator_stays_one(world: World) -> None:
    async def live() -> None:
        company = await Company.found(world)
        database, tenant_id = world.database, company.tenant_id
        async with database.tenant(tenant_id) as tx:
            okta, hr = company.sources[2], company.sources[0]
            record, ann = await make_person(tx, okta, "ann")
            _, twin = await make_person(tx, hr, "twin")
            _, left = await make_person(tx, hr, "left", active=False)
            group_id = await make_group(tx, okta, "Admins", [record])
            await add_rule(tx, group_id, Role.ADMIN)
        before = await roles(company)
        assert before == {ann: ["admin"]}
        with pytest.raises(LastAdminMerged):
            await merged(company, left, ann)
        assert await roles(company) == before
        done = await merged(company, twin, ann)
        assert await roles(company) == {twin: ["admin"]}
        await parted(company, done)
        assert await roles(company) == before
        async with database.tenant(tenant_id) as tx:
            epochs = await tx.fetch("SELECT person_id, access_epoch FROM person")
        # Merged, split, and given the role again: whoever was signed in is asked for each time.
        assert {row["person_id"]: row["access_epoch"] for row in epochs}[ann] >= 4
        told = [event for event in await events_of(database, tenant_id) if event.type == "person.roles_changed"]
        assert [(event.subject, event.body["after"]["roles"]) for event in told[-3:]] == [
            (str(twin), ["admin"]),
            *sorted([(str(ann), ["admin"]), (str(twin), [])]),
        ]

    world.run(live())


async def roles(company: Company) -> dict[PersonId, list[str]]:
    """Who has which roles."""
    async with company.world.database.tenant(company.tenant_id) as tx:
        rows = await tx.fetch("SELECT person_id, array_agg(role) AS roles FROM person_role GROUP BY person_id")
    return {row["person_id"]: row["roles"] for row in rows}
