"""The limits of the API over HTTP: shown to everybody of the tenant, changed by the platform alone."""

import pytest

from stoa.access.budgets import Budgets
from stoa.access.limits import Limits, limits
from stoa.access.permissions import Role
from stoa.db.database import Database
from stoa.kernel.ids import new_id
from tests.console.conftest import MakePlace, Place
from tests.web.signed_in import Browsers, text_of


@pytest.fixture
async def place(make_place: MakePlace) -> Place:
    return await make_place(name="Limited")


async def own(database: Database, place: Place) -> Limits:
    async with database.tenant(place.tenant_id, read_only=True) as tx:
        return await limits(tx)


async def test_they_are_set_and_given_back(people: Browsers, database: Database, place: Place) -> None:
    admin = await people.of(Role.PLATFORM_ADMIN)
    address = f"{place.base}/settings/limits"
    assert address in (await admin.get(f"{place.base}/settings")).text
    answer = await admin.post(address, data={"api_per_minute": "12,000", "client_per_minute": ""})
    assert answer.status_code == 303
    assert await own(database, place) == Limits(12_000, None)
    page = await admin.get(address)
    assert 'value="12000"' in page.text
    assert "The tenant as a whole 12,000 0 12,000" in text_of(page)
    await admin.post(address, data={"api_per_minute": " ", "client_per_minute": "50"})
    assert await own(database, place) == Limits(None, 50)


@pytest.mark.parametrize("text", ["0", "-5", "many", "1.5", "10000001", "9" * 30, "٣"])
async def test_what_is_no_limit_is_told_beside_its_field(
    people: Browsers, database: Database, place: Place, text: str
) -> None:
    admin = await people.of(Role.PLATFORM_ADMIN)
    answer = await admin.post(f"{place.base}/settings/limits", data={"api_per_minute": text, "client_per_minute": "5"})
    assert answer.status_code == 422
    assert 'id="api_per_minute-error"' in answer.text
    assert 'id="client_per_minute-error"' not in answer.text
    assert await own(database, place) == Limits()


async def test_what_is_used_in_this_minute_is_shown_with_whose_it_is(
    people: Browsers, database: Database, place: Place
) -> None:
    viewer = await people.of(Role.TENANT_VIEWER, place.tenant_id)
    client_id, stranger = new_id(), str(new_id())
    async with database.tenant(place.tenant_id) as tx:
        await tx.execute(
            """INSERT INTO api_client (tenant_id, client_id, name, name_key, scopes, created_at, updated_at)
               VALUES ($1, $2, 'Payroll <x>', 'payroll', '{people:read}', $3, $3)""",
            *(place.tenant_id, client_id, tx.now),
        )
    budgets = Budgets(database, clock=lambda: database.clock().timestamp())
    shown = ""
    # Twice, in case a minute ends between asking and looking.
    for _ in range(2):
        await budgets.spend(place.tenant_id, str(client_id))
        await budgets.spend(place.tenant_id, stranger)
        shown = text_of(await viewer.get(f"{place.base}/settings/limits"))
        if "Payroll" in shown:
            break
    assert "The tenant as a whole 6,000 100 5,900" in shown
    assert "Payroll <x> 1,200 20 1,180" in shown
    assert f"{stranger} 1,200 20 1,180" in shown


@pytest.mark.parametrize("role", [Role.TENANT_ADMIN, Role.TENANT_VIEWER, Role.PLATFORM_VIEWER])
async def test_others_see_them_and_change_nothing(
    people: Browsers, database: Database, place: Place, role: Role
) -> None:
    browser = await people.of(role, place.tenant_id)
    page = await browser.get(f"{place.base}/settings/limits")
    assert "Requests a minute of each client 1,200" in text_of(page)
    assert "<form class=" not in page.text
    refused = await browser.post(f"{place.base}/settings/limits", data={"api_per_minute": "9", "client_per_minute": ""})
    assert refused.status_code == 403
    assert await own(database, place) == Limits()
