"""The inbox of whom sources could not tell: who it may be, side by side, and what an admin says of it."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from starlette.responses import Response
from starlette.routing import Route

from stoa.access.permissions import Permission
from stoa.changes import words
from stoa.changes.names import actor_names
from stoa.kernel.ids import parse_id
from stoa.kernel.problems import BadInput, Conflict, Problem
from stoa.people import deciding
from stoa.people.deciding_queries import (
    CATALOGUE,
    Decision,
    DecisionsAsk,
    DecisionState,
    beside,
    decision,
    decisions_page,
    open_decisions,
)
from stoa.people.fields import PERSON_FIELDS, Value, key_of
from stoa.people.matching import Word
from stoa.people.model import Provisioned, Refused
from stoa.web.exports import csv_export
from stoa.web.guarding import tenant_action, tenant_page
from stoa.web.listing import Listing, Slice, read_ask
from stoa.web.visiting import Shell, Visit

LIST: Final = "/people/decisions"
ONE: Final = f"{LIST}/{{decision_id}}"
_TABS: Final[Mapping[DecisionState, str]] = {
    DecisionState.OPEN: LIST,
    DecisionState.DECIDED: f"{LIST}/decided",
    DecisionState.ENDED: f"{LIST}/ended",
}
LISTS: Final = {
    state: Listing(name=f"decisions-{state}", sorts={"seen_at": "seen_at"}, default="-seen_at", catalogue=CATALOGUE)
    for state in _TABS
}
# What a candidate is told by; the rest of the values stand on their page.
SHOWN: Final = (
    *("display_name", "user_name", "email", "employee_id", "title", "department", "location", "hire_date"),
    "termination_date",
)
_OTHER: Final = "other"
CSV_HEADER: Final = (
    *("decision_id", "state", "source_name", "subject", "rule", "detail", "times", "began_at", "seen_at", "word"),
    *("person_id", "decided_at", "note", "ended", "ended_at"),
)
_EXPORTED_AT_ONCE: Final = 1_000


def decision_pages(shell: Shell) -> list[Route]:
    """Their routes. The tabs stand before the decisions' own pages, for whose ids their names could be taken."""
    view, change = Permission.PEOPLE_VIEW, Permission.RUN_DECIDE
    return [
        *(tenant_page(shell, path, _list(state), needs=view) for state, path in _TABS.items()),
        *(tenant_page(shell, f"{path}.csv", _export(state), needs=view) for state, path in _TABS.items()),
        tenant_page(shell, ONE, _show, needs=view),
        tenant_action(shell, ONE, _decide, needs=change),
        tenant_action(shell, f"{ONE}/revoke", _revoke, needs=change),
        tenant_action(shell, f"{ONE}/carry-out", _carry_out, needs=change),
    ]


def _list(state: DecisionState) -> Callable[[Visit], Awaitable[Response]]:
    async def show(visit: Visit) -> Response:
        ask = read_ask(visit, LISTS[state])
        found: Slice[Decision] = Slice((), None)
        async with visit.tx() as tx:
            waiting = await open_decisions(tx)
            if ask.problem is None:
                asked = DecisionsAsk(state, ask.search, ask.typed, ask.descending, ask.after, ask.limit)
                page = await decisions_page(tx, asked)
                found = Slice(page.rows, page.next)
        return visit.page(
            "people/decisions.html",
            listed=LISTS[state].page(visit, ask, found),
            shown=state,
            waiting=waiting,
            tabs={one: visit.base + path for one, path in _TABS.items()},
        )

    return show


def _export(state: DecisionState) -> Callable[[Visit], Awaitable[Response]]:
    async def export(visit: Visit) -> Response:
        ask = read_ask(visit, LISTS[state])
        if ask.problem is not None:
            raise BadInput(ask.problem)

        async def rows() -> AsyncGenerator[Sequence[object]]:
            asked = DecisionsAsk(state, ask.search, ask.typed, ask.descending, limit=_EXPORTED_AT_ONCE)
            while True:
                async with visit.tx() as tx:
                    page = await decisions_page(tx, asked)
                for one in page.rows:
                    yield tuple(getattr(one, name) for name in CSV_HEADER)
                if page.next is None:
                    return
                asked = replace(asked, after=page.next)

        return await csv_export(visit, f"decisions-{state}.csv", CSV_HEADER, rows())

    return export


