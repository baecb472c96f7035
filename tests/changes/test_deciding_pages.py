"""Approving, rejecting and rolling back from the pages: also twice, too late, and against what others did."""

import re

from stoa.changes import actions
from stoa.changes.model import RunKind, RunState
from stoa.db.transactions import Origin
from stoa.kernel.ids import RunId
from tests.changes.conftest import Desk
from tests.people.making import worker
from tests.web.signed_in import text_of

LEFT = "Left alone: somebody has changed the same fields since."


def run_at(address: str) -> RunId:
    """The run that an address leads to."""
    return RunId(re.findall(r"/runs/([0-9a-f-]{36})$", address)[0])


async def test_approving_leads_to_the_run_and_keeps_the_reason(desk: Desk) -> None:
    run = await desk.held()
    answer = await desk.post(f"/runs/{run.run_id}/approve", reason="  The team was sold. 🙂 ")
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{desk.base}/runs/{run.run_id}"
    approved = await desk.run(run.run_id)
    assert (approved.state, approved.decided_note) == (RunState.APPROVED, "The team was sold. 🙂")
    text = text_of(await desk.get(f"/runs/{run.run_id}"))
    assert "Approved by you" in text
    assert "The team was sold." in text
    assert (await desk.apply(approved)).state is RunState.APPLIED
    assert "30 changes took effect" in text_of(await desk.get(f"/runs/{run.run_id}"))


async def test_approving_twice_says_who_approved_meanwhile(desk: Desk, viewer: Desk) -> None:
    run = await desk.held()
    await desk.post(f"/runs/{run.run_id}/approve")
    again = await desk.post(f"/runs/{run.run_id}/approve")
    assert again.status_code == 409
    text = text_of(again)
    assert "Somebody was quicker" in text
    assert re.search(r"It was approved at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d by this hand: you\.", text)
    assert "Below is how the run stands now." in text
    assert (await desk.run(run.run_id)).state is RunState.APPROVED
    # Others read a name.
    assert "Approved by Ada <Byron>" in text_of(await viewer.get(f"/runs/{run.run_id}"))


async def test_approving_what_the_command_line_rejected(desk: Desk) -> None:
    run = await desk.held()
    async with desk.database.tenant(desk.tenant_id, Origin("operator:cli", "cli")) as tx:
        await actions.reject(tx, run.run_id)
    late = await desk.post(f"/runs/{run.run_id}/approve")
    assert late.status_code == 409
    assert "It was rejected at" in text_of(late)
    assert "the server's operator, by command" in text_of(late)


async def test_rejecting_applies_nothing(desk: Desk) -> None:
    run = await desk.held()
    answer = await desk.post(f"/runs/{run.run_id}/reject", reason="Half a report.")
    assert answer.status_code == 303
    rejected = await desk.run(run.run_id)
    assert (rejected.state, rejected.decided_note) == (RunState.REJECTED, "Half a report.")
    text = text_of(await desk.get(f"/runs/{run.run_id}"))
    assert "Nothing of it was applied." in text
    assert "It would deactivate unusually many people" in text
    assert (await desk.post(f"/runs/{run.run_id}/reject")).status_code == 409


async def test_a_reason_that_is_too_long_is_given_back(desk: Desk) -> None:
    run = await desk.held()
    for act in ("approve", "reject"):
        answer = await desk.post(f"/runs/{run.run_id}/{act}", reason="<b>" + "x" * 10_000)
        assert answer.status_code == 422
        assert "The reason has 10,003 characters; the most is 1,000." in text_of(answer)
        assert "&lt;b&gt;xxx" in answer.text
    assert (await desk.run(run.run_id)).state is RunState.HELD


async def test_a_plan_that_was_overtaken_is_not_applied_and_says_by_what(desk: Desk) -> None:
    await desk.sync([worker(n) for n in range(3)])
    older = await desk.planned([worker(n, title="Older") for n in range(3)])
    newer = await desk.sync([worker(n, title="Newer") for n in range(3)])
    async with desk.database.tenant(desk.tenant_id) as tx:
        await tx.execute("UPDATE run SET state = 'held' WHERE run_id = $1", older.run_id)
    assert (await desk.post(f"/runs/{older.run_id}/approve")).status_code == 303
    stale = await desk.apply(await desk.run(older.run_id))
    assert stale.state is RunState.STALE
    page = await desk.get(f"/runs/{older.run_id}")
    assert "Out of date, and not applied" in text_of(page)
    assert f'href="{desk.base}/runs/{newer.run_id}"' in page.text
    late = await desk.post(f"/runs/{older.run_id}/approve")
    assert late.status_code == 409
    assert "is stale" in text_of(late)


# ------------------------------------------------------------------ rolling back


async def test_rolling_back_first_shows_what_it_does_then_does_it(desk: Desk) -> None:
    await desk.sync([worker(n) for n in range(6)])
    day = await desk.sync([worker(n, title="Chief", department="Board") for n in range(6)])
    asked = await desk.post(f"/runs/{day.run_id}/roll-back")
    assert asked.status_code == 303
    rollback_id = run_at(asked.headers["location"])
    queued = await desk.run(rollback_id)
    assert (queued.kind, queued.state, queued.plan_only, queued.of_run) == (
        *(RunKind.ROLLBACK, RunState.QUEUED, True),
        day.run_id,
    )
    waiting = await desk.get(f"/runs/{rollback_id}")
    assert f'sse-connect="{desk.base}/runs/{rollback_id}/live"' in waiting.text
    await desk.plan_rollback(rollback_id)
    shown = await desk.get(f"/runs/{rollback_id}")
    text = text_of(shown)
    assert "This is what the rollback would do Nothing has changed yet. It would change 6 people." in text
    assert "Roll back now" in text
    assert "sse-connect" not in shown.text
    # Whoever asks again is led to the one that there is.
    again = await desk.post(f"/runs/{day.run_id}/roll-back")
    assert run_at(again.headers["location"]) == rollback_id
    assert str(rollback_id) in (await desk.get(f"/runs/{day.run_id}")).text
    assert str(rollback_id) in (await desk.get("/approvals")).text
    assert (await desk.post(f"/runs/{rollback_id}/approve")).status_code == 303
    await desk.apply(await desk.run(rollback_id))
    undone = await desk.run(day.run_id)
    assert (undone.state, undone.figures["undone"]) == (RunState.UNDONE, 6)
    text = text_of(await desk.get(f"/runs/{day.run_id}"))
    assert "What it did was taken back. 6 changes in all." in text
    assert "Rolled back by you" in text
    assert (await desk.post(f"/runs/{day.run_id}/roll-back")).status_code == 409


