"""Who it is, what is in force, and what follows from all assertions together."""

from datetime import date
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoa.changes.model import Action
from stoa.kernel.ids import PersonId, SourceId
from stoa.people.fields import FIELDS, from_json, to_json
from stoa.people.model import Values
from stoa.people.rules import (
    Arrival,
    Candidate,
    CreateNew,
    Linked,
    LinkTo,
    Refuse,
    Verdict,
    describe,
    domain_of,
    due_changes,
    effective,
    in_force,
    resolve,
    resolve_in_order,
)

HR, IDP, CONSOLE = (SourceId(UUID(int=n)) for n in (1, 2, 3))
TODAY = date(2026, 3, 10)
ANN, BOB = PersonId(UUID(int=101)), PersonId(UUID(int=102))


def linked(source: SourceId, number: int, *, present: bool = True, active: bool = True, **values: str) -> Linked:
    return Linked(UUID(int=number), source, present, active, values)


@pytest.mark.parametrize(
    ("asserted", "hired", "ends", "active"),
    [
        (True, None, None, True),
        (False, None, None, False),
        (True, date(2026, 3, 10), None, True),
        (True, date(2026, 3, 11), None, False),
        (True, None, date(2026, 3, 10), True),
        (True, None, date(2026, 3, 9), False),
        (False, date(2020, 1, 1), None, False),
        (True, date(2026, 3, 10), date(2026, 3, 10), True),
    ],
)
def test_what_is_in_force(asserted: bool, hired: date | None, ends: date | None, active: bool) -> None:
    assert in_force(asserted, {"hire_date": hired, "termination_date": ends}, TODAY) is active


@pytest.mark.parametrize(
    ("asserted", "hired", "ends", "due"),
    [
        (True, None, None, []),
        (True, date(2026, 4, 1), None, [(date(2026, 4, 1), True)]),
        (True, TODAY, None, []),
        (True, None, TODAY, [(date(2026, 3, 11), False)]),
        (True, None, date(2026, 3, 9), []),
        (True, None, date.max, []),
        (True, date(2026, 4, 1), date(2026, 4, 2), [(date(2026, 4, 1), True), (date(2026, 4, 3), False)]),
        (True, date(2026, 4, 3), date(2026, 4, 2), [(date(2026, 4, 3), False)]),
        (False, date(2026, 4, 1), None, []),
    ],
)
def test_what_will_change_by_itself(
    asserted: bool, hired: date | None, ends: date | None, due: list[tuple[date, bool]]
) -> None:
    assert due_changes(asserted, {"hire_date": hired, "termination_date": ends}, TODAY) == due


def test_the_strongest_source_that_says_anything_wins_a_field() -> None:
    records = [linked(HR, 1, title="Engineer"), linked(IDP, 2, title="Boss", email="A@x.example")]
    found = effective(records, {"title": [IDP, HR], "email": [HR]})
    assert found.values["title"] == "Boss"
    assert found.values["email"] == "A@x.example"
    assert found.keys["email_key"] == "a@x.example"
    assert found.values["department"] is None


def test_unranked_sources_follow_the_ranked_in_the_order_of_their_ids() -> None:
    records = [linked(CONSOLE, 1, title="c"), linked(IDP, 2, title="b"), linked(HR, 3, title="a")]
    assert effective(records, {"title": [CONSOLE]}).values["title"] == "c"
    assert effective(records, {}).values["title"] == "a"


def test_within_a_source_a_present_record_wins_then_the_older_id() -> None:
    gone, there = linked(HR, 1, present=False, title="gone"), linked(HR, 2, title="there")
    assert effective([gone, there, linked(HR, 3, title="later")], {}).values["title"] == "there"


def test_a_held_value_counts_in_place_of_the_asserted() -> None:
    record = Linked(UUID(int=1), HR, True, True, {"title": "new"}, held={"title": "old", "active": False})
    found = effective([record], {})
    assert (found.values["title"], found.active) == ("old", False)
    emptied = Linked(UUID(int=1), HR, True, True, {"title": "new"}, held={"title": None})
    assert effective([emptied, linked(IDP, 2, title="other")], {}).values["title"] == "other"


@pytest.mark.parametrize(
    ("records", "counted", "active"),
    [
        ([(HR, True), (IDP, True)], [], True),
        ([(HR, True), (IDP, False)], [], False),
        ([(HR, True), (IDP, False)], [HR], True),
        ([(HR, False), (IDP, True)], [HR], False),
        ([(HR, False), (HR, True)], [], True),
        ([(IDP, True)], [HR], True),
        ([(IDP, False)], [HR], False),
        ([], [], False),
    ],
)
def test_the_strictest_counted_word_decides_on_access(
    records: list[tuple[SourceId, bool]], counted: list[SourceId], active: bool
) -> None:
    given_records = [linked(source, n, active=word) for n, (source, word) in enumerate(records)]
    assert effective(given_records, {"active": counted}).active is active


def test_the_manager_is_whom_the_strongest_source_knows() -> None:
    records = [
        Linked(UUID(int=1), HR, True, True, {}, None),
        Linked(UUID(int=2), IDP, True, True, {}, ANN),
        Linked(UUID(int=3), CONSOLE, True, True, {}, BOB),
    ]
    assert effective(records, {"manager_ref": [HR, IDP, CONSOLE]}).manager_id == ANN
    assert effective(records, {"manager_ref": [CONSOLE]}).manager_id == BOB


