"""A feed that no longer looks like the mapping, or like the last one."""

import polars as pl
import pytest

from stoa.sync.contract import admit
from stoa.sync.drift import DriftLimits, profile_of
from stoa.sync.model import Drift, Profile, Severity
from tests.sync.feed_cases import FIELDS, MAPPING, TINY, frame, judge, row


def many(number: int = 20, **cells: str | None) -> pl.DataFrame:
    return frame(*(row(n, **cells) for n in range(number)))


def drift_of(feed: pl.DataFrame, before: pl.DataFrame | None, limits: DriftLimits = TINY) -> list[Drift]:
    previous = None if before is None else profile_of(before)
    return list(admit(feed, MAPPING, FIELDS, previous=previous, limits=limits).drift)


def test_the_same_feed_again_is_no_drift() -> None:
    assert drift_of(many(), many()) == []


def test_a_first_feed_is_no_drift() -> None:
    assert drift_of(many(), None) == []


def test_a_renamed_key_is_guessed_and_blocks() -> None:
    feed = many().rename({"ID": "Id_"})
    admitted = admit(feed, MAPPING, FIELDS, previous=profile_of(many()))
    missing, new = admitted.drift
    assert (missing.code, missing.column, missing.severity) == ("required_column_missing", "ID", Severity.HOLD)
    assert missing.detail == "The required column ID is missing; Id_ is new: was it renamed?"
    assert (new.code, new.column, new.severity) == ("column_unclassified", "Id_", Severity.WARN)
    assert admitted.blocked
    assert admitted.kept_ids == frozenset()


def test_a_rename_is_guessed_by_likeness_of_the_values_too() -> None:
    before, after = many(Email="a@b.cc"), many(Email="a@b.cc").rename({"Email": "Mail"})
    found = drift_of(after, before)[0]
    assert (found.code, found.severity) == ("column_emptied", Severity.HOLD)
    assert "Mail is new: was it renamed?" in found.detail


def test_an_unlike_column_is_no_guess() -> None:
    found = drift_of(many().rename({"Active": "Shoe_Size"}), None)[0]
    assert found.detail == "The required column Active is missing."


def test_a_column_that_is_suddenly_empty_holds() -> None:
    (found,) = drift_of(many(First=" "), many())
    assert (found.code, found.column, found.severity) == ("column_emptied", "First", Severity.HOLD)
    assert "filled in 100 % of the rows and now is in 0 %" in found.detail


def test_an_optional_column_that_was_filled_and_is_missing_holds() -> None:
    (found,) = drift_of(many().drop("First"), many())
    assert (found.code, found.severity) == ("column_emptied", Severity.HOLD)


def test_an_optional_column_that_never_was_there_is_told_once() -> None:
    (found,) = drift_of(many().drop("First"), None)
    assert (found.code, found.severity) == ("column_missing", Severity.WARN)
    assert drift_of(many().drop("First"), many().drop("First")) == []


def test_a_column_of_few_values_may_empty() -> None:
    before = frame(*(row(n, First="Ada" if n < 4 else None) for n in range(20)))
    assert drift_of(many(First=None), before) == []


def test_a_column_that_empties_by_half_is_no_drift() -> None:
    after = frame(*(row(n, First="Ada" if n % 2 else None) for n in range(20)))
    assert drift_of(after, many()) == []


def test_a_new_column_is_told_and_holds_nothing() -> None:
    (found,) = drift_of(many(Shoe_Size="44"), many())
    assert (found.code, found.column, found.severity) == ("column_unclassified", "Shoe_Size", Severity.WARN)
    assert "a new column Shoe_Size, which the mapping does not know" in found.detail


def test_an_ignored_column_may_come_and_go() -> None:
    assert drift_of(many(WID="x"), many()) == drift_of(many(), many(WID="x")) == []


@pytest.mark.parametrize(("rows", "told"), [(10, True), (14, True), (15, False), (30, False)])
def test_a_feed_that_lost_many_rows_is_told(rows: int, told: bool) -> None:
    assert [drift.code for drift in drift_of(many(rows), many(20))] == ["rows_dropped"] * told


@pytest.mark.parametrize(("bad", "held"), [(4, False), (5, False), (6, True)])
def test_many_rows_set_aside_hold_the_run(bad: int, held: bool) -> None:
    feed = frame(*(row(n, Hired="?" if n < bad else None) for n in range(50)))
    admitted = admit(feed, MAPPING, FIELDS)
    assert [drift.code for drift in admitted.drift] == ["many_quarantined"] * held
    assert admitted.held is held
    assert not admitted.blocked


def test_a_feed_of_which_no_row_is_accepted_holds_the_run() -> None:
    admitted = judge(row(1, Hired="?"))
    assert [drift.code for drift in admitted.drift] == ["none_admitted"]
    assert admitted.held


def test_a_profile_holds_shapes_and_no_values() -> None:
    profile = profile_of(
        pl.DataFrame({"a": ["Ada-12", "Eve-7", " ", None], "b": ["é\u202e1", None, None, None], "c": [""] * 4})
    )
    assert profile.rows == 4
    assert (profile.columns["a"].filled, profile.columns["a"].shape) == (0.5, "a-9")
    assert profile.columns["b"].shape == "a?9"
    assert (profile.columns["c"].filled, profile.columns["c"].shape) == (0.0, None)


def test_nothing_is_compared_with_an_empty_feed() -> None:
    previous = Profile(0, {})
    assert admit(many(), MAPPING, FIELDS, previous=previous, limits=TINY).held is False
