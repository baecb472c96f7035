"""The plan browser over HTTP: what each change says, chips, pages, exports, hostile values."""

import csv
import json
import re
from html import unescape
from io import StringIO

from stoa.changes.model import RunKind
from tests.changes.conftest import Desk
from tests.people.making import worker
from tests.web.signed_in import text_of

LONG = "All work and no play. " * 455
HOSTILE = {
    0: "<script>alert(1)</script>",
    1: "محمد عبد الله",
    2: "gpj.elif\u202egnp.exe",
    3: "🙂" * 50,
    4: '"><img src=x onerror=alert(1)>',
    5: "=cmd|' /C calc'!A0",
}


async def test_each_change_says_who_what_and_why(desk: Desk) -> None:
    await desk.sync([worker(n) for n in range(6)])
    run = await desk.planned([worker(n, **({"department": "Board"} if n == 2 else {})) for n in range(5)])
    page = await desk.get(f"/runs/{run.run_id}/changes")
    text = text_of(page)
    for told in (
        "Given2 Family2",
        "E00002",
        "Another job, team or place",
        "Finance",
        "Board",
        "Not in the report any more",
    ):
        assert told in text, told
    assert "row_hash" not in page.text
    # The folded copies are nobody's business.
    assert "_key" not in page.text
    assert f'href="{desk.base}/people/' in page.text


async def test_who_is_only_planned_is_no_link_yet(desk: Desk) -> None:
    run = await desk.planned([worker(1)])
    page = await desk.get(f"/runs/{run.run_id}/changes")
    assert "/people/" not in page.text[page.text.index("run-changes") :]
    assert "Nobody with these identifiers is known" in text_of(page)
    await desk.apply(run)
    page = await desk.get(f"/runs/{run.run_id}/changes")
    assert "/people/" in page.text[page.text.index("run-changes") :]


async def test_chips_lead_to_what_they_count(desk: Desk) -> None:
    await desk.sync([worker(n) for n in range(12)])
    changed = [worker(n, **({"department": "Board"} if n % 2 else {"email": f"new{n}@acme.example"})) for n in range(9)]
    run = await desk.planned(changed)
    page = await desk.get(f"/runs/{run.run_id}/changes")
    chips = re.findall(r'class="run-chip" href="([^"]*)"[^>]*>([^<]*)<span class="count">(\d+)</span>', page.text)
    words = {word.strip(): int(n) for _, word, n in chips}
    actions = {"All": 12, "Update": 9, "Deactivate": 3}
    reasons = {"Another job, team or place": 4, "Another name or address": 5, "Not in the report any more": 3}
    fields = {"Department": 4, "E-mail": 5, "Access": 3, "Active in the source": 3, "In the report": 3}
    assert words == actions | reasons | fields
    for link, word, n in chips:
        found = await desk.http.get(unescape(link))
        assert found.text.count('class="run-change"') == int(n), word
        assert 'aria-current="true"' in found.text


async def test_pages_follow_each_other_without_a_gap(desk: Desk) -> None:
    run = await desk.planned([worker(n) for n in range(60)])
    address, seen = f"{desk.base}/runs/{run.run_id}/changes?limit=25", []
    while address:
        page = await desk.http.get(address)
        seen += re.findall(r"<code><bdi>(E\d+)</bdi></code>", page.text)
        further = re.search(r'<a href="([^"]*)" rel="next"', page.text)
        address = unescape(further[1]) if further else ""
    assert sorted(seen) == [f"E{n:05}" for n in range(60)]


async def test_a_search_looks_at_the_beginning_of_an_id(desk: Desk) -> None:
    run = await desk.planned([worker(n) for n in range(30)])
    assert (await desk.get(f"/runs/{run.run_id}/changes", q="E0001")).text.count('class="run-change"') == 10
    none = await desk.get(f"/runs/{run.run_id}/changes", q="Given1")
    assert "No change fits" in text_of(none)
    for q in ("%", "_", "'", "\u0000", "\U0010ffff", "x" * 5000):
        assert (await desk.get(f"/runs/{run.run_id}/changes", q=q)).status_code in {200, 400}


async def test_hostile_values_stay_values(desk: Desk) -> None:
    rows = [worker(n, display_name=name, title=name, department=LONG[:1000]) for n, name in HOSTILE.items()]
    made = await desk.sync(rows)
    run = await desk.planned([row | {"title": "Chief"} for row in rows])
    async with desk.database.tenant(desk.tenant_id) as tx:
        await tx.execute(
            "UPDATE change SET after = after || $2, subject = subject || $3 WHERE run_id = $1",
            *(run.run_id, {"title": LONG}, "<script>alert(2)</script>"),
        )
    for run_id in (made.run_id, run.run_id):
        for path in (f"/runs/{run_id}/changes", f"/runs/{run_id}"):
            page = await desk.get(path)
            assert page.status_code == 200
            assert "<script>alert" not in page.text
            assert "<img src=x" not in page.text
    page = await desk.get(f"/runs/{run.run_id}/changes")
    assert "10,010 characters" in page.text


# ------------------------------------------------------------------ as a file


async def test_changes_as_a_file(desk: Desk) -> None:
    await desk.sync([worker(n, **({"display_name": HOSTILE[5]} if n == 1 else {})) for n in range(3)])
    run = await desk.planned(
        [worker(n, title="Chief", **({"display_name": HOSTILE[5]} if n == 1 else {})) for n in range(2)]
    )
    answer = await desk.get(f"/runs/{run.run_id}/changes.csv", filter='action eq "update"')
    rows = list(csv.DictReader(StringIO(answer.text.removeprefix("\ufeff"))))
    assert [row["subject"] for row in rows] == ["E00000", "E00001"]
    assert (rows[0]["fields"], json.loads(rows[0]["after"])) == ("title", {"title": "Chief"})
    wrong = await desk.get(f"/runs/{run.run_id}/changes.csv", filter="colour eq 1")
    assert wrong.status_code == 400
    assert "-" + HOSTILE[5] not in answer.text


async def test_an_hour_of_single_requests_is_counted_when_it_is_shown(desk: Desk) -> None:
    made = await desk.sync([worker(n) for n in range(4)])
    async with desk.database.tenant(desk.tenant_id) as tx:
        await tx.execute(
            "UPDATE run SET kind = $2, counts = '{}', figures = '{}' WHERE run_id = $1",
            made.run_id,
            RunKind.SCIM_WINDOW,
        )
        await tx.execute("UPDATE change SET state = 'applied' WHERE run_id = $1", made.run_id)
    text = text_of(await desk.get(f"/runs/{made.run_id}"))
    assert "Requests of Workday" in text
    assert "Create 4" in text
    assert "Undo what this source did in that hour" in text
    asked = await desk.post(f"/runs/{made.run_id}/roll-back")
    rollback_id = asked.headers["location"].rsplit("/", 1)[1]
    assert rollback_id in (await desk.get(f"/runs/{made.run_id}")).text
