"""Making a connection: its settings, a trial of them, its schedule."""

from collections.abc import Mapping

from starlette.responses import Response
from starlette.routing import Route

from stoa.access.permissions import Permission
from stoa.kernel.problems import BadInput, Conflict, NotFound
from stoa.sync import actions
from stoa.sync.changing import set_schedule
from stoa.sync.pages_desk import Desk, at, settings_of
from stoa.sync.probing import Probed
from stoa.sync.settings_form import Entered, default_limit, entered, fresh
from stoa.sync.timing import BadRhythm, Rhythm, cron_of, next_times, rhythm_given
from stoa.tenants import queries
from stoa.web.guarding import tenant_action, tenant_page
from stoa.web.visiting import Shell, Visit

_NEW = "/connections/new/{connector}"
_MOST_NAME = 200


def new_pages(shell: Shell, desk: Desk) -> list[Route]:
    """Their routes."""
    return [
        tenant_page(shell, _NEW, at(desk, _form), needs=Permission.CONNECTION_CHANGE),
        tenant_action(shell, _NEW, at(desk, _make), needs=Permission.CONNECTION_CHANGE),
        tenant_action(shell, f"{_NEW}/test", at(desk, _try), needs=Permission.CONNECTION_CHANGE),
    ]


def _connector(visit: Visit, desk: Desk) -> str:
    name = str(visit.request.path_params["connector"])
    if name not in desk.opener.connectors:
        raise NotFound(
            visit.gettext("There is no such connector here."),
            hint=visit.gettext("The list of what can be connected shows those there are."),
        )
    return name


async def _form(visit: Visit, desk: Desk) -> Response:
    name = _connector(visit, desk)
    return _page(visit, desk, fresh(desk.fields(name, visit.gettext)), Rhythm(), desk.connector(name).title)


async def _make(visit: Visit, desk: Desk) -> Response:
    connector = _connector(visit, desk)
    form = await visit.form()
    given = entered(desk.fields(connector, visit.gettext), form)
    rhythm, name = rhythm_given(form), form.get("name", "").strip()
    errors: dict[str, str] = {}
    try:
        cron = await _checked(visit, rhythm)
    except BadRhythm as problem:
        cron, errors = None, {problem.field: str(problem)}
    try:
        settings = given.settings()
        desk.opener.split(connector, settings)
        if not errors:
            async with visit.writing() as tx:
                made = await actions.connect(tx, desk.opener, connector, name or None, settings)
                await set_schedule(tx, made, cron)
            return visit.see(
                f"/connections/{made.connection_id}",
                said=visit.gettext("The connection is made. Plan a first run: it shows what it would do."),
            )
    except Conflict:
        errors["name"] = visit.gettext("There is a connection or source of this name already. Choose another name.")
    except BadInput as problem:
        errors |= given.errors(problem)
    return _page(visit, desk, given, rhythm, name, errors=errors)


async def _checked(visit: Visit, rhythm: Rhythm) -> str | None:
    cron = cron_of(rhythm)
    if cron is not None:
        async with visit.tx() as tx:
            zone = (await queries.tenant(tx)).time_zone
        next_times(cron, zone, visit.now, count=1)
    return cron


async def _try(visit: Visit, desk: Desk) -> Response:
    connector = _connector(visit, desk)
    form = await visit.form()
    given = entered(desk.fields(connector, visit.gettext), form)
    rhythm, name = rhythm_given(form), form.get("name", "").strip()
    try:
        probed = await desk.trial(connector, given.settings())
    except BadInput as problem:
        return _page(visit, desk, given, rhythm, name, errors=given.errors(problem), block="tested")
    return _page(visit, desk, given, rhythm, name, probed=probed, block="tested")


def _page(
    visit: Visit,
    desk: Desk,
    given: Entered,
    rhythm: Rhythm,
    name: str,
    *,
    errors: Mapping[str, str] | None = None,
    probed: Probed | None = None,
    block: str | None = None,
) -> Response:
    connector = desk.connector(_connector(visit, desk))
    return visit.page(
        "connections/new.html",
        status=422 if errors else 200,
        block=block,
        connector=connector,
        name=name[:_MOST_NAME],
        rhythm=rhythm,
        probed=probed,
        default_limit=default_limit,
        address=f"{visit.base}/connections/new/{connector.name}",
        **settings_of(given, errors or {}),
    )
