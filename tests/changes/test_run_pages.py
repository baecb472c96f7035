"""A run's page and the lists of runs, over HTTP without scripts."""

import csv
import re
from html import unescape
from io import StringIO

import pytest

from stoa.changes.model import RunKind, RunState
from tests.changes.conftest import Desk
from tests.people.making import worker
from tests.web.signed_in import text_of

HOSTILE = "<script>alert(1)</script>\u202e محمد 🙂"


async def test_a_held_run_says_the_cause_the_limit_and_what_to_do(desk: Desk) -> None:
    run = await desk.held(people=60, leavers=30)
    page = await desk.get(f"/runs/{run.run_id}")
    assert page.status_code == 200
    text = text_of(page)
    for told in (
        "Held: It would deactivate unusually many people",
        "30 of 60 people · 50.0 %",
        "at most 10 %, that is 6 people",
        "What to do: Compare with the source system.",
        "Nothing has changed yet.",
        "Approve: deactivate 30 people",
        "Not in the report any more",
    ):
        assert told in text, told
    # What it is about stands before everything else, and a decision is one click away.
    assert text.index("30 of 60 people") < text.index("Approve:") < text.index("History")
    assert f'formaction="{desk.base}/runs/{run.run_id}/reject"' in page.text
    assert "http-equiv" not in page.text


async def test_figures_lead_to_their_changes(desk: Desk) -> None:
    run = await desk.held()
    page = await desk.get(f"/runs/{run.run_id}")
    links = [unescape(link) for link in re.findall(r'href="([^"]*/changes\?[^"]*)"', page.text)]
    assert links
    for link in links:
        answer = await desk.http.get(link)
        assert answer.status_code == 200
        assert "There is no" not in text_of(answer)
        assert answer.text.count('class="run-change"') == 25


async def test_a_report_that_was_of_no_use_can_only_be_rejected(desk: Desk) -> None:
    reason = {"code": "not_a_report_html", "detail": "A web page came instead.", "hint": "Look at the address."}
    run = await desk.in_state(RunState.HELD, reasons=[reason], figures={"blocked": True})
    page = await desk.get(f"/runs/{run.run_id}")
    assert "The source sent a web page instead of a report" in text_of(page)
    assert "/approve" not in page.text
    assert "/reject" in page.text
    refused = await desk.post(f"/runs/{run.run_id}/approve")
    assert refused.status_code == 409
    assert (await desk.run(run.run_id)).state is RunState.HELD


async def test_a_failed_run_says_its_class_and_the_fix(desk: Desk) -> None:
    reason = {"code": "remote_down", "detail": "The other side answered 500.", "hint": "Try `stoa sync run` later."}
    run = await desk.in_state(RunState.ERRORED, reasons=[reason])
    page = await desk.get(f"/runs/{run.run_id}")
    text = text_of(page)
    assert "Failed: The source could not be reached" in text
    assert "The other side answered 500." in text
    assert "Nothing was changed." in text
    assert '<code dir="ltr">stoa sync run</code>' in page.text


@pytest.mark.parametrize("state", list(RunState))
@pytest.mark.parametrize("kind", [RunKind.SYNC, RunKind.SCIM_WINDOW, RunKind.DUE, RunKind.BULK])
async def test_every_state_of_every_kind_has_a_page(desk: Desk, state: RunState, kind: RunKind) -> None:
    run = await desk.in_state(state, kind, finished_at=None)
    for path in (f"/runs/{run.run_id}", f"/runs/{run.run_id}/changes"):
        page = await desk.get(path)
        assert page.status_code == 200, page.text[:500]
    moving = state in {RunState.QUEUED, RunState.PLANNING, RunState.PLANNED, RunState.APPROVED, RunState.APPLYING}
    page = await desk.get(f"/runs/{run.run_id}")
    assert ('sse-connect="' in page.text) == moving
    # Without scripts the page renews itself, or by a link.
    assert ('<noscript><meta http-equiv="refresh"' in page.text) == moving
    assert ('class="run-noscript"' in page.text) == moving


async def test_how_far_a_run_is(desk: Desk) -> None:
    run = await desk.planned([worker(n) for n in range(20)])
    async with desk.database.tenant(desk.tenant_id) as tx:
        await tx.execute(
            """UPDATE run SET state = 'applying', changes_done = 8, applying_at = $2::timestamptz - interval '4 seconds'
            WHERE run_id = $1""",
            *(run.run_id, tx.now),
        )
    page = await desk.get(f"/runs/{run.run_id}")
    assert '<progress aria-label="Applied" value="8" max="20">' in page.text
    assert "2 changes a second" in text_of(page)
    assert "You can close this page" in text_of(page)


async def test_batches_are_counted_as_they_are_applied(desk: Desk) -> None:
    run = await desk.planned([worker(n) for n in range(7)])
    done = await desk.apply(run, batch_rows=3)
    assert (done.changes_done, done.applying_at is not None) == (7, True)
    assert "7 changes took effect" in text_of(await desk.get(f"/runs/{run.run_id}"))


# ------------------------------------------------------------------ the lists


