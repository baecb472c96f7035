"""The functional core of people: what is in force, and what follows from all assertions together. Who is it, is in
`matching`.

`effective` is the definition; the set-based SQL of `recompute`, `plan` and `bulk` must give the same, which property
tests hold.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from uuid import UUID

from stoa.changes.model import Action
from stoa.kernel.ids import PersonId, SourceId
from stoa.people.fields import KEYED, PERSON_FIELDS, Value, key_of
from stoa.people.model import Values

Ranking = Mapping[str, Sequence[SourceId]]


# ------------------------------------------------------------------ what is in force


def in_force(asserted_active: bool, values: Values, today: date) -> bool:
    """Whether a record's state is active on `today`, its tenant's date.

    A future hire is not active before the hire date; the termination date is the last day of access.
    """
    hired, ends = values.get("hire_date"), values.get("termination_date")
    if isinstance(hired, date) and hired > today:
        return False
    if isinstance(ends, date) and ends < today:
        return False
    return asserted_active


def due_changes(asserted_active: bool, values: Values, today: date) -> list[tuple[date, bool]]:
    """The later days on which the state in force changes by itself, with the state from then on."""
    if not asserted_active:
        return []
    hired, ends = values.get("hire_date"), values.get("termination_date")
    days = [hired] if isinstance(hired, date) else []
    if isinstance(ends, date) and ends < date.max:
        days.append(ends + timedelta(days=1))
    return [(day, in_force(asserted_active, values, day)) for day in sorted(set(days)) if day > today]


# ------------------------------------------------------------------ effective values


@dataclass(frozen=True, slots=True)
class Linked:
    """One record of a person as the rules need it.

    Attributes:
        manager: the person, another than this one, whom manager_ref (or its held value) names in the same source.
        held: values of fields under a hold, which count in place of the asserted ones.
    """

    resource_id: UUID
    source_id: SourceId
    present: bool
    active: bool
    values: Values
    manager: PersonId | None = None
    held: Mapping[str, Value] = field(default_factory=dict[str, Value])


@dataclass(frozen=True, slots=True)
class Effective:
    """What follows for the person: every person field, its keys, the manager, and whether there is access."""

    active: bool
    values: Mapping[str, Value]
    keys: Mapping[str, str | None]
    manager_id: PersonId | None


def effective(records: Iterable[Linked], ranking: Ranking) -> Effective:
    """Effective values: a pure function of assertions, links, authority version and holds.

    For each field the strongest source that says anything wins: first the ranked sources in order, then the rest in
    the order of their ids; within a source a present record before an absent one, then the lower resource id.
    `active` is not ranked: a source's word is yes when one of its records is active, and the strictest word of all
    counted sources wins, so that whoever leaves in the HR system or at the identity provider loses access. Without any
    record there is neither value nor access.
    """
    standing = list(records)
    values = {name: strongest(standing, name, ranking) for name in PERSON_FIELDS}
    keys = {f"{name}_key": key_of(values[name]) for name in KEYED}
    by_manager = [r for r in in_order(standing, ranking.get("manager_ref", ())) if r.manager is not None]
    return Effective(
        _strictest(standing, ranking.get("active", ())), values, keys, by_manager[0].manager if by_manager else None
    )


def in_order(records: Iterable[Linked], ranked: Sequence[SourceId]) -> list[Linked]:
    """The records from the strongest to the weakest: see `effective`."""
    if isinstance(records, list) and len(records) < 2:
        return records
    places = {source: place for place, source in enumerate(ranked)}
    return sorted(
        records,
        key=lambda r: (places.get(r.source_id, len(places)), r.source_id.bytes, not r.present, r.resource_id.bytes),
    )


def strongest(records: Iterable[Linked], name: str, ranking: Ranking) -> Value:
    """The value of one field that follows for the person of these records: see `effective`."""
    for record in in_order(records, ranking.get(name, ())):
        value = record.held[name] if name in record.held else record.values.get(name)
        if value is not None:
            return value
    return None


def _strictest(records: Sequence[Linked], counted: Sequence[SourceId]) -> bool:
    heard = [r for r in records if r.source_id in counted] or list(records)
    words: dict[SourceId, bool] = {}
    for record in heard:
        active = bool(record.held.get("active", record.active))
        words[record.source_id] = words.get(record.source_id, False) or active
    return bool(words) and all(words.values())


# ------------------------------------------------------------------ naming a change

_MOVED = frozenset(
    {"department", "division", "cost_center", "organization", "location", "title", "job_code", "manager_ref"}
)
_RENAMED = frozenset({"given_name", "family_name", "display_name", "user_name", "email"})
# In the order in which they are tried: the first set that a change touches names it.
UPDATE_REASONS: tuple[tuple[str, frozenset[str]], ...] = (
    ("converted", frozenset({"worker_type"})),
    ("moved", _MOVED),
    ("renamed", _RENAMED),
)


def describe(was_active: bool, is_active: bool, changed: Iterable[str]) -> tuple[Action, str]:
    """The action and reason of a change to a record that stays in its source."""
    names = set(changed)
    if was_active and not is_active:
        return (
            Action.DEACTIVATE,
            "termination_date_passed"
            if "termination_date" in names and "asserted_active" not in names
            else "inactive_in_source",
        )
    if is_active and not was_active:
        if "present" in names:
            return Action.REACTIVATE, "returned_to_source"
        return Action.REACTIVATE, "active_in_source"
    for reason, fields in UPDATE_REASONS:
        if names & fields:
            return Action.UPDATE, reason
    return Action.UPDATE, "changed"
