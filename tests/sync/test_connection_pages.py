"""Connections over HTTP without scripts, before the simulated Workday."""

from collections.abc import AsyncGenerator
from html import unescape

import pytest

from stoa.access.actions import issue_token
from stoa.access.permissions import Role
from stoa.changes import queries
from stoa.changes.model import RunState
from stoa.kernel.ids import RunId
from stoa.sync import actions, freshness
from stoa.tenants import queries as tenants
from stoa.tenants.actions import ensure_source
from tests.conftest import MakeTenant
from tests.sync.conftest import PEOPLE, Office, OpenOffice
from tests.sync.front import Front, connection, front_of, pages_of
from tests.web.signed_in import Browsers, application_of, browsers, text_of

HOSTILE = "<script>alert(1)</script> \u0645\u062d\u0645\u062f \U0001f642"
NOBODY = "019a0000-0000-7000-8000-000000000000"


@pytest.fixture
async def people_at(office: Office) -> AsyncGenerator[Browsers]:
    """Signs people in before the pages of an office with one applied report."""
    async with browsers(application_of(office.database, pages_of(office)), office.database) as opened:
        yield opened


@pytest.fixture
async def admin(office: Office, people_at: Browsers) -> Front:
    return await front_of(office, people_at, Role.TENANT_ADMIN)


@pytest.fixture
async def viewer(office: Office, people_at: Browsers) -> Front:
    return await front_of(office, people_at, Role.TENANT_VIEWER)


# ------------------------------------------------------------------ the list


async def test_the_list_shows_every_phase_and_how_old_each_word_is(admin: Front) -> None:
    office = admin.office
    async with office.database.tenant(office.tenant_id) as tx:
        okta = await ensure_source(tx, "idp", "Okta")
        await issue_token(tx, ["scim"], "Okta SCIM", okta.source_id)
    page = await admin.get("/connections")
    assert page.status_code == 200
    text = text_of(page)
    for told in ("Okta SCIM", "1 token opens", "Workday", "Working", "by hand alone", "Later phases", "CRM"):
        assert told in text, told
    assert f'href="{admin.base}{admin.one}"' in page.text
    assert f'href="{admin.base}/connections/scim/{okta.source_id}"' in page.text
    assert "<time" in page.text


async def test_a_tenant_without_connections_is_led_to_the_identity_provider_first(
    office: Office, people_at: Browsers, make_tenant: MakeTenant
) -> None:
    other = await make_tenant()
    http = await people_at.of(Role.TENANT_ADMIN, other)
    async with office.database.tenant(other) as tx:
        slug = (await tenants.tenant(tx)).slug
    page = await http.get(f"/console/t/{slug}/connections")
    assert "Connect the identity provider first" in text_of(page)
    assert f"/console/t/{slug}/connections/scim/new" in page.text


async def test_a_failing_connection_tells_its_reason_in_the_list_and_on_its_page(admin: Front) -> None:
    admin.office.tenancy.report.password = "changed in Workday"
    run = await admin.office.sync()
    assert run.state is RunState.ERRORED
    for path in ("/connections", admin.one):
        text = text_of(await admin.get(path))
        assert "Failing" in text
        assert "Workday did not accept the integration system user." in text
    page = await admin.get(admin.one)
    assert "Check the name and password of the integration system user" in text_of(page)
    assert f"{admin.base}/runs/{run.run_id}" in page.text
    assert "/alerts/" in page.text


async def test_a_held_run_is_led_to(admin: Front) -> None:
    admin.office.fault("half_rows")
    held = await admin.office.sync()
    page = await admin.get(admin.one)
    assert "A run waits for a person" in text_of(page)
    assert f"{admin.base}/runs/{held.run_id}" in page.text


# ------------------------------------------------------------------ one connection


async def test_a_connection_shows_its_settings_mapping_and_history_and_no_secret(admin: Front) -> None:
    office = admin.office
    office.a_day_passes()
    await office.sync()
    page = await admin.get(admin.one)
    text = text_of(page)
    for told in (
        "set, hidden",
        "Employee_ID employee_id required",
        "The last applied report had",
        "by hand alone",
        "deactivate".capitalize(),
        "10 %",
        "Rows read and changes, run by run",
    ):
        assert told in text, told
    assert office.config["password"] not in page.text
    assert office.config["url"] in unescape(page.text)
    assert text.count("Applied") >= 2


