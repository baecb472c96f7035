"""Changing a connection: its settings, its secrets, its schedule."""

from collections.abc import Mapping

from starlette.responses import Response
from starlette.routing import Route

from stoa.access.permissions import Permission
from stoa.kernel.problems import BadInput
from stoa.kernel.stamps import ChangedMeanwhile, refuse_stale, stamp_of
from stoa.sync import changing
from stoa.sync.overview import Line
from stoa.sync.pages_desk import ONE, Desk, at, connection_id, line, settings_of, timing
from stoa.sync.probing import Probed
from stoa.sync.settings_form import Entered, default_limit, entered, stored
from stoa.sync.timing import BadRhythm, Rhythm, cron_of, in_words, next_times, rhythm_given, rhythm_of
from stoa.tenants import queries
from stoa.tenants.actions import open_secret
from stoa.web.forms import Form
from stoa.web.guarding import tenant_action, tenant_page
from stoa.web.visiting import Shell, Visit


def settings_pages(shell: Shell, desk: Desk) -> list[Route]:
    """Their routes."""
    change = Permission.CONNECTION_CHANGE
    return [
        tenant_page(shell, f"{ONE}/settings", at(desk, _settings), needs=change),
        tenant_action(shell, f"{ONE}/settings", at(desk, _save_settings), needs=change),
        tenant_action(shell, f"{ONE}/settings/test", at(desk, _try_settings), needs=change),
        tenant_page(shell, f"{ONE}/secret", at(desk, _secret), needs=change),
        tenant_action(shell, f"{ONE}/secret", at(desk, _save_secret), needs=change),
        tenant_page(shell, f"{ONE}/schedule", at(desk, _schedule), needs=change),
        tenant_action(shell, f"{ONE}/schedule", at(desk, _save_schedule), needs=change),
    ]


def _path(visit: Visit) -> str:
    return f"/connections/{connection_id(visit)}"


async def _line(visit: Visit) -> Line:
    async with visit.tx() as tx:
        return await line(visit, tx)


# ------------------------------------------------------------------ settings


async def _settings(visit: Visit, desk: Desk) -> Response:
    found = await _line(visit)
    fields = desk.fields(found.connection.connector, visit.gettext)
    return _settings_page(visit, desk, found, stored(fields, found.connection.config))


async def _save_settings(visit: Visit, desk: Desk) -> Response:
    found = await _line(visit)
    form = await visit.form()
    given, stamp = _entered(visit, desk, found, form), form.get("stamp")
    try:
        async with visit.writing() as tx:
            after = await changing.reconfigure(tx, desk.opener, connection_id(visit), given.settings(), stamp=stamp)
    except BadInput as problem:
        return _settings_page(visit, desk, found, given, errors=given.errors(problem), stamp=stamp)
    except ChangedMeanwhile as problem:
        return _settings_page(visit, desk, await _line(visit), given, meanwhile=problem.fields)
    if after.mapping_version != found.connection.mapping_version:
        said = visit.gettext("The settings are saved. The next run compares the whole report anew: plan one first.")
    else:
        said = visit.gettext("The settings are saved.")
    return visit.see(_path(visit), said=said)


async def _try_settings(visit: Visit, desk: Desk) -> Response:
    found = await _line(visit)
    given = _entered(visit, desk, found, await visit.form())
    async with visit.tx() as tx:
        secrets = await open_secret(tx, desk.opener.sealer, connection_id(visit))
    try:
        probed = await desk.trial(found.connection.connector, {**given.settings(), **secrets})
    except BadInput as problem:
        return _settings_page(visit, desk, found, given, errors=given.errors(problem), block="tested")
    return _settings_page(visit, desk, found, given, probed=probed, block="tested")


def _entered(visit: Visit, desk: Desk, found: Line, sent: Form) -> Entered:
    """What was sent, whose secrets do not count here: they have a page of their own."""
    form = entered(desk.fields(found.connection.connector, visit.gettext), sent)
    return Entered(form.plain, form.shown, form.guards)


def _settings_page(
    visit: Visit,
    desk: Desk,
    found: Line,
    given: Entered,
    *,
    errors: Mapping[str, str] | None = None,
    probed: Probed | None = None,
    block: str | None = None,
    stamp: str | None = None,
    meanwhile: frozenset[str] = frozenset(),
) -> Response:
    """The page. meanwhile: the settings that somebody else changed since it was shown; saving again takes that back."""
    now = stored(given.fields, found.connection.config)
    return visit.page(
        "connections/settings.html",
        status=ChangedMeanwhile.status if meanwhile else 422 if errors else 200,
        stamp=stamp or stamp_of(found.connection.config),
        meanwhile=[(one.label, now.shown[one.name]) for one in now.plain if one.name in meanwhile],
        guards_meanwhile=changing.GUARDS in meanwhile,
        block=block,
        line=found,
        connection=found.connection,
        title=desk.connector(found.connection.connector).title,
        probed=probed,
        default_limit=default_limit,
        address=f"{visit.base}{_path(visit)}",
        **settings_of(given, errors or {}),
    )


