"""The pages of an identity provider: its tokens, and what it did."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from stoa.access.permissions import Permission
from stoa.access.rules import LONGEST_NAME
from stoa.identity.scim import queries, tokens
from stoa.identity.scim.answering.pages import answering_pages
from stoa.identity.scim.log import queries as log_queries
from stoa.identity.scim.log.pages import earlier, names_in
from stoa.identity.scim.walks.pages import DAYS, DEFAULT_DAYS, ONE, Desk, days_of, setup_pages, source_id_of, token_page
from stoa.identity.scim.walks.steps import arrived
from stoa.kernel.ids import CredentialId, new_id
from stoa.kernel.problems import BadInput, NotFound
from stoa.sync.overview import SOON, is_live, provider_of
from stoa.web.guarding import tenant_action, tenant_page
from stoa.web.visiting import Shell, Visit

# Requests that the page of a provider shows; the log has them all.
_LATEST: Final = 5
_Handler = Callable[[Visit, Desk], Awaitable[Response]]


def scim_pages(shell: Shell, base_url: str) -> list[Route]:
    """Their routes.

    base_url: as `scim_routes` has it.
    """
    desk, change = Desk(base_url.rstrip("/")), Permission.CONNECTION_CHANGE

    def at(handler: _Handler) -> Callable[[Visit], Awaitable[Response]]:
        async def handle(visit: Visit) -> Response:
            return await handler(visit, desk)

        return handle

    return [
        *setup_pages(shell, desk),
        *answering_pages(shell),
        tenant_page(shell, ONE, at(_show), needs=Permission.TENANT_VIEW),
        tenant_action(shell, f"{ONE}/tokens", at(_issue), needs=change),
        tenant_action(shell, f"{ONE}/tokens/{{credential_id}}/revoke", at(_revoke), needs=change),
    ]


async def _show(visit: Visit, desk: Desk) -> Response:
    return await _page(visit, desk)


async def _page(
    visit: Visit, desk: Desk, *, error: str | None = None, given: Mapping[str, str] | None = None
) -> Response:
    source_id, since = source_id_of(visit), earlier(new_id())
    async with visit.tx() as tx:
        line = await provider_of(tx, source_id)
        if line is None:
            raise NotFound(
                visit.gettext("There is no such identity provider."),
                hint=visit.gettext("The list of connections shows those there are."),
            )
        found = await queries.tokens_of(tx, source_id)
        came = await arrived(tx, source_id)
        refused = await queries.refusals(tx, source_id) if visit.may(Permission.PEOPLE_VIEW) else []
        hours = await queries.windows(tx, source_id)
        latest = await log_queries.latest(tx, source_id, _LATEST) if visit.may(Permission.PEOPLE_VIEW) else []
        names = await names_in(tx, latest)
        fresh = await log_queries.freshness(tx, source_id)
    return visit.page(
        "scim/one.html",
        status=422 if error else 200,
        line=line,
        source=line.source,
        live=[one for one in found if is_live(one, visit.now)],
        ended=[one for one in found if not is_live(one, visit.now)][:20],
        soon=visit.now + SOON,
        most_live=tokens.MOST_LIVE,
        came=came,
        refusals=refused,
        windows=hours,
        latest=latest,
        names=names,
        latest_after=latest[0].request_id if latest else since,
        fresh=fresh,
        most_counted=queries.MOST_COUNTED,
        scim_address=desk.address(visit),
        days=DAYS,
        default_days=DEFAULT_DAYS,
        error=error,
        given=given or {},
        longest_name=LONGEST_NAME,
        may_change=visit.may(Permission.CONNECTION_CHANGE),
        may_see_people=visit.may(Permission.PEOPLE_VIEW),
        address=f"{visit.base}/connections/scim/{source_id}",
    )


async def _issue(visit: Visit, desk: Desk) -> Response:
    form = await visit.form()
    given = {name: form.get(name, "").strip() for name in ("name", "days")}
    try:
        days = days_of(given["days"])
        async with visit.writing() as tx:
            issued = await tokens.issue_for(tx, source_id_of(visit), given["name"], days=days)
            source = await tokens.provider(tx, source_id_of(visit))
    except (BadInput, tokens.TooManyTokens) as problem:
        return await _page(visit, desk, error=str(problem), given=given)
    return await token_page(visit, desk, source, issued=issued, first=False)


async def _revoke(visit: Visit, desk: Desk) -> Response:  # noqa: ARG001 - as every handler
    source_id = source_id_of(visit)
    async with visit.writing() as tx:
        await tokens.revoke_of(tx, source_id, CredentialId(visit.id("credential_id")))
    return visit.see(
        f"/connections/scim/{source_id}", said=visit.gettext("The token is revoked. It opens nothing any more.")
    )
