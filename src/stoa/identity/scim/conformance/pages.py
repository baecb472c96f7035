"""The page "Conformance" of an identity provider's connection: what clients expect of a SCIM service, and whether ours
does it, for the tenant to see.
"""

from typing import Final
from uuid import UUID

from starlette.responses import Response
from starlette.routing import Route

from stoa.access.permissions import Permission
from stoa.identity.scim import tokens
from stoa.identity.scim.conformance.model import Verdict
from stoa.identity.scim.conformance.running import CHECKS, KEPT, keep, latest, one_run, run_checks
from stoa.kernel.ids import SourceId
from stoa.kernel.problems import NotFound
from stoa.web.guarding import tenant_action, tenant_page
from stoa.web.visiting import Shell, Visit

_ALL: Final = "/connections/scim/{source_id}/conformance"
_ONE: Final = f"{_ALL}/{{conformance_id}}"
# Those that ask for somebody's attention stand first.
_ORDER: Final = (Verdict.BROKEN, Verdict.FAILED, Verdict.SKIPPED, Verdict.PASSED)


def conformance_pages(shell: Shell, base_url: str) -> list[Route]:
    """Its routes.

    base_url: scheme, host and port under which clients reach this server.
    """

    async def run(visit: Visit) -> Response:
        return await _run(visit, base_url.rstrip("/"))

    return [
        tenant_page(shell, _ALL, _latest, needs=Permission.TENANT_VIEW),
        tenant_action(shell, _ALL, run, needs=Permission.CONNECTION_CHANGE),
        tenant_page(shell, _ONE, _earlier, needs=Permission.TENANT_VIEW),
    ]


async def _latest(visit: Visit) -> Response:
    return await _page(visit, None)


async def _earlier(visit: Visit) -> Response:
    return await _page(visit, visit.id("conformance_id"))


async def _page(visit: Visit, conformance_id: UUID | None) -> Response:
    source_id = SourceId(visit.id("source_id"))
    async with visit.tx() as tx:
        source = await tokens.provider(tx, source_id)
        shown = await one_run(tx, source_id, conformance_id)
        kept = await latest(tx, source_id)
    if conformance_id is not None and shown is None:
        raise NotFound(
            visit.gettext("There is no such run of the checks."),
            hint=visit.gettext("The page of the checks lists those that are kept."),
        )
    assert visit.tenant is not None
    return visit.page(
        "scim/conformance.html",
        source=source,
        shown=shown,
        results=() if shown is None else sorted(shown.results, key=lambda one: _ORDER.index(one.verdict)),
        kept=kept,
        most_kept=KEPT,
        checks=len(CHECKS),
        writing=sum(check.writes for check in CHECKS),
        sandbox=visit.tenant.sandbox,
        may_run=visit.may(Permission.CONNECTION_CHANGE),
        address=f"{visit.base}/connections/scim/{source_id}",
    )


async def _run(visit: Visit, base_url: str) -> Response:
    source_id = SourceId(visit.id("source_id"))
    tenant = visit.tenant
    assert tenant is not None
    async with visit.tx() as tx:
        await tokens.provider(tx, source_id)
    address = f"{base_url}/t/{tenant.slug}/scim/v2"
    wrote, results = await run_checks(visit.shell.database, tenant.tenant_id, source_id, address, visit.origin)
    async with visit.writing() as tx:
        made = await keep(tx, source_id, results, wrote=wrote)
    said = (
        visit.gettext("Every check that ran has passed.")
        if made.failed == 0
        else visit.gettext("Some checks failed. They stand first below.")
    )
    return visit.see(f"/connections/scim/{source_id}/conformance", said=said)
