"""“Why was this user skipped?”, asked of one provider."""

from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from stoa.access.permissions import Permission
from stoa.identity.scim.log.pages import ONE, provider_here
from stoa.identity.scim.log.store import Vault
from stoa.identity.scim.log.why import why
from stoa.web.guarding import tenant_page
from stoa.web.visiting import Shell, Visit

_LONGEST: Final = 1_000


def why_pages(shell: Shell, vault: Vault) -> list[Route]:
    """Their routes."""

    async def show(visit: Visit) -> Response:
        name = visit.request.query_params.get("q", "").strip()
        usable = 0 < len(name) <= _LONGEST and "\0" not in name
        async with visit.tx() as tx:
            source = await provider_here(visit, tx)
            found = await why(tx, vault, source, name, visit.gettext) if usable else []
        return visit.page(
            "scim/why.html",
            source=source,
            name=name,
            found=found,
            problem=None if usable or not name else visit.gettext("A name has at most 1,000 characters."),
            address=f"{visit.base}/connections/scim/{source.source_id}",
        )

    return [tenant_page(shell, f"{ONE}/why", show, needs=Permission.PEOPLE_VIEW)]
