"""Connections over HTTP without scripts, before the simulated Workday."""

import re
from collections.abc import AsyncGenerator
from html import unescape

import pytest
import structlog

from stoa.access.actions import issue_token
from stoa.access.permissions import Role
from stoa.changes import queries
from stoa.changes.model import RunState
from stoa.kernel.ids import RunId
from stoa.sync import actions, freshness
from stoa.tenants import queries as tenants
from stoa.tenants.actions import ensure_source, open_secret
from tests.conftest import MakeTenant
from tests.sync.conftest import PEOPLE, Office, OpenOffice
from tests.sync.front import Front, front_of, pages_of
from tests.web.signed_in import Browsers, application_of, browsers, text_of

HOSTILE = "<script>alert(1)</script> \u0645\u062d\u0645\u062f \U0001f642"
NOBODY = "019a0000-0000-7000-8000-000000000000"
SECRET = "n3w-s3cret-of-the-report"


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


async def connection(front: Front):
    office = front.office
    async with office.database.tenant(office.tenant_id, read_only=True) as tx:
        found = await tenants.connection(tx, office.connection.connection_id)
    assert found is not None
    return found


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


# ------------------------------------------------------------------ a new one


async def test_everything_that_can_be_connected_is_offered_and_the_rest_said_to_be_later(admin: Front) -> None:
    page = await admin.get("/connections/new")
    assert f'href="{admin.base}/connections/new/workday"' in page.text
    assert "/connections/scim/new?provider=okta" in page.text
    assert text_of(page).count("Comes with a later version.") == 4
    assert (await admin.get("/connections/new/salesforce")).status_code == 404


async def test_the_form_comes_from_the_connectors_own_schema(admin: Front) -> None:
    page = await admin.get("/connections/new/workday")
    for name in ("url", "format", "username", "password", "include_terminated", "columns", "worker_types"):
        assert f'name="setting-{name}"' in page.text
    assert re.search(r'<input type="password" id="setting-password"[^>]*autocomplete="new-password"', page.text)
    assert "The report&#39;s web service URL" in page.text
    assert 'placeholder="ISU_LMS"' in page.text
    assert 'name="guard-deactivate-percent"' in page.text


async def test_a_connection_is_made_with_its_schedule_and_its_first_plan(admin: Front) -> None:
    office = admin.office
    form = admin.settings(
        **{
            "name": "Workday of the subsidiary",
            "setting-password": office.config["password"],
            "setting-columns": "division = Division\ncost_center = Cost_Center",
            "guard-deactivate-percent": "5",
            "every": "hourly",
            "minute": "20",
        }
    )
    answer = await admin.post("/connections/new/workday", form)
    assert answer.status_code == 303, text_of(answer)
    path = answer.headers["location"].removeprefix(admin.base)
    page = await admin.get(path)
    text = text_of(page)
    for told in ("Next: plan a first run", "every hour at minute 20", "division = Division", "for this connection"):
        assert told in text, told
    plan = await admin.post(f"{path}/plan")
    assert plan.status_code == 303
    made = await office.fetch("SELECT config FROM connection WHERE tenant_id = $1 AND name LIKE '%subsidiary'")
    assert made[0]["config"]["guards"] == {"deactivate": {"percent": 5.0}}
    assert "password" not in made[0]["config"]


async def test_what_is_wrong_stands_beside_its_field_and_the_rest_is_kept(admin: Front) -> None:
    form = admin.settings(
        **{
            "name": "Second",
            "setting-url": "ftp://acme",
            "setting-password": SECRET,
            "setting-columns": "no equals sign",
            "guard-update-floor": "many",
            "every": "cron",
            "cron": "61 * * * *",
        }
    )
    # What cannot be read is told first; what the connector says of the rest comes once it can.
    answer = await admin.post("/connections/new/workday", form)
    assert answer.status_code == 422
    text = unescape(answer.text)
    for told in ("Line 1 is not of the form", "A whole number, 0 or more.", "is not a cron expression"):
        assert told in text, told
    assert 'value="ISU_LMS"' in text or admin.office.config["username"] in text
    assert SECRET not in text
    sound = form | {"setting-columns": "", "guard-update-floor": "", "every": "never"}
    answer = await admin.post("/connections/new/workday", sound)
    assert answer.status_code == 422
    error = re.search(r'id="setting-url-error">([^<]*)<', answer.text)
    assert error is not None
    assert "the address must begin with https://" in error[1]
    mapped = sound | {"setting-url": admin.office.config["url"], "setting-columns": "shoe_size = Shoe"}
    answer = await admin.post("/connections/new/workday", mapped)
    assert answer.status_code == 422
    assert "There is no field shoe_size" in unescape(answer.text)
    assert len(await admin.office.fetch("SELECT name FROM connection WHERE tenant_id = $1")) == 1


async def test_a_name_that_is_taken_is_told_beside_the_name(admin: Front) -> None:
    answer = await admin.post("/connections/new/workday", admin.settings(**{"setting-password": "x", "every": "never"}))
    assert answer.status_code == 422
    assert re.search(r'id="name-error">There is a connection or source of this name already', answer.text)


