"""After the onboarding, one tenant lives through what matters: nothing, a day, half a report, an undo."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b

import msgspec

from stoa.changes import actions, queries
from stoa.changes.holding import with_counts
from stoa.changes.model import Run, RunKind, RunState
from stoa.cli.common import OPERATOR, Session, out
from stoa.cli.demo.companies import Simulators
from stoa.cli.demo.onboarding import Onboarded, count_people, sync_people
from stoa.cli.showing import named_subjects, print_run
from stoa.cli.sync import wait
from stoa.cli.tenants import scim_base_url
from stoa.kernel.ids import RunId, TenantId
from stoa.people.queries import persons_page, records_after
from stoa.tenants.actions import move_clock

# More than the guard lets pass within an hour, and a company that has so many.
_LOST, _LARGE = 80, 200
_ORDERED = msgspec.json.Encoder(order="deterministic", enc_hook=str).encode


class SceneFailed(Exception):
    """The demo did not show what it is there to show."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the scenes play."""

    session: Session
    simulators: Simulators
    one: Onboarded

    @property
    def slug(self) -> str:
        """The tenant's slug."""
        return self.one.company.slug


async def play(stage: Stage) -> None:
    """Every scene in order. Raises SceneFailed when one shows something else than it should."""
    await nothing_changed(stage)
    if stage.one.company.size >= _LARGE:
        await a_wrong_mapping(stage)
    day = await a_day_passes(stage)
    await half_a_report(stage)
    await undo(stage, day)


async def nothing_changed(stage: Stage) -> None:
    """The same report again: no change."""
    _title(f"stoa sync run {stage.slug} workday   (the same report again)")
    run = await sync_people(stage.session, stage.one)
    await _print(stage, run, 0)
    _expect(run.state is RunState.APPLIED and not any(run.counts.values()), "the second sync was to change nothing")


async def a_day_passes(stage: Stage) -> tuple[Run, str]:
    """A day in the company; gives the run, and the digest of the state before it."""
    happened = await stage.simulators.advance(stage.slug)
    told = ", ".join(f"{n} {kind}" for kind, n in happened.items())
    _title(f"A day passes at {stage.one.company.name} ({told}), then stoa sync run {stage.slug} workday")
    before = await digest(stage.session, stage.one.tenant_id)
    await _a_day_later(stage)
    run = await sync_people(stage.session, stage.one)
    await _print(stage, run, 8)
    _expect(run.state is RunState.APPLIED and any(run.counts.values()), "the day was to bring changes")
    return run, before


async def _a_day_later(stage: Stage) -> None:
    """The tenant's clock follows its company's; after the second for which offsets are kept, every process knows."""
    async with stage.session.platform.database.tenant(stage.one.tenant_id, OPERATOR) as tx:
        await move_clock(tx, timedelta(days=1))
    await asyncio.sleep(1.2)


async def half_a_report(stage: Stage) -> None:
    """A report that lost half its rows is held, and rejected."""
    _title("Workday answers with half of its rows")
    await stage.simulators.fault(stage.slug, "half_rows")
    run = await sync_people(stage.session, stage.one)
    await stage.simulators.mend(stage.slug)
    await _print(stage, run, 0)
    _expect(run.state is RunState.HELD, "half a report was to be held")
    async with stage.session.platform.database.tenant(stage.one.tenant_id, OPERATOR) as tx:
        await actions.reject(tx, run.run_id)
    out.print(f"  Rejected: stoa sync reject {stage.slug} {run.run_id}. Nobody lost access.")


async def a_wrong_mapping(stage: Stage) -> None:
    """The identity provider takes many people out by mistake: the first lose access, the others wait for an admin. The
    provider's next cycle, with its mapping mended, brings back the first.
    """
    provider = stage.one.company.idp_name
    _title(f"{provider} deactivates {_LOST} people by a wrong mapping")
    await count_people(stage.session, stage.one)
    before = stage.one.active
    run = await _lost(stage)
    await _print(stage, run, 3)
    await count_people(stage.session, stage.one)
    passed = before - stage.one.active
    out.print(f"  {provider} was told that all is done; {passed} lost access before the guard closed, nobody since.")
    _expect(run.state is RunState.HELD and 0 < passed < _LOST, "most of the deactivations were to be held")
    async with stage.session.platform.database.tenant(stage.one.tenant_id, OPERATOR) as tx:
        await actions.reject(tx, run.run_id)
    await stage.simulators.find(stage.slug)
    await _cycle(stage)
    await count_people(stage.session, stage.one)
    out.print(
        f"  Rejected; the mapping is mended, and the next cycle came: {stage.one.active:,} people are active again."
    )
    _expect(stage.one.active == before, "everybody was to have access again")


