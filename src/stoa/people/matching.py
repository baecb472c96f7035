"""Who is it: the functional core of the resolver.

`resolve` is the definition for one record; `resolve_in_order` asks it about many, as if they came one after the other.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from heapq import heappop, heappush
from typing import Final, assert_never
from uuid import UUID

from stoa.kernel.ids import PersonId


class ClaimBy(StrEnum):
    """By what a source recognises people who came by another one, in the order in which a reason names them."""

    EXTERNAL_ID = "external_id"
    USER_NAME = "user_name"
    EMAIL = "email"


class Word(StrEnum):
    """What an admin says of a subject that a source could not tell."""

    PERSON = "person"
    NEW = "new"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class Identifiers:
    """By what a new record may be told, folded where they are. None for what it does not say.

    external_id: as its source calls it: the client's own id, or the key of a report's row.
    """

    employee_id_key: str | None = None
    email_key: str | None = None
    user_name_key: str | None = None
    external_id: str | None = None

    @property
    def all_keys(self) -> frozenset[str]:
        """Those there are, without their kinds."""
        keys = (self.employee_id_key, self.email_key, self.user_name_key, self.external_id)
        return frozenset(key for key in keys if key is not None)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A person that shares an identifier with an assertion, or whom a claim rule names.

    Attributes:
        linked_here: already has a present record in the asserting source.
        claimed_by: the claim rules by which the person is recognised; none where it is another identifier.
    """

    person_id: PersonId
    employee_id_key: str | None
    email_key: str | None
    linked_here: bool
    claimed_by: frozenset[ClaimBy] = frozenset()


@dataclass(frozen=True, slots=True)
class Standing:
    """What is noted already of the subject that a record is about. person_id: of the word PERSON."""

    decision_id: UUID
    word: Word | None = None
    person_id: PersonId | None = None


@dataclass(frozen=True, slots=True)
class LinkTo:
    """The assertion is about this person, by this rule. decision_id: what is noted of the subject, and ends with it."""

    person_id: PersonId
    rule: str
    decision_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class CreateNew:
    """Nobody known: a person is made. decision_id: as of LinkTo."""

    rule: str = "nobody_matches"
    decision_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Refuse:
    """It cannot be told who this is. Never guessed: queued for an admin."""

    rule: str
    detail: str
    candidates: tuple[PersonId, ...] = ()


Verdict = LinkTo | CreateNew | Refuse

# Rules by which an admin's word was followed. Plans that say so are looked at again before they are applied.
DECIDED_PERSON: Final = "decided_by_admin"
DECIDED_NEW: Final = "decided_new"
IGNORED: Final = "ignored_by_admin"


def resolve(
    said: Identifiers,
    email_proven: bool,
    candidates: Sequence[Candidate],
    standing: Standing | None = None,
) -> Verdict:
    """Who a new record is about.

    In this order: an admin's word of it; the employee id; the e-mail, if its domain is proven to be the tenant's own;
    the source's claim rules. Without one, a user name never identifies across sources. A person who has a record in the
    same source already is not the one by e-mail or claim (the source itself says that they are two), and by employee id
    it is a contradiction.
    """
    if standing is not None and standing.word is not None:
        return _decided(standing)
    verdict = _found(said, email_proven, candidates)
    if standing is None or isinstance(verdict, Refuse):
        return verdict
    return replace(verdict, decision_id=standing.decision_id)


def _decided(standing: Standing) -> Verdict:
    match standing.word:
        case Word.PERSON if standing.person_id is not None:
            return LinkTo(standing.person_id, DECIDED_PERSON, standing.decision_id)
        case Word.PERSON:
            return Refuse("decided_person_is_gone", "The person whom an admin chose for it is not there any more.")
        case Word.NEW:
            return CreateNew(DECIDED_NEW, standing.decision_id)
        case Word.IGNORE:
            return Refuse(IGNORED, "An admin of the tenant decided that this user is not let in.")
        case None:
            raise AssertionError("only asked where there is a word")
        case _:
            assert_never(standing.word)


def _found(said: Identifiers, email_proven: bool, candidates: Sequence[Candidate]) -> Verdict:
    employee_id = said.employee_id_key
    if employee_id is not None:
        same = [c for c in candidates if c.employee_id_key == employee_id]
        if len(same) > 1:
            detail = f"{len(same)} people have this employee id."
            return Refuse("ambiguous_employee_id", detail, tuple(c.person_id for c in same))
        if same and same[0].linked_here:
            return _employee_id_taken(same[0].person_id)
        if same:
            return LinkTo(same[0].person_id, "same_employee_id")
    free = [c for c in candidates if not c.linked_here]
    if said.email_key is not None and email_proven:
        by_email = _only_one([c for c in free if c.email_key == said.email_key], employee_id, _BY_EMAIL)
        if by_email is not None:
            return by_email
    return _only_one([c for c in free if c.claimed_by], employee_id, _BY_CLAIM) or CreateNew()


def _employee_id_taken(person_id: PersonId) -> Refuse:
    return Refuse("employee_id_taken", "Another record of this source has the same employee id.", (person_id,))


@dataclass(frozen=True, slots=True)
class _Ground:
    ambiguous: str
    several: str
    other_id: str


_BY_EMAIL: Final = _Ground(
    "ambiguous_email",
    "{n} people have this e-mail address.",
    "The person with this e-mail address has another employee id.",
)
_BY_CLAIM: Final = _Ground(
    "ambiguous_claim",
    "By the rules of this source, {n} people of other sources may be meant.",
    "The person whom a rule of this source names has another employee id.",
)


