"""Approving, rejecting and rolling back. Whoever comes too late is told who did what meanwhile."""

from collections.abc import Awaitable, Callable
from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from stoa.access.permissions import Permission
from stoa.changes import actions
from stoa.changes.model import Run, RunState, WrongState
from stoa.changes.names import SubjectNames, actor_names
from stoa.changes.pages_run import ONE, run_page
from stoa.changes.queries import run_by_id
from stoa.kernel.ids import RunId
from stoa.kernel.problems import BadInput
from stoa.web.guarding import tenant_action
from stoa.web.visiting import Shell, Visit

# More than is kept is read, so that what is too long is given back to be shortened instead of being lost.
_MOST_READ: Final = 20_000


def deciding_pages(shell: Shell, subjects: SubjectNames) -> list[Route]:
    """Their routes."""

    async def approve(visit: Visit) -> Response:
        return await _decide(visit, subjects, actions.approve, visit.gettext("Approved. It is being applied."))

    async def reject(visit: Visit) -> Response:
        return await _decide(visit, subjects, actions.reject, visit.gettext("Rejected. Nothing of it was applied."))

    async def roll_back(visit: Visit) -> Response:
        return await _roll_back(visit, subjects)

    acts = {"approve": approve, "reject": reject, "roll-back": roll_back}
    return [tenant_action(shell, f"{ONE}/{name}", act, needs=Permission.RUN_DECIDE) for name, act in acts.items()]


async def _decide(visit: Visit, subjects: SubjectNames, decide: Callable[..., Awaitable[Run]], said: str) -> Response:
    run_id = RunId(visit.id("run_id"))
    given = (await visit.form()).text("reason", most=_MOST_READ)
    try:
        note = actions.checked_note(given)
    except BadInput as problem:
        wrong = " ".join(filter(None, (problem.detail, problem.hint)))
        return await run_page(visit, subjects, status=422, given=given, error=wrong)
    try:
        async with visit.writing() as tx:
            await decide(tx, run_id, note=note)
    except WrongState as problem:
        return await run_page(visit, subjects, status=409, refused=await _meanwhile(visit, run_id, problem))
    return visit.see(f"/runs/{run_id}", said=said)


async def _roll_back(visit: Visit, subjects: SubjectNames) -> Response:
    run_id = RunId(visit.id("run_id"))
    try:
        async with visit.writing() as tx:
            under_way = await actions.open_rollback(tx, run_id)
            planned = under_way or await actions.queue_rollback(tx, run_id, plan_only=True)
    except WrongState as problem:
        return await run_page(visit, subjects, status=409, refused=await _meanwhile(visit, run_id, problem))
    if under_way is not None:
        return visit.see(f"/runs/{planned.run_id}", said=visit.gettext("This is the rollback that exists already."))
    said = visit.gettext("The rollback is being planned. Nothing changes until you say so.")
    return visit.see(f"/runs/{planned.run_id}", said=said, tone="info")


async def _meanwhile(visit: Visit, run_id: RunId, problem: WrongState) -> str:
    """Who did what to the run since the page was opened."""
    async with visit.tx() as tx:
        run = await run_by_id(tx, run_id)
    by = run.decided_by
    if by is None or run.decided_at is None or run.state is RunState.STALE:
        return problem.detail
    who = (await actor_names(visit, [by]))[by]
    when = run.decided_at.astimezone(visit.zone).strftime("%Y-%m-%d %H:%M:%S")
    rejected = run.state is RunState.REJECTED
    told = (
        visit.gettext("It was rejected at %(when)s by this hand: %(who)s.")
        if rejected
        else visit.gettext("It was approved at %(when)s by this hand: %(who)s.")
    )
    return told % {"when": when, "who": who}
