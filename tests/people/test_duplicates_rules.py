"""What two people are compared by, and how much it says."""

from datetime import date
from uuid import UUID

import pytest

from stoa.people.duplicates_rules import (
    KINDS,
    SHOWN,
    WEIGHTS,
    Facts,
    comes_back,
    evidence_of,
    keys_of,
    name_words,
    score_of,
)
from stoa.people.duplicates_words import EVIDENCE

DAY = date(2020, 1, 1)


def shared(one: Facts, other: Facts) -> tuple[str, ...]:
    """What speaks for and against the two."""
    return evidence_of([kind for kind, _ in keys_of(one) & keys_of(other)], one, other)


@pytest.mark.parametrize(
    "other",
    [
        Facts(given_name="ada", family_name="BYRON"),
        Facts(given_name="Byron", family_name="Ada"),
        Facts(display_name="Byron, Ada"),
        Facts(display_name="Adá Býron"),
        Facts(given_name="Ada", family_name="Byron", display_name="Somebody else"),
    ],
)
def test_a_name_is_one_whatever_its_order_case_and_diacritics(other: Facts) -> None:
    assert sorted(name_words(other.given_name, other.family_name, other.display_name)) == ["ada", "byron"]


def test_umlauts_and_letters_of_other_alphabets_fold_to_their_base() -> None:
    for one, other in (("Jürgen Müller", "Juergen Mueller"), ("Søren Łukasz", "Soren Lukasz"), ("O'Neill", "ONeill")):
        assert name_words(None, None, one) == name_words(None, None, other)
    assert name_words(None, None, "محمد علي") == ["محمد", "علي"]
    assert name_words(None, None, "  ,; ") == []


def test_a_name_alone_says_nothing_and_with_something_beside_it_does() -> None:
    bare = Facts(display_name="Ada Byron")
    assert keys_of(bare) == set()
    assert shared(Facts(display_name="Ada Byron", hire_date=DAY), Facts(display_name="Byron Ada", hire_date=DAY)) == (
        "name_hire_date",
    )
    boss = UUID(int=7)
    assert shared(
        Facts(display_name="A. Byron", manager_id=boss), Facts(display_name="Ada Byron", manager_id=boss)
    ) == ("initials_manager",)
    # The whole name says what the initials would.
    one = Facts(display_name="Ada Byron", phone="+49 (30) 123 456 789", department="SALES")
    other = Facts(display_name="Ada Byron", phone="030/123456789", department="Sales ")
    assert shared(one, other) == ("name_phone", "name_department")
    assert shared(Facts(display_name="Ada Byron", phone="12"), Facts(display_name="Ada Byron", phone="12")) == ()


def test_an_address_of_the_past_and_one_as_a_user_name_count() -> None:
    now, was = Facts(emails=["ada@acme.example"]), Facts(emails=["x@acme.example"], past=["ada@acme.example"])
    assert shared(now, was) == ("address",)
    assert shared(now, Facts(user_names=["ada@acme.example"])) == ("address",)
    assert shared(now, now) == ("email",)
    assert score_of(shared(now, now)) > score_of(shared(now, was)) > SHOWN


def test_what_speaks_against_it_takes_a_part_away() -> None:
    source = frozenset({UUID(int=1)})
    one = Facts(employee_ids=["1"], emails=["a@x"], sources=source)
    other = Facts(employee_ids=["2"], emails=["a@x"], sources=source)
    assert shared(one, other) == ("email", "not_employee_id", "not_source")
    assert score_of(shared(one, other)) == 41
    assert shared(Facts(employee_ids=["1"]), Facts(employee_ids=["1"])) == ("employee_id",)


def test_each_kind_has_words_and_keys_fit_an_index() -> None:
    assert set(EVIDENCE) == set(KINDS)
    assert all(0 < weight < 1 for weight in WEIGHTS.values())
    long = Facts(display_name=f"{'x' * 3000} {'y' * 3000}", department="z" * 3000, user_names=["u" * 3000])
    assert all(len(key.encode()) < 500 for _, key in keys_of(long))
    assert keys_of(long) == keys_of(long)


def test_what_was_dismissed_comes_back_for_much_more_alone() -> None:
    assert not comes_back(55, ["name_hire_date"], 60, ["name_hire_date", "initials_manager"])
    assert comes_back(55, ["name_hire_date"], 70, ["name_hire_date", "user_name"])
    assert comes_back(80, ["email"], 90, ["email", "employee_id"])
    assert not comes_back(80, ["email"], 80, ["email"])