async def test_conflicts_are_listed_before_anything_is_rolled_back(desk: Desk) -> None:
    await desk.sync([worker(n) for n in range(4)])
    day = await desk.sync([worker(n, title="Chief") for n in range(4)])
    await desk.sync([worker(n, title="Board" if n == 2 else "Chief") for n in range(4)])
    rollback_id = run_at((await desk.post(f"/runs/{day.run_id}/roll-back")).headers["location"])
    planned = await desk.plan_rollback(rollback_id)
    assert (planned.counts, planned.figures["conflicts"]) == ({"update": 3}, 1)
    text = text_of(await desk.get(f"/runs/{rollback_id}"))
    assert "It would change 3 people." in text
    assert "1 change is left alone" in text
    assert LEFT in text
    assert "Given2 Family2" in text
    assert "is now Board , expected was Chief" in text
    # Before the button, not after it.
    assert text.index(LEFT) < text.index("Roll back now")
    assert "1 is left alone, wholly or in part" in text_of(await desk.get("/approvals"))
    browsed = text_of(await desk.get(f"/runs/{rollback_id}/changes", filter='state eq "conflict"'))
    assert "Given2 Family2" in browsed
    assert "Given1 Family1" not in browsed


async def test_single_fields_that_stay_are_listed_before_anything_is_rolled_back(desk: Desk) -> None:
    await desk.sync([worker(n) for n in range(4)])
    day = await desk.sync([worker(n, title="Chief", department="Board") for n in range(4)])
    await desk.sync([worker(n, title="Other" if n == 1 else "Chief", department="Board") for n in range(4)])
    rollback_id = run_at((await desk.post(f"/runs/{day.run_id}/roll-back")).headers["location"])
    planned = await desk.plan_rollback(rollback_id)
    assert (planned.counts, planned.figures["plan"]["partial"]) == ({"update": 4}, 1)
    text = text_of(await desk.get(f"/runs/{rollback_id}"))
    assert "1 change leaves single fields as they are" in text
    assert "Taken back but for these fields:" in text
    assert "Title is now Other , expected was Chief" in text
    browsed = await desk.get(f"/runs/{rollback_id}/changes", filter="left_alone pr")
    assert browsed.text.count('class="run-change"') == 1
    await desk.post(f"/runs/{rollback_id}/approve")
    await desk.apply(await desk.run(rollback_id))
    async with desk.database.tenant(desk.tenant_id) as tx:
        rows = await tx.fetch("SELECT external_id, title, department FROM source_record ORDER BY external_id")
    assert [(row["title"], row["department"]) for row in rows[:2]] == [("Engineer", "Sales"), ("Other", "Research")]


async def test_a_rollback_can_be_put_away(desk: Desk) -> None:
    day = await desk.sync([worker(n) for n in range(3)])
    rollback_id = run_at((await desk.post(f"/runs/{day.run_id}/roll-back")).headers["location"])
    await desk.plan_rollback(rollback_id)
    assert "Cancel the rollback" in text_of(await desk.get(f"/runs/{rollback_id}"))
    assert (await desk.post(f"/runs/{rollback_id}/reject")).status_code == 303
    assert (await desk.run(day.run_id)).state is RunState.APPLIED
    # And asked for anew.
    assert run_at((await desk.post(f"/runs/{day.run_id}/roll-back")).headers["location"]) != rollback_id


async def test_what_is_not_applied_cannot_be_rolled_back(desk: Desk) -> None:
    run = await desk.held()
    assert "/roll-back" not in (await desk.get(f"/runs/{run.run_id}")).text
    late = await desk.post(f"/runs/{run.run_id}/roll-back")
    assert late.status_code == 409
    assert "only an applied run can be rolled back" in text_of(late)


# ------------------------------------------------------------------ approvals


async def test_approvals_stand_the_oldest_first_with_their_reason(desk: Desk) -> None:
    held = await desk.held(people=60, leavers=30)
    plan = await desk.in_state(RunState.PLANNED, plan_only=True)
    page = await desk.get("/approvals")
    found = re.findall(r'<h2><a href="[^"]*/runs/([0-9a-f-]{36})"', page.text)
    assert found == [str(held.run_id), str(plan.run_id)]
    text = text_of(page)
    assert "30 of 60 people" in text
    assert "Deactivate: 30" in text
    assert f'action="{desk.base}/runs/{held.run_id}/approve"' in page.text
    # Without anything in it there is nothing to approve.
    assert f'action="{desk.base}/runs/{plan.run_id}/approve"' not in page.text
    await desk.post(f"/runs/{held.run_id}/reject")
    await desk.post(f"/runs/{plan.run_id}/reject")
    assert "Nothing waits for you" in text_of(await desk.get("/approvals"))
