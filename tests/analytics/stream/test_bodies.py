"""What is told of people, rendered from the journal, is what the catalogue says."""

from stoa.db.database import Database
from stoa.events.actions import number_entries
from stoa.kernel.ids import TenantId

from ...events.bodies import complaints
from ...people.rebuilding import events_of
from .test_consumer import Life


async def test_rendered_bodies_fit_their_schemas(database: Database, tenant_id: TenantId) -> None:
    life = await Life.begin(database, tenant_id, 5)
    for _ in range(12):
        await life.go_on()
    async with database.tenant(tenant_id) as tx:
        await number_entries(tx)
    events = await events_of(database, tenant_id)
    assert [told for event in events for told in complaints(event.type, event.body)] == []
    assert len({event.type for event in events if event.type.startswith("person")}) > 7


def test_a_body_that_says_more_or_less_is_found() -> None:
    assert complaints("source.created", {"kind": "hris", "name": "Workday"}) == []
    assert len(complaints("source.created", {"kind": "hris"})) == 1
    assert len(complaints("source.created", {"kind": "hris", "name": "Workday", "owner": "x"})) == 1
    assert complaints("of.no.room", {"anything": 1}) == []