async def test_an_unknown_column_of_the_last_report_is_told_of(admin: Front) -> None:
    office = admin.office
    office.fault("missing_column", column="Work_Phone")
    await office.sync()
    assert "not mapped" not in text_of(await admin.get(admin.one))
    async with office.database.tenant(office.tenant_id) as tx:
        await tx.execute(
            """UPDATE freshness SET profile = jsonb_set(profile, '{columns,Badge}', '{"filled": 0.5}')
            WHERE tenant_id = $1""",
            tx.tenant_id,
        )
    assert "Badge – not mapped 50 %" in text_of(await admin.get(admin.one))


async def test_planning_and_running_lead_to_the_run(admin: Front) -> None:
    for path, plan_only in (("/plan", True), ("/run", False)):
        answer = await admin.post(admin.one + path)
        assert answer.status_code == 303
        run_id = answer.headers["location"].removeprefix(f"{admin.base}/runs/")
        run = await admin.office.run(RunId(run_id))
        assert (run.state, run.plan_only) == (RunState.QUEUED, plan_only)
        assert run.actor.startswith("operator:")


async def test_a_paused_connection_is_not_run_and_says_why(admin: Front) -> None:
    refused = await admin.post(f"{admin.one}/pause", {"reason": "  "})
    assert refused.status_code == 422
    assert "The reason must have" in text_of(refused)
    assert (await admin.post(f"{admin.one}/pause", {"reason": HOSTILE})).status_code == 303
    assert (await connection(admin)).state == "paused"
    page = await admin.get(admin.one)
    assert HOSTILE in unescape(page.text)
    assert "<script>alert" not in page.text
    assert f'action="{admin.base}{admin.one}/run"' not in page.text
    assert (await admin.post(f"{admin.one}/run")).status_code == 409
    # A plan changes nothing.
    assert (await admin.post(f"{admin.one}/plan")).status_code == 303
    assert (await admin.post(f"{admin.one}/resume")).status_code == 303
    assert (await connection(admin)).state == "active"
    assert (await admin.post(f"{admin.one}/run")).status_code == 303


async def test_a_schedule_that_a_rollback_paused_goes_on_by_hand(admin: Front) -> None:
    office = admin.office
    await admin.post(f"{admin.one}/schedule", {"every": "daily", "at": "03:15"})
    office.a_day_passes()
    await office.roll_back(await office.sync())
    page = await admin.get(admin.one)
    assert "Its schedule is paused" in text_of(page)
    assert (await admin.post(f"{admin.one}/resume")).status_code == 303
    assert "Its schedule is paused" not in text_of(await admin.get(admin.one))


# ------------------------------------------------------------------ a trial


async def test_a_trial_reads_the_source_and_leaves_no_trace(admin: Front) -> None:
    before = len(await admin.office.fetch("SELECT run_id FROM run WHERE tenant_id = $1"))
    text = text_of(await admin.post(f"{admin.one}/test"))
    assert "The test went well" in text
    assert f"its report has {PEOPLE} rows" in text
    assert "Employee_ID required 100 %" in text
    assert len(await admin.office.fetch("SELECT run_id FROM run WHERE tenant_id = $1")) == before


@pytest.mark.parametrize(
    ("fault", "title", "told"),
    [
        ("html", "What came is no report that can be used", "A web page"),
        ("empty", "What came is no report that can be used", "no row"),
        ("renamed_column", "What came is no report that can be used", "The required column Employee_ID is missing"),
        ("status_500", "The source does not answer", "500"),
        ("status_429", "The source does not answer", "Try again later"),
    ],
)
async def test_a_trial_says_which_kind_of_failure_it_is(admin: Front, fault: str, title: str, told: str) -> None:
    admin.office.fault(fault, 5 if fault.startswith("status") else None)
    text = text_of(await admin.post(f"{admin.one}/test"))
    assert title in text
    assert told in text


