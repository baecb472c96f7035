"""Undoing across merges: what comes back is of whoever is left, and nobody is merged again against an admin's word."""

from stoa.kernel.ids import PersonId
from stoa.people import actions, duplicates_actions
from stoa.people.merging import merge
from stoa.people.merging_model import MergeAsk
from stoa.people.model import Asserted
from stoa.people.refs import REFERENCES
from stoa.people.splitting import split

from .group_runs import codes
from .making import rollback, source
from .pushing import Clock, Idp, clock, database, idp

__all__ = ["clock", "database", "idp"]


async def merged_into(idp: Idp, person_id: PersonId) -> PersonId | None:
    async with idp.database.tenant(idp.tenant_id) as tx:
        return await tx.fetchval("SELECT merged_into FROM person WHERE person_id = $1", person_id)


async def test_a_record_that_comes_back_is_of_whoever_is_left(idp: Idp, clock: Clock) -> None:
    hr = await source(idp.database, idp.tenant_id)
    asked, between, left = idp.persons[:3]
    async with idp.database.tenant(idp.tenant_id) as tx:
        await actions.link_record(tx, hr, asked, Asserted({"title": "Engineer"}, True, "h1"))
        run_id = await tx.fetchval("SELECT run_id FROM run WHERE source_id = $1", hr)
    clock.next_hour()
    undone = await rollback(idp.database, idp.tenant_id, run_id)
    async with idp.database.tenant(idp.tenant_id) as tx:
        await merge(tx, MergeAsk(between, asked), REFERENCES)
        await merge(tx, MergeAsk(left, between), REFERENCES)
    back = await rollback(idp.database, idp.tenant_id, undone.run_id)
    assert await codes(idp.database, idp.tenant_id, back.run_id) == {}
    async with idp.database.tenant(idp.tenant_id) as tx:
        assert await tx.fetchval("SELECT person_id FROM source_record WHERE source_id = $1", hr) == left
        assert await tx.fetchval("SELECT title FROM person WHERE person_id = $1", left) == "Engineer"


async def test_undoing_a_split_merges_nobody_who_is_never_merged(idp: Idp) -> None:
    survivor, absorbed = idp.persons[:2]
    async with idp.database.tenant(idp.tenant_id) as tx:
        done = await merge(tx, MergeAsk(survivor, absorbed), REFERENCES)
        parting = await split(tx, done.merge.run_id)
        await duplicates_actions.bar(tx, "person", absorbed, "Father and son.")
    again = await rollback(idp.database, idp.tenant_id, parting.run_id)
    assert await merged_into(idp, absorbed) is None
    assert await codes(idp.database, idp.tenant_id, again.run_id) == {"merge_barred": 1}
    async with idp.database.tenant(idp.tenant_id) as tx:
        await duplicates_actions.lift(tx, "person", absorbed)
    await rollback(idp.database, idp.tenant_id, parting.run_id)
    assert await merged_into(idp, absorbed) == survivor
