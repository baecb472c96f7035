"""The audit log of a tenant, and the platform's own, over HTTP."""

import csv
import io

import httpx2
import pytest

from stoa.access.actions import issue_token
from stoa.access.permissions import Role
from stoa.access.platform_log import check_platform_daily
from stoa.alerts.chain import BROKEN_ALERT, chain_job
from stoa.alerts.queries import current_alerts
from stoa.db import embedded
from stoa.db.database import Database
from stoa.db.transactions import Origin
from stoa.events.actions import emit, emit_batch, number_entries
from stoa.events.model import Event
from stoa.jobs.worker import Worker
from stoa.kernel.ids import RunId, new_id
from stoa.tenants.actions import CHAIN_JOB
from tests.console.conftest import MakePlace, Place
from tests.events.test_chain import tamper
from tests.web.signed_in import Browsers, text_of

HOSTILE = "=cmd|' /C calc'!A0"


@pytest.fixture
async def place(make_place: MakePlace) -> Place:
    return await make_place(name="Audited")


@pytest.fixture
async def admin(people: Browsers, place: Place) -> httpx2.AsyncClient:
    return await people.of(Role.TENANT_ADMIN, place.tenant_id)


async def rows(answer: httpx2.Response) -> list[dict[str, str]]:
    assert answer.headers["content-type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.text.lstrip("\ufeff"))))


async def test_a_change_is_shown_with_who_from_where_and_the_difference(
    admin: httpx2.AsyncClient, place: Place
) -> None:
    form = {"name": "Renamed <b>", "time_zone": "Asia/Tokyo", "owner_name": "", "owner_email": "", "accent": ""}
    assert (await admin.post(f"{place.base}/settings", data=form)).status_code == 303
    page = await admin.get(f"{place.base}/audit")
    assert page.status_code == 200
    shown = text_of(page)
    assert "tenant.changed name, time_zone" in shown
    assert "you" in shown
    assert "console 127.0.0.1" in shown
    link = page.text.partition("tenant.changed")[0].rpartition('href="')[2].partition('"')[0]
    entry = await admin.get(link)
    assert "Audited Renamed <b>" in text_of(entry)
    assert "UTC Asia/Tokyo" in text_of(entry)
    assert "Renamed <b>" not in entry.text
    assert "127.0.0.1" in entry.text


async def test_whoever_acted_is_named(
    people: Browsers, database: Database, admin: httpx2.AsyncClient, place: Place
) -> None:
    other = await people.of(Role.PLATFORM_ADMIN, name="Grace")
    form = {"name": "By Grace", "time_zone": "UTC", "owner_name": "", "owner_email": "", "accent": ""}
    await other.post(f"{place.base}/settings", data=form)
    async with database.tenant(place.tenant_id) as tx:
        token = await issue_token(tx, ["scim"], "Okta's token", None)
    for actor, said in (
        (f"scim:{token.credential_id}", "Okta's token"),
        (f"scim:{new_id()}", "A SCIM client"),
        (f"operator:{new_id()}", "An operator who is gone"),
        ("operator:cli", "The server's operator, by command"),
        ("job:sync.scheduled", "Job sync.scheduled"),
    ):
        async with database.tenant(place.tenant_id, Origin(actor, "api", address="203.0.113.5")) as tx:
            emit(tx, Event("thing.done", "thing", {}))
        assert said in text_of(await admin.get(f"{place.base}/audit")), actor
    found = text_of(await admin.get(f"{place.base}/audit?q=grace"))
    assert "tenant.changed" in found
    assert "thing.done" not in found
    assert "thing.done" in text_of(await admin.get(f"{place.base}/audit?q=okta%27s"))


async def test_it_is_filtered_paged_and_exported(database: Database, admin: httpx2.AsyncClient, place: Place) -> None:
    for number in range(30):
        async with database.tenant(place.tenant_id, Origin("operator:cli", "cli", f"r{number}", "192.0.2.7")) as tx:
            emit(tx, Event("thing.done", HOSTILE, {"before": {"n": number}, "after": {"n": number + 1}, "why": "so"}))
    first = await admin.get(f"{place.base}/audit?filter=via+eq+%22cli%22")
    assert first.text.count("<tr>") == 26
    further = first.text.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0].replace("&amp;", "&")
    assert (await admin.get(further)).text.count("<tr>") == 6
    wrong = await admin.get(f"{place.base}/audit?filter=who+eq+1")
    assert "Unknown attribute" in text_of(wrong)
    exported = await rows(await admin.get(f"{place.base}/audit.csv?filter=request_id+eq+%22r7%22"))
    assert len(exported) == 1
    assert exported[0] | {"at": "", "entry_no": "", "seq": ""} == {
        "seq": "", "entry_no": "", "at": "", "actor": "operator:cli", "name": "The server's operator, by command",
        "via": "cli", "address": "192.0.2.7", "request_id": "r7", "run_id": "", "type": "thing.done",
        "subject": f"'{HOSTILE}", "events": "1", "before": '{"n":7}', "after": '{"n":8}', "more": '{"why":"so"}',
    }  # fmt: skip
    assert len(await rows(await admin.get(f"{place.base}/audit.csv?filter=via+eq+%22cli%22&limit=25"))) == 30


