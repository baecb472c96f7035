"""Making and changing connections over HTTP without scripts."""

import re
from collections.abc import AsyncGenerator
from html import unescape

import pytest
import structlog

from stoa.access.permissions import Role
from stoa.sync import actions
from stoa.tenants.actions import open_secret
from tests.sync.conftest import Office
from tests.sync.front import Front, connection, front_of, pages_of
from tests.web.signed_in import application_of, browsers, text_of

HOSTILE = "<script>alert(1)</script> \u0645\u062d\u0645\u062f \U0001f642"
SECRET = "n3w-s3cret-of-the-report"


@pytest.fixture
async def admin(office: Office) -> AsyncGenerator[Front]:
    """An admin of the tenant of an office with one applied report."""
    async with browsers(application_of(office.database, pages_of(office)), office.database) as opened:
        yield await front_of(office, opened, Role.TENANT_ADMIN)


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


async def test_of_two_who_edit_at_once_the_second_is_shown_what_the_first_saved(admin: Front) -> None:
    page = await admin.get(f"{admin.one}/settings")
    found = re.search(r'<input type="hidden" name="stamp" value="([^"]+)">', page.text)
    assert found is not None
    first = admin.settings(**{"setting-ignored_columns": "<Badge>", "guard-update-floor": "7", "stamp": found[1]})
    assert (await admin.post(f"{admin.one}/settings", first)).status_code == 303
    second = admin.settings(**{"setting-ignored_columns": "Shoe", "stamp": found[1]})
    refused = await admin.post(f"{admin.one}/settings", second)
    assert refused.status_code == 409
    assert "Nothing of yours is saved yet." in text_of(refused)
    assert "&lt;Badge&gt;" in refused.text
    assert "The thresholds are others." in text_of(refused)
    assert re.search(r">\s*Shoe</textarea>", refused.text)
    assert (await connection(admin)).config["ignored_columns"] == ["<Badge>"]
    now = re.search(r'<input type="hidden" name="stamp" value="([^"]+)">', refused.text)
    assert now is not None
    assert (await admin.post(f"{admin.one}/settings", second | {"stamp": now[1]})).status_code == 303
    assert (await connection(admin)).config["ignored_columns"] == ["Shoe"]


async def test_password_stores_are_told_whose_secret_it_is(admin: Front) -> None:
    page = await admin.get(f"{admin.one}/secret")
    assert re.search(
        r'<input type="text" name="username" value="[^"]+" autocomplete="username" readonly hidden>', page.text
    )
    assert 'autocomplete="new-password"' in page.text
    assert 'autocomplete="off"' not in page.text[page.text.index("<main") :]


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


async def test_of_two_who_set_the_schedule_the_second_is_shown_what_the_first_saved(admin: Front) -> None:
    page = await admin.get(f"{admin.one}/schedule")
    found = re.search(r'<input type="hidden" name="stamp" value="([^"]+)">', page.text)
    assert found is not None
    first = {"every": "daily", "at": "03:15", "stamp": found[1]}
    assert (await admin.post(f"{admin.one}/schedule", first)).status_code == 303
    assert (await admin.post(f"{admin.one}/schedule", first)).status_code == 303, "the same undoes nothing"
    second = {"every": "daily", "at": "04:30", "stamp": found[1]}
    # Whoever looks at the next runs first is at the same page still.
    preview = await admin.get(f"{admin.one}/schedule", **second)
    assert f'value="{found[1]}"' in preview.text
    refused = await admin.post(f"{admin.one}/schedule", second)
    assert refused.status_code == 409
    assert "This stands there now: every day at 03:15." in text_of(refused)
    assert 'value="04:30"' in refused.text
    now = re.search(r'<input type="hidden" name="stamp" value="([^"]+)">', refused.text)
    assert now is not None
    assert (await admin.post(f"{admin.one}/schedule", second | {"stamp": now[1]})).status_code == 303
    assert "every day at 04:30" in text_of(await admin.get(admin.one))
