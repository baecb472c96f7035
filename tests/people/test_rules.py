"""Who it is, what is in force, and what follows from all assertions together."""

from datetime import date
from uuid import UUID

import pytest

from stoa.changes.model import Action
from stoa.kernel.ids import PersonId, SourceId
from stoa.people.fields import FIELDS, from_json, to_json
from stoa.people.model import Values
from stoa.people.rules import Linked, describe, due_changes, effective, in_force

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


def test_values_come_back_from_the_journal_as_they_were() -> None:
    values: Values = {"hire_date": TODAY, "title": "Boss", "manager_ref": "w1", "email": None}
    by_name = {f.name: f for f in FIELDS}
    assert {name: from_json(by_name[name], to_json(value)) for name, value in values.items()} == values
