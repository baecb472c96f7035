"""The inbox of people who may be one, and one pair of them."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from stoa.access.permissions import Permission
from stoa.api.lists import MOST, ListAsk
from stoa.changes.names import actor_names
from stoa.kernel.ids import SourceId, parse_id
from stoa.kernel.problems import BadInput, Problem
from stoa.people import duplicates_actions, duplicates_words
from stoa.people.duplicates import ask_for_everybody
from stoa.people.duplicates_actions import LONGEST_REASON, WrongPairState
from stoa.people.duplicates_listing import (
    CATALOGUE,
    STATES,
    TABLE,
    ListedPair,
    PairState,
    count_open,
    pair_by_id,
    pairs_page,
    standing,
)
from stoa.people.duplicates_rules import COMMON
from stoa.people.merging_queries import source_bars
from stoa.tenants import queries as tenants
from stoa.web.exports import csv_export
from stoa.web.guarding import tenant_action, tenant_page
from stoa.web.listing import Ask, Listing, Slice, read_ask
from stoa.web.visiting import Shell, Visit

LIST: Final = "/duplicates"
ONE: Final = f"{LIST}/{{pair_id}}"
_TABS: Final[Mapping[PairState, str]] = {state: LIST if state == "open" else f"{LIST}/{state}" for state in STATES}
LISTS: Final = {
    state: Listing(name=f"duplicates-{state}", sorts=dict.fromkeys(TABLE.sorts), default="-score", catalogue=CATALOGUE)
    for state in STATES
}
CSV_HEADER: Final = (
    *("pair_id", "person_a", "person_b", "state", "score", "found_at", "updated_at", "dismissed_at", "dismissed_by"),
    *("dismissed_reason", "evidence"),
)
_MOST_READ: Final = 20_000


def duplicate_pages(shell: Shell) -> list[Route]:
    """Their routes. The tabs stand before the pairs' own pages."""
    view, change = Permission.PEOPLE_VIEW, Permission.RUN_DECIDE
    return [
        *(tenant_page(shell, path, _list(state), needs=view) for state, path in _TABS.items()),
        *(tenant_page(shell, f"{path}.csv", _csv(state), needs=view) for state, path in _TABS.items()),
        tenant_action(shell, f"{LIST}/search", _search, needs=change),
        tenant_action(shell, f"{LIST}/bars", _bar_source, needs=change),
        tenant_action(shell, f"{LIST}/bars/lift", _lift_source, needs=change),
        tenant_page(shell, ONE, _show, needs=view),
        tenant_action(shell, f"{ONE}/dismiss", _dismiss, needs=change),
        tenant_action(shell, f"{ONE}/reopen", _reopen, needs=change),
    ]


def list_ask(ask: Ask) -> ListAsk:
    """What a page asks of a list, as the API's lists take it."""
    return ListAsk(ask.typed, ask.sort, ask.descending, ask.after, ask.limit, None, None, "")


def _list(state: PairState) -> Callable[[Visit], Awaitable[Response]]:
    async def show(visit: Visit) -> Response:
        return await _listed(visit, state)

    return show


async def _listed(visit: Visit, state: PairState, *, status: int = 200, error: str | None = None) -> Response:
    listing = LISTS[state]
    ask = read_ask(visit, listing)
    found: Slice[ListedPair] = Slice((), None)
    async with visit.tx() as tx:
        if ask.problem is None:
            found = Slice(*await pairs_page(tx, list_ask(ask), state, ask.search))
        waiting, come, sources = await count_open(tx), await standing(tx), await tenants.sources(tx)
        bars = await source_bars(tx)
    return visit.page(
        "people/duplicates.html",
        status=status,
        listed=listing.page(visit, ask, found),
        shown=state,
        waiting=waiting,
        standing=come,
        common=COMMON,
        tabs={one: visit.base + path for one, path in _TABS.items()},
        evidence=partial(duplicates_words.evidence, visit.gettext),
        bars=bars,
        sources=[source for source in sources if source.source_id not in {bar.of_id for bar in bars}],
        may_change=visit.may(Permission.RUN_DECIDE),
        longest=LONGEST_REASON,
        address=visit.base + LIST,
        error=error,
    )


