"""Undoing everything that a source did from a moment on: the moment is chosen, what was done since is shown, then it is
planned. No script is needed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from stoa.access.permissions import Permission
from stoa.changes import actions, words
from stoa.changes.model import WrongState
from stoa.changes.undoing import MOST_COUNTED, done_since
from stoa.kernel.ids import SourceId
from stoa.kernel.problems import BadInput, NotFound
from stoa.web.guarding import tenant_action, tenant_page
from stoa.web.visiting import Shell, Visit

_PATH: Final = "/sources/{source_id}/undo"
# As a browser's field for date and time has it; seconds may be left out.
_FORMS: Final = ("%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S")
_AGO: Final = (timedelta(minutes=15), timedelta(hours=1), timedelta(hours=4), timedelta(days=1))


@dataclass(frozen=True, slots=True)
class _Choice:
    """A moment that is one click away."""

    ago: timedelta
    since: str


def undo_pages(shell: Shell, targets: Sequence[str]) -> list[Route]:
    """Their routes. targets: what a source changes, each undone by a run of its own."""

    async def plan(visit: Visit) -> Response:
        return await _plan(visit, targets)

    return [
        tenant_page(shell, _PATH, _show, needs=Permission.TENANT_VIEW),
        tenant_action(shell, _PATH, plan, needs=Permission.RUN_DECIDE),
    ]


async def _show(visit: Visit) -> Response:
    given = visit.request.query_params.get("since", "")[:40]
    return await _page(visit, given or _local(visit, visit.now - timedelta(hours=1)))


async def _plan(visit: Visit, targets: Sequence[str]) -> Response:
    given = (await visit.form()).text("since", most=40)
    try:
        since = _moment(visit, given)
        async with visit.writing() as tx:
            if await done_since(tx, _source_id(visit), since) is None:
                raise _no_source(visit)
            runs = await actions.queue_undo_since(tx, _source_id(visit), since, targets)
    except BadInput as problem:
        return await _page(visit, given, error=" ".join(filter(None, (problem.detail, problem.hint))))
    except WrongState as problem:
        return await _page(visit, given, refused=" ".join(filter(None, (problem.detail, problem.hint))))
    said = visit.gettext(
        "It is being planned. Nothing changes until you say so. What it did to groups is planned as well, and stands "
        "among the approvals."
    )
    return visit.see(f"/runs/{runs[0].run_id}", said=said, tone="info")


async def _page(visit: Visit, given: str, *, error: str | None = None, refused: str | None = None) -> Response:
    try:
        since = _moment(visit, given)
    except BadInput as problem:
        error = error or " ".join(filter(None, (problem.detail, problem.hint)))
        since = visit.now
    async with visit.tx() as tx:
        done = await done_since(tx, _source_id(visit), since)
    if done is None:
        raise _no_source(visit)
    return visit.page(
        "runs/undo.html",
        status=422 if error else (409 if refused else 200),
        done=done,
        source=done.source,
        since=since,
        given=given,
        error=error,
        refused=refused,
        latest=_local(visit, visit.now),
        earliest=_local(visit, visit.now - actions.FARTHEST_BACK),
        choices=[_Choice(ago, _local(visit, visit.now - ago)) for ago in _AGO],
        most_counted=MOST_COUNTED,
        may_decide=visit.may(Permission.RUN_DECIDE),
        address=f"{visit.base}/sources/{done.source.source_id}/undo",
        kinds=words.table(visit.gettext, words.KINDS),
        actions=words.table(visit.gettext, words.ACTIONS),
        signs=words.SIGNS,
    )


def _source_id(visit: Visit) -> SourceId:
    return SourceId(visit.id("source_id"))


def _no_source(visit: Visit) -> NotFound:
    return NotFound(
        visit.gettext("There is no such source."), hint=visit.gettext("The list of connections shows those there are.")
    )


def _local(visit: Visit, moment: datetime) -> str:
    """A moment as the field has it: by the tenant's clock on the wall."""
    return moment.astimezone(visit.zone).strftime(_FORMS[0])


def _moment(visit: Visit, given: str) -> datetime:
    """The moment that the field names. Raises BadInput."""
    for form in _FORMS:
        try:
            wall = datetime.strptime(given, form)  # noqa: DTZ007 - the field names no zone: it is the tenant's
        except ValueError:
            continue
        try:
            return actions.checked_since(wall.replace(tzinfo=visit.zone).astimezone(UTC), visit.now)
        except OverflowError:
            break
    raise BadInput(
        visit.gettext("This is no date and time."), hint=visit.gettext("Write it like this: 2026-03-01T14:05.")
    )
