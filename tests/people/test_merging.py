"""Merging and splitting people: everything that follows, and everything back."""

from uuid import UUID

from stoa.changes.queries import changes_page, run_by_id
from stoa.composition import references
from stoa.db.transactions import TenantTx
from stoa.kernel.ids import PersonId
from stoa.people.merging import merge
from stoa.people.merging_model import MergeAsk, Merged, Side, Split
from stoa.people.queries import person_by_id
from stoa.people.redirects import survivor
from stoa.people.splitting import split

from .conftest import World
from .histories import Company
from .making import rollback, state, worker
from .rebuilding import people_of, rebuilt


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