async def test_a_bulk_entry_is_one_line_that_leads_to_its_run(
    database: Database, admin: httpx2.AsyncClient, place: Place
) -> None:
    run_id = RunId(new_id())
    async with database.tenant(place.tenant_id, Origin("job:changes.source", "worker")) as tx:
        emit_batch(tx, run_id=run_id, ord_from=1, ord_to=1234, n=1234)
    page = await admin.get(f"{place.base}/audit?filter=run_id+pr")
    assert "1,234 changes of a run" in text_of(page)
    assert f'href="{place.base}/runs/{run_id}"' in page.text
    link = page.text.partition("changes of a run")[0].rpartition('href="')[2].partition('"')[0]
    assert f'href="{place.base}/runs/{run_id}/changes"' in (await admin.get(link)).text


async def test_the_state_of_the_chain_is_shown_and_a_check_is_asked_for(
    database: Database, admin: httpx2.AsyncClient, place: Place, server: embedded.Server
) -> None:
    assert "has not been checked yet" in text_of(await admin.get(f"{place.base}/audit"))
    worker = Worker(database, {CHAIN_JOB: chain_job(check_platform_daily)})

    async def check() -> str:
        answer = await admin.post(f"{place.base}/audit/check")
        assert answer.status_code == 303
        assert await worker.claim_one(CHAIN_JOB, "", place.tenant_id) is not None
        return text_of(await admin.get(f"{place.base}/audit"))

    sound = await check()
    async with database.tenant(place.tenant_id) as tx:
        await number_entries(tx)
        last = await tx.fetchval("SELECT next_seq - 1 FROM event_head WHERE tenant_id = $1", place.tenant_id)
        first_no = await tx.fetchval("SELECT min(entry_no) FROM entry WHERE tenant_id = $1", place.tenant_id)
    assert f"Verified as it was written up to number {last}" in sound
    touch = "UPDATE entry SET actor = $3 WHERE tenant_id = $1 AND entry_no = $2"
    await tamper(server, touch, place.tenant_id, first_no, "nobody")
    broken = await check()
    assert "This log is not what was written. At number 1: the content of an entry was changed." in broken
    async with database.tenant(place.tenant_id) as tx:
        [alert] = [one for one in await current_alerts(tx) if one.kind == BROKEN_ALERT]
    assert alert.severity == "critical"
    assert f"(entry {first_no})" in alert.detail
    await tamper(server, touch, place.tenant_id, first_no, "system")
    assert "Verified" in await check()
    async with database.tenant(place.tenant_id) as tx:
        assert [one for one in await current_alerts(tx) if one.kind == BROKEN_ALERT] == []


@pytest.mark.parametrize(
    "address", ["/audit/0", "/audit/x", "/audit/99999999999999999999", "/audit/9223372036854775807"]
)
async def test_what_is_not_there_is_404(admin: httpx2.AsyncClient, place: Place, address: str) -> None:
    assert (await admin.get(place.base + address)).status_code == 404


