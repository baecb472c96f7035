"""Changes of groups where runs are shown: who, which group, and why, in words; the audit log tells of them too."""

from stoa.changes import actions as runs
from stoa.changes.model import RunState
from stoa.events.trail import TrailAsk, trail_page
from stoa.kernel.ids import RunId
from stoa.people.groups_actions import change_group, make_group
from stoa.people.groups_model import Delta, GroupAsserted, GroupChanged, GroupMade, Replaced
from stoa.people.groups_target import Groups
from stoa.people.guard_rules import Guard, GuardKind
from stoa.people.target import People
from stoa.people.thresholds import set_guard
from stoa.sync.jobs import SourceWorker
from stoa.sync.planning import Planner
from tests.changes.conftest import Desk, desk, pages, people_at
from tests.web.signed_in import text_of

from .group_runs import apply
from .grouping import make_person
from .making import working

__all__ = ["desk", "pages", "people_at"]


async def pushed(desk: Desk) -> tuple[RunId, RunId, str]:
    """A group that Ada was put into, and Bob is to go out of, which waits: both runs, and Ada's person."""
    async with desk.database.tenant(desk.tenant_id) as tx:
        (ada, person), (bob, _) = [await make_person(tx, desk.source_id, name) for name in ("Ada", "Bob")]
        made = await make_group(tx, desk.source_id, GroupAsserted("Engines"), Replaced(frozenset({bob})))
        assert isinstance(made, GroupMade)
        await set_guard(tx, GuardKind.EMPTY_GROUP, None, Guard(absolute=0, percent=0, floor=0))
        wanted = Delta(frozenset({ada}), frozenset({bob}))
        changed = await change_group(tx, made.group, GroupAsserted("Motors"), wanted)
        assert isinstance(changed, GroupChanged)
        assert changed.held is not None
    return changed.written.run_id, changed.held, str(person)


async def test_runs_of_groups_say_who_comes_and_goes(desk: Desk) -> None:
    hour, held, person = await pushed(desk)
    text = text_of(await desk.get(f"/runs/{hour}"))
    assert "Requests about groups of" in text
    page = await desk.get(f"/runs/{hour}/changes")
    text = text_of(page)
    for told in ("Ada", "Bob", "Engines", "Motors", "A new group", "Another name of the group", "Comes into the group"):
        assert told in text, told
    assert f'href="{desk.base}/people/{person}"' in page.text
    assert "None" not in text
    text = text_of(await desk.get(f"/runs/{held}"))
    assert "Held changes of groups of" in text
    assert "Bob" in text
    text = text_of(await desk.get(f"/runs/{held}/changes"))
    assert "Goes out of the group" in text
    export = await desk.get(f"/runs/{hour}/changes.csv")
    assert "Comes" in text_of(page)
    assert export.status_code == 200
    assert "· groups" in text_of(await desk.get("/runs"))


async def test_runs_of_groups_say_who_is_awaited(desk: Desk) -> None:
    async with desk.database.tenant(desk.tenant_id) as tx:
        named = Replaced(frozenset({"e-4711"}))
        made = await make_group(tx, desk.source_id, GroupAsserted("Engines"), named, awaits=True)
        assert isinstance(made, GroupMade)
    text = text_of(await desk.get(f"/runs/{made.written.run_id}/changes"))
    for told in ("e-4711", "Engines", "A member who is not here yet, and is awaited", "Awaited member"):
        assert told in text, told
    assert "Group id" not in text


async def test_the_audit_log_has_them_under_the_person_and_the_group(desk: Desk) -> None:
    hour, held, person = await pushed(desk)
    async with desk.database.tenant(desk.tenant_id) as tx:
        lines = [line for line in (await trail_page(tx, TrailAsk(limit=200))).lines if line.run_id == hour]
        types = {line.type for line in lines}
        assert types == {"group.created", "group.updated", "group.member_added"}
        assert {line.subject for line in lines if line.type == "group.member_added"} >= {person}
        assert all(line.body and line.body["run_id"] == str(hour) for line in lines)
        run = await runs.approve(tx, held)
    assert (await apply(desk.database, desk.tenant_id, run)).state is RunState.APPLIED
    async with desk.database.tenant(desk.tenant_id) as tx:
        lines = [line for line in (await trail_page(tx, TrailAsk(limit=200))).lines if line.run_id == held]
        assert "group.member_removed" in {line.type for line in lines}


async def test_the_worker_undoes_a_run_by_the_target_that_it_names(desk: Desk) -> None:
    hour, _, _ = await pushed(desk)
    planner = Planner(People(), None, b"", (Groups(),))  # pyright: ignore[reportArgumentType] - nothing is opened
    worker, work = SourceWorker(planner), working(desk.database, desk.tenant_id)
    async with desk.database.tenant(desk.tenant_id) as tx:
        run = await runs.queue_rollback(tx, hour)
    while run.state is not RunState.APPLIED:
        run = await worker.step(work, run)
    assert (run.target, run.figures.get("conflicts", 0)) == ("group", 0)
    async with desk.database.tenant(desk.tenant_id) as tx:
        assert not await tx.fetchval("SELECT count(*) FROM group_member")
        assert not await tx.fetchval("SELECT count(*) FROM person_group WHERE present")
        # What waited was taken back with it, and nobody has to decide any more.
        assert not await tx.fetchval("SELECT count(*) FROM run WHERE kind = 'scim_hold' AND state = 'held'")
