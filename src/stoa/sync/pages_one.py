"""One connection: how it stands, what it is set to, what it reads, what it did, and what can be done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from stoa.access.permissions import Permission
from stoa.changes.model import Action
from stoa.changes.queries import run_by_id
from stoa.changes.rules import DEFAULT_THRESHOLDS, Threshold
from stoa.db.transactions import TenantTx
from stoa.kernel.problems import BadInput, Problem
from stoa.sync import actions, changing, freshness
from stoa.sync.forms import FormField
from stoa.sync.model import ColumnProfile, FeedMapping, Profile
from stoa.sync.opening import OpenConnection, threshold
from stoa.sync.overview import Line, PastRun, history
from stoa.sync.pages_desk import ONE, Desk, at, connection_id, line, timing
from stoa.sync.probing import Probed
from stoa.sync.settings_form import stored
from stoa.tenants.actions import open_secret
from stoa.web.guarding import tenant_action, tenant_page
from stoa.web.visiting import Shell, Visit


def one_pages(shell: Shell, desk: Desk) -> list[Route]:
    """Their routes."""
    start, change = Permission.RUN_START, Permission.CONNECTION_CHANGE
    return [
        tenant_page(shell, ONE, at(desk, _show), needs=Permission.TENANT_VIEW),
        tenant_action(shell, f"{ONE}/run", at(desk, _run), needs=start),
        tenant_action(shell, f"{ONE}/plan", at(desk, _plan), needs=start),
        tenant_action(shell, f"{ONE}/test", at(desk, _try), needs=change),
        tenant_action(shell, f"{ONE}/pause", at(desk, _pause), needs=change),
        tenant_action(shell, f"{ONE}/resume", at(desk, _resume), needs=change),
    ]


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as it is shown. value: None for a secret, of which only `is_set` is told."""

    field: FormField
    value: str | None
    is_set: bool


@dataclass(frozen=True, slots=True)
class MappedColumn:
    """What becomes of a column of the report.

    Attributes:
        fields: the fields that it fills.
        kind: required, optional, unchecked or ignored; None for one that the mapping does not know.
        filled: share of the rows in which it had a value, 0 to 1; None if the last report had no such column.
    """

    name: str
    fields: tuple[str, ...]
    kind: str | None
    filled: float | None


async def _show(visit: Visit, desk: Desk) -> Response:
    return await page(visit, desk)


async def page(
    visit: Visit,
    desk: Desk,
    *,
    probed: Probed | None = None,
    given: str = "",
    errors: Mapping[str, str] | None = None,
    block: str | None = None,
) -> Response:
    """The whole page. given: the reason that was typed for a pause; errors: what is wrong, by field."""
    async with visit.tx() as tx:
        found = await line(visit, tx)
        last = await freshness.last(tx, found.connection.connection_id)
        runs = await history(tx, found.source.source_id)
        opened, broken = await _opened(tx, desk, found)
        drift = await _drift(tx, found)
    return visit.page(
        "connections/one.html",
        status=422 if errors else 200,
        block=block,
        line=found,
        connection=found.connection,
        title=_title(desk, found),
        broken=broken,
        settings=_settings(visit, desk, found, opened),
        limits=_limits(found.connection.config),
        last=last,
        columns=[] if opened is None else columns_of(opened.connector.mapping(opened.config), last and last.profile),
        drift=drift,
        runs=runs,
        chart=_chart(visit, runs),
        probed=probed,
        given=given,
        errors=errors or {},
        longest_reason=changing.LONGEST_REASON,
        may_change=visit.may(Permission.CONNECTION_CHANGE),
        may_start=visit.may(Permission.RUN_START),
        address=f"{visit.base}/connections/{found.connection.connection_id}",
        **timing(found.schedule, visit),
    )


def _title(desk: Desk, found: Line) -> str:
    connector = desk.opener.connectors.get(found.connection.connector)
    return found.connection.connector if connector is None else connector.title


async def _opened(tx: TenantTx, desk: Desk, found: Line) -> tuple[OpenConnection | None, Problem | None]:
    """The connection as a run would have it, or why no run could."""
    try:
        opened = await desk.opener.open(tx, found.connection.connection_id)
        opened.connector.mapping(opened.config)
    except Problem as problem:
        return None, problem
    return opened, None


async def _drift(tx: TenantTx, found: Line) -> Sequence[Mapping[str, str]]:
    """What the last report gave notice of."""
    if found.last_run is None:
        return ()
    return (await run_by_id(tx, found.last_run.run_id)).figures.get("warnings", ())


