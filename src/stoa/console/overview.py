"""The overview of one tenant: how its phases stand, what waits for a person, and what happened last."""

from starlette.responses import Response
from starlette.routing import Route

from stoa.access.permissions import Permission
from stoa.changes.model import Run
from stoa.console.queries import overview
from stoa.web.guarding import tenant_page
from stoa.web.visiting import Shell, Visit


def overview_pages(shell: Shell) -> list[Route]:
    """Their routes."""
    return [tenant_page(shell, "", _overview, needs=Permission.TENANT_VIEW)]


async def _overview(visit: Visit) -> Response:
    async with visit.tx() as tx:
        found = await overview(tx)

    def source_name(run: Run) -> str:
        source = found.sources.get(run.source_id)
        return source.name if source else str(run.source_id)

    return visit.page("console/overview.html", found=found, source_name=source_name)
