"""Random histories of an identity provider: held and approved is never held; held and rejected is never asked; what is
undone since a moment is as it was at the moment."""

from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stoa.changes import actions as runs
from stoa.changes import queries
from stoa.changes.model import RunKind, RunState
from stoa.kernel.ids import RunId, SourceId, TenantId
from stoa.people import actions
from stoa.people.guard_rules import Guard, GuardKind
from stoa.people.model import Asserted, Provisioned
from stoa.people.queries import record_by_resource
from stoa.people.target import People
from stoa.people.thresholds import set_guard

from .conftest import EXAMPLES, World
from .making import apply, source, state

USERS = 4
# Whom it is about, and what is done to them.
STEP = st.tuples(st.integers(0, USERS - 1), st.sampled_from(("off", "on", "delete", "title", "again")))
STEPS = st.lists(STEP, max_size=8)
SMALL = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Provider:
    """A tenant's identity provider, of whom everything is held, or nothing."""

    def __init__(self, world: World, tenant_id: TenantId, source_id: SourceId) -> None:
        self.world, self.tenant_id, self.source_id = world, tenant_id, source_id
        self.ids: list[Any] = []

    async def guard(self, *, holds: bool) -> None:
        async with self.world.database.tenant(self.tenant_id) as tx:
            guard = Guard(enabled=holds, absolute=0, percent=0, floor=0)
            await set_guard(tx, GuardKind.DEACTIVATE, None, guard)

    async def fill(self) -> None:
        for number in range(USERS):
            async with self.world.database.tenant(self.tenant_id) as tx:
                made = await actions.provision(
                    tx, self.source_id, Asserted({"user_name": f"u{number}"}, True, None, {})
                )
                assert isinstance(made, Provisioned)
                self.ids.append(made.record.resource_id)

    async def do(self, steps: Sequence[tuple[int, str]]) -> None:
        for number, what in steps:
            self.world.pass_time(seconds=1)
            async with self.world.database.tenant(self.tenant_id) as tx:
                record = await record_by_resource(tx, self.source_id, self.ids[number], lock=True)
                if record is None:
                    continue
                said, values = record.asserted_active, dict(record.values)
                match what:
                    case "delete":
                        await actions.remove_record(tx, record)
                        continue
                    case "off" | "on":
                        said = what == "on"
                    case _:
                        values["title"] = f"{what} {values.get('title')}"
                if record.present:
                    await actions.assert_record(tx, record, Asserted(values, said, None, record.raw))

    async def decide(self, *, approve: bool) -> None:
        """Whatever waits, decided and worked off."""
        for run_id in await self._runs(RunState.HELD):
            async with self.world.database.tenant(self.tenant_id) as tx:
                await (runs.approve if approve else runs.reject)(tx, run_id)
        for run_id in await self._runs(RunState.APPROVED):
            await self._apply(run_id)
        for run_id in await self._runs(RunState.QUEUED):
            async with self.world.database.tenant(self.tenant_id, role="sync") as tx:
                run = await queries.enter(tx, await queries.run_by_id(tx, run_id), RunState.PLANNING)
                assert run.of_run is not None
                await People().plan_rollback(tx, run, await queries.run_by_id(tx, run.of_run))
                await queries.enter(tx, run, RunState.PLANNED, planned_at=tx.now)
            await self._apply(run_id)

    async def undo(self, since: Any) -> None:
        async with self.world.database.tenant(self.tenant_id, role="sync") as tx:
            (run,) = await runs.queue_undo_since(tx, self.source_id, since, ["person"])
            run = await queries.enter(tx, run, RunState.PLANNING)
            await People().plan_undo_since(tx, run, since)
            run = await queries.enter(tx, run, RunState.PLANNED, planned_at=tx.now)
        await self._apply(run.run_id)

    async def _apply(self, run_id: RunId) -> None:
        async with self.world.database.tenant(self.tenant_id) as tx:
            run = await queries.run_by_id(tx, run_id)
        done = await apply(self.world.database, self.tenant_id, run)
        assert done.state is RunState.APPLIED

    async def _runs(self, wanted: RunState) -> list[RunId]:
        async with self.world.database.tenant(self.tenant_id) as tx:
            found = await queries.recent_runs(tx, limit=50)
        return [run.run_id for run in found if run.state is wanted and run.kind is not RunKind.SCIM_WINDOW]

    async def standing(self) -> dict[str, list[tuple[Any, ...]]]:
        """Records and persons by their user names, without ids."""
        found = await state(self.world.database, self.tenant_id)
        names = ("user_name", "active", "title")
        return {
            "records": sorted(
                tuple(map(str, (r[n] for n in (*names, "present", "asserted_active")))) for r in found["records"]
            ),
            "persons": sorted(tuple(map(str, (p[n] for n in names))) for p in found["persons"]),
        }


async def provider(world: World, *, holds: bool) -> Provider:
    tenant_id = await world.tenant()
    made = Provider(world, tenant_id, await source(world.database, tenant_id, "idp", "Okta"))
    await made.guard(holds=holds)
    await made.fill()
    return made


@SMALL
@given(steps=STEPS)
def test_held_and_approved_is_never_held(world: World, steps: list[tuple[int, str]]) -> None:
    async def play() -> None:
        free, held = await provider(world, holds=False), await provider(world, holds=True)
        for one in (free, held):
            await one.do(steps)
        before = await held.standing()
        assert before["records"] == (await free.standing())["records"]
        assert all(active == "True" for _, active, _ in before["persons"])
        await held.decide(approve=True)
        assert await held.standing() == await free.standing()

    world.run(play())


@SMALL
@given(steps=STEPS)
def test_held_and_rejected_is_never_asked(world: World, steps: list[tuple[int, str]]) -> None:
    async def play() -> None:
        plain, held = await provider(world, holds=False), await provider(world, holds=True)
        await held.do(steps)
        still = {number for number, what in steps if what == "delete"}
        # Everything else is said of those alone who were not deleted, for a deleted record is not spoken of.
        gone: set[int] = set()
        for number, what in steps:
            gone |= {number} if what == "delete" else set()
            if what in {"title", "again"} and number not in gone:
                await plain.do([(number, what)])
        assert still == gone
        await held.decide(approve=False)
        assert await held.standing() == await plain.standing()

    world.run(play())


@SMALL
@given(first=STEPS, then=STEPS, holds=st.booleans())
def test_undone_since_a_moment_is_as_it_was(
    world: World, first: list[tuple[int, str]], then: list[tuple[int, str]], holds: bool
) -> None:
    async def play() -> None:
        one = await provider(world, holds=holds)
        await one.do(first)
        await one.decide(approve=True)
        world.pass_time(seconds=1)
        since, before = world.now, await state(world.database, one.tenant_id)
        await one.do(then)
        world.pass_time(seconds=1)
        await one.undo(since)
        after = await state(world.database, one.tenant_id)
        assert after == before
        await one.undo(since)
        assert await state(world.database, one.tenant_id) == before

    world.run(play())