def _settings(visit: Visit, desk: Desk, found: Line, opened: OpenConnection | None) -> list[Setting]:
    if found.connection.connector not in desk.opener.connectors:
        return []
    form = stored(desk.fields(found.connection.connector, visit.gettext), found.connection.config)
    shown = form.shown
    return [*(Setting(one, shown[one.name], bool(shown[one.name])) for one in form.plain)] + [
        Setting(one, None, found.connection.has_secret if opened is None else bool(getattr(opened.config, one.name)))
        for one in form.secrets
    ]


def _limits(config: Mapping[str, Any]) -> list[tuple[Action, Threshold, bool]]:
    """Each action's threshold, and whether it is the connection's own."""
    guards: Mapping[str, Mapping[str, float]] = config.get("guards", {})
    return [(action, threshold(action, guards), str(action) in guards) for action in DEFAULT_THRESHOLDS]


def columns_of(mapping: FeedMapping, profile: Profile | None) -> list[MappedColumn]:
    """Every column that the mapping or the last report knows: those that are read first, in the mapping's order."""
    seen: Mapping[str, ColumnProfile] = {} if profile is None else profile.columns
    fields: dict[str, tuple[str, ...]] = {}
    for column in mapping.columns:
        fields[column.source] = (*fields.get(column.source, ()), column.field)
    classes = mapping.classes()
    names = dict.fromkeys([*fields, *(name for name in seen if name not in classes), *sorted(classes)])
    return [
        MappedColumn(
            name,
            fields.get(name, ()),
            classes[name].value if name in classes else None,
            seen[name].filled if name in seen else None,
        )
        for name in names
    ]


def _chart(visit: Visit, runs: Sequence[PastRun]) -> dict[str, object] | None:
    """What the runs read and changed, the oldest first; None for fewer than two."""
    read = [run for run in reversed(runs) if run.kind == "sync"]
    if len(read) < 2:
        return None
    return {
        "labels": [run.created_at for run in read],
        "series": [
            {"label": visit.gettext("Rows read"), "values": [run.rows for run in read], "tone": "info"},
            {"label": visit.gettext("Changes"), "values": [run.changes for run in read], "tone": "accent"},
            {"label": visit.gettext("Rows set aside"), "values": [run.quarantined for run in read], "tone": "warn"},
        ],
    }


# ------------------------------------------------------------------ what can be done


async def _run(visit: Visit, desk: Desk) -> Response:
    return await _start(visit, desk, plan_only=False)


async def _plan(visit: Visit, desk: Desk) -> Response:
    return await _start(visit, desk, plan_only=True)


async def _start(visit: Visit, desk: Desk, *, plan_only: bool) -> Response:
    async with visit.writing() as tx:
        connection = await changing.connection_of(tx, connection_id(visit))
        run = await actions.request_sync(tx, connection, desk.target.name, plan_only=plan_only)
    said = (
        visit.gettext("The plan is being made. Nothing changes until somebody approves it.")
        if plan_only
        else visit.gettext("The run has begun. It is applied unless a guard holds it.")
    )
    return visit.see(f"/runs/{run.run_id}", said=said)


async def _try(visit: Visit, desk: Desk) -> Response:
    async with visit.tx() as tx:
        connection = await changing.connection_of(tx, connection_id(visit))
        secrets = await open_secret(tx, desk.opener.sealer, connection.connection_id)
    probed = await desk.trial(connection.connector, {**connection.config, **secrets})
    return await page(visit, desk, probed=probed, block="tested")


async def _pause(visit: Visit, desk: Desk) -> Response:
    given = (await visit.form()).text("reason", most=4 * changing.LONGEST_REASON)
    try:
        async with visit.writing() as tx:
            await changing.pause(tx, connection_id(visit), given)
    except BadInput as problem:
        return await page(visit, desk, given=given, errors={"reason": str(problem)})
    return visit.see(_path(visit), said=visit.gettext("The connection is paused."))


async def _resume(visit: Visit, desk: Desk) -> Response:  # noqa: ARG001 - as every handler
    async with visit.writing() as tx:
        await changing.resume(tx, connection_id(visit))
    return visit.see(_path(visit), said=visit.gettext("The connection runs again."))


def _path(visit: Visit) -> str:
    return f"/connections/{connection_id(visit)}"
