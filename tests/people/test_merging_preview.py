"""What is foreseen of a merge is what comes of it, also where a date is picked that has come."""

from datetime import date
from typing import Any

import pytest

from stoa.db.database import Database
from stoa.kernel.ids import PersonId, SourceId, TenantId
from stoa.people import actions
from stoa.people.authority import set_authority
from stoa.people.matching import CreateNew
from stoa.people.merging import merge
from stoa.people.merging_model import MergeAsk, Side
from stoa.people.merging_preview import preview
from stoa.people.merging_queries import console_source
from stoa.people.model import Asserted
from stoa.people.queries import person_by_id
from stoa.people.refs import REFERENCES
from stoa.people.splitting import split
from stoa.people.splitting_preview import split_preview

from .making import source


@pytest.mark.parametrize("standing", [True, False])
async def test_a_last_day_that_is_picked_ends_access(database: Database, tenant_id: TenantId, standing: bool) -> None:
    hr = await source(database, tenant_id)
    async with database.tenant(tenant_id) as tx:
        console = await console_source(tx)
        await set_authority(tx, {"active": [console]})

        async def made(source_id: SourceId, **values: Any) -> Any:
            done = await actions.make_record(tx, source_id, Asserted(values, True), CreateNew())
            assert done is not None
            return done.record.person_id

        survivor = await made(console if standing else hr, display_name="Ada")
        absorbed = await made(hr, display_name="Ada B.", termination_date=date(2020, 1, 31))
        ask = MergeAsk(survivor, absorbed, {"termination_date": "absorbed"})
        foreseen = await preview(tx, ask, REFERENCES)
        await merge(tx, ask, REFERENCES)
        left = await person_by_id(tx, survivor)
    assert left is not None
    assert (foreseen.access.survivor, foreseen.access.result, left.active) == (True, False, False)
    assert {one.name: one.result for one in foreseen.fields} == left.values


async def test_a_split_is_foreseen_to_take_picks_back(database: Database, tenant_id: TenantId) -> None:
    hr = await source(database, tenant_id)
    async with database.tenant(tenant_id) as tx:
        console = await console_source(tx)
        people: list[PersonId] = []
        for source_id, title in ((console, "Engineer"), (hr, "Director")):
            done = await actions.make_record(tx, source_id, Asserted({"title": title}, True), CreateNew())
            assert done is not None
            people.append(done.record.person_id)
        survivor, absorbed = people
        picks: dict[str, Side] = {"title": "absorbed"}
        merged = await merge(tx, MergeAsk(survivor, absorbed, picks), REFERENCES)
        foreseen = await split_preview(tx, merged.merge.run_id)
        await split(tx, merged.merge.run_id)
        left, freed = await person_by_id(tx, survivor), await person_by_id(tx, absorbed)
    assert left is not None
    assert freed is not None
    assert left.values["title"] == "Engineer"
    told = {one.name: one for one in foreseen.fields}
    assert {name: told[name].result for name in left.values} == left.values
    assert {name: told[name].absorbed for name in freed.values} == freed.values