async def test_a_trial_tells_a_refused_sign_in_from_a_wrong_address(admin: Front) -> None:
    report = admin.office.tenancy.report
    wrong = admin.settings(**{"setting-url": admin.office.config["url"] + "_gone"})
    text = text_of(await admin.post(f"{admin.one}/settings/test", wrong))
    assert "Nothing is at this address" in text
    report.password = "another"
    assert "The sign-in was refused" in text_of(await admin.post(f"{admin.one}/test"))
    private = admin.settings(**{"setting-url": "http://10.0.0.1/report"})
    assert "The address cannot be used" in text_of(await admin.post(f"{admin.one}/settings/test", private))


async def test_a_browser_with_scripts_gets_the_outcome_alone(admin: Front) -> None:
    answer = await admin.post(f"{admin.one}/test", htmx=True)
    assert answer.status_code == 200
    assert "The test went well" in answer.text
    assert "<html" not in answer.text
    wrong = await admin.post(f"{admin.one}/settings/test", admin.settings(**{"setting-url": "no address"}), htmx=True)
    assert wrong.status_code == 422
    assert "Report address" in wrong.text
    assert "<html" not in wrong.text


# ------------------------------------------------------------------ who may

ACTS = ("/run", "/plan", "/test", "/pause", "/resume", "/settings", "/settings/test", "/secret", "/schedule")


async def test_whoever_may_only_look_is_offered_and_allowed_nothing(viewer: Front) -> None:
    page = await viewer.get(viewer.one)
    assert page.status_code == 200
    assert "<form" not in page.text[page.text.index("<main") : page.text.index("</main>")]
    for act in ACTS:
        assert (await viewer.post(viewer.one + act)).status_code == 403, act
    for path in ("/connections/new", "/connections/new/workday", *(viewer.one + act for act in ACTS[5:6] + ACTS[7:])):
        assert (await viewer.get(path)).status_code == 403, path
    assert (await viewer.post("/connections/new/workday", viewer.settings())).status_code == 403


async def test_another_tenant_sees_nothing_of_it(
    office: Office, admin: Front, people_at: Browsers, make_tenant: MakeTenant
) -> None:
    other = await make_tenant()
    http = await people_at.of(Role.TENANT_ADMIN, other)
    async with office.database.tenant(other) as tx:
        own = f"/console/t/{(await tenants.tenant(tx)).slug}"
    for base in (own, admin.base):
        for path in (admin.one, *(admin.one + one for one in ("/settings", "/secret", "/schedule"))):
            assert (await http.get(base + path)).status_code == 404, base + path
        for act in ACTS:
            answer = await http.post(base + admin.one + act, data={**admin.settings(), "reason": "x", "every": "never"})
            assert answer.status_code == 404, base + act
    assert (await connection(admin)).state == "active"


@pytest.mark.parametrize("path", ["/connections/nothing", f"/connections/{NOBODY}", f"/connections/{NOBODY}/settings"])
async def test_what_is_not_there_is_not_found(admin: Front, path: str) -> None:
    assert (await admin.get(path)).status_code == 404


async def test_a_connection_whose_connector_is_gone_can_still_be_looked_at(admin: Front) -> None:
    async with admin.office.database.tenant(admin.office.tenant_id) as tx:
        await tx.execute("UPDATE connection SET connector = 'gone' WHERE tenant_id = $1", tx.tenant_id)
    page = await admin.get(admin.one)
    assert page.status_code == 200
    assert "The connector gone is not installed here." in text_of(page)
    assert f'action="{admin.base}{admin.one}/run"' not in page.text
    assert (await admin.get("/connections")).status_code == 200


async def test_the_history_ends_with_the_thirtieth_run_and_says_where_the_rest_is(open_office: OpenOffice) -> None:
    office = await open_office()
    async with office.database.tenant(office.tenant_id) as tx:
        for _ in range(32):
            run = await actions.request_sync(tx, office.connection, "person")
            await queries.enter(tx, run, RunState.REJECTED)
        assert await freshness.last(tx, office.connection.connection_id) is None
    async with browsers(application_of(office.database, pages_of(office)), office.database) as people:
        front = await front_of(office, people, Role.TENANT_VIEWER)
        page = await front.get(front.one)
    assert page.text.count('id="run-01') == 30
    assert "connection_id+eq" in page.text or "connection_id%20eq" in page.text
