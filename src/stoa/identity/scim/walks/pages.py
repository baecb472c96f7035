"""Connecting an identity provider, step by step. Each step is a page of its own, which can be come back to."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from stoa.access.model import Issued
from stoa.access.permissions import Permission
from stoa.access.rules import LONGEST_NAME
from stoa.changes import words
from stoa.identity.scim import queries, tokens
from stoa.identity.scim.log import queries as log_queries
from stoa.identity.scim.log.model import Line
from stoa.identity.scim.log.pages import earlier, names_in
from stoa.identity.scim.walks import WALKS
from stoa.identity.scim.walks.steps import arrived, choose_walk, walk_for
from stoa.kernel.ids import SourceId, new_id
from stoa.kernel.problems import BadInput
from stoa.sync.overview import SOON, is_live
from stoa.tenants.model import Source
from stoa.tenants.queries import source_by_name
from stoa.web.guarding import tenant_action, tenant_page
from stoa.web.visiting import Shell, Visit

_NEW: Final = "/connections/scim/new"
ONE: Final = "/connections/scim/{source_id}"
_SETUP: Final = f"{ONE}/setup"
# What the form offers as the life of a token, in days.
_NO_END: Final = "never"
DAYS: Final = ("90", "180", "365", _NO_END)
DEFAULT_DAYS: Final = "365"
# The steps once the source is there, in their order; choosing and naming it come before.
STEPS: Final = ("token", "test", "attributes", "groups", "done")
_LATEST: Final = 5


@dataclass(frozen=True, slots=True)
class Desk:
    """base_url: scheme, host and port under which clients reach this server."""

    base_url: str

    def address(self, visit: Visit) -> str:
        """Where the tenant's identity provider sends its requests."""
        assert visit.tenant is not None
        return f"{self.base_url}/t/{visit.tenant.slug}/scim/v2"


def setup_pages(shell: Shell, desk: Desk) -> list[Route]:
    """Their routes."""
    change = Permission.CONNECTION_CHANGE

    def at(handler: Callable[[Visit, Desk], Awaitable[Response]]) -> Callable[[Visit], Awaitable[Response]]:
        async def handle(visit: Visit) -> Response:
            return await handler(visit, desk)

        return handle

    return [
        tenant_page(shell, _NEW, at(_form), needs=change),
        tenant_action(shell, _NEW, at(_connect), needs=change),
        tenant_page(shell, _SETUP, _go_on),
        *(tenant_page(shell, f"{_SETUP}/{step}", at(_step_named(step))) for step in STEPS),
        tenant_action(shell, f"{_SETUP}/provider", _choose, needs=change),
    ]


# ------------------------------------------------------------------ a new one


async def _form(visit: Visit, desk: Desk) -> Response:
    asked = visit.request.query_params.get("provider", "")
    if asked not in WALKS:
        return visit.page("scim/choose.html", walks=list(WALKS.values()), chosen=None)
    return _new(visit, desk, {"provider": asked, "name": WALKS[asked].title, "days": DEFAULT_DAYS}, {})


async def _connect(visit: Visit, desk: Desk) -> Response:
    form = await visit.form()
    given = {name: form.get(name, "").strip() for name in ("provider", "name", "days")}
    if given["provider"] not in WALKS:
        given["provider"] = "other"
    try:
        days = days_of(given["days"])
        async with visit.writing() as tx:
            made = await tokens.connect_provider(tx, given["name"], days=days)
            await choose_walk(tx, made.source.source_id, given["provider"])
    except tokens.NameTaken as problem:
        async with visit.tx() as tx:
            standing = await source_by_name(tx, given["name"])
        return _new(visit, desk, given, {"name": str(problem)}, standing=standing)
    except BadInput as problem:
        return _new(visit, desk, given, {"name": str(problem)})
    return await token_page(visit, desk, made.source, issued=made.issued, first=True)


