"""All webhooks of a tenant, and a new one."""

from collections.abc import Mapping

from starlette.responses import Response
from starlette.routing import Route

from stoa.access.permissions import Permission
from stoa.analytics.webhooks import actions, queries
from stoa.analytics.webhooks.model import MOST_ENDPOINTS, BadEndpoint, Settings, TooManyEndpoints
from stoa.analytics.webhooks.pages_desk import ALL, PagesDesk, as_line, at, given_settings, secret_page, written
from stoa.web.guarding import tenant_action, tenant_page
from stoa.web.visiting import Shell, Visit


def list_pages(shell: Shell, desk: PagesDesk) -> list[Route]:
    """Their routes."""
    return [
        tenant_page(shell, ALL, at(desk, _list), needs=Permission.TENANT_VIEW),
        tenant_page(shell, f"{ALL}/new", at(desk, _form), needs=Permission.API_CHANGE),
        tenant_action(shell, f"{ALL}/new", at(desk, _create), needs=Permission.API_CHANGE),
    ]


async def _list(visit: Visit, desk: PagesDesk) -> Response:  # noqa: ARG001 - as every handler
    async with visit.tx() as tx:
        lines = [await as_line(visit, tx, one) for one in await queries.endpoints(tx)]
    return visit.page(
        "webhooks/list.html",
        lines=lines,
        most=MOST_ENDPOINTS,
        may_change=visit.may(Permission.API_CHANGE),
    )


async def _form(visit: Visit, desk: PagesDesk) -> Response:  # noqa: ARG001 - as every handler
    return _new(visit, written(Settings("")), {})


async def _create(visit: Visit, desk: PagesDesk) -> Response:
    settings, given, _ = await given_settings(visit)
    try:
        async with visit.writing() as tx:
            made = await actions.create_endpoint(tx, desk.sealer, settings, allow=desk.allow)
    except BadEndpoint as problem:
        return _new(visit, given, {problem.field: str(problem)})
    except TooManyEndpoints as problem:
        return _new(visit, given, {"": str(problem)})
    return secret_page(visit, made, first=True)


def _new(visit: Visit, given: Mapping[str, str], errors: Mapping[str, str]) -> Response:
    return visit.page("webhooks/new.html", status=422 if errors else 200, given=given, errors=errors)
