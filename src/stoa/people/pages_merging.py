"""Merging two people, and splitting them: who, what would follow, and what was done."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, TypeVar
from uuid import UUID

from starlette.responses import Response
from starlette.routing import Route

from stoa.access.permissions import Permission
from stoa.api.lists import MOST
from stoa.api.tables import rows_of
from stoa.changes import words
from stoa.changes.names import actor_names
from stoa.db.errors import COLLISION
from stoa.db.transactions import TenantTx
from stoa.kernel.fold import fold
from stoa.kernel.ids import PersonId, RunId, parse_id
from stoa.kernel.problems import BadInput, Conflict, NotFound, Problem
from stoa.kernel.references import Reference
from stoa.people import duplicates_actions, duplicates_words
from stoa.people.duplicates_actions import LONGEST_REASON
from stoa.people.listing import ListedPerson, PeopleAsk, PeoplePage, people_page
from stoa.people.merging import merge
from stoa.people.merging_model import PICKABLE, SIDES, AlreadyMerged, CannotSplit, Merge, MergeAsk, Side
from stoa.people.merging_preview import preview
from stoa.people.merging_queries import merge_by_run, merge_of, person_bar
from stoa.people.pages_duplicates import in_words, list_ask
from stoa.people.queries import person_names
from stoa.people.redirects import survivor
from stoa.people.routes_merges import CATALOGUE, LONGEST_NOTE, TABLE
from stoa.people.splitting import split
from stoa.people.splitting_preview import split_preview
from stoa.tenants import queries as tenants
from stoa.web.exports import csv_export
from stoa.web.guarding import tenant_action, tenant_page
from stoa.web.listing import Ask, Listed, Listing, Slice, read_ask
from stoa.web.visiting import Shell, Visit

MERGES: Final = "/merges"
_WITH: Final = "/people/{person_id}/merge"
_BOTH: Final = f"{_WITH}/{{other_id}}"
LIST: Final = Listing(name="merges", sorts={"made_at": "made_at"}, default="-made_at", catalogue=CATALOGUE)
FOUND: Final = Listing(name="merge-with", sorts={"display_name": "display_name"}, default="display_name")
CSV_HEADER: Final = (
    *("run_id", "survivor_id", "absorbed_id", "state", "note", "made_by", "made_at", "split_run", "split_by"),
    "split_at",
)
_ATTEMPTS: Final = 3
T = TypeVar("T")


def merging_pages(shell: Shell, references: Sequence[Reference]) -> list[Route]:
    """Their routes. references: to people, of every room."""

    async def show(visit: Visit) -> Response:
        return await _both(visit, references)

    async def act(visit: Visit) -> Response:
        return await _merge(visit, references)

    view, change = Permission.PEOPLE_VIEW, Permission.RUN_DECIDE
    return [
        tenant_page(shell, _WITH, _with, needs=view),
        # Before those of the two, for whose id their names could be taken.
        tenant_action(shell, f"{_WITH}/bar", _bar, needs=change),
        tenant_action(shell, f"{_WITH}/lift", _lift, needs=change),
        tenant_page(shell, _BOTH, show, needs=view),
        tenant_action(shell, _BOTH, act, needs=change),
        tenant_page(shell, MERGES, _list, needs=view),
        tenant_page(shell, f"{MERGES}.csv", _csv, needs=view),
        tenant_page(shell, f"{MERGES}/{{merge_id}}", _show, needs=view),
        tenant_action(shell, f"{MERGES}/{{merge_id}}/split", _split, needs=change),
    ]


async def _acted(visit: Visit, work: Callable[[TenantTx], Awaitable[T]]) -> T:
    """What `work` does in one transaction; done again when the database has it give way to another one."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            async with visit.writing() as tx:
                return await work(tx)
        except COLLISION:
            if attempt == _ATTEMPTS:
                raise Conflict("Somebody else changed these people at the same moment.", hint="Try again.") from None
    raise AssertionError("unreachable")


# ------------------------------------------------------------------ with whom


async def _with(visit: Visit) -> Response:
    return await _searched(visit)


async def _searched(visit: Visit, *, status: int = 200, error: str | None = None) -> Response:
    ask, found = read_ask(visit, FOUND), PeoplePage((), None)
    async with visit.tx() as tx:
        person_id = await _who(tx, visit.id("person_id"))
        names = await person_names(tx, [person_id])
        bar = await person_bar(tx, person_id)
        if ask.search and ask.problem is None:
            found = await people_page(tx, PeopleAsk(ask.search, after=ask.after, limit=ask.limit))
    return visit.page(
        "people/merge_with.html",
        status=status,
        person_id=person_id,
        name=names.get(person_id),
        listed=_found_people(visit, ask, found, person_id),
        address=f"{visit.base}/people/{person_id}",
        bar=bar,
        may_change=visit.may(Permission.RUN_DECIDE),
        longest=LONGEST_REASON,
        error=error,
    )


