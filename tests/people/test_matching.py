"""Who a new record is about: one by one, and many at once."""

from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoa.kernel.ids import PersonId
from stoa.people.matching import (
    Arrival,
    Candidate,
    ClaimBy,
    CreateNew,
    Identifiers,
    LinkTo,
    Refuse,
    Standing,
    Verdict,
    Word,
    domain_of,
    resolve,
    resolve_in_order,
)

ANN, BOB = PersonId(UUID(int=101)), PersonId(UUID(int=102))
NOTED = UUID(int=7)


def candidate(
    person: PersonId, employee_id: str | None, email: str | None, *, here: bool = False, claimed: str = ""
) -> Candidate:
    return Candidate(person, employee_id, email, here, frozenset(ClaimBy(by) for by in claimed.split()))


@pytest.mark.parametrize(
    ("employee_id", "email", "proven", "candidates", "rule"),
    [
        ("e1", None, False, [], "nobody_matches"),
        ("e1", None, False, [candidate(ANN, "e1", None)], "same_employee_id"),
        ("e1", None, False, [candidate(ANN, "e1", None), candidate(BOB, "e1", None)], "ambiguous_employee_id"),
        ("e1", None, False, [candidate(ANN, "e1", None, here=True)], "employee_id_taken"),
        (None, "a@x", True, [candidate(ANN, "e1", "a@x")], "same_proven_email"),
        (None, "a@x", False, [candidate(ANN, "e1", "a@x")], "nobody_matches"),
        (None, "a@x", True, [candidate(ANN, None, "a@x", here=True)], "nobody_matches"),
        (None, "a@x", True, [candidate(ANN, None, "a@x"), candidate(BOB, None, "a@x")], "ambiguous_email"),
        ("e1", "a@x", True, [candidate(ANN, "e2", "a@x")], "contradicting_employee_id"),
        ("e1", "a@x", True, [candidate(ANN, None, "a@x")], "same_proven_email"),
        ("e1", "a@x", True, [candidate(ANN, None, "a@x"), candidate(BOB, "e1", None)], "same_employee_id"),
        (None, None, False, [candidate(ANN, None, None, claimed="user_name")], "claimed_by_user_name"),
        (None, None, False, [candidate(ANN, None, None, claimed="email external_id")], "claimed_by_external_id"),
        (None, None, False, [candidate(ANN, None, None, claimed="user_name", here=True)], "nobody_matches"),
        # Two rules that name two people are as good as none.
        (
            *(None, None, False),
            [candidate(ANN, None, None, claimed="user_name"), candidate(BOB, None, None, claimed="email")],
            "ambiguous_claim",
        ),
        ("e1", None, False, [candidate(ANN, "e2", None, claimed="user_name")], "contradicting_employee_id"),
        # Stronger ground comes first, and is not given up for a weaker one.
        (
            *("e1", None, False),
            [candidate(ANN, "e1", None), candidate(BOB, None, None, claimed="user_name")],
            "same_employee_id",
        ),
        (
            *(None, "a@x", True),
            [candidate(ANN, None, "a@x"), candidate(BOB, None, "a@x", claimed="user_name")],
            "ambiguous_email",
        ),
    ],
)
def test_who_a_new_record_is_about(
    employee_id: str | None, email: str | None, proven: bool, candidates: list[Candidate], rule: str
) -> None:
    assert resolve(Identifiers(employee_id, email), proven, candidates).rule == rule


@pytest.mark.parametrize(
    ("word", "person", "verdict"),
    [
        (Word.PERSON, BOB, LinkTo(BOB, "decided_by_admin", NOTED)),
        (Word.PERSON, None, "decided_person_is_gone"),
        (Word.NEW, None, CreateNew("decided_new", NOTED)),
        (Word.IGNORE, None, "ignored_by_admin"),
        # What was only noted ends when the source is understood.
        (None, None, LinkTo(ANN, "same_employee_id", NOTED)),
    ],
)
def test_an_admins_word_comes_before_every_rule(
    word: Word | None, person: PersonId | None, verdict: Verdict | str
) -> None:
    found = resolve(Identifiers("e1"), False, [candidate(ANN, "e1", None)], Standing(NOTED, word, person))
    assert (found.rule if isinstance(found, Refuse) else found) == verdict


