"""Events as people read them: who acted, and what it happened to, by name and with a way there."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from stoa.changes.names import SubjectNames, actor_names
from stoa.events.model import StoredEvent
from stoa.kernel.ids import parse_id
from stoa.web.visiting import Visit

_OF_PEOPLE: Final = ("person.", "person_record.", "group.member_")
# What has a page of its own, by what its subject begins with.
_PAGES: Final[Mapping[str, str]] = {
    "connection": "/connections",
    "alert": "/alerts",
    "run": "/runs",
    "group": "/groups",
    "client": "/api-clients",
    "webhook_endpoint": "/webhooks",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """A row.

    Attributes:
        subject: what to call it; empty if the event is about nothing any more.
        href: its page, or None.
    """

    event: StoredEvent
    subject: str
    href: str | None
    actor: str


async def shown_rows(visit: Visit, events: Iterable[StoredEvent], subjects: SubjectNames) -> list[Shown]:
    """The rows of a list."""
    events = list(events)
    actors = await actor_names(visit, (event.actor for event in events))
    ids = sorted({person for event in events if (person := _person(event)) is not None})
    names: Mapping[UUID, str] = {}
    if ids:
        async with visit.tx() as tx:
            names = await subjects(tx, ids)
    return [_shown(visit, event, names, actors) for event in events]


def _shown(visit: Visit, event: StoredEvent, names: Mapping[UUID, str], actors: Mapping[str, str]) -> Shown:
    person = _person(event)
    if person is not None:
        # Whoever is gone has no name any more, and no page.
        href = f"{visit.base}/people/{person}" if person in names else None
        return Shown(event, names.get(person, event.subject), href, actors[event.actor])
    sort, _, rest = event.subject.partition(":")
    path = _PAGES.get(sort)
    gone = event.type.endswith((".deleted", ".removed"))
    href = f"{visit.base}{path}/{rest}" if path and parse_id(rest) is not None and not gone else None
    return Shown(event, event.subject, href, actors[event.actor])


def _person(event: StoredEvent) -> UUID | None:
    return parse_id(event.subject) if event.type.startswith(_OF_PEOPLE) else None