def _found_people(visit: Visit, ask: Ask, found: PeoplePage, person_id: PersonId) -> Listed[ListedPerson]:
    others = [one for one in found.rows if one.person_id != person_id]
    # Nobody takes a search for one person away as a file.
    return replace(FOUND.page(visit, ask, Slice(others, found.next)), csv_url="")


async def _who(tx: TenantTx, person_id: UUID) -> PersonId:
    found = await survivor(tx, person_id)
    if found is None:
        raise NotFound("There is no such person in this tenant.", hint="The list of people has those that there are.")
    return found


async def _bar(visit: Visit) -> Response:
    reason = (await visit.form()).text("reason", most=20_000)
    try:
        async with visit.writing() as tx:
            await duplicates_actions.bar(tx, "person", visit.id("person_id"), reason)
    except BadInput as problem:
        return await _searched(visit, status=422, error=in_words(problem))
    return visit.see(f"/people/{visit.id('person_id')}/merge", said=visit.gettext("They are never merged from now on."))


async def _lift(visit: Visit) -> Response:
    async with visit.writing() as tx:
        await duplicates_actions.lift(tx, "person", visit.id("person_id"))
    return visit.see(f"/people/{visit.id('person_id')}/merge", said=visit.gettext("They may be merged again."))


# ------------------------------------------------------------------ what would follow


def _picks(given: Mapping[str, str]) -> dict[str, Side]:
    """Of fields of a form, or of an address: whose value was picked for which field."""
    sides: dict[str, Side] = {str(side): side for side in SIDES}
    return {name: sides[given[f"pick_{name}"]] for name in PICKABLE if given.get(f"pick_{name}", "") in sides}


def _ask(visit: Visit, given: Mapping[str, str]) -> MergeAsk:
    note = given.get("note", "").strip()[:LONGEST_NOTE].replace("\0", "") or None
    return MergeAsk(PersonId(visit.id("person_id")), PersonId(visit.id("other_id")), _picks(given), note)


async def _both(
    visit: Visit, references: Sequence[Reference], *, given: Mapping[str, str] | None = None, status: int = 200,
    error: str | None = None,
) -> Response:  # fmt: skip
    ask = _ask(visit, visit.request.query_params if given is None else given)
    try:
        async with visit.tx() as tx:
            found = await preview(tx, ask, references)
            managers = [one for one in (found.manager.survivor, found.manager.absorbed) if isinstance(one, UUID)]
            names = await person_names(tx, [found.survivor_id, found.absorbed_id, *managers])
            sources = {source.source_id: source.name for source in await tenants.sources(tx)}
    except AlreadyMerged as problem:
        return visit.see(f"/people/{problem.extra['person_id']}", said=visit.gettext("They are one person already."),
                         tone="info")  # fmt: skip
    except Problem as problem:
        if given is None or isinstance(problem, NotFound):
            raise
        return await _both(visit, references, given={}, status=status, error=in_words(problem))
    return visit.page(
        "people/merge_preview.html",
        status=status,
        found=found,
        names=names,
        sources=sources,
        labels=words.fields(visit.gettext, [*PICKABLE, "active", "manager_id"]),
        spoken=[one for one in found.fields if one.survivor is not None or one.absorbed is not None],
        room=partial(duplicates_words.room, visit.gettext),
        becomes=words.table(visit.gettext, duplicates_words.BECOMES),
        note=ask.note or "",
        longest=LONGEST_NOTE,
        may_change=visit.may(Permission.RUN_DECIDE),
        base=f"{visit.base}/people",
        error=error,
    )


async def _merge(visit: Visit, references: Sequence[Reference]) -> Response:
    form = await visit.form()
    ask = _ask(visit, form)

    async def work(tx: TenantTx) -> RunId:
        return (await merge(tx, ask, references)).merge.run_id

    try:
        run_id = await _acted(visit, work)
    except (BadInput, Conflict) as problem:
        status = 422 if isinstance(problem, BadInput) else 409
        return await _both(visit, references, given=form, status=status, error=in_words(problem))
    return visit.see(f"{MERGES}/{run_id}", said=visit.gettext("They are one person now."))


