"""How each source's people are recognised: the rules that always hold, and the claims that an admin adds."""

from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from stoa.access.permissions import Permission
from stoa.kernel.ids import SourceId, parse_id
from stoa.kernel.problems import BadInput, NotFound
from stoa.people.claims import Claimable, claimable, set_claims
from stoa.people.matching import ClaimBy
from stoa.people.words import Speaker
from stoa.tenants.model import Source
from stoa.tenants.queries import sources as all_sources
from stoa.web.guarding import tenant_action, tenant_page
from stoa.web.visiting import Shell, Visit

PATH: Final = "/people/matching"
# What the form says of a source whose people are not recognised.
NOT_AT_ALL: Final = "no"


def matching_pages(shell: Shell) -> list[Route]:
    """Their routes. They stand before the people's own pages, for whose ids their names could be taken."""
    return [
        tenant_page(shell, PATH, _show, needs=Permission.TENANT_VIEW),
        tenant_action(shell, f"{PATH}/{{source_id}}", _set, needs=Permission.CONNECTION_CHANGE),
    ]


async def _show(visit: Visit) -> Response:
    return await _page(visit)


async def _page(visit: Visit, *, error: str | None = None) -> Response:
    async with visit.tx() as tx:
        found = await all_sources(tx)
        asking = [one for one in found if one.kind != "console"]
        rules: list[tuple[Source, list[Claimable]]] = [(one, await claimable(tx, one.source_id)) for one in asking]
        domains = [row["domain"] for row in await tx.fetch(_DOMAINS, tx.tenant_id)]
    return visit.page(
        "people/matching.html",
        status=422 if error else 200,
        rules=rules,
        domains=domains,
        error=error,
        speaker=Speaker(visit.gettext, {one.source_id: one for one in found}),
        not_at_all=NOT_AT_ALL,
        may_change=visit.may(Permission.CONNECTION_CHANGE),
        address=visit.base + PATH,
    )


_DOMAINS: Final = "SELECT domain FROM domain WHERE tenant_id = $1 ORDER BY domain"


async def _set(visit: Visit) -> Response:
    form, source_id = await visit.form(), SourceId(visit.id("source_id"))
    try:
        wanted = {
            SourceId(of_source): _way(way)
            for name, way in form.items()
            if (of_source := parse_id(name.removeprefix("of-"))) is not None
        }
        async with visit.writing() as tx:
            if all(one.source_id != source_id for one in await all_sources(tx)):
                raise NotFound("There is no such source.", hint="The page of rules lists those there are.")
            changed = await set_claims(tx, source_id, wanted)
    except BadInput as problem:
        return await _page(visit, error=f"{problem.detail} {problem.hint or ''}")
    said = visit.gettext("Saved. It holds for whom the source sends from now on.")
    return visit.see(f"{PATH}#source-{source_id}", said=said if changed else visit.gettext("Nothing was changed."))


def _way(text: str) -> ClaimBy | None:
    if text == NOT_AT_ALL:
        return None
    try:
        return ClaimBy(text)
    except ValueError:
        raise BadInput("People are recognised by one of the ways of the list.", hint="Choose one of them.") from None
