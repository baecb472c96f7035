"""How lines of the audit logs are read: who acted, what about, what was before and after."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from stoa.access.actors import Actor
from stoa.access.permissions import Permission
from stoa.kernel.ids import parse_id
from stoa.web.visiting import Visit

# Whose page stands at what address, by what is before the colon of a subject.
_PAGES: Final[Mapping[str, tuple[str, Permission]]] = {
    "run": ("/runs", Permission.TENANT_VIEW),
    "connection": ("/connections", Permission.TENANT_VIEW),
    "alert": ("/alerts", Permission.TENANT_VIEW),
    "client": ("/api-clients", Permission.API_CHANGE),
    "webhook_endpoint": ("/webhooks", Permission.API_CHANGE),
}
_STEP: Final = frozenset({"before", "after"})


@dataclass(frozen=True, slots=True)
class Told:
    """The body of a line.

    Attributes:
        before, after: of a change, member by member; None where there was nothing, or is nothing any more.
        changes: whether it tells of a change at all.
        rest: its other facts.
    """

    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    changes: bool
    rest: Mapping[str, Any]


def told_by(body: Mapping[str, Any] | None) -> Told:
    """A body, parted into what was before, what is after, and the rest."""
    said = dict(body or {})
    before, after = said.get("before"), said.get("after")
    if not _STEP & said.keys() or not all(one is None or isinstance(one, dict) for one in (before, after)):
        return Told(None, None, changes=False, rest=said)
    rest = {name: value for name, value in said.items() if name not in _STEP}
    # What changed is told by the difference.
    rest.pop("fields", None)
    return Told(cast("Any", before), cast("Any", after), changes=True, rest=rest)


def who(visit: Visit, actor: str, known: Mapping[str, Actor]) -> str:
    """How people read who acted."""
    found = known.get(actor) or Actor(actor.partition(":")[0], None)
    if actor == visit.principal.actor:
        return visit.gettext("you")
    if found.name is not None and found.kind != "job":
        return found.name
    match found.kind:
        case "operator":
            command = actor == "operator:cli"
            return visit.gettext("The server's operator, by command" if command else "An operator who is gone")
        case "scim":
            return visit.gettext("A SCIM client")
        case "client":
            return visit.gettext("An API client")
        case "credential":
            return visit.gettext("A token")
        case "job":
            return f"{visit.gettext('Job')} {found.name or ''}"
        case "schedule":
            return visit.gettext("The schedule")
        case "anonymous":
            return visit.gettext("Somebody who was not signed in")
        case _:
            return "Stoa"


def page_of(visit: Visit, subject: str | None) -> str | None:
    """The address of what a line is about, if it has a page that the visitor may open."""
    if not subject:
        return None
    kind, colon, rest = subject.partition(":")
    if not colon:
        person = parse_id(subject)
        return f"{visit.base}/people/{person}" if person is not None and visit.may(Permission.PEOPLE_VIEW) else None
    path, needs = _PAGES.get(kind, ("", Permission.TENANT_VIEW))
    found = parse_id(rest)
    return f"{visit.base}{path}/{found}" if path and found is not None and visit.may(needs) else None
