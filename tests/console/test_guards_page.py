"""From where on effects wait: shown to everybody of the tenant, set by its admins, for all sources or for one."""

from collections.abc import AsyncGenerator

import pytest
from starlette.routing import Route

from stoa.access.permissions import Role
from stoa.db.database import Database
from stoa.people.guard_rules import Guard, GuardKind
from stoa.people.pages_guards import guard_pages
from stoa.people.thresholds import guards
from stoa.tenants.actions import ensure_source
from stoa.web.tenants import tenant_settings_pages
from stoa.web.visiting import Shell
from tests.console.conftest import MakePlace, Place
from tests.web.signed_in import Browsers, application_of, browsers, text_of

FIGURES = {"absolute": "20", "percent": "2,5", "floor": "3", "window_minutes": "30"}


def _pages(shell: Shell) -> list[Route]:
    return [*guard_pages(shell), *tenant_settings_pages(shell)]


@pytest.fixture
async def people(database: Database) -> AsyncGenerator[Browsers]:
    """Signs people in before the settings."""
    async with browsers(application_of(database, _pages), database) as opened:
        yield opened


@pytest.fixture
async def place(make_place: MakePlace) -> Place:
    return await make_place(name="Guarded")


def form(mode: str = "on", **more: str) -> dict[str, str]:
    """What a browser sends: the first guard as it is said, the others as they are."""
    said = {f"deactivate-{name}": value for name, value in (FIGURES | more).items()} | {"deactivate-mode": mode}
    return said | {f"{kind}-mode": "usual" for kind in ("empty_group", "grant_role")}


async def test_they_are_set_for_the_tenant_and_for_one_source(
    people: Browsers, database: Database, place: Place
) -> None:
    async with database.tenant(place.tenant_id) as tx:
        okta = await ensure_source(tx, "idp", "Okta")
        workday = await ensure_source(tx, "hris", "Workday")
    admin = await people.of(Role.TENANT_ADMIN, place.tenant_id)
    address = f"{place.base}/settings/guards"
    assert address in (await admin.get(f"{place.base}/settings")).text
    assert (await admin.post(address, data=form())).status_code == 303
    answer = await admin.post(address, data=form("off") | {"source": str(okta.source_id)})
    assert answer.headers["location"].startswith(f"{address}?source={okta.source_id}")
    async with database.tenant(place.tenant_id) as tx:
        found = {(one.source_id, one.kind): one.guard for one in await guards(tx)}
        told = await tx.fetch(
            "SELECT type, body FROM event WHERE tenant_id = $1 AND type = 'guard.changed'", tx.tenant_id
        )
    assert found[None, GuardKind.DEACTIVATE] == Guard(absolute=20, percent=2.5, floor=3, window_minutes=30)
    assert found[okta.source_id, GuardKind.DEACTIVATE].enabled is False
    assert len(found) == len(told) == 2
    page = await admin.get(address)
    assert 'value="2.5"' in page.text
    assert "Okta has guards of its own" in text_of(page)
    assert "Workday" not in text_of(page)
    # What is shown can be saved as it is.
    await admin.post(address, data=form(absolute="1,000,000", percent="0.1234567"))
    page = await admin.get(address)
    assert 'value="1000000"' in page.text
    assert 'value="0.1234567"' in page.text
    # Nobody sends single requests in the name of a report.
    assert (await admin.get(f"{address}?source={workday.source_id}")).status_code == 404
    await admin.post(address, data=form("usual"))
    async with database.tenant(place.tenant_id) as tx:
        assert len(await guards(tx)) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"absolute": "many"},
        {"percent": "101"},
        {"percent": "nan"},
        {"window_minutes": "0"},
        {"floor": "-1"},
        {"absolute": ""},
    ],
)
async def test_what_makes_no_sense_is_told_and_nothing_is_saved(
    people: Browsers, database: Database, place: Place, wrong: dict[str, str]
) -> None:
    admin = await people.of(Role.TENANT_ADMIN, place.tenant_id)
    answer = await admin.post(f"{place.base}/settings/guards", data=form(**wrong))
    assert answer.status_code == 422
    assert "Nothing is saved yet." in text_of(answer)
    async with database.tenant(place.tenant_id) as tx:
        assert await guards(tx) == []


async def test_whoever_may_look_changes_nothing_and_strangers_see_nothing(
    people: Browsers, database: Database, place: Place, make_place: MakePlace
) -> None:
    viewer = await people.of(Role.TENANT_VIEWER, place.tenant_id)
    page = await viewer.get(f"{place.base}/settings/guards")
    assert '<form class="settings"' not in page.text
    assert "more than 10 within 60 minutes wait" in text_of(page)
    assert (await viewer.post(f"{place.base}/settings/guards", data=form())).status_code == 403
    other = await make_place(name="Other")
    async with database.tenant(other.tenant_id) as tx:
        strange = await ensure_source(tx, "idp", "Okta")
    assert (await viewer.get(f"{other.base}/settings/guards")).status_code == 404
    admin = await people.of(Role.TENANT_ADMIN, place.tenant_id)
    data = form() | {"source": str(strange.source_id)}
    assert (await admin.post(f"{place.base}/settings/guards", data=data)).status_code == 404