# ------------------------------------------------------------------ secrets


async def _secret(visit: Visit, desk: Desk) -> Response:
    found = await _line(visit)
    return _secret_page(visit, found, stored(desk.fields(found.connection.connector, visit.gettext), {}))


async def _save_secret(visit: Visit, desk: Desk) -> Response:
    found = await _line(visit)
    given = entered(desk.fields(found.connection.connector, visit.gettext), await visit.form())
    try:
        async with visit.writing() as tx:
            await changing.change_secrets(tx, desk.opener, connection_id(visit), given.only_secrets())
    except BadInput as problem:
        return _secret_page(visit, found, given, errors=given.errors(problem))
    return visit.see(_path(visit), said=visit.gettext("The new secret is sealed. Test the connection with it."))


def _secret_page(visit: Visit, found: Line, given: Entered, *, errors: Mapping[str, str] | None = None) -> Response:
    return visit.page(
        "connections/secret.html",
        status=422 if errors else 200,
        block=None,
        line=found,
        connection=found.connection,
        address=f"{visit.base}{_path(visit)}",
        **settings_of(given, errors or {}),
    )


# ------------------------------------------------------------------ the schedule


async def _schedule(visit: Visit, desk: Desk) -> Response:  # noqa: ARG001 - as every handler
    found = await _line(visit)
    asked = visit.request.query_params
    if "every" not in asked:
        cron = None if found.schedule is None else found.schedule.cron
        return await _schedule_page(visit, found, rhythm_of(cron), previewed=cron)
    rhythm = rhythm_given(asked)
    try:
        cron = await _checked(visit, rhythm)
    except BadRhythm as problem:
        return await _schedule_page(visit, found, rhythm, problem=problem, block="preview", stamp=asked.get("stamp"))
    return await _schedule_page(visit, found, rhythm, previewed=cron, block="preview", stamp=asked.get("stamp"))


async def _save_schedule(visit: Visit, desk: Desk) -> Response:  # noqa: ARG001 - as every handler
    found = await _line(visit)
    form = await visit.form()
    rhythm, stamp = rhythm_given(form), form.get("stamp")
    try:
        cron = await _checked(visit, rhythm)
        async with visit.writing() as tx:
            connection = await changing.connection_of(tx, connection_id(visit), lock=True)
            now = await changing.cron_of(tx, connection.connection_id)
            refuse_stale(stamp, _scheduled(now), _scheduled(cron))
            await changing.set_schedule(tx, connection, cron)
    except BadRhythm as problem:
        return await _schedule_page(visit, found, rhythm, problem=problem, stamp=stamp)
    except ChangedMeanwhile:
        return await _schedule_page(visit, await _line(visit), rhythm, meanwhile=True)
    said = (
        visit.gettext("The connection runs by hand alone.")
        if cron is None
        else visit.gettext("The connection now runs %(when)s.") % {"when": in_words(cron, visit.gettext)}
    )
    return visit.see(_path(visit), said=said)


def _scheduled(cron: str | None) -> dict[str, object]:
    """What the form of the schedule changes."""
    return {"cron": cron}


async def _checked(visit: Visit, rhythm: Rhythm) -> str | None:
    """The cron expression of a rhythm that comes. Raises BadRhythm."""
    cron = cron_of(rhythm)
    if cron is not None:
        next_times(cron, await _zone(visit), visit.now, count=1)
    return cron


async def _zone(visit: Visit) -> str:
    async with visit.tx() as tx:
        return (await queries.tenant(tx)).time_zone


async def _schedule_page(
    visit: Visit,
    found: Line,
    rhythm: Rhythm,
    *,
    previewed: str | None = None,
    problem: BadRhythm | None = None,
    block: str | None = None,
    stamp: str | None = None,
    meanwhile: bool = False,
) -> Response:
    """The page. meanwhile: somebody else changed the schedule since it was shown; saving again takes that back."""
    zone = await _zone(visit)
    preview = [] if previewed is None else next_times(previewed, zone, visit.now)
    return visit.page(
        "connections/schedule.html",
        status=ChangedMeanwhile.status if meanwhile else 422 if problem else 200,
        stamp=stamp or stamp_of(_scheduled(None if found.schedule is None else found.schedule.cron)),
        meanwhile=meanwhile,
        block=block,
        line=found,
        connection=found.connection,
        rhythm=rhythm,
        time_zone=zone,
        preview=preview,
        preview_words=None if previewed is None else in_words(previewed, visit.gettext),
        errors={problem.field: str(problem)} if problem else {},
        address=f"{visit.base}{_path(visit)}",
        **timing(found.schedule, visit),
    )
