"""The pages of one person: what is in force and why, who says what, and what happened."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from starlette.responses import Response
from starlette.routing import Route

from stoa.access.permissions import Permission
from stoa.changes import words as change_words
from stoa.changes.rendering import is_outside
from stoa.kernel.ids import ResourceId
from stoa.kernel.problems import NotFound
from stoa.people.explaining import MANAGER, Explained, Word
from stoa.people.profile import HeldValue, Profile, profile, survivor_of
from stoa.people.queries import person_by_id, person_names
from stoa.people.roles_words import role_names
from stoa.people.timeline import Event, Timeline, timeline
from stoa.people.words import Speaker
from stoa.tenants import queries as tenants
from stoa.web.guarding import tenant_page
from stoa.web.listing import Listing, Slice, read_ask
from stoa.web.visiting import Shell, Visit

TIMELINE: Final = Listing(name="timeline", sorts={"at": "at"}, default="-at", catalogue=None)
_ONE: Final = "/people/{person_id}"


def person_pages(shell: Shell) -> list[Route]:
    """Their routes."""
    return [
        tenant_page(shell, _ONE, _show, needs=Permission.PEOPLE_VIEW),
        tenant_page(shell, f"{_ONE}/timeline", _timeline, needs=Permission.PEOPLE_VIEW),
    ]


class NoSuchPerson(NotFound):
    """The tenant has no person with this id.

    Search for the person by name: the address may be of another tenant, or has a slip in it.
    """

    code = "no_such_person"


async def _show(visit: Visit) -> Response:
    async with visit.tx() as tx:
        known = await profile(tx, visit.id("person_id"))
        if known is None:
            raise _nobody(visit)
        if known.person.merged_into is not None:
            return _to_survivor(visit, str(await survivor_of(tx, known.person)))
    speaker = Speaker(visit.gettext, known.sources)
    lines = [_line(visit, speaker, known, field) for field in known.fields.values()]
    return visit.page(
        "people/person.html",
        known=known,
        speaker=speaker,
        because=speaker.access(known.access),
        lines=[line for line in lines if line.words],
        silent=[line.label for line in lines if not line.words],
        holds=[(hold, change_words.field(visit.gettext, hold.field), _held_now(known, hold)) for hold in known.holds],
        belonging=known.belonging,
        names=role_names(visit.gettext),
        events=_shown(visit, known.latest),
        more_events=known.latest.next is not None,
        labels=_labels(visit, known.latest),
    )


async def _timeline(visit: Visit) -> Response:
    ask = read_ask(visit, TIMELINE)
    async with visit.tx() as tx:
        person = await person_by_id(tx, visit.id("person_id"))
        if person is None:
            raise _nobody(visit)
        if person.merged_into is not None:
            return _to_survivor(visit, f"{await survivor_of(tx, person)}/timeline")
        names = await person_names(tx, [person.person_id])
        speaker = Speaker(visit.gettext, {source.source_id: source for source in await tenants.sources(tx)})
        found = Timeline((), None)
        if ask.problem is None:
            found = await timeline(tx, person.person_id, after=ask.after, limit=ask.limit)
    return visit.page(
        "people/timeline.html",
        person=person,
        name=names.get(person.person_id),
        speaker=speaker,
        listed=TIMELINE.page(visit, ask, Slice(found.rows, found.next)),
        events=_shown(visit, found),
        labels=_labels(visit, found),
    )


def _to_survivor(visit: Visit, path: str) -> Response:
    return visit.see(f"/people/{path}", said=visit.gettext("They were merged into this person."), tone="info")


def _nobody(visit: Visit) -> NoSuchPerson:
    return NoSuchPerson(
        visit.gettext("There is no such person in this tenant."),
        hint=visit.gettext("A rollback may have taken them away. The list of people shows who is there."),
    )


# ------------------------------------------------------------------ fields


@dataclass(frozen=True, slots=True)
class Said:
    """What one source says of a field, as it is shown.

    Attributes:
        shown: what counts of it; asserted: what it says now, where a hold stands between the two.
        person_id: of the manager that it names, if somebody is known by that name.
        since: when it came to say so; None where that lies too far back.
    """

    word: Word
    source: str
    shown: object
    asserted: object
    person_id: UUID | None
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Line:
    """One field of the profile: the word that counts, if any, and all others."""

    name: str
    label: str
    why: str
    winner: Said | None
    others: Sequence[Said]
    words: Sequence[Said]


def _line(visit: Visit, speaker: Speaker, known: Profile, field: Explained) -> Line:
    words = [_said(speaker, known, field.name, word) for word in field.words]
    return Line(
        field.name,
        change_words.field(visit.gettext, field.name),
        speaker.why(field),
        next((said for said in words if said.word.wins), None),
        [said for said in words if not said.word.wins],
        words,
    )


def _said(speaker: Speaker, known: Profile, name: str, word: Word) -> Said:
    source, value, asserted = speaker.name(word.source_id), word.value, word.asserted
    since = known.identities[ResourceId(word.resource_id)].since.get(name)
    if name != MANAGER:
        return Said(word, source, _plain(value), _plain(asserted), None, since)
    # Of a manager who is not known there is the key alone that the source has for them.
    person_id = value if isinstance(value, UUID) else None
    shown = asserted if person_id is None else known.names.get(person_id)
    return Said(word, source, shown, asserted, person_id, since)


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value


def _held_now(known: Profile, hold: HeldValue) -> object:
    """What the record says now of a field under a hold."""
    record = known.identities[hold.resource_id].record
    if hold.field == "active":
        return record.active
    return _plain(record.values.get(hold.field))


# ------------------------------------------------------------------ timeline


@dataclass(frozen=True, slots=True)
class Happened:
    """One line of the timeline. before, after: what means something outside the store."""

    event: Event
    reason: str
    conflict: str | None
    kind: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


def _shown(visit: Visit, found: Timeline) -> list[Happened]:
    def happened(event: Event) -> Happened:
        change, code = event.change, (event.change.note or {}).get("code")
        return Happened(
            event,
            change_words.reason(visit.gettext, change.reason),
            None if code is None else change_words.conflict(visit.gettext, code),
            visit.gettext(change_words.KINDS[event.run_kind]),
            _outside(change.before),
            _outside(change.after),
        )

    return [happened(event) for event in found.rows]


def _outside(document: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if document is None else {name: value for name, value in document.items() if is_outside(name)}


def _labels(visit: Visit, found: Timeline) -> dict[str, str]:
    names = {name for event in found.rows for side in (event.change.before, event.change.after) for name in side or ()}
    return change_words.fields(visit.gettext, names)
