"""The lists of runs: all of them, those that wait for a person, those that failed; and the approvals."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from starlette.responses import Response
from starlette.routing import Route

from stoa.access.permissions import Permission
from stoa.changes import words
from stoa.changes.actions import LONGEST_NOTE
from stoa.changes.catalogue import RUNS
from stoa.changes.counting import PlanCount, plan_of
from stoa.changes.listing import (
    ListedRun,
    RunsAsk,
    RunsPage,
    View,
    count_failed,
    count_waiting,
    runs_page,
)
from stoa.changes.model import Action, Run
from stoa.changes.names import actor_names
from stoa.changes.story import Cause, causes_of, took
from stoa.kernel.problems import BadInput
from stoa.web.exports import csv_export
from stoa.web.guarding import tenant_page
from stoa.web.listing import Ask, Listing, Slice, read_ask
from stoa.web.visiting import Shell, Visit

_PATHS: Final[Mapping[View, str]] = {"all": "/runs", "waiting": "/runs/waiting", "failed": "/runs/failed"}
_SORTS: Final = {"created_at": "created_at"}
LISTS: Final[Mapping[View, Listing]] = {
    view: Listing(name=f"runs-{view}", sorts=_SORTS, default="-created_at", catalogue=RUNS) for view in _PATHS
}
# Approvals are few; whoever has more of them finds the rest among the runs.
_APPROVALS: Final = 50
_EXPORTED_AT_ONCE: Final = 500
CSV_HEADER: Final = (
    *("run_id", "kind", "state", "source", "actor", "created_at", "planned_at", "decided_at", "decided_by"),
    *("decided_note", "finished_at", "seconds", *Action, "conflicts", "quarantined", "reason", "detail"),
)


def list_pages(shell: Shell) -> list[Route]:
    """Their routes."""
    lists = [
        route
        for view, path in _PATHS.items()
        for route in (
            tenant_page(shell, path, _list(view), needs=Permission.TENANT_VIEW),
            tenant_page(shell, f"{path}.csv", _export(view), needs=Permission.TENANT_VIEW),
        )
    ]
    return [*lists, tenant_page(shell, "/approvals", _approvals, needs=Permission.TENANT_VIEW)]


def _asked(view: View, ask: Ask) -> RunsAsk:
    return RunsAsk(view, ask.search, ask.typed, ask.descending, ask.after, ask.limit)


def _list(view: View) -> Callable[[Visit], Awaitable[Response]]:
    async def show(visit: Visit) -> Response:
        ask = read_ask(visit, LISTS[view])
        async with visit.tx() as tx:
            found = RunsPage((), None) if ask.problem else await runs_page(tx, _asked(view, ask))
            numbers = {"waiting": await count_waiting(tx), "failed": await count_failed(tx)}
        return visit.page(
            "runs/runs.html",
            view=view,
            listed=LISTS[view].page(visit, ask, Slice(found.rows, found.next)),
            numbers=numbers,
            tabs={name: visit.base + path for name, path in _PATHS.items()},
            names=await actor_names(visit, (row.run.actor for row in found.rows)),
            **_shared(visit),
        )

    return show


def _export(view: View) -> Callable[[Visit], Awaitable[Response]]:
    async def export(visit: Visit) -> Response:
        ask = read_ask(visit, LISTS[view])
        if ask.problem is not None:
            raise BadInput(ask.problem)

        lines = _lines(visit, replace(_asked(view, ask), after=None, limit=_EXPORTED_AT_ONCE))
        return await csv_export(visit, "runs.csv" if view == "all" else f"runs-{view}.csv", CSV_HEADER, lines)

    return export


async def _lines(visit: Visit, ask: RunsAsk) -> AsyncGenerator[Sequence[object]]:
    """The rows some hundreds at a time, each time in a short transaction."""
    while True:
        async with visit.tx() as tx:
            page = await runs_page(tx, ask)
        for row in page.rows:
            yield _line(row)
        if page.next is None:
            return
        ask = replace(ask, after=page.next)


def _line(row: ListedRun) -> tuple[object, ...]:
    run = row.run
    first: Mapping[str, str] = run.reasons[0] if run.reasons else {}
    return (
        *(run.run_id, run.kind, run.state, row.source, run.actor, run.created_at, run.planned_at, run.decided_at),
        *(run.decided_by, run.decided_note, run.finished_at, took(run)),
        *(run.counts.get(action, 0) for action in Action),
        *(run.figures.get("conflicts", 0), run.figures.get("quarantined", 0), first.get("code"), first.get("detail")),
    )


async def _approvals(visit: Visit) -> Response:
    async with visit.tx() as tx:
        found = await runs_page(tx, RunsAsk("waiting", descending=False, limit=_APPROVALS))
        in_all = await count_waiting(tx)
    return visit.page(
        "runs/approvals.html",
        waiting=found.rows,
        in_all=in_all,
        names=await actor_names(visit, (row.run.actor for row in found.rows)),
        may_decide=visit.may(Permission.RUN_DECIDE),
        longest_note=LONGEST_NOTE,
        all_waiting=visit.base + _PATHS["waiting"],
        approvals_waiting=in_all,
        **_shared(visit),
    )


def _shared(visit: Visit) -> dict[str, Any]:
    def plan(run: Run) -> PlanCount:
        return plan_of(run.figures, run.counts)

    def cause(run: Run) -> Cause | None:
        found = causes_of(run)
        return found[0] if found else None

    return {
        "kinds": words.table(visit.gettext, words.KINDS),
        "actions": words.table(visit.gettext, words.ACTIONS),
        "signs": words.SIGNS,
        "took": took,
        "plan": plan,
        "cause": cause,
        "cause_words": partial(words.cause, visit.gettext),
    }
