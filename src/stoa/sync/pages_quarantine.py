"""The rows that a run set aside: why, and what stood in them, for whoever mends the report."""

from collections.abc import AsyncGenerator, Mapping
from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from stoa.access.permissions import Permission
from stoa.changes.queries import run_by_id
from stoa.kernel.filters import render_literal
from stoa.kernel.ids import RunId
from stoa.kernel.problems import BadInput
from stoa.sync import quarantine
from stoa.sync.model import QuarantinedRow
from stoa.sync.quarantine import CATALOGUE, RowsAsk, RowsPage
from stoa.tenants import queries
from stoa.web.exports import csv_export
from stoa.web.guarding import tenant_page
from stoa.web.listing import Ask, Listing, Slice, read_ask
from stoa.web.visiting import Shell, Visit

_PATH: Final = "/runs/{run_id}/quarantine"
LIST: Final = Listing(name="quarantine", sorts={"row": "row_no"}, default="row", catalogue=CATALOGUE)


def N_(message: str) -> str:  # noqa: N802 - the name by which Babel finds texts that are translated later
    """Marks a text that is translated where it is used."""
    return message


# Why rows are set aside, by the code of the reason.
REASONS: Final[Mapping[str, str]] = {
    "required_missing": N_("A required cell is empty"),
    "control_character": N_("A cell holds control characters"),
    "too_long": N_("A cell is too long"),
    "not_a_date": N_("A date cannot be read"),
    "not_a_boolean": N_("A yes or no cannot be read"),
    "unknown_value": N_("A value is not in the list of values"),
    "not_an_email": N_("An e-mail address cannot be one"),
    "duplicate_id": N_("Two rows have the same id"),
    "manager_cycle": N_("Managers go round in a circle"),
}


def quarantine_pages(shell: Shell) -> list[Route]:
    """Their routes. The rows hold personal data, so whoever may not see people may not see them."""
    return [
        tenant_page(shell, _PATH, _show, needs=Permission.PEOPLE_VIEW),
        tenant_page(shell, f"{_PATH}.csv", _export, needs=Permission.PEOPLE_VIEW),
    ]


def _asked(ask: Ask) -> RowsAsk:
    return RowsAsk(ask.search, ask.typed, ask.descending, ask.after, ask.limit)


async def _show(visit: Visit) -> Response:
    run_id = RunId(visit.id("run_id"))
    ask = read_ask(visit, LIST)
    async with visit.tx() as tx:
        run = await run_by_id(tx, run_id)
        source = await queries.source(tx, run.source_id)
        reasons = await quarantine.reasons_of_run(tx, run_id)
        in_all = await quarantine.count_of_run(tx, run_id)
        found = RowsPage((), None) if ask.problem else await quarantine.rows_found(tx, run_id, _asked(ask))
    return visit.page(
        "quarantine/rows.html",
        run=run,
        source=source,
        reasons=reasons,
        in_all=in_all,
        listed=LIST.page(visit, ask, Slice(found.rows, found.next)),
        words={code: visit.gettext(text) for code, text in REASONS.items()},
        filter_of=filter_of,
    )


def filter_of(code: str, column: str) -> str:
    """The filter that finds the rows of one reason."""
    return f"reasons[code eq {render_literal(code)} and column eq {render_literal(column)}]"


async def _export(visit: Visit) -> Response:
    run_id = RunId(visit.id("run_id"))
    ask = read_ask(visit, LIST)
    if ask.problem is not None:
        raise BadInput(ask.problem)
    async with visit.tx() as tx:
        await run_by_id(tx, run_id)
        columns = await quarantine.columns_of_run(tx, run_id)

    async def lines() -> AsyncGenerator[tuple[object, ...]]:
        async with visit.tx() as tx:
            async for row in quarantine.all_rows(tx, run_id, _asked(ask)):
                yield _line(row, columns)

    return await csv_export(visit, f"set-aside-{run_id}.csv", ("row", "external_id", "reasons", *columns), lines())


def _line(row: QuarantinedRow, columns: list[str]) -> tuple[object, ...]:
    reasons = " ".join(reason.detail for reason in row.reasons)
    return (row.row_no, row.external_id, reasons, *(row.raw.get(column) for column in columns))
