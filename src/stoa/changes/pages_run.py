"""The page of one run: what it is, why it stands as it does, and what can be done, in that order."""

from functools import partial
from typing import Any, Final

from starlette.responses import Response
from starlette.routing import Route

from stoa.access.permissions import Permission
from stoa.changes import words
from stoa.changes.actions import LONGEST_NOTE
from stoa.changes.browsing import ChangesAsk, changes_found
from stoa.changes.catalogue import CHANGES
from stoa.changes.model import Change
from stoa.changes.names import SubjectNames, actor_names, subject_names
from stoa.changes.rendering import outside
from stoa.changes.story import Story, causes_of, steps_of, story_of, took
from stoa.db.transactions import TenantTx
from stoa.kernel.filters import check, parse
from stoa.kernel.ids import RunId
from stoa.web.guarding import tenant_page
from stoa.web.visiting import Shell, Visit

ONE: Final = "/runs/{run_id}"
# What a rollback shows before it is done.
ALONE: Final = 'state eq "conflict" or left_alone pr'
_SAMPLE: Final = 6
_CONFLICTS: Final = 20


def one_pages(shell: Shell, subjects: SubjectNames) -> list[Route]:
    """Their routes."""

    async def show(visit: Visit) -> Response:
        return await run_page(visit, subjects)

    return [tenant_page(shell, ONE, show, needs=Permission.TENANT_VIEW)]


async def run_page(
    visit: Visit,
    subjects: SubjectNames,
    *,
    status: int = 200,
    refused: str | None = None,
    given: str = "",
    error: str | None = None,
) -> Response:
    """The whole page.

    refused: what somebody wanted to do and could not, because of what happened meanwhile.
    given, error: the reason that was typed beside a decision, and what is wrong with it.
    """
    values = await told(visit, subjects)
    return visit.page("runs/run.html", status=status, refused=refused, given=given, error=error, **values)


async def told(visit: Visit, subjects: SubjectNames) -> dict[str, Any]:
    """What the page says of the run that its address names, read in one short transaction."""
    async with visit.tx() as tx:
        story = await story_of(tx, RunId(visit.id("run_id")))
        sample, conflicts = await _sample(tx, story), await _conflicts(tx, story)
        shown = await subject_names(tx, subjects, [*sample, *conflicts])
    run, gettext = story.run, visit.gettext
    steps = steps_of(story)
    actors = [run.actor, run.decided_by, *(step.by for step in steps), *(one.actor for one in story.rollbacks)]
    return {
        "story": story,
        "run": run,
        "causes": causes_of(run),
        "steps": steps,
        "sample": sample,
        "conflicts": conflicts,
        "shown": shown,
        "names": await actor_names(visit, actors),
        "may_decide": visit.may(Permission.RUN_DECIDE),
        "may_see_people": visit.may(Permission.PEOPLE_VIEW),
        "address": f"{visit.base}/runs/{run.run_id}",
        "alone": ALONE,
        "unharmed": not run.changes_done and not any("Nothing was changed" in cause.hint for cause in causes_of(run)),
        "longest_note": LONGEST_NOTE,
        "took": took,
        "outside": outside,
        "cause_words": partial(words.cause, gettext),
        "kinds": words.table(gettext, words.KINDS),
        "actions": words.table(gettext, words.ACTIONS),
        "signs": words.SIGNS,
        "reason_words": partial(words.reason, gettext),
        "conflict_words": partial(words.conflict, gettext),
        "field_words": partial(words.field, gettext),
    }


async def _sample(tx: TenantTx, story: Story) -> list[Change]:
    """The first changes of what a decision is about, so that nobody has to leave the page to see whom it concerns."""
    if not story.waiting or not story.effects:
        return []
    doubted = next((cause.meter.action for cause in causes_of(story.run) if cause.meter is not None), None)
    where = None if doubted is None else check(parse(f'action eq "{doubted}"'), CHANGES)
    page = await changes_found(tx, story.run, ChangesAsk(where=where, limit=_SAMPLE))
    return [change for change in page.rows if change.state != "conflict"]


async def _conflicts(tx: TenantTx, story: Story) -> list[Change]:
    """The first changes that are left alone, wholly or in part."""
    if not story.conflicts and not story.plan.partial:
        return []
    where = check(parse(ALONE), CHANGES)
    return list((await changes_found(tx, story.run, ChangesAsk(where=where, limit=_CONFLICTS))).rows)