def candidate(person: PersonId, employee_id: str | None, email: str | None, *, here: bool = False) -> Candidate:
    return Candidate(person, employee_id, email, here)


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
    ],
)
def test_who_a_new_record_is_about(
    employee_id: str | None, email: str | None, proven: bool, candidates: list[Candidate], rule: str
) -> None:
    assert resolve(employee_id, email, proven, candidates).rule == rule


_people = st.lists(
    st.builds(
        Candidate,
        st.integers(1, 6).map(lambda n: PersonId(UUID(int=n))),
        st.sampled_from([None, "e1", "e2", "e3"]),
        st.sampled_from([None, "a@own", "b@own", "a@other", "own"]),
        st.booleans(),
    ),
    unique_by=lambda c: c.person_id,
    max_size=4,
)
_arrivals = st.lists(
    st.tuples(st.sampled_from([None, "e1", "e2", "e3"]), st.sampled_from([None, "a@own", "b@own", "a@other", "own"])),
    max_size=6,
)


class Sequentially:
    """Arrivals asked about one after the other; whoever was refused is asked about again after every answer."""

    def __init__(self, known: list[Candidate]) -> None:
        self.standing = {c.person_id: c for c in known}
        self.verdicts: dict[PersonId, Verdict] = {}

    def come(self, arrival: Arrival) -> Verdict:
        employee_id, email = arrival.employee_id_key, arrival.email_key
        sharing = [
            c
            for c in self.standing.values()
            if (employee_id is not None and c.employee_id_key == employee_id)
            or (email is not None and c.email_key == email)
        ]
        verdict = resolve(employee_id, email, domain_of(email) == "own", sorted(sharing, key=lambda c: c.person_id))
        self.verdicts[arrival.own_id] = verdict
        match verdict:
            case CreateNew():
                own_id = arrival.own_id
                self.standing[own_id] = Candidate(own_id, employee_id, email, linked_here=True)
            case LinkTo(person_id):
                # Whatever the ranking, an employee id that nobody else asserts becomes the person's.
                was = self.standing[person_id]
                known_id = was.employee_id_key or employee_id
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


@given(_people, _arrivals)
def test_many_are_resolved_as_if_they_came_one_after_the_other(
    known: list[Candidate], coming: list[tuple[str | None, str | None]]
) -> None:
    arrivals = [Arrival(PersonId(UUID(int=100 + n)), *pair) for n, pair in enumerate(coming)]
    found = resolve_in_order(arrivals, known, {"own"})
    wanted = Sequentially(known).ask(arrivals)
    assert [_told(verdict) for verdict in found] == [_told(verdict) for verdict in wanted]


def _told(verdict: Verdict) -> tuple[str, object]:
    # Asked again for another reason, a refusal may name its candidates anew; what counts is that it is one.
    return ("refused", None) if isinstance(verdict, Refuse) else (verdict.rule, verdict)


def test_a_refusal_ends_when_the_others_have_been_told_apart() -> None:
    known = [candidate(ANN, "e1", "a@own"), candidate(BOB, "e2", "a@own")]
    coming = [("own", None, "a@own"), ("other", "e2", None)]
    arrivals = [Arrival(PersonId(UUID(int=100 + n)), i, e) for n, (_, i, e) in enumerate(coming)]
    assert resolve_in_order(arrivals, known, {"own"}) == [
        LinkTo(ANN, "same_proven_email"),
        LinkTo(BOB, "same_employee_id"),
    ]


@pytest.mark.parametrize(
    ("was", "will", "changed", "action", "reason"),
    [
        (True, False, {"asserted_active"}, Action.DEACTIVATE, "inactive_in_source"),
        (True, False, {"termination_date"}, Action.DEACTIVATE, "termination_date_passed"),
        (True, False, {"termination_date", "asserted_active"}, Action.DEACTIVATE, "inactive_in_source"),
        (False, True, {"asserted_active"}, Action.REACTIVATE, "active_in_source"),
        (False, True, {"present", "title"}, Action.REACTIVATE, "returned_to_source"),
        (True, True, {"worker_type", "department"}, Action.UPDATE, "converted"),
        (True, True, {"department", "email"}, Action.UPDATE, "moved"),
        (False, False, {"manager_ref"}, Action.UPDATE, "moved"),
        (True, True, {"given_name", "phone"}, Action.UPDATE, "renamed"),
        (True, True, {"phone"}, Action.UPDATE, "changed"),
    ],
)
def test_how_a_change_is_named(was: bool, will: bool, changed: set[str], action: Action, reason: str) -> None:
    assert describe(was, will, changed) == (action, reason)


@pytest.mark.parametrize(
    ("email", "domain"), [(None, None), ("x", None), ("a@b", "b"), ("a@b@c", "c"), ("acme.example", None)]
)
def test_the_domain_of_an_address(email: str | None, domain: str | None) -> None:
    assert domain_of(email) == domain


def test_values_come_back_from_the_journal_as_they_were() -> None:
    values: Values = {"hire_date": TODAY, "title": "Boss", "manager_ref": "w1", "email": None}
    by_name = {f.name: f for f in FIELDS}
    assert {name: from_json(by_name[name], to_json(value)) for name, value in values.items()} == values