async def _lost(stage: Stage) -> Run:
    await stage.simulators.lose(stage.slug, _LOST)
    await _cycle(stage)
    async with stage.session.platform.database.tenant(stage.one.tenant_id, OPERATOR) as tx:
        runs = await queries.recent_runs(tx, limit=5)
    held = [run for run in runs if run.kind is RunKind.SCIM_HOLD]
    _expect(bool(held), "something was to be held")
    return held[0]


async def _cycle(stage: Stage) -> None:
    one = stage.one
    base = scim_base_url(stage.session.base_url, one.company.slug)
    pushed = await stage.simulators.provision(one.company.slug, base, one.token, mode="delta")
    _expect(not pushed.get("failed"), f"every request of {one.company.idp_name} was to be answered well")


async def something_to_decide(stage: Stage) -> None:
    """Held runs are left for whoever opens the console: one of a report, one of an identity provider."""
    if stage.one.company.size >= _LARGE:
        await _lost(stage)
    await stage.simulators.fault(stage.slug, "half_rows")
    run = await sync_people(stage.session, stage.one)
    await stage.simulators.mend(stage.slug)
    _expect(run.state is RunState.HELD, "half a report was to be held")


async def undo(stage: Stage, day: tuple[Run, str]) -> None:
    """The day's run is rolled back, and the state is as before."""
    run, before = day
    _title(f"stoa sync rollback {stage.slug} {run.run_id}")
    database = stage.session.platform.database
    async with database.tenant(stage.one.tenant_id, OPERATOR) as tx:
        planned = await actions.queue_rollback(tx, run.run_id, plan_only=True)
    planned = await wait(stage.session, stage.one.tenant_id, planned)
    await _print(stage, planned, 5)
    async with database.tenant(stage.one.tenant_id, OPERATOR) as tx:
        approved = await actions.approve(tx, RunId(planned.run_id))
    undone = await wait(stage.session, stage.one.tenant_id, approved)
    same = await digest(stage.session, stage.one.tenant_id) == before
    as_before = "exactly" if same else "NOT"
    out.print(f"  The rollback is {undone.state}; the state of the tenant is {as_before} as it was before the day.")
    _expect(undone.state is RunState.APPLIED and same, "the rollback was to bring the state back")


async def digest(s: Session, tenant_id: TenantId) -> str:
    """A digest of every assertion, link and effective value of a tenant."""
    state = blake2b(digest_size=16)
    async with s.platform.database.tenant(tenant_id, OPERATOR, read_only=True) as tx:
        after = None
        while page := await persons_page(tx, after=after, limit=2_000):
            after = page[-1].person_id
            for p in page:
                state.update(_ORDERED([p.person_id, p.active, p.values, p.manager_id, p.keys]))
        place = None
        while records := await records_after(tx, place, limit=2_000):
            place = records[-1].resource_id
            for r in records:
                state.update(
                    _ORDERED(
                        [r.source_id, r.external_id, r.resource_id, r.person_id, r.present, r.active, r.values, r.raw]
                    )
                )
    return state.hexdigest()


async def _print(stage: Stage, run: Run, shown: int) -> None:
    async with stage.session.platform.database.tenant(stage.one.tenant_id, OPERATOR, read_only=True) as tx:
        run = await with_counts(tx, run)
        changes = await queries.changes_page(tx, run.run_id, limit=shown) if shown else []
        names = await named_subjects(tx, changes)
    print_run(run, changes, stage.slug, decide=run.kind is not RunKind.ROLLBACK, names=names)


def _title(text: str) -> None:
    out.print()
    out.rule(text, align="left", style="cyan")


def _expect(true: bool, what: str) -> None:
    if not true:
        raise SceneFailed(what)