_ids = st.integers(1, 6).map(lambda n: PersonId(UUID(int=n)))
_people = st.lists(
    st.builds(
        candidate,
        _ids,
        st.sampled_from([None, "e1", "e2", "e3"]),
        st.sampled_from([None, "a@own", "b@own", "a@other", "own"]),
        here=st.booleans(),
    ),
    unique_by=lambda c: c.person_id,
    max_size=4,
)
_said = st.builds(
    Identifiers,
    st.sampled_from([None, "e1", "e2", "e3"]),
    st.sampled_from([None, "a@own", "b@own", "a@other", "own"]),
    st.sampled_from([None, "ann", "bob"]),
)
_words = st.one_of(
    *(st.none(),) * 4,
    st.builds(Standing, st.just(NOTED), st.just(Word.PERSON), _ids),
    st.builds(Standing, st.just(NOTED), st.sampled_from([Word.NEW, Word.IGNORE, None])),
)
_claims = st.dictionaries(
    st.one_of(
        st.tuples(st.just(ClaimBy.USER_NAME), st.sampled_from(["ann", "bob"])),
        st.tuples(st.just(ClaimBy.EMAIL), st.sampled_from(["a@own", "a@other"])),
    ),
    st.lists(_ids, min_size=1, max_size=2, unique=True),
    max_size=3,
)
Claimed = Mapping[tuple[ClaimBy, str], list[PersonId]]


class Sequentially:
    """Arrivals asked about one after the other; whoever was refused is asked about again after every answer."""

    def __init__(self, known: list[Candidate], claims: Claimed) -> None:
        self.standing = {c.person_id: c for c in known}
        self.claims = claims
        self.verdicts: dict[PersonId, Verdict] = {}

    def come(self, arrival: Arrival) -> Verdict:
        said = arrival.said
        found: list[Candidate] = []
        for c in sorted(self.standing.values(), key=lambda c: c.person_id):
            pairs = ((ClaimBy.USER_NAME, said.user_name_key), (ClaimBy.EMAIL, said.email_key))
            ways = {by for by, key in pairs if key is not None and c.person_id in self.claims.get((by, key), ())}
            shares = (said.employee_id_key is not None and c.employee_id_key == said.employee_id_key) or (
                said.email_key is not None and c.email_key == said.email_key
            )
            if shares or ways:
                found.append(replace(c, claimed_by=frozenset(ways)))
        verdict = resolve(said, domain_of(said.email_key) == "own", found, arrival.standing)
        self.verdicts[arrival.own_id] = verdict
        match verdict:
            case CreateNew():
                own_id = arrival.own_id
                self.standing[own_id] = Candidate(own_id, said.employee_id_key, said.email_key, linked_here=True)
            case LinkTo(person_id):
                # Whatever the ranking, an employee id that nobody else asserts becomes the person's.
                was = self.standing.get(person_id, Candidate(person_id, None, None, linked_here=True))
                known_id = was.employee_id_key or said.employee_id_key
                self.standing[person_id] = Candidate(person_id, known_id, was.email_key, linked_here=True)
            case Refuse():
                pass
        return verdict

    def ask(self, arrivals: list[Arrival]) -> list[Verdict]:
        for n, arrival in enumerate(arrivals):
            answered = not isinstance(self.come(arrival), Refuse)
            while answered:
                pending = [a for a in arrivals[: n + 1] if isinstance(self.verdicts[a.own_id], Refuse)]
                answered = any(not isinstance(self.come(a), Refuse) for a in pending)
        return [self.verdicts[a.own_id] for a in arrivals]


@given(_people, st.lists(st.tuples(_said, _words), max_size=6), _claims)
def test_many_are_resolved_as_if_they_came_one_after_the_other(
    known: list[Candidate], coming: list[tuple[Identifiers, Standing | None]], claims: Claimed
) -> None:
    arrivals = [Arrival(PersonId(UUID(int=100 + n)), *pair) for n, pair in enumerate(coming)]
    found = resolve_in_order(arrivals, known, {"own"}, claims)
    wanted = Sequentially(known, claims).ask(arrivals)
    assert [_told(verdict) for verdict in found] == [_told(verdict) for verdict in wanted]


def _told(verdict: Verdict) -> tuple[str, object]:
    # Asked again for another reason, a refusal may name its candidates anew; what counts is that it is one.
    return ("refused", None) if isinstance(verdict, Refuse) else (verdict.rule, verdict)


def test_a_refusal_ends_when_the_others_have_been_told_apart() -> None:
    known = [candidate(ANN, "e1", "a@own"), candidate(BOB, "e2", "a@own")]
    arrivals = [
        Arrival(PersonId(UUID(int=100)), Identifiers(None, "a@own")),
        Arrival(PersonId(UUID(int=101)), Identifiers("e2")),
    ]
    assert resolve_in_order(arrivals, known, {"own"}) == [
        LinkTo(ANN, "same_proven_email"),
        LinkTo(BOB, "same_employee_id"),
    ]


@pytest.mark.parametrize(
    ("email", "domain"), [(None, None), ("x", None), ("a@b", "b"), ("a@b@c", "c"), ("acme.example", None)]
)
def test_the_domain_of_an_address(email: str | None, domain: str | None) -> None:
    assert domain_of(email) == domain
