"""Which source wins which field: the matrix, another order with what it would change, and the run that applies it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response
from starlette.routing import Route

from stoa.access.permissions import Permission
from stoa.changes import words
from stoa.changes.names import actor_names
from stoa.db.transactions import TenantTx
from stoa.kernel.ids import SourceId, parse_id
from stoa.kernel.problems import BadInput, Problem
from stoa.people.authority import Authority, AuthorityChanged, authority, changed_fields, ranked_of, ranking_with
from stoa.people.fields import AUTHORITY_FIELDS
from stoa.people.queries import person_names
from stoa.people.ranking import change_ranking, latest_run, put_back, versions
from stoa.people.ranking_preview import Preview, preview_ranking
from stoa.people.words import Speaker
from stoa.tenants.model import Source
from stoa.tenants.queries import sources as all_sources
from stoa.web.forms import Form
from stoa.web.guarding import tenant_action, tenant_page
from stoa.web.visiting import Shell, Visit

PATH: Final = "/people/authority"
# More sources than this are ranked over the API; a form has so many places.
MOST_PLACES: Final = 12
_DEFAULT: Final = "default"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the form asks for: these fields in this order, or by default again."""

    fields: Sequence[str]
    order: Sequence[SourceId]
    by_default: bool
    version: int


def authority_pages(shell: Shell) -> list[Route]:
    """Their routes. They stand before the people's own pages, for whose ids their names could be taken."""
    change = Permission.TENANT_CHANGE
    return [
        tenant_page(shell, PATH, _show, needs=Permission.TENANT_VIEW),
        tenant_action(shell, f"{PATH}/preview", _preview, needs=change),
        tenant_action(shell, PATH, _apply, needs=change),
        tenant_action(shell, f"{PATH}/put-back", _put_back, needs=change),
    ]


# ------------------------------------------------------------------ the matrix


async def _show(visit: Visit) -> Response:
    return await _page(visit)


async def _page(
    visit: Visit, *, status: int = 200, error: str | None = None, since: int | None = None, given: Form | None = None
) -> Response:
    """since: the version that somebody began from, while another is in force by now."""
    async with visit.tx() as tx:
        standing = await authority(tx)
        found = list(await all_sources(tx))
        own = await ranked_of(tx, standing.version)
        made = await versions(tx)
        run = await latest_run(tx)
        meanwhile = await _meanwhile(tx, standing.version if since is None else since, standing)
    speaker = Speaker(visit.gettext, {one.source_id: one for one in found})
    return visit.page(
        "people/authority.html",
        status=status,
        error=error,
        standing=standing,
        own=own,
        rows=_rows(standing, found),
        sources=found,
        places=range(1, min(len(found), MOST_PLACES) + 1),
        labels=_labels(visit),
        speaker=speaker,
        versions=made,
        makers=await actor_names(visit, [one.made_by for one in made]),
        run=run,
        meanwhile=meanwhile,
        given=given or {},
        may_change=visit.may(Permission.TENANT_CHANGE),
        address=visit.base + PATH,
    )


def _rows(standing: Authority, sources: Sequence[Source]) -> list[tuple[str, list[int | None]]]:
    """Each field with the place of each source, from 1; None where it is not ranked."""
    rows: list[tuple[str, list[int | None]]] = []
    for name in AUTHORITY_FIELDS:
        order = list(standing.ranking.get(name, ()))
        places = [order.index(one.source_id) + 1 if one.source_id in order else None for one in sources]
        rows.append((name, places))
    return rows


async def _meanwhile(
    tx: TenantTx, since: int, standing: Authority
) -> Mapping[str, tuple[Sequence[SourceId], Sequence[SourceId]]]:
    try:
        was = await ranking_with(tx, await ranked_of(tx, since))
    except Problem:
        return {}
    return changed_fields(was, standing.ranking)


def _labels(visit: Visit) -> dict[str, str]:
    return words.fields(visit.gettext, AUTHORITY_FIELDS) | {
        "active": visit.gettext("Access"),
        "manager_ref": visit.gettext("Manager"),
        "manager_id": visit.gettext("Manager"),
    }


# ------------------------------------------------------------------ another order