async def _show(visit: Visit) -> Response:
    return await _page(visit)


async def _page(
    visit: Visit, *, status: int = 200, error: str | None = None, given: Mapping[str, str] | None = None
) -> Response:
    async with visit.tx() as tx:
        found = await decision(tx, visit.id("decision_id"))
        asked = {*found.candidates, *([found.person_id] if found.person_id is not None else [])}
        people = await beside(tx, asked)
    said: Mapping[str, Value] = {} if found.said is None else found.said.values
    decider = None if found.decided_by is None else (await actor_names(visit, [found.decided_by]))[found.decided_by]
    chosen = next((one.person for one in people if one.person.person_id == found.person_id), None)
    return visit.page(
        "people/decision.html",
        status=status,
        found=found,
        sent=said,
        people=people,
        same={
            one.person.person_id: {name for name in PERSON_FIELDS if _alike(said.get(name), one.person.values[name])}
            for one in people
        },
        fields=[name for name in SHOWN if said.get(name) or any(one.person.values[name] for one in people)],
        labels=words.fields(visit.gettext, SHOWN),
        decider=decider,
        chosen=chosen,
        error=error,
        given=given or {},
        longest_note=deciding.LONGEST_NOTE,
        may_decide=visit.may(Permission.RUN_DECIDE),
        address=f"{visit.base}{LIST}/{found.decision_id}",
        inbox=visit.base + LIST,
    )


def _alike(one: Value, other: Value) -> bool:
    return one is not None and (one == other or (isinstance(one, str) and key_of(one) == key_of(other)))


async def _decide(visit: Visit) -> Response:
    form = await visit.form()
    given = {name: form.get(name, "").strip() for name in ("who", "person", "note", "version")}
    try:
        word, person_id = _word(given)
        version = int(given["version"]) if given["version"].isdecimal() else None
        async with visit.writing() as tx:
            await deciding.decide(
                tx, visit.id("decision_id"), word, person_id, note=form.text("note", most=20_000), version=version
            )
    except (BadInput, Conflict) as problem:
        status = 422 if isinstance(problem, BadInput) else 409
        return await _page(visit, status=status, error=_in_words(problem), given=given)
    return visit.see(
        f"{LIST}/{visit.id('decision_id')}", said=visit.gettext("Decided. The source's next try follows it.")
    )


def _in_words(problem: Problem) -> str:
    return " ".join(filter(None, (problem.detail, problem.hint)))


def _word(given: Mapping[str, str]) -> tuple[Word, UUID | None]:
    """Raises BadInput."""
    match given["who"]:
        case "new":
            return Word.NEW, None
        case "ignore":
            return Word.IGNORE, None
        case who:
            person_id = parse_id(given["person"].rsplit("/", 1)[-1] if who == _OTHER else who)
            if person_id is None:
                raise BadInput(
                    "Who it is has not been said.", hint="Choose one of the people, or paste the address of their page."
                )
            return Word.PERSON, person_id


async def _revoke(visit: Visit) -> Response:
    try:
        async with visit.writing() as tx:
            await deciding.revoke(tx, visit.id("decision_id"))
    except Conflict as problem:
        return await _page(visit, status=409, error=_in_words(problem))
    return visit.see(f"{LIST}/{visit.id('decision_id')}", said=visit.gettext("Taken back. It waits for somebody."))


async def _carry_out(visit: Visit) -> Response:
    try:
        async with visit.writing() as tx:
            done = await deciding.carry_out(tx, visit.id("decision_id"))
    except Conflict as problem:
        return await _page(visit, status=409, error=_in_words(problem))
    match done:
        case Provisioned(record):
            return visit.see(f"/people/{record.person_id}", said=visit.gettext("Done. This is the person."))
        case Refused():
            return await _page(visit, status=409, error=done.detail)
