"""The plan browser: a run's changes one by one, with before, after, reason and standing; filtered, paged, exported."""

import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from stoa.access.permissions import Permission
from stoa.changes import words
from stoa.changes.browsing import ChangesAsk, ChangesPage, changes_found
from stoa.changes.catalogue import CHANGES
from stoa.changes.model import Action, Change
from stoa.changes.names import SubjectNames, is_membership, subject_names
from stoa.changes.pages_run import ONE
from stoa.changes.rendering import is_outside, outside
from stoa.changes.story import Story, story_of
from stoa.kernel.ids import RunId
from stoa.kernel.problems import BadInput
from stoa.web.exports import csv_export
from stoa.web.guarding import tenant_page
from stoa.web.listing import Ask, Listing, Slice, read_ask
from stoa.web.visiting import Shell, Visit

LIST: Final = Listing(name="changes", sorts={"ord": "ord"}, default="ord", catalogue=CHANGES)
_EXPORTED_AT_ONCE: Final = 1000
_FIELD_CHIPS: Final = 12
# What a change of `active` says already.
_BESIDE_ACTIVE: Final = frozenset({"present", "asserted_active"})
CSV_HEADER: Final = (
    *("action", "reason", "state", "subject", "name", "person_id", "source_id", "fields", "before", "after", "note"),
    "at",
)


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter that is one click away. tone: of an action's or state's badge."""

    label: str
    url: str
    n: int
    chosen: bool


def plan_pages(shell: Shell, subjects: SubjectNames) -> list[Route]:
    """Their routes."""

    async def show(visit: Visit) -> Response:
        return await _show(visit, subjects)

    async def export(visit: Visit) -> Response:
        return await _export(visit, subjects)

    path = f"{ONE}/changes"
    return [
        tenant_page(shell, path, show, needs=Permission.PEOPLE_VIEW),
        tenant_page(shell, f"{path}.csv", export, needs=Permission.PEOPLE_VIEW),
    ]


def _asked(ask: Ask) -> ChangesAsk:
    return ChangesAsk(ask.search, ask.typed, ask.descending, ask.after, ask.limit)


async def _show(visit: Visit, subjects: SubjectNames) -> Response:
    ask = read_ask(visit, LIST)
    async with visit.tx() as tx:
        story = await story_of(tx, RunId(visit.id("run_id")), alone=True)
        found = ChangesPage((), None) if ask.problem else await changes_found(tx, story.run, _asked(ask))
        shown = await subject_names(tx, subjects, found.rows)
    reasons = {code: words.reason(visit.gettext, code) for code in {change.reason for change in found.rows}}
    return visit.page(
        "runs/changes.html",
        story=story,
        run=story.run,
        address=f"{visit.base}/runs/{story.run.run_id}",
        listed=LIST.page(visit, ask, Slice(found.rows, found.next)),
        lines=[_told(change, shown.get(change.ord), reasons[change.reason]) for change in found.rows],
        chips=_chips(visit, story, ask),
        labels=words.fields(visit.gettext, {name for change in found.rows for name in _touched(change)}),
        kinds=words.table(visit.gettext, words.KINDS),
        conflict_words=partial(words.conflict, visit.gettext),
        field_words=partial(words.field, visit.gettext),
    )


@dataclass(frozen=True, slots=True)
class _Told:
    """One change as its line tells it. name: what to call whom it is about. linked: whether there is somebody to go to.
    before, after: `told_fields`."""

    change: Change
    name: str
    linked: bool
    reason: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


def _told(change: Change, name: str | None, reason: str) -> _Told:
    return _Told(change, name or change.subject, has_person(change), reason, *told_fields(change))


def has_person(change: Change) -> bool:
    """Whether there is a person to go to: not yet for one who is to be made, and not any more for one who went."""
    if change.person_id is None:
        return False
    if is_membership(change):
        return True
    there = change.action is not Action.CREATE or change.state == "applied"
    return there and not (change.action is Action.REMOVE and change.state == "applied")


def told_fields(change: Change) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Before and after as they are shown: without what means nothing outside, and without saying one thing twice."""
    before, after = outside(change.before), outside(change.after)
    if is_membership(change):
        return _group(before), _group(after)
    if before is None or after is None:
        return _filled(before), _filled(after)
    if "active" in after:
        before, after = _without(before, _BESIDE_ACTIVE), _without(after, _BESIDE_ACTIVE)
    return before, after


