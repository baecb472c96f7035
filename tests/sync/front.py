"""The pages of an office before a browser that runs no scripts."""

from dataclasses import dataclass

import httpx2
from starlette.routing import Route

from stoa.access.permissions import Role
from stoa.people.target import People
from stoa.sync.pages import connection_pages, quarantine_pages
from stoa.tenants.model import Connection
from stoa.tenants.queries import connection as connection_by_id
from stoa.tenants.queries import tenant as tenant_of
from stoa.web.visiting import Shell
from tests.sync.conftest import Office
from tests.web.signed_in import Browsers, MakePages


@dataclass
class Front:
    """Somebody signed in before the tenant of an office."""

    http: httpx2.AsyncClient
    office: Office
    slug: str

    @property
    def base(self) -> str:
        return f"/console/t/{self.slug}"

    @property
    def one(self) -> str:
        """The address of the office's connection, below the tenant's."""
        return f"/connections/{self.office.connection.connection_id}"

    async def get(self, path: str, **params: str) -> httpx2.Response:
        return await self.http.get(self.base + path, params=params or None)

    async def post(self, path: str, fields: dict[str, str] | None = None, *, htmx: bool = False) -> httpx2.Response:
        headers = {"HX-Request": "true"} if htmx else {}
        return await self.http.post(self.base + path, data=fields or {}, headers=headers)

    def settings(self, **more: str) -> dict[str, str]:
        """The form of the connection's settings as a browser sends it. Keywords take the place of fields."""
        config = self.office.config
        fields = {f"setting-{name}": str(config[name]) for name in ("url", "format", "username")}
        return {**fields, "setting-columns": "", "setting-ignored_columns": "", "setting-worker_types": "", **more}


def pages_of(office: Office) -> MakePages:
    """The pages of this room over the office's connectors."""

    def make(shell: Shell) -> list[Route]:
        opener = office.source_worker.planner.opener
        return [*connection_pages(shell, opener, People()), *quarantine_pages(shell)]

    return make


async def front_of(office: Office, people_at: Browsers, role: Role) -> Front:
    """Somebody with this role in the office's tenant."""
    async with office.database.tenant(office.tenant_id) as tx:
        slug = (await tenant_of(tx)).slug
    return Front(await people_at.of(role, office.tenant_id), office, slug)


async def connection(front: Front) -> Connection:
    """The office's connection as it is now."""
    office = front.office
    async with office.database.tenant(office.tenant_id, read_only=True) as tx:
        found = await connection_by_id(tx, office.connection.connection_id)
    assert found is not None
    return found
