"""Who acted, as it is read: operators by their names, everything else by what it is."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias
from uuid import UUID

from stoa.access.operators import operator_by_id
from stoa.changes.model import Change
from stoa.db.transactions import TenantTx
from stoa.kernel.ids import OperatorId, parse_id
from stoa.kernel.problems import NotFound
from stoa.web.visiting import Visit

# Gives the names of people by their ids, as far as there are any: `changes` itself knows no person.
SubjectNames: TypeAlias = Callable[[TenantTx, Sequence[UUID]], Awaitable[Mapping[UUID, str]]]


async def nobody(tx: TenantTx, ids: Sequence[UUID]) -> Mapping[UUID, str]:
    """Knows no names."""
    del tx, ids
    return {}


async def actor_names(visit: Visit, actors: Iterable[str | None]) -> dict[str, str]:
    """How people read who acted, by the actor as it is stored."""
    found: dict[str, str] = {}
    asked: dict[str, OperatorId] = {}
    for actor in {actor for actor in actors if actor is not None}:
        sort, _, rest = actor.partition(":")
        operator_id = parse_id(rest) if sort == "operator" else None
        if actor == visit.principal.actor:
            found[actor] = visit.gettext("you")
        elif operator_id is not None:
            asked[actor] = OperatorId(operator_id)
        else:
            found[actor] = _machine(visit, sort)
    if asked:
        async with visit.platform() as tx:
            for actor, operator_id in asked.items():
                try:
                    found[actor] = (await operator_by_id(tx, operator_id)).name
                except NotFound:
                    found[actor] = visit.gettext("an operator who is gone")
    return found


def _machine(visit: Visit, sort: str) -> str:
    match sort:
        case "operator":
            return visit.gettext("the server's operator, by command")
        case "scim":
            return visit.gettext("a SCIM client")
        case "schedule" | "job":
            return visit.gettext("the schedule")
        case _:
            return "Stoa"


async def subject_names(tx: TenantTx, names: SubjectNames, changes: Sequence[Change]) -> dict[int, str]:
    """What to call whom each change is about, by its ord: as its own row says, else as `names` knows."""
    found = {change.ord: own for change in changes if (own := _own(change.after) or _own(change.before)) is not None}
    missing = [change for change in changes if change.ord not in found and change.person_id is not None]
    if missing:
        known = await names(tx, sorted({change.person_id for change in missing}))
        found |= {change.ord: known[change.person_id] for change in missing if change.person_id in known}
    return found


def is_membership(change: Change) -> bool:
    """Whether a change puts somebody into a group, or takes them out: it names the group, and is about the person; or
    about a name that the group awaits.
    """
    return "group_id" in (change.after or change.before or {})


def _own(document: Mapping[str, Any] | None) -> str | None:
    said = document or {}
    if "group_id" in said:
        # The name in it is the group's.
        return said.get("awaited")
    whole = said.get("display_name") or " ".join(
        str(said[part]) for part in ("given_name", "family_name") if said.get(part)
    )
    return str(whole) if whole else None