def _group(document: dict[str, Any] | None) -> dict[str, Any] | None:
    if document is None:
        return None
    awaited = {"awaited": document["awaited"]} if "awaited" in document else {}
    return {"group": document.get("display_name")} | awaited


def _filled(document: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if document is None else {name: value for name, value in document.items() if value is not None}


def _without(document: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in names}


def _touched(change: Change) -> list[str]:
    if is_membership(change):
        return ["awaited", "group"] if "awaited" in (change.after or change.before or {}) else ["group"]
    names = {*(change.before or {}), *(change.after or {})}
    return sorted(name for name in names if is_outside(name))


# ------------------------------------------------------------------ filters that are one click away


def _chips(visit: Visit, story: Story, ask: Ask) -> dict[str, list[Chip]]:
    base = f"{visit.base}/runs/{story.run.run_id}/changes"
    plan, gettext = story.plan, visit.gettext

    def chip(label: str, text: str, n: int) -> Chip:
        url = f"{base}?{urlencode({'filter': text})}" if text else base
        return Chip(label, url, n, chosen=ask.filter == text and not ask.search)

    actions = [chip(gettext("All"), "", plan.changes)]
    actions += [chip(gettext(words.ACTIONS[a]), f'action eq "{a}"', n) for a in Action if (n := plan.counts.get(a, 0))]
    if story.conflicts:
        actions.append(chip(gettext("Conflicts"), 'state eq "conflict"', story.conflicts))
    if plan.partial:
        actions.append(chip(gettext("Left alone in part"), "left_alone pr", plan.partial))
    if story.undone:
        actions.append(chip(gettext("Rolled back"), 'state eq "undone"', story.undone))
    reasons = [
        chip(words.reason(gettext, code), f'action eq "{action}" and reason eq "{code}"', n)
        for action, by_reason in plan.reasons.items()
        for code, n in by_reason.items()
        if code
    ]
    touched = sorted(plan.fields.items(), key=lambda item: -item[1])[:_FIELD_CHIPS]
    fields = [chip(words.field(gettext, name), f'field eq "{name}"', n) for name, n in touched]
    return {"actions": actions, "reasons": reasons if len(reasons) > 1 else [], "fields": fields}


# ------------------------------------------------------------------ export


async def _export(visit: Visit, subjects: SubjectNames) -> Response:
    ask = read_ask(visit, LIST)
    if ask.problem is not None:
        raise BadInput(ask.problem)
    run_id = RunId(visit.id("run_id"))
    async with visit.tx() as tx:
        story = await story_of(tx, run_id, alone=True)
    lines = _lines(visit, subjects, story, replace(_asked(ask), after=None, limit=_EXPORTED_AT_ONCE))
    return await csv_export(visit, f"changes-{run_id}.csv", CSV_HEADER, lines)


async def _lines(
    visit: Visit, subjects: SubjectNames, story: Story, ask: ChangesAsk
) -> AsyncGenerator[Sequence[object]]:
    """The rows a thousand at a time, each time in a short transaction: a plan's order never changes."""
    while True:
        async with visit.tx() as tx:
            page = await changes_found(tx, story.run, ask)
            shown = await subject_names(tx, subjects, page.rows)
        for change in page.rows:
            yield _line(change, shown.get(change.ord))
        if page.next is None:
            return
        ask = replace(ask, after=page.next)


def _line(change: Change, name: str | None) -> Sequence[object]:
    return (
        *(change.action, change.reason, change.state, change.subject, name, change.person_id, change.source_id),
        *(", ".join(_touched(change)), _json(outside(change.before)), _json(outside(change.after))),
        *(_json(change.note), change.at),
    )


def _json(document: dict[str, Any] | None) -> str:
    return "" if document is None else json.dumps(document, ensure_ascii=False, default=str)
