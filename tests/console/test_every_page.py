"""Every route of the console over HTTP: its headers, and that nothing of a tenant is there for another tenant's people.

The routes are those of the application, so that a new page cannot be forgotten.
"""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from stoa.access.permissions import Role
from stoa.db.embedded import Server
from stoa.web.security import HEADERS
from tests.conftest import MakeTenant
from tests.console.every_page import addresses, routes
from tests.console.journey import World, world_of
from tests.web.signed_in import browsers


@pytest.fixture
async def world(server: Server, tmp_path: Path) -> AsyncGenerator[World]:
    """The application and a company."""
    async with world_of(server, tmp_path) as opened:
        yield opened


async def test_nothing_of_a_tenant_is_there_for_another_tenants_people(world: World, make_tenant: MakeTenant) -> None:
    company = await world.company()
    asked = 0
    async with browsers(world.app, world.parts.database) as people:
        mine = await people.of(Role.TENANT_ADMIN, company.tenant_id)
        other = await people.of(Role.TENANT_ADMIN, await make_tenant())
        for path, address in (await addresses(world, company, "POST")).items():
            if "{tenant}" in path:
                asked += 1
                assert (await other.post(address)).status_code == 404, path
        assert (await company.run(company.held.run_id)).state == "held"
        for path, address in (await addresses(world, company, "GET")).items():
            if "{tenant}" in path:
                asked += 1
                assert (await other.get(address)).status_code == 404, path
                # The address is a true one: whoever belongs there is answered. A stream would not end here.
                if not path.endswith("/live"):
                    assert (await mine.get(address)).status_code in {200, 303}, path
    assert asked > 20


async def test_every_page_has_its_headers_and_wants_a_sign_in(world: World) -> None:
    company = await world.company()
    await company.mail()
    open_to_all = {"/console/sign-in", "/console/styleguide"}
    async with browsers(world.app, world.parts.database) as people:
        admin, stranger = await people.of(Role.PLATFORM_ADMIN), await people.stranger()
        for path, address in (await addresses(world, company, "GET")).items():
            is_open = path in open_to_all or path.startswith("/docs")
            turned_away = await stranger.get(address, follow_redirects=is_open)
            assert (turned_away.status_code == 200) == is_open, path
            if is_open or path.endswith("/live"):
                continue
            assert turned_away.headers["location"].startswith("/console/sign-in?next="), path
            answer = await admin.get(address)
            assert answer.status_code in {200, 303}, (path, answer.status_code)
            for name, value in HEADERS:
                # A mail that is downloaded has a stricter policy of its own.
                assert answer.headers[name] == value or "sandbox" in answer.headers[name], (path, name)


async def test_every_route_is_known_to_these_tests(world: World) -> None:
    found = {route.path for route in routes(world)}
    for path in ("/console", "/console/t/{tenant}/runs/{run_id}/approve", "/console/t/{tenant}/people/{person_id}"):
        assert path in found
