"""The pages of groups: the list of them, who is in one, which roles it gives, and what happened to it."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from starlette.responses import Response
from starlette.routing import Route

from stoa.access.permissions import Permission
from stoa.api.lists import ListAsk
from stoa.changes import words as change_words
from stoa.kernel.cursors import Position
from stoa.kernel.problems import BadInput
from stoa.people.groups_awaited import awaited_lines
from stoa.people.queries import person_names
from stoa.people.roles_groups import (
    CATALOGUE,
    TABLE,
    GroupLine,
    MemberLine,
    group_line,
    group_lines,
    group_timeline,
    member_lines,
)
from stoa.people.roles_model import Role
from stoa.people.roles_queries import role_map
from stoa.people.roles_words import role_names
from stoa.people.timeline import Event, Timeline
from stoa.web.exports import csv_export
from stoa.web.guarding import tenant_page
from stoa.web.listing import Ask, Listing, Slice, read_ask
from stoa.web.visiting import Shell, Visit

LIST: Final = Listing(name="groups", sorts=TABLE.sorts, default="display_name", catalogue=CATALOGUE)
MEMBERS: Final = Listing(name="group-members", sorts={"resource_id": "resource_id"}, default="resource_id")
TIMELINE: Final = Listing(name="group-timeline", sorts={"at": "at"}, default="-at")
CSV_HEADER: Final = (
    *("group_id", "display_name", "source", "external_id", "members", "roles", "present", "created_at", "updated_at"),
)
MEMBERS_CSV_HEADER: Final = ("person_id", "record_id", "name", "active", "says_source", "in_force", "since")
_EXPORTED_AT_ONCE: Final = 2_000
# Of those who are not here yet: whoever waits for more than these looks at the provider.
_AWAITED_SHOWN: Final = 100
_MANY: Final = "/groups"
_ONE: Final = f"{_MANY}/{{group_id}}"


def group_pages(shell: Shell) -> list[Route]:
    """Their routes. Exports come first, for a group's id could be taken for their names."""
    view = Permission.PEOPLE_VIEW
    return [
        tenant_page(shell, _MANY, _list, needs=view),
        tenant_page(shell, f"{_MANY}.csv", _csv, needs=view),
        tenant_page(shell, f"{_ONE}.csv", _members_csv, needs=view),
        tenant_page(shell, _ONE, _show, needs=view),
        tenant_page(shell, f"{_ONE}/timeline", _timeline, needs=view),
    ]


# ------------------------------------------------------------------ the list


def _asked(ask: Ask) -> ListAsk:
    return ListAsk(ask.typed, ask.sort, ask.descending, ask.after, ask.limit, None, None, "")


async def _list(visit: Visit) -> Response:
    ask = read_ask(visit, LIST)
    found: Slice[GroupLine] = Slice((), None)
    if ask.problem is None:
        async with visit.tx() as tx:
            found = Slice(*await group_lines(tx, _asked(ask), ask.search))
    return visit.page("people/groups.html", listed=LIST.page(visit, ask, found), names=role_names(visit.gettext))


async def _csv(visit: Visit) -> Response:
    ask = read_ask(visit, LIST)
    if ask.problem is not None:
        raise BadInput(ask.problem)
    asked = replace(_asked(ask), after=None, limit=_EXPORTED_AT_ONCE)
    # Read before the answer begins: after that there is no way left to say what went wrong.
    async with visit.tx() as tx:
        first = await group_lines(tx, asked, ask.search)
    return await csv_export(visit, "groups.csv", CSV_HEADER, _lines(visit, asked, ask.search, first))


async def _lines(
    visit: Visit, ask: ListAsk, search: str, page: tuple[Sequence[GroupLine], Position | None]
) -> AsyncGenerator[Sequence[object]]:
    """Every line, one page of them in memory at a time; no transaction stays open while a browser is slow."""
    while True:
        rows, after = page
        for row in rows:
            yield (
                *(row.group_id, row.display_name, row.source_name, row.scim_external_id, row.member_count),
                *("; ".join(row.gives), row.present, row.created_at, row.updated_at),
            )
        if after is None:
            return
        async with visit.tx() as tx:
            page = await group_lines(tx, replace(ask, after=after), search)