def _only_one(same: Sequence[Candidate], employee_id_key: str | None, ground: _Ground) -> Verdict | None:
    """The verdict about people of one ground; None where there is nobody."""
    if not same:
        return None
    if len(same) > 1:
        detail = ground.several.format(n=len(same))
        return Refuse(ground.ambiguous, detail, tuple(c.person_id for c in same))
    known = same[0].employee_id_key
    if employee_id_key is not None and known is not None and known != employee_id_key:
        return Refuse("contradicting_employee_id", ground.other_id, (same[0].person_id,))
    rule = "same_proven_email"
    if ground is _BY_CLAIM:
        rule = f"claimed_by_{next(by for by in ClaimBy if by in same[0].claimed_by)}"
    return LinkTo(same[0].person_id, rule)


def domain_of(email_key: str | None) -> str | None:
    """The part behind the last `@` of a folded address, or None where there is none."""
    if email_key is None or "@" not in email_key:
        return None
    return email_key.rsplit("@", 1)[1]


# ------------------------------------------------------------------ many


@dataclass(frozen=True, slots=True)
class Arrival:
    """A new record as the resolver sees it. `own_id` is the person's id if one is made."""

    own_id: PersonId
    said: Identifiers
    standing: Standing | None = None


# By what, and of which value, people are recognised by the source's claim rules: those who are.
Claims = Mapping[tuple[ClaimBy, str], Sequence[PersonId]]


def resolve_in_order(
    arrivals: Sequence[Arrival],
    known: Sequence[Candidate],
    proven_domains: Container[str],
    claims: Claims | None = None,
) -> list[Verdict]:
    """Who each of many new records of one source is about, as if they came one after the other.

    Whoever was refused is asked about again as soon as the doubt is gone, because the others have been told apart:
    else the same records would fare better the next time.

    known: every person who shares an identifier with one of the arrivals, or whom `claims` names, before the first of
        them came.
    """
    asked = _Asked(
        _by_key(known, "employee_id_key"),
        _by_key(known, "email_key"),
        {c.person_id: c for c in known},
        proven_domains,
        claims or {},
    )
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
        linked: of whom the source has a record by now; arrived: which of them by an employee id; employee_ids: theirs.
        doubts: how many persons stand between a refused arrival and its answer; waiting: for whom they wait.
    """

    by_employee_id: Mapping[str | None, Sequence[Candidate]]
    by_email: Mapping[str | None, Sequence[Candidate]]
    by_id: Mapping[PersonId, Candidate]
    proven_domains: Container[str]
    claims: Claims
    linked: set[PersonId] = field(default_factory=set[PersonId])
    arrived: dict[str, PersonId] = field(default_factory=dict[str, PersonId])
    employee_ids: dict[PersonId, str] = field(default_factory=dict[PersonId, str])
    doubts: dict[int, int] = field(default_factory=dict[int, int])
    waiting: dict[PersonId, list[int]] = field(default_factory=dict[PersonId, list[int]])

    def about(self, arrival: Arrival) -> Verdict:
        said, standing = arrival.said, arrival.standing
        employee_id, email = said.employee_id_key, said.email_key
        decided = standing is not None and standing.word is not None
        if employee_id is not None and employee_id in self.arrived and not decided:
            return _employee_id_taken(self.arrived[employee_id])
        found = {c.person_id: c for c in (*self.by_employee_id.get(employee_id, ()), *self.by_email.get(email, ()))}
        for person_id, ways in self._claimed(said).items():
            if person_id in self.by_id:
                found[person_id] = replace(self.by_id[person_id], claimed_by=frozenset(ways))
        people = [replace(c, linked_here=True) if c.person_id in self.linked else c for _, c in sorted(found.items())]
        return resolve(said, (domain_of(email) or "") in self.proven_domains, people, standing)

    def _claimed(self, said: Identifiers) -> dict[PersonId, set[ClaimBy]]:
        claimed: dict[PersonId, set[ClaimBy]] = {}
        for by, value in keys_by_claim(said):
            for person_id in self.claims.get((by, value), ()):
                claimed.setdefault(person_id, set()).add(by)
        return claimed

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
        said = arrival.said.employee_id_key
        # Whom an admin chose may have another employee id, which stays.
        if said is not None and self.employee_ids.setdefault(person_id, self._known_id(person_id) or said) == said:
            self.arrived[said] = person_id
        cleared: list[int] = []
        for waiting in self.waiting.pop(person_id, ()):
            self.doubts[waiting] -= 1
            if self.doubts[waiting] == 0:
                cleared.append(waiting)
        return cleared

    def _known_id(self, person_id: PersonId) -> str | None:
        known = self.by_id.get(person_id)
        return None if known is None else known.employee_id_key


# Refusals that end when their candidates are told apart, and how many of these may be left then.
_DOUBTS: Mapping[str, int] = {"ambiguous_email": 1, "ambiguous_claim": 1, "contradicting_employee_id": 0}


def keys_by_claim(said: Identifiers) -> Iterable[tuple[ClaimBy, str]]:
    """The values of a record by which claim rules may name people."""
    values = (
        (ClaimBy.EXTERNAL_ID, said.external_id),
        (ClaimBy.USER_NAME, said.user_name_key),
        (ClaimBy.EMAIL, said.email_key),
    )
    return [(by, value) for by, value in values if value is not None]


def _by_key(known: Sequence[Candidate], name: str) -> dict[str | None, list[Candidate]]:
    found: dict[str | None, list[Candidate]] = {}
    for candidate in known:
        key = candidate.employee_id_key if name == "employee_id_key" else candidate.email_key
        if key is not None:
            found.setdefault(key, []).append(candidate)
    return found
