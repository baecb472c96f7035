"""The board: every tenant by its six phases."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Final
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from stoa.access.permissions import Permission
from stoa.kernel.ids import TenantId
from stoa.tenants.board import CATALOGUE, STATES, BoardAsk, BoardPage, BoardSort, board, board_summary
from stoa.tenants.model import Phase
from stoa.tenants.phases import PhaseState
from stoa.tenants.status import TenantStatus
from stoa.web.exports import csv_export
from stoa.web.guarding import platform_page
from stoa.web.listing import Ask, Listing, Slice, read_ask
from stoa.web.visiting import Shell, Visit

HERE: Final = "/console"
_SORTS: Final[Mapping[str, BoardSort]] = {"urgency": "urgency", "name": "name", "success": "success"}
LIST: Final = Listing(name="board", sorts=_SORTS, default="urgency", catalogue=CATALOGUE)
_EXPORTED_AT_ONCE: Final = 500
_COLUMNS: Final = ("contact_at", "success_at", "expected_by", "held", "failing")
_HEADER: Final = (
    *("slug", "name", "sandbox", "worst"),
    *(f"{phase}_{column}" for phase in Phase for column in ("state", *_COLUMNS)),
    *("open_alerts", "critical_alerts", "people", "active_people", "people_at", "updated_at"),
)


def board_pages(shell: Shell) -> list[Route]:
    """Their routes. Whoever has roles in tenants alone sees those."""
    return [
        platform_page(shell, HERE, _board, needs=None),
        platform_page(shell, f"{HERE}.csv", _csv, needs=None),
    ]


def _only(visit: Visit) -> list[TenantId] | None:
    """The tenants that the visitor may see; None for all."""
    return None if visit.may(Permission.BOARD_VIEW) else list(visit.principal.tenant_roles)


def _filter(state: PhaseState) -> str:
    return f'state eq "{state}"'


def _asked(visit: Visit, ask: Ask) -> BoardAsk:
    return BoardAsk(
        search=ask.search,
        where=ask.typed,
        sort=_SORTS[ask.sort],
        descending=ask.descending,
        after=ask.after,
        limit=ask.limit,
        only=_only(visit),
    )


async def _board(visit: Visit) -> Response:
    only = _only(visit)
    ask = read_ask(visit, LIST)
    async with visit.platform() as tx:
        summary = await board_summary(tx, only)
        found = BoardPage((), None) if ask.problem else await board(tx, _asked(visit, ask))
        if only is not None and summary.tenants == 1:
            (the_one,) = (await board(tx, BoardAsk(only=only))).rows
            return RedirectResponse(f"{HERE}/t/{the_one.slug}", 303)
    return visit.page(
        "console/board.html",
        summary=summary,
        listed=LIST.page(visit, ask, Slice(found.rows, found.next)),
        phases=list(Phase),
        states=[(state, f"{HERE}?{urlencode({'filter': _filter(state)})}") for state in reversed(STATES)],
        chosen=next((state for state in STATES if ask.filter == _filter(state)), None),
        live_url=_again(visit),
    )


def _again(visit: Visit) -> str:
    query = visit.request.url.query
    return f"{HERE}?{query}" if query else HERE


# ------------------------------------------------------------------ export


async def _csv(visit: Visit) -> Response:
    ask = read_ask(visit, LIST)
    return await csv_export(visit, "tenants.csv", _HEADER, _lines(visit, replace(_asked(visit, ask), after=None)))


async def _lines(visit: Visit, ask: BoardAsk) -> AsyncIterator[Sequence[object]]:
    ask = replace(ask, limit=_EXPORTED_AT_ONCE)
    while True:
        async with visit.platform() as tx:
            page = await board(tx, ask)
        for row in page.rows:
            yield _line(row)
        if page.next is None:
            return
        ask = replace(ask, after=page.next)


def _line(row: TenantStatus) -> Sequence[object]:
    phases = [
        value
        for phase, status in row.phases.items()
        for value in (row.state(phase), *(getattr(status, column) for column in _COLUMNS))
    ]
    figures = (row.open_alerts, row.critical_alerts, row.people, row.active_people, row.people_at, row.updated_at)
    return (row.slug, row.name, row.sandbox, row.worst, *phases, *figures)
