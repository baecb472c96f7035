"""The pages about people: the list of them, and one of them."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from stoa.access.permissions import Permission
from stoa.kernel.problems import BadInput
from stoa.people.catalogue import CATALOGUE
from stoa.people.duplicates_listing import count_open
from stoa.people.listing import ListedPerson, PeopleAsk, PeoplePage, PeopleSort, ReadsTooMuch, people_page
from stoa.people.pages_authority import authority_pages
from stoa.people.pages_decisions import decision_pages
from stoa.people.pages_groups import group_pages
from stoa.people.pages_guards import guard_pages
from stoa.people.pages_matching import matching_pages
from stoa.people.pages_person import person_pages
from stoa.people.pages_roles import role_pages
from stoa.people.searching import MOST_FOUND
from stoa.tenants.status import status
from stoa.web.exports import csv_export
from stoa.web.guarding import tenant_page
from stoa.web.listing import Ask, Listing, Slice, read_ask
from stoa.web.visiting import Shell, Visit

LIST: Final = Listing(
    name="people",
    sorts={"display_name": "display_name", "updated_at": "updated_at"},
    default="display_name",
    catalogue=CATALOGUE,
)
_TEXTS: Final = (
    *("display_name", "given_name", "family_name", "user_name", "email", "employee_id", "title", "department"),
    *("division", "cost_center", "organization", "location", "worker_type"),
)
CSV_HEADER: Final = ("person_id", *_TEXTS, "active", "sources", "updated_at")
_EXPORTED_AT_ONCE: Final = 2_000
# An export tells of everybody; what an arm of a search may find is then bounded by the size of the largest company.
_ALL: Final = 10_000_000


def people_pages(shell: Shell) -> list[Route]:
    """Their routes."""
    return [
        tenant_page(shell, "/people", _list, needs=Permission.PEOPLE_VIEW),
        tenant_page(shell, "/people.csv", _csv, needs=Permission.PEOPLE_VIEW),
        # Before the people's own pages, for whose ids their names could be taken.
        *authority_pages(shell),
        *decision_pages(shell),
        *matching_pages(shell),
        *person_pages(shell),
        *guard_pages(shell),
        *group_pages(shell),
        *role_pages(shell),
    ]


def _asked(ask: Ask) -> PeopleAsk:
    sort: PeopleSort = "updated_at" if ask.sort == "updated_at" else "display_name"
    return PeopleAsk(ask.search, ask.typed, sort, ask.descending, ask.after, ask.limit)


async def _list(visit: Visit) -> Response:
    ask, found = read_ask(visit, LIST), PeoplePage((), None)
    async with visit.tx() as tx:
        standing, duplicates = await status(tx), await count_open(tx)
    if ask.problem is None:
        try:
            async with visit.tx() as tx:
                found = await people_page(tx, _asked(ask))
        except ReadsTooMuch as problem:
            ask = replace(ask, problem=str(problem))
    return visit.page(
        "people/people.html",
        listed=LIST.page(visit, ask, Slice(found.rows, found.next)),
        standing=standing,
        duplicates=duplicates,
        too_many=MOST_FOUND if found.too_many else None,
    )


async def _csv(visit: Visit) -> Response:
    ask = read_ask(visit, LIST)
    if ask.problem is not None:
        raise BadInput(ask.problem)
    asked = replace(_asked(ask), after=None, limit=_EXPORTED_AT_ONCE, most=_ALL)
    # Read before the answer begins: after that there is no way left to say what went wrong.
    async with visit.tx() as tx:
        first = await people_page(tx, asked)
    return await csv_export(visit, "people.csv", CSV_HEADER, _lines(visit, asked, first))


async def _lines(visit: Visit, ask: PeopleAsk, page: PeoplePage) -> AsyncGenerator[Sequence[object]]:
    """Every line, one page of them in memory at a time; no transaction stays open while a browser is slow."""
    while True:
        for row in page.rows:
            yield _line(row)
        if page.next is None:
            return
        async with visit.tx() as tx:
            page = await people_page(tx, replace(ask, after=page.next))


def _line(row: ListedPerson) -> Sequence[object]:
    texts = (row.texts[name] for name in _TEXTS)
    return (row.person_id, *texts, row.active, "; ".join(row.sources), row.updated_at)
