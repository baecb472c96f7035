"""The functional core of people: who is it, what is in force, and what follows from all assertions together.

`effective` and `resolve` are the definitions; the set-based SQL of `recompute`, `plan` and `bulk` must give the same,
which property tests hold.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from heapq import heappop, heappush
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


# ------------------------------------------------------------------ the resolver


@dataclass(frozen=True, slots=True)
class Candidate:
    """A person that shares an identifier with an assertion.

    linked_here: already has a present record in the asserting source.
    """

    person_id: PersonId
    employee_id_key: str | None
    email_key: str | None
    linked_here: bool


@dataclass(frozen=True, slots=True)
class LinkTo:
    """The assertion is about this person, by this rule."""

    person_id: PersonId
    rule: str


@dataclass(frozen=True, slots=True)
class CreateNew:
    """Nobody known: a person is made."""

    rule: str = "nobody_matches"


@dataclass(frozen=True, slots=True)
class Refuse:
    """It cannot be told who this is. Never guessed: queued for an admin."""

    rule: str
    detail: str
    candidates: tuple[PersonId, ...] = ()


Verdict = LinkTo | CreateNew | Refuse


def resolve(
    employee_id_key: str | None, email_key: str | None, email_proven: bool, candidates: Sequence[Candidate]
) -> Verdict:
    """Who a new record is about.

    By employee id first; then by e-mail, if its domain is proven to be the tenant's own; a user name never identifies
    across sources. A person who has a record in the same source already is not the one by e-mail (the source itself
    says that they are two), and by employee id it is a contradiction.
    """
    if employee_id_key is not None:
        same = [c for c in candidates if c.employee_id_key == employee_id_key]
        if len(same) > 1:
            return Refuse(
                "ambiguous_employee_id", f"{len(same)} people have this employee id.", tuple(c.person_id for c in same)
            )
        if same and same[0].linked_here:
            return Refuse(
                "employee_id_taken", "Another record of this source has the same employee id.", (same[0].person_id,)
            )
        if same:
            return LinkTo(same[0].person_id, "same_employee_id")
    if email_key is not None and email_proven:
        return _by_email(employee_id_key, [c for c in candidates if c.email_key == email_key and not c.linked_here])
    return CreateNew()


def _employee_id_taken(person_id: PersonId) -> Refuse:
    return Refuse("employee_id_taken", "Another record of this source has the same employee id.", (person_id,))


def _by_email(employee_id_key: str | None, same: Sequence[Candidate]) -> Verdict:
    ids = tuple(c.person_id for c in same)
    if len(same) > 1:
        return Refuse("ambiguous_email", f"{len(same)} people have this e-mail address.", ids)
    if not same:
        return CreateNew()
    known = same[0].employee_id_key
    if employee_id_key is not None and known is not None and known != employee_id_key:
        return Refuse("contradicting_employee_id", "The person with this e-mail address has another employee id.", ids)
    return LinkTo(same[0].person_id, "same_proven_email")


def domain_of(email_key: str | None) -> str | None:
    """The part behind the last `@` of a folded address, or None where there is none."""
    if email_key is None or "@" not in email_key:
        return None
    return email_key.rsplit("@", 1)[1]


@dataclass(frozen=True, slots=True)
class Arrival:
    """A new record as the resolver sees it. `own_id` is the person's id if one is made."""

    own_id: PersonId
    employee_id_key: str | None
    email_key: str | None


def resolve_in_order(
    arrivals: Sequence[Arrival], known: Sequence[Candidate], proven_domains: Container[str]
) -> list[Verdict]:
    """Who each of many new records of one source is about, as if they came one after the other.

    Whoever was refused is asked about again as soon as the doubt is gone, because the others have been told apart:
    else the same records would fare better the next time.

    known: every person who shares an identifier with one of the arrivals, before the first of them came.
    """
    asked = _Asked(_by_key(known, "employee_id_key"), _by_key(known, "email_key"), proven_domains)
    verdicts: dict[int, Verdict] = {}
    for index in range(len(arrivals)):
        due = [index]
        while due:
            now = heappop(due)
            verdicts[now] = asked.about(arrivals[now])
            for later in asked.note(now, arrivals[now], verdicts[now]):
                heappush(due, later)
    return [verdicts[index] for index in range(len(arrivals))]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What has come of the questions so far.

    Attributes:
        linked: of whom the source has a record by now; arrived: which of them by an employee id.
        doubts: how many persons stand between a refused arrival and its answer; waiting: for whom they wait.
    """

    by_employee_id: Mapping[str | None, Sequence[Candidate]]
    by_email: Mapping[str | None, Sequence[Candidate]]
    proven_domains: Container[str]
    linked: set[PersonId] = field(default_factory=set[PersonId])
    arrived: dict[str, PersonId] = field(default_factory=dict[str, PersonId])
    doubts: dict[int, int] = field(default_factory=dict[int, int])
    waiting: dict[PersonId, list[int]] = field(default_factory=dict[PersonId, list[int]])

    def about(self, arrival: Arrival) -> Verdict:
        employee_id, email = arrival.employee_id_key, arrival.email_key
        if employee_id is not None and employee_id in self.arrived:
            return _employee_id_taken(self.arrived[employee_id])
        found = {c.person_id: c for c in (*self.by_employee_id.get(employee_id, ()), *self.by_email.get(email, ()))}
        standing = [replace(c, linked_here=True) if c.person_id in self.linked else c for _, c in sorted(found.items())]
        return resolve(employee_id, email, (domain_of(email) or "") in self.proven_domains, standing)

    def note(self, index: int, arrival: Arrival, verdict: Verdict) -> list[int]:
        """Notes a verdict, and gives the refused arrivals about which the doubt is gone with it."""
        if isinstance(verdict, Refuse):
            if verdict.rule in _DOUBTS:
                self.doubts[index] = len(verdict.candidates) - _DOUBTS[verdict.rule]
                for person_id in verdict.candidates:
                    self.waiting.setdefault(person_id, []).append(index)
            return []
        person_id = verdict.person_id if isinstance(verdict, LinkTo) else arrival.own_id
        self.linked.add(person_id)
        if arrival.employee_id_key is not None:
            self.arrived[arrival.employee_id_key] = person_id
        cleared: list[int] = []
        for waiting in self.waiting.pop(person_id, ()):
            self.doubts[waiting] -= 1
            if self.doubts[waiting] == 0:
                cleared.append(waiting)
        return cleared


# Refusals that end when their candidates are told apart, and how many of these may be left then.
_DOUBTS: Mapping[str, int] = {"ambiguous_email": 1, "contradicting_employee_id": 0}


def _by_key(known: Sequence[Candidate], name: str) -> dict[str | None, list[Candidate]]:
    found: dict[str | None, list[Candidate]] = {}
    for candidate in known:
        key = candidate.employee_id_key if name == "employee_id_key" else candidate.email_key
        if key is not None:
            found.setdefault(key, []).append(candidate)
    return found


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