async def test_the_list_tells_state_counts_and_whose_doing_it_was(desk: Desk) -> None:
    held = await desk.held(people=60, leavers=30)
    failed = await desk.in_state(RunState.ERRORED, reasons=[{"code": "remote_down", "detail": "Down.", "hint": ""}])
    text = text_of(await desk.get("/runs"))
    for told in ("Deactivate: 30", "Create: 60", "It would deactivate unusually many people", "Workday"):
        assert told in text, told
    waiting = await desk.get("/runs/waiting")
    assert str(held.run_id) in waiting.text
    assert str(failed.run_id) not in waiting.text
    broken = await desk.get("/runs/failed")
    assert str(failed.run_id) in broken.text
    assert str(held.run_id) not in broken.text


@pytest.mark.parametrize("path", ["/runs", "/runs/waiting", "/runs/failed", "/approvals"])
async def test_an_empty_list_says_what_would_stand_there(desk: Desk, path: str) -> None:
    page = await desk.get(path)
    assert page.status_code == 200
    assert 'class="empty"' in page.text


async def test_runs_are_filtered_paged_and_sorted(desk: Desk) -> None:
    made = [await desk.in_state(RunState.APPLIED) for _ in range(30)]
    seen: list[str] = []
    address = f"{desk.base}/runs?limit=25&filter=" + "state+eq+%22applied%22"
    while address:
        page = await desk.http.get(address)
        assert page.status_code == 200
        seen += re.findall(r'<th scope="row"><div class="run-cell"><a href="[^"]*/runs/([0-9a-f-]{36})"', page.text)
        further = re.search(r'<a href="([^"]*)" rel="next"', page.text)
        address = unescape(further[1]) if further else ""
    assert seen == [str(run.run_id) for run in reversed(made)]
    first = await desk.get("/runs", sort="created_at", limit="25")
    assert re.findall(r'/runs/([0-9a-f-]{36})"', first.text)[0] == str(made[0].run_id)
    none = await desk.get("/runs", filter='state eq "held"')
    assert "No run fits" in text_of(none)
    one = await desk.get("/runs", q=str(made[3].run_id))
    assert one.text.count('<th scope="row">') == 1
    assert (await desk.get("/runs", q="WORK")).text.count('<th scope="row">') == 25


async def test_a_filter_that_cannot_be_read_is_told_beside_the_box(desk: Desk) -> None:
    await desk.in_state(RunState.APPLIED)
    page = await desk.get("/runs", filter="colour eq 1")
    assert 'id="list-problem"' in page.text
    assert "colour" in text_of(page)


async def test_runs_as_a_file(desk: Desk) -> None:
    held = await desk.held(people=60, leavers=30)
    answer = await desk.get("/runs.csv", filter='state eq "held"')
    assert answer.headers["content-type"].startswith("text/csv")
    (row,) = csv.DictReader(StringIO(answer.text.removeprefix("\ufeff")))
    assert (row["run_id"], row["deactivate"], row["reason"]) == (str(held.run_id), "30", "deactivate_over_threshold")


# ------------------------------------------------------------------ whose business it is


async def test_nothing_is_there_for_another_tenants_admin(desk: Desk, stranger: Desk) -> None:
    run = await desk.held()
    pages = ("", "/live", "/changes", "/changes.csv")
    for path in pages:
        for base in (desk.base, stranger.base):
            assert (await stranger.http.get(f"{base}/runs/{run.run_id}{path}")).status_code == 404, path
    for act in ("approve", "reject", "roll-back"):
        for base in (desk.base, stranger.base):
            assert (await stranger.http.post(f"{base}/runs/{run.run_id}/{act}")).status_code == 404, act
    for path in ("/runs", "/runs.csv", "/runs/waiting", "/approvals"):
        assert (await stranger.http.get(desk.base + path)).status_code == 404
        assert str(run.run_id) not in (await stranger.get(path)).text
    assert (await desk.run(run.run_id)).state is RunState.HELD


@pytest.mark.parametrize("run_id", ["01a20835-3c24-740d-a52c-bd84613cbe56", "x", "1' OR 1=1", "0" * 36])
async def test_a_run_that_is_not_there(desk: Desk, run_id: str) -> None:
    for path in ("", "/changes", "/live"):
        assert (await desk.get(f"/runs/{run_id}{path}")).status_code == 404


async def test_a_viewer_looks_and_cannot_decide(desk: Desk, viewer: Desk) -> None:
    run = await desk.held()
    page = await viewer.get(f"/runs/{run.run_id}")
    assert "/approve" not in page.text
    assert "Admins of the tenant approve or reject it" in text_of(page)
    for act in ("approve", "reject", "roll-back"):
        assert (await viewer.post(f"/runs/{run.run_id}/{act}")).status_code == 403
    approvals = await viewer.get("/approvals")
    assert "/approve" not in approvals.text
    assert (await desk.run(run.run_id)).state is RunState.HELD


# ------------------------------------------------------------------ hostile words


async def test_hostile_words_of_a_run_stay_words(desk: Desk) -> None:
    reason = {"code": f"{HOSTILE}", "detail": HOSTILE * 200, "hint": f"`{HOSTILE}`"}
    warnings = [{"code": "x", "detail": HOSTILE}]
    for state in (RunState.HELD, RunState.ERRORED, RunState.STALE, RunState.REJECTED):
        run = await desk.in_state(
            state, reasons=[reason], figures={"warnings": warnings}, decided_by=HOSTILE, decided_note=HOSTILE[:900]
        )
        for path in (f"/runs/{run.run_id}", "/runs", "/approvals"):
            page = await desk.get(path)
            assert page.status_code == 200
            assert "<script>alert" not in page.text
