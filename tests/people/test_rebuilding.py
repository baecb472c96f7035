"""Whatever happens to people, the event log tells it: a copy that follows the log is exact."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stoa.events.model import ERASED

from .conftest import EXAMPLES, World
from .histories import Company, steps
from .making import worker
from .rebuilding import events_of, people_of, rebuilt


@settings(
    deadline=None, max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(history=st.lists(steps, min_size=3, max_size=10), page=st.sampled_from([3, 100]))
def test_a_copy_that_follows_the_log_has_the_people_as_they_are(world: World, history: list[object], page: int) -> None:
    async def live() -> None:
        company = await Company.found(world)
        for step in history:
            await company.happen(step)
        assert await rebuilt(world.database, company.tenant_id, page=page) == await people_of(
            world.database, company.tenant_id
        )

    world.run(live())


def test_each_kind_of_event_is_told_once(world: World) -> None:
    async def live() -> None:
        company = await Company.found(world)
        first = await company.report(company.sources[0], {f"E{n:05}": worker(n) for n in range(4)})
        await company.report(company.sources[0], {f"E{n:05}": worker(n, title="Lead") for n in range(3)})
        await company.report(company.sources[1], {"E00001": worker(1, title="Clerk", email="x@acme.example")})
        await company.report(company.sources[0], {f"E{n:05}": worker(n) for n in range(4)})
        await company.undo(first.run_id)
        events = await events_of(world.database, company.tenant_id, page=7)
        assert ERASED not in {event.type for event in events}
        assert {event.type for event in events if event.type.startswith("person.")} == {
            f"person.{what}" for what in ("created", "updated", "deactivated", "reactivated", "removed")
        }
        assert await rebuilt(world.database, company.tenant_id) == await people_of(world.database, company.tenant_id)

    world.run(live())