def _new(
    visit: Visit, desk: Desk, given: Mapping[str, str], errors: Mapping[str, str], *, standing: Source | None = None
) -> Response:
    return visit.page(
        "scim/new.html",
        status=422 if errors else 200,
        given=given,
        errors=errors,
        standing=standing if standing is not None and standing.kind == "idp" else None,
        walk=WALKS[given["provider"]],
        days=DAYS,
        scim_address=desk.address(visit),
        longest_name=LONGEST_NAME,
    )


def days_of(text: str) -> int | None:
    """How long a token lasts. Raises BadInput for what the form does not offer."""
    if text not in DAYS:
        raise BadInput("A token lasts as long as one of the choices says.", hint="Choose one of the list.")
    return None if text == _NO_END else int(text)


# ------------------------------------------------------------------ the steps of one that is there


def source_id_of(visit: Visit) -> SourceId:
    """The source that the address names."""
    return SourceId(visit.id("source_id"))


async def token_page(visit: Visit, desk: Desk, source: Source, *, issued: Issued | None, first: bool) -> Response:
    """Where address and token go. issued: the token that is fresh, which only this page ever shows; no cache keeps it,
    for pages say no-store.
    """
    return await _page(visit, desk, "token", source, issued=issued, first=first)


async def _go_on(visit: Visit) -> Response:
    """The step that is due."""
    async with visit.tx() as tx:
        source = await tokens.provider(tx, source_id_of(visit))
        fresh = await log_queries.freshness(tx, source.source_id)
        live = [one for one in await queries.tokens_of(tx, source.source_id) if is_live(one, visit.now)]
    spoke = any(one.last_used_at for one in live)
    step = "done" if fresh.success_at is not None else "test" if spoke else "token"
    return visit.see(f"/connections/scim/{source.source_id}/setup/{step}")


def _step_named(step: str) -> Callable[[Visit, Desk], Awaitable[Response]]:
    async def show(visit: Visit, desk: Desk) -> Response:
        async with visit.tx() as tx:
            source = await tokens.provider(tx, source_id_of(visit))
        return await _page(visit, desk, step, source)

    return show


async def _page(
    visit: Visit, desk: Desk, step: str, source: Source, *, issued: Issued | None = None, first: bool = False
) -> Response:
    sees = visit.may(Permission.PEOPLE_VIEW)
    since = earlier(new_id())
    async with visit.tx() as tx:
        walk = await walk_for(tx, source)
        fresh = await log_queries.freshness(tx, source.source_id)
        latest: list[Line] = await log_queries.latest(tx, source.source_id, _LATEST) if sees else []
        names = await names_in(tx, latest)
        came = await arrived(tx, source.source_id)
        found = await queries.tokens_of(tx, source.source_id)
    at = STEPS.index(step)
    return visit.page(
        f"scim/setup_{step}.html",
        source=source,
        walk=walk,
        walks=list(WALKS.values()),
        step=step,
        before=STEPS[at - 1] if at else None,
        after=STEPS[at + 1] if step != STEPS[-1] else None,
        token=None if issued is None else issued.token,
        first=first,
        live=[one for one in found if is_live(one, visit.now)],
        soon=visit.now + SOON,
        most_live=tokens.MOST_LIVE,
        fresh=fresh,
        latest=latest,
        names=names,
        latest_after=latest[0].request_id if latest else since,
        came=came,
        labels=words.fields(visit.gettext, {one.field for one in walk.mappings if one.field is not None}),
        scim_address=desk.address(visit),
        days=DAYS,
        default_days=DEFAULT_DAYS,
        given={},
        error=None,
        longest_name=LONGEST_NAME,
        may_change=visit.may(Permission.CONNECTION_CHANGE),
        may_see_people=sees,
        address=f"{visit.base}/connections/scim/{source.source_id}",
    )


async def _choose(visit: Visit) -> Response:
    form = await visit.form()
    async with visit.writing() as tx:
        source = await tokens.provider(tx, source_id_of(visit))
        await choose_walk(tx, source.source_id, form.get("provider", ""))
    return visit.see(
        f"/connections/scim/{source.source_id}/setup/token",
        said=visit.gettext("The steps are those of another provider now. Nothing else has changed."),
    )