# ------------------------------------------------------------------ one group


async def _show(visit: Visit) -> Response:
    ask = read_ask(visit, MEMBERS)
    found: Slice[MemberLine] = Slice((), None)
    async with visit.tx() as tx:
        group = await group_line(tx, visit.id("group_id"))
        if ask.problem is None:
            found = Slice(*await member_lines(tx, group.group_id, after=ask.after, limit=ask.limit))
        rules = await role_map(tx, group_id=group.group_id)
        awaited = await awaited_lines(tx, group.group_id, limit=_AWAITED_SHOWN) if group.awaited_count else []
    given = {line.rule.role for line in rules}
    return visit.page(
        "people/group.html",
        group=group,
        listed=MEMBERS.page(visit, ask, found),
        awaited=awaited,
        rules=[line.rule for line in rules],
        free=[role for role in Role if role not in given],
        names=role_names(visit.gettext),
        may_change=visit.may(Permission.TENANT_CHANGE),
    )


async def _members_csv(visit: Visit) -> Response:
    async with visit.tx() as tx:
        group = await group_line(tx, visit.id("group_id"))
        first = await member_lines(tx, group.group_id, limit=_EXPORTED_AT_ONCE)
    return await csv_export(visit, "group-members.csv", MEMBERS_CSV_HEADER, _member_lines(visit, group.group_id, first))


async def _member_lines(
    visit: Visit, group_id: UUID, page: tuple[Sequence[MemberLine], Position | None]
) -> AsyncGenerator[Sequence[object]]:
    while True:
        rows, after = page
        for row in rows:
            yield (row.person_id, row.resource_id, row.name, row.active, row.asserted, row.in_force, row.since)
        if after is None:
            return
        async with visit.tx() as tx:
            page = await member_lines(tx, group_id, after=after, limit=_EXPORTED_AT_ONCE)


# ------------------------------------------------------------------ what happened


@dataclass(frozen=True, slots=True)
class Happened:
    """One line of a group's timeline.

    Attributes:
        person_id: who came or went; awaited: the name of who is not here yet. Neither in a change of the group itself.
    """

    event: Event
    kind: str
    person_id: UUID | None
    awaited: str | None
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


async def _timeline(visit: Visit) -> Response:
    ask = read_ask(visit, TIMELINE)
    found = Timeline((), None)
    async with visit.tx() as tx:
        group = await group_line(tx, visit.id("group_id"))
        if ask.problem is None:
            found = await group_timeline(tx, group, after=ask.after, limit=ask.limit)
        people = [event.change.person_id for event in found.rows if event.change.person_id is not None]
        named = await person_names(tx, people)
    events = [_happened(visit, event) for event in found.rows]
    labels = {name for one in events for side in (one.before, one.after) for name in side or ()}
    return visit.page(
        "people/group_timeline.html",
        group=group,
        listed=TIMELINE.page(visit, ask, Slice(found.rows, found.next)),
        events=events,
        named=named,
        labels=change_words.fields(visit.gettext, labels),
    )


def _happened(visit: Visit, event: Event) -> Happened:
    change = event.change
    kind = visit.gettext(change_words.KINDS[event.run_kind])
    # A membership's document names the group alone, which the page does already.
    awaited: str | None = (change.after or change.before or {}).get("awaited")
    of_group = change.person_id is None and awaited is None
    told = (change.before, change.after) if of_group else (None, None)
    before, after = ({k: v for k, v in (side or {}).items() if k not in _INTERNAL} or None for side in told)
    return Happened(event, kind, change.person_id, awaited, before, after)


_INTERNAL: Final = frozenset({"raw", "display_name_key"})