# ------------------------------------------------------------------ what was done


async def _page(tx: TenantTx, ask: Ask) -> Slice[Merge]:
    condition, terms = _found(ask.search)
    rows, after = await rows_of(tx, TABLE, list_ask(ask), *terms, condition=condition)
    return Slice([merge_of(row) for row in rows], after)


async def _csv(visit: Visit) -> Response:
    ask = read_ask(visit, LIST)
    if ask.problem is not None:
        raise BadInput(ask.problem)

    async def lines() -> AsyncGenerator[Sequence[object]]:
        asked = replace(ask, after=None, limit=MOST)
        while True:
            async with visit.tx() as tx:
                found = await _page(tx, asked)
            for one in found.rows:
                yield tuple(getattr(one, name) for name in CSV_HEADER)
            if found.next is None:
                return
            asked = replace(asked, after=found.next)

    return await csv_export(visit, "merges.csv", CSV_HEADER, lines())


async def _list(visit: Visit) -> Response:
    ask = read_ask(visit, LIST)
    found: Slice[Merge] = Slice((), None)
    async with visit.tx() as tx:
        if ask.problem is None:
            found = await _page(tx, ask)
        names = await _names(tx, found.rows)
    return visit.page(
        "people/merges.html",
        listed=LIST.page(visit, ask, found),
        names=names,
        actors=await actor_names(visit, (one.made_by for one in found.rows)),
    )


_NAMED: Final = """ AND EXISTS (SELECT FROM person p WHERE p.tenant_id = $1 AND p.person_id = m.survivor_id
  AND (starts_with(p.display_name_key, $2) OR starts_with(p.family_name_key, $2) OR starts_with(p.email_key, $2)))"""


def _found(search: str) -> tuple[str, tuple[object, ...]]:
    """A condition, and its parameters from $2 on."""
    if not search:
        return "", ()
    person_id = parse_id(search)
    if person_id is not None:
        return " AND $2 IN (m.survivor_id, m.absorbed_id)", (person_id,)
    return _NAMED, (fold(search),)


# What the absorbed were called when they were merged: since then they have no values of their own.
_CALLED: Final = """
SELECT e.person_id, coalesce(e.before->>'display_name', e.before->>'user_name', e.before->>'email') AS name
FROM effect e WHERE e.tenant_id = $1 AND e.run_id = ANY($2) AND e.after ? 'merged_into'"""


async def _names(tx: TenantTx, merges: Sequence[Merge]) -> dict[UUID, str]:
    """Names of everybody in some merges, by id."""
    rows = await tx.fetch(_CALLED, tx.tenant_id, [one.run_id for one in merges])
    called = {row["person_id"]: row["name"] for row in rows if row["name"] is not None}
    ids = [person_id for one in merges for person_id in (one.survivor_id, one.absorbed_id)]
    return called | await person_names(tx, ids)


async def _show(visit: Visit) -> Response:
    return await _one(visit)


async def _one(visit: Visit, *, status: int = 200, error: str | None = None) -> Response:
    async with visit.tx() as tx:
        found = await merge_by_run(tx, visit.id("merge_id"))
        back = await split_preview(tx, found.run_id) if found.state == "merged" else None
        names = await _names(tx, [found])
        sources = {source.source_id: source.name for source in await tenants.sources(tx)}
    actors = await actor_names(visit, [one for one in (found.made_by, found.split_by) if one is not None])
    changed = [] if back is None else [one for one in back.fields if one.survivor != one.result or one.absorbed]
    return visit.page(
        "people/merge.html",
        status=status,
        merge=found,
        back=back,
        changed=changed,
        names=names,
        sources=sources,
        actors=actors,
        labels=words.fields(visit.gettext, [*PICKABLE, "active"]),
        stays=words.table(visit.gettext, duplicates_words.STAYS),
        may_change=visit.may(Permission.RUN_DECIDE),
        address=f"{visit.base}{MERGES}/{found.run_id}",
        error=error,
    )


async def _split(visit: Visit) -> Response:
    merge_id = RunId(visit.id("merge_id"))

    async def work(tx: TenantTx) -> int:
        return (await split(tx, merge_id)).conflicts

    try:
        conflicts = await _acted(visit, work)
    except CannotSplit as problem:
        return await _one(visit, status=409, error=in_words(problem))
    said = visit.gettext("They are two people again.")
    if conflicts:
        said = visit.gettext("They are two people again. Some of it was left alone: the run tells what, and why.")
    return visit.see(f"{MERGES}/{merge_id}", said=said)