def _csv(state: PairState) -> Callable[[Visit], Awaitable[Response]]:
    async def export(visit: Visit) -> Response:
        ask = read_ask(visit, LISTS[state])
        if ask.problem is not None:
            raise BadInput(ask.problem)

        async def lines() -> AsyncGenerator[Sequence[object]]:
            asked = replace(list_ask(ask), after=None, limit=MOST)
            while True:
                async with visit.tx() as tx:
                    rows, after = await pairs_page(tx, asked, state, ask.search)
                for one in rows:
                    yield (*(getattr(one, name) for name in CSV_HEADER[:-1]), " ".join(one.evidence))
                if after is None:
                    return
                asked = replace(asked, after=after)

        return await csv_export(visit, f"duplicates-{state}.csv", CSV_HEADER, lines())

    return export


async def _show(visit: Visit) -> Response:
    return await _pair(visit)


async def _pair(visit: Visit, *, status: int = 200, error: str | None = None, given: str = "") -> Response:
    async with visit.tx() as tx:
        pair = await pair_by_id(tx, visit.id("pair_id"))
    decider = None
    if pair.dismissed_by is not None:
        decider = (await actor_names(visit, [pair.dismissed_by]))[pair.dismissed_by]
    return visit.page(
        "people/duplicate.html",
        status=status,
        pair=pair,
        evidence=partial(duplicates_words.evidence, visit.gettext),
        decider=decider,
        may_change=visit.may(Permission.RUN_DECIDE),
        longest=LONGEST_REASON,
        address=f"{visit.base}{LIST}/{pair.pair_id}",
        inbox=visit.base + LIST,
        error=error,
        given=given,
    )


def in_words(problem: Problem) -> str:
    """A problem as a sentence of a page."""
    return " ".join(filter(None, (problem.detail, problem.hint)))


async def _dismiss(visit: Visit) -> Response:
    given = (await visit.form()).text("reason", most=_MOST_READ)
    try:
        async with visit.writing() as tx:
            await duplicates_actions.dismiss(tx, visit.id("pair_id"), given)
    except (BadInput, WrongPairState) as problem:
        return await _pair(visit, status=422 if isinstance(problem, BadInput) else 409, error=in_words(problem),
                           given=given)  # fmt: skip
    return visit.see(LIST, said=visit.gettext("Noted: they are two people. It is kept, with the reason."))


async def _reopen(visit: Visit) -> Response:
    try:
        async with visit.writing() as tx:
            await duplicates_actions.reopen(tx, visit.id("pair_id"))
    except WrongPairState as problem:
        return await _pair(visit, status=409, error=in_words(problem))
    return visit.see(f"{LIST}/{visit.id('pair_id')}", said=visit.gettext("It waits for a decision again."))


async def _search(visit: Visit) -> Response:
    async with visit.writing() as tx:
        await ask_for_everybody(tx)
    return visit.see(LIST, said=visit.gettext("Everybody is being compared anew. It takes some minutes."), tone="info")


async def _bar_source(visit: Visit) -> Response:
    form = await visit.form()
    source_id = parse_id(form.text("source_id"))
    try:
        if source_id is None:
            raise BadInput("No source was chosen.", hint="Choose one.")
        async with visit.writing() as tx:
            await duplicates_actions.bar(tx, "source", SourceId(source_id), form.text("reason", most=_MOST_READ))
    except BadInput as problem:
        return await _listed(visit, "open", status=422, error=in_words(problem))
    return visit.see(LIST, said=visit.gettext("Whoever is known to this source is not merged from now on."))


async def _lift_source(visit: Visit) -> Response:
    source_id = parse_id((await visit.form()).text("source_id"))
    if source_id is not None:
        async with visit.writing() as tx:
            await duplicates_actions.lift(tx, "source", source_id)
    return visit.see(LIST, said=visit.gettext("Whoever is known to this source may be merged again."))