async def test_a_hostile_name_stays_text_everywhere(admin: Front) -> None:
    form = admin.settings(**{"name": HOSTILE, "setting-password": "x", "every": "never"})
    answer = await admin.post("/connections/new/workday", form)
    assert answer.status_code == 303
    path = answer.headers["location"].removeprefix(admin.base)
    for address in ("/connections", path, f"{path}/settings", f"{path}/secret", f"{path}/schedule"):
        page = await admin.get(address)
        assert page.status_code == 200, address
        assert HOSTILE in unescape(page.text)
        assert "<script>alert" not in page.text


# ------------------------------------------------------------------ changing it


async def test_other_settings_raise_the_version_and_the_same_bytes_are_compared_again(admin: Front) -> None:
    office = admin.office
    assert (await office.sync()).figures.get("same_input")
    same = await admin.post(f"{admin.one}/settings", admin.settings())
    assert same.status_code == 303
    assert (await connection(admin)).mapping_version == 1
    answer = await admin.post(
        f"{admin.one}/settings", admin.settings(**{"setting-ignored_columns": "Badge\nShoe", "guard-update-floor": "7"})
    )
    assert answer.status_code == 303
    after = await connection(admin)
    assert after.mapping_version == 2
    assert after.config["ignored_columns"] == ["Badge", "Shoe"]
    assert not (await office.sync()).figures.get("same_input")
    # Thresholds judge what was read; they do not change it.
    answer = await admin.post(f"{admin.one}/settings", admin.settings(**{"setting-ignored_columns": "Badge\nShoe"}))
    assert (await connection(admin)).mapping_version == 2
    assert (await office.sync()).figures.get("same_input")


async def test_settings_are_kept_when_they_cannot_be_used(admin: Front) -> None:
    before = await connection(admin)
    form = admin.settings(**{"setting-columns": "employee_id = Work_Email\nemail = X", "setting-ignored_columns": "X"})
    answer = await admin.post(f"{admin.one}/settings", form)
    assert answer.status_code == 422
    assert "X is read by the mapping" in text_of(answer)
    assert await connection(admin) == before


async def test_the_form_of_settings_says_what_is_set_and_takes_no_secret(admin: Front) -> None:
    page = await admin.get(f"{admin.one}/settings")
    assert admin.office.config["url"] in unescape(page.text)
    assert 'type="password"' not in page.text
    await admin.post(f"{admin.one}/settings", admin.settings(**{"setting-password": SECRET}))
    async with admin.office.database.tenant(admin.office.tenant_id) as tx:
        opener = admin.office.source_worker.planner.opener
        sealed = await open_secret(tx, opener.sealer, admin.office.connection.connection_id)
    assert sealed == {"password": admin.office.config["password"]}


async def test_a_new_secret_is_sealed_and_shown_nowhere(admin: Front) -> None:
    office = admin.office
    empty = await admin.post(f"{admin.one}/secret", {"setting-password": ""})
    assert empty.status_code == 422
    with structlog.testing.capture_logs() as logs:
        answer = await admin.post(f"{admin.one}/secret", {"setting-password": SECRET})
        assert answer.status_code == 303
        pages = [await admin.get(path) for path in ("/connections", admin.one, f"{admin.one}/settings")]
        office.tenancy.report.password = SECRET
        pages.append(await admin.post(f"{admin.one}/test"))
    assert "The test went well" in text_of(pages[-1])
    assert all(SECRET not in page.text for page in pages)
    assert SECRET not in str(logs)
    events = await office.fetch("SELECT type, body FROM event WHERE tenant_id = $1")
    assert "connection.secret_replaced" in {event["type"] for event in events}
    assert SECRET not in str(events)


async def test_a_schedule_is_previewed_before_it_is_saved(admin: Front) -> None:
    page = await admin.get(f"{admin.one}/schedule", every="cron", cron="30 2 * * 1-5", at="", minute="")
    text = text_of(page)
    assert "Monday to Friday at 02:30" in text
    assert page.text.count("<li><time") == 3
    assert "by hand alone" in text_of(await admin.get(admin.one))
    wrong = await admin.get(f"{admin.one}/schedule", every="daily", at="25:00")
    assert wrong.status_code == 422
    assert "This is not a time of day." in text_of(wrong)
    never = await admin.post(f"{admin.one}/schedule", {"every": "cron", "cron": "0 0 30 2 *"})
    assert never.status_code == 422
    assert "is not a cron expression" in text_of(never)


async def test_a_schedule_is_set_and_ended(admin: Front) -> None:
    assert (await admin.post(f"{admin.one}/schedule", {"every": "daily", "at": "03:15"})).status_code == 303
    text = text_of(await admin.get(admin.one))
    assert "every day at 03:15" in text
    assert (await connection(admin)).expected_by is not None
    shown = await admin.get(f"{admin.one}/schedule")
    assert 'value="03:15"' in shown.text
    assert (await admin.post(f"{admin.one}/schedule", {"every": "never"})).status_code == 303
    assert (await connection(admin)).expected_by is None
    kinds = await admin.office.fetch("SELECT kind FROM schedule WHERE tenant_id = $1")
    assert actions.SYNC_JOB not in {row["kind"] for row in kinds}


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
