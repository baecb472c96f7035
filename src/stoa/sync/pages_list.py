"""All connections of a tenant by phase, and what can be connected."""

from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from stoa.access.permissions import Permission
from stoa.sync.connectors import Connector
from stoa.sync.overview import SOON, connections_of
from stoa.sync.pages_desk import Desk, at
from stoa.sync.timing import in_words
from stoa.tenants.model import PHASE_OF_KIND, Phase
from stoa.web.guarding import tenant_page
from stoa.web.visiting import Shell, Visit

# Connectors of these phases can be made; what comes to the others later is said there.
BUILT: Final = frozenset(PHASE_OF_KIND.values())


def list_pages(shell: Shell, desk: Desk) -> list[Route]:
    """Their routes."""
    return [
        tenant_page(shell, "/connections", at(desk, _list), needs=Permission.TENANT_VIEW),
        tenant_page(shell, "/connections/new", at(desk, _choose), needs=Permission.CONNECTION_CHANGE),
    ]


async def _list(visit: Visit, desk: Desk) -> Response:
    async with visit.tx() as tx:
        found = await connections_of(tx)
    by_phase = {
        phase: [line for line in found.lines if PHASE_OF_KIND.get(line.source.kind) is phase] for phase in Phase
    }

    def words(cron: str) -> str:
        return in_words(cron, visit.gettext)

    return visit.page(
        "connections/list.html",
        providers=found.providers,
        by_phase=by_phase,
        any=bool(found.providers or found.lines),
        built=BUILT,
        titles={name: connector.title for name, connector in desk.opener.connectors.items()},
        soon=visit.now + SOON,
        may_change=visit.may(Permission.CONNECTION_CHANGE),
        words=words,
    )


async def _choose(visit: Visit, desk: Desk) -> Response:
    async with visit.tx() as tx:
        found = await connections_of(tx)
    by_phase: dict[Phase, list[Connector]] = {phase: [] for phase in Phase}
    for connector in desk.opener.connectors.values():
        phase = PHASE_OF_KIND.get(connector.source_kind)
        if phase is not None:
            by_phase[phase].append(connector)
    return visit.page(
        "connections/choose.html",
        by_phase=by_phase,
        built=BUILT,
        has_provider=bool(found.providers),
        phases=list(Phase),
    )