async def test_another_tenants_entry_is_not_there(
    people: Browsers, database: Database, place: Place, make_place: MakePlace
) -> None:
    other = await make_place()
    async with database.tenant(other.tenant_id) as tx:
        entry_no = await tx.fetchval("SELECT max(entry_no) FROM entry WHERE tenant_id = $1", other.tenant_id)
    everywhere = await people.of(Role.PLATFORM_ADMIN)
    assert (await everywhere.get(f"{other.base}/audit/{entry_no}")).status_code == 200
    assert (await everywhere.get(f"{place.base}/audit/{entry_no}")).status_code == 404


@pytest.mark.parametrize(
    ("role", "status"),
    [(Role.TENANT_VIEWER, 403), (Role.TENANT_ADMIN, 200), (Role.PLATFORM_VIEWER, 200), (Role.PLATFORM_ADMIN, 200)],
)
async def test_who_may_look(people: Browsers, place: Place, role: Role, status: int) -> None:
    browser = await people.of(role, place.tenant_id)
    for path in ("/audit", "/audit.csv"):
        assert (await browser.get(place.base + path)).status_code == status
    linked = f'href="{place.base}/audit"' in (await browser.get(place.base)).text
    assert linked is (status == 200)


# ------------------------------------------------------------------ the platform's own


async def test_the_log_of_operators_is_shown_filtered_exported_and_checked(people: Browsers) -> None:
    admin = await people.of(Role.PLATFORM_ADMIN, name="Root")
    made = {"email": "new-audited@example.com", "name": "Newcomer", "platform_role": "platform_viewer"}
    assert (await admin.post("/console/operators", data=made)).status_code == 200
    page = await admin.get("/console/audit?q=newcomer")
    assert "operator.created Newcomer you console 127.0.0.1" in text_of(page)
    link = page.text.partition("operator.created")[0].rpartition('href="')[2].partition('"')[0]
    entry = text_of(await admin.get(link))
    assert "platform_role nothing platform_viewer" in entry
    assert "example.com" not in entry
    exported = await rows(await admin.get("/console/audit.csv?q=newcomer"))
    assert [(one["type"], one["of"], one["address"]) for one in exported] == [
        ("operator.created", "Newcomer", "127.0.0.1")
    ]
    assert (await admin.post("/console/audit/check")).status_code == 303
    assert "as it was written up to number" in text_of(await admin.get("/console/audit"))
    assert (await admin.get("/console/audit/0")).status_code == 404
    assert (await admin.get("/console/audit/x")).status_code == 404


@pytest.mark.parametrize("role", [Role.PLATFORM_VIEWER, Role.TENANT_ADMIN, Role.TENANT_VIEWER])
async def test_only_administrators_of_the_platform_see_it(people: Browsers, place: Place, role: Role) -> None:
    browser = await people.of(role, place.tenant_id)
    for path in ("/console/audit", "/console/audit.csv", "/console/audit/1"):
        assert (await browser.get(path)).status_code == 403
    assert (await browser.post("/console/audit/check")).status_code == 403


async def test_whoever_takes_a_list_out_is_written_down(people: Browsers, place: Place) -> None:
    admin = await people.of(Role.PLATFORM_ADMIN, name="Taker")
    await admin.get(f"{place.base}/audit.csv?q=somebody%27s+name")
    # This export is the newest line of itself.
    _, line = await rows(await admin.get(f"{place.base}/audit.csv?filter=type+eq+%22list.exported%22"))
    assert (line["subject"], line["name"], line["address"]) == ("list:audit", "you", "127.0.0.1")
    assert line["more"] == '{"list":"audit","filtered":true}'
    await admin.get("/console/audit.csv")
    found = await rows(await admin.get("/console/audit.csv?filter=type+eq+%22list.exported%22&q=taker"))
    assert [one["subject"] for one in found] == ["list:platform-audit"] * 2
    assert [one["more"] for one in found] == [
        '{"list":"platform-audit","filtered":true}',
        '{"list":"platform-audit","filtered":false}',
    ]