async def _preview(visit: Visit) -> Response:
    form = await visit.form()
    try:
        asked = _asked(form)
        async with visit.tx() as tx:
            if asked.version != (await authority(tx)).version:
                raise AuthorityChanged("Another version is in force by now.")
            told = await preview_ranking(tx, await _wanted(tx, asked))
            managers = {one for row in told.sample for one in _managers(row.before, row.after)}
            found, names = await all_sources(tx), await person_names(tx, list(managers))
    except AuthorityChanged:
        return await _page(visit, status=409, since=int(form["version"]), given=form)
    except BadInput as problem:
        return await _page(visit, status=422, error=_in_words(problem), given=form)
    return visit.page(
        "people/authority_preview.html",
        told=told,
        given=form,
        sample=_readable(told, {str(one): name for one, name in names.items()}),
        labels=_labels(visit),
        speaker=Speaker(visit.gettext, {one.source_id: one for one in found}),
        may_see_people=visit.may(Permission.PEOPLE_VIEW),
        address=visit.base + PATH,
    )


def _managers(*documents: Mapping[str, Any]) -> list[Any]:
    found = (parse_id(str(one["manager_id"])) for one in documents if one.get("manager_id"))
    return [one for one in found if one is not None]


def _readable(told: Preview, names: Mapping[str, str]) -> list[tuple[Any, dict[str, Any], dict[str, Any]]]:
    """The sample with managers by their names."""

    def plain(document: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: names.get(str(value), value) if name == "manager_id" else value for name, value in document.items()
        }

    return [(one, plain(one.before), plain(one.after)) for one in told.sample]


async def _apply(visit: Visit) -> Response:
    form = await visit.form()
    try:
        asked = _asked(form)
        async with visit.writing() as tx:
            run = await change_ranking(tx, await _wanted(tx, asked), expected=asked.version)
    except AuthorityChanged:
        return await _page(visit, status=409, since=int(form["version"]), given=form)
    except BadInput as problem:
        return await _page(visit, status=422, error=_in_words(problem), given=form)
    said = visit.gettext("In force. People are brought up to date with it by the run %(run)s.")
    return visit.see(PATH, said=said % {"run": run.run_id})


async def _put_back(visit: Visit) -> Response:
    form = await visit.form()
    wanted, seen = form.text("put_back"), form.text("version")
    if not (wanted.isdecimal() and seen.isdecimal() and len(wanted + seen) < 12):
        return await _page(visit, status=422, error=visit.gettext("The form does not say which version."))
    try:
        async with visit.writing() as tx:
            await put_back(tx, int(wanted), expected=int(seen))
    except AuthorityChanged:
        return await _page(visit, status=409, since=int(seen))
    except BadInput as problem:
        return await _page(visit, status=422, error=_in_words(problem))
    said = visit.gettext("What the earlier version ranked is in force again, as a new version.")
    return visit.see(PATH, said=said)


def _asked(form: Form) -> Asked:
    """Raises BadInput for a form that names no field, no version, or no known way."""
    fields = [name for name in AUTHORITY_FIELDS if f"field-{name}" in form]
    version = form.text("version")
    if not fields:
        raise BadInput("No field is chosen.", hint="Tick the fields that the order is for.")
    if not version.isdecimal() or len(version) > 9:
        raise BadInput("The form does not say from which version it began.", hint="Reload the page.")
    order: list[SourceId] = []
    for place in range(1, MOST_PLACES + 1):
        text = form.text(f"place-{place}")
        named = parse_id(text)
        if text and named is None:
            raise BadInput("A place names no source.", hint="Choose one of the list.")
        if named is not None:
            order.append(SourceId(named))
    by_default = form.text("how") == _DEFAULT
    if not by_default and not order and fields != ["active"]:
        raise BadInput("The order names no source.", hint="Choose at least the strongest one, or the default.")
    return Asked(fields, order, by_default, int(version))


async def _wanted(tx: TenantTx, asked: Asked) -> dict[str, Sequence[SourceId]]:
    """All that the tenant would rank itself."""
    standing = await authority(tx)
    ranked = await ranked_of(tx, standing.version)
    kept = {name: order for name, order in ranked.items() if name not in asked.fields}
    return kept if asked.by_default else kept | {name: tuple(asked.order) for name in asked.fields}


def _in_words(problem: Problem) -> str:
    return " ".join(filter(None, (problem.detail, problem.hint)))
