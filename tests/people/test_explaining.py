"""Who won and why agrees with what is in force, for any assertions, rankings and holds."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoa.kernel.ids import PersonId, SourceId
from stoa.people.explaining import MANAGER, AccessWhy, Stance, Why, explain, explain_access
from stoa.people.fields import BY_NAME as FIELDS
from stoa.people.fields import PERSON_FIELDS, FieldType, Value
from stoa.people.rules import Linked, effective, in_force

TODAY = date(2026, 3, 10)
HR, IDP, CONSOLE = (SourceId(UUID(int=n)) for n in (1, 2, 3))
SOURCES = (HR, IDP, CONSOLE)
PEOPLE = tuple(PersonId(UUID(int=100 + n)) for n in range(2))


def values_of(name: str) -> st.SearchStrategy[Value]:
    if FIELDS[name].type is FieldType.DATE:
        return st.sampled_from([None, TODAY - timedelta(1), TODAY, TODAY + timedelta(1)])
    return st.sampled_from([None, "a", "b", ""])


SOME = ("title", "email", "hire_date", "termination_date", MANAGER)
assertions = st.fixed_dictionaries({name: values_of(name) for name in SOME})
holds = st.fixed_dictionaries(
    {}, optional={name: values_of(name) for name in ("title", MANAGER)} | {"active": st.booleans()}
)


@st.composite
def people(draw: st.DrawFn) -> list[tuple[Linked, bool]]:
    found: list[tuple[Linked, bool]] = []
    for n in range(draw(st.integers(0, 5))):
        values, asserted, present = draw(assertions), draw(st.booleans()), draw(st.booleans())
        active = present and (in_force(asserted, values, TODAY) if draw(st.integers(0, 4)) else draw(st.booleans()))
        manager = draw(st.sampled_from([None, *PEOPLE]))
        record = Linked(UUID(int=n), draw(st.sampled_from(SOURCES)), present, active, values, manager, draw(holds))
        found.append((record, asserted))
    return found


rankings = st.fixed_dictionaries(
    {}, optional={name: st.permutations(SOURCES).map(lambda s: s[:2]) for name in (*SOME, "active")}
)


@given(people(), rankings)
def test_what_is_explained_is_what_is_in_force(person: list[tuple[Linked, bool]], ranking: dict[str, Any]) -> None:
    records = [record for record, _ in person]
    wanted, found = effective(records, ranking), explain(records, ranking)
    assert {name: found[name].value for name in PERSON_FIELDS} == wanted.values
    assert found[MANAGER].value == wanted.manager_id
    for one in found.values():
        winner = one.winner
        assert (winner is None) == (one.value is None) == (one.why is Why.NOBODY)
        assert winner is None or winner.value == one.value
        assert [word.wins for word in one.words].count(True) <= 1
        said = [word for word in one.words if word.value is not None]
        assert (len(said) == 1) == (one.why is Why.ONLY)
        assert all(word.differs == (word.value != one.value) for word in one.words)


@given(people(), rankings)
def test_why_there_is_access_agrees_with_whether_there_is(
    person: list[tuple[Linked, bool]], ranking: dict[str, Any]
) -> None:
    records, counted = [record for record, _ in person], ranking.get("active", ())
    found = explain_access(records, counted, {record.resource_id: said for record, said in person}, TODAY)
    assert found.active is effective(records, ranking).active
    assert found.active == (found.why is AccessWhy.ALL_ACTIVE)
    assert any(word.decides for word in found.words) == (found.why is AccessWhy.REFUSED)
    for word in found.words:
        assert not word.decides or (word.counts and not word.active)
        assert word.active or word.stance is not Stance.ACTIVE
        assert not word.active or word.stance in {Stance.ACTIVE, Stance.HELD, Stance.PENDING}


def said(source: SourceId, number: int, present: bool = True, **values: Value) -> Linked:
    return Linked(UUID(int=number), source, present, present, values)


@pytest.mark.parametrize(
    ("records", "why"),
    [
        ([], Why.NOBODY),
        ([said(HR, 1, title="a")], Why.ONLY),
        ([said(HR, 1, title="a"), said(IDP, 2)], Why.ONLY),
        ([said(HR, 1, title="a"), said(IDP, 2, title="a")], Why.AGREED),
        ([said(HR, 1, title="a"), said(IDP, 2, title="b")], Why.RANKED),
        ([said(HR, 1, title="a"), said(CONSOLE, 2, title="b")], Why.UNRANKED),
        ([said(IDP, 1, False, title="a"), said(IDP, 2, title="b")], Why.PRESENT),
        ([said(IDP, 1, title="a"), said(IDP, 2, title="b")], Why.FIRST),
    ],
)
def test_the_rule_by_which_a_word_won(records: list[Linked], why: Why) -> None:
    assert explain(records, {"title": [IDP]})["title"].why is why


def test_a_held_value_is_told_beside_what_is_asserted() -> None:
    record = Linked(UUID(int=1), HR, True, True, {"title": "new"}, held={"title": "old"})
    (word,) = explain([record], {})["title"].words
    assert (word.value, word.asserted, word.held, word.rank) == ("old", "new", True, None)


@pytest.mark.parametrize(
    ("asserted", "present", "values", "stance", "on"),
    [
        (True, True, {}, Stance.ACTIVE, None),
        (False, True, {}, Stance.INACTIVE, None),
        (False, False, {}, Stance.GONE, None),
        (True, True, {"termination_date": date(2026, 3, 9)}, Stance.ENDED, date(2026, 3, 9)),
        (True, True, {"hire_date": date(2026, 3, 11)}, Stance.NOT_STARTED, date(2026, 3, 11)),
    ],
)
def test_why_a_record_says_no(
    asserted: bool, present: bool, values: dict[str, Value], stance: Stance, on: date | None
) -> None:
    active = present and in_force(asserted, values, TODAY)
    record = Linked(UUID(int=1), HR, present, active, values)
    (word,) = explain_access([record], (), {record.resource_id: asserted}, TODAY).words
    assert (word.stance, word.on, word.active) == (stance, on, active)


def test_the_source_that_decides_comes_first_and_a_word_that_does_not_count_decides_nothing() -> None:
    yes, no = said(HR, 1), Linked(UUID(int=2), IDP, True, False, {})
    found = explain_access([yes, no], (), {}, TODAY)
    assert [(word.source_id, word.decides) for word in found.words] == [(IDP, True), (HR, False)]
    unheard = explain_access([yes, no], (HR,), {}, TODAY)
    assert [(word.source_id, word.counts, word.decides) for word in unheard.words] == [
        (HR, True, False),
        (IDP, False, False),
    ]
