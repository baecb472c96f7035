"""The pages of this room and the settings of a tenant, before people who are signed in."""

import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from starlette.routing import BaseRoute

from stoa.console.pages import console_pages
from stoa.db.database import Database
from stoa.kernel.ids import TenantId
from stoa.web.access_operators import operator_pages
from stoa.web.tenants import tenant_settings_pages
from stoa.web.visiting import Shell
from tests.conftest import MakeTenant
from tests.web.signed_in import Browsers, application_of, browsers


@dataclass(frozen=True, slots=True)
class Place:
    """A tenant, and where its pages are."""

    tenant_id: TenantId
    slug: str

    @property
    def base(self) -> str:
        return f"/console/t/{self.slug}"


MakePlace = Callable[..., Awaitable[Place]]


@pytest.fixture
async def make_place(make_tenant: MakeTenant) -> MakePlace:
    """Makes a tenant with an address of its own; keyword arguments are those of NewTenant."""

    async def make(**given: Any) -> Place:
        slug = f"place-{secrets.token_hex(6)}"
        return Place(await make_tenant(slug=slug, **given), slug)

    return make


def _pages(shell: Shell) -> list[BaseRoute]:
    return [*console_pages(shell), *tenant_settings_pages(shell), *operator_pages(shell)]


@pytest.fixture
async def people(database: Database) -> AsyncGenerator[Browsers]:
    """Signs people in."""
    async with browsers(application_of(database, _pages), database) as opened:
        yield opened
