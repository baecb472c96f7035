"""A form does not undo what somebody else saved while it was open."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoa.kernel.stamps import ChangedMeanwhile, refuse_stale, stamp_of

VALUES = st.dictionaries(
    st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=8),
    st.none() | st.integers(-9, 9) | st.text(max_size=5) | st.lists(st.text(max_size=3), max_size=2),
    max_size=5,
)


@given(VALUES, VALUES)
def test_while_nobody_else_saves_everything_can_be_changed(
    stored: dict[str, object], given_: dict[str, object]
) -> None:
    refuse_stale(stamp_of(stored), stored, given_)


@given(VALUES, VALUES, VALUES)
def test_what_would_undo_anothers_change_is_refused(
    shown: dict[str, object], now: dict[str, object], given_: dict[str, object]
) -> None:
    undone = {
        name
        for name in {*shown, *now, *given_}
        if shown.get(name) != now.get(name) and now.get(name) != given_.get(name)
    }
    if not shown or not undone:
        return
    with pytest.raises(ChangedMeanwhile) as refused:
        refuse_stale(stamp_of(shown), now, given_)
    assert refused.value.fields == undone
    assert refused.value.status == 409


def test_the_same_change_by_two_people_is_no_conflict() -> None:
    refuse_stale(stamp_of({"name": "A"}), {"name": "B"}, {"name": "B"})


@pytest.mark.parametrize("stamp", [None, ""])
def test_a_form_without_a_stamp_is_taken(stamp: str | None) -> None:
    refuse_stale(stamp, {"name": "B"}, {"name": "C"})


@pytest.mark.parametrize("stamp", ["x", "-", ".", "name-", "name-zzz", "name", "\0", "é" * 9_000])
def test_a_stamp_that_was_made_up_is_an_old_one(stamp: str) -> None:
    with pytest.raises(ChangedMeanwhile):
        refuse_stale(stamp, {"name": "B"}, {"name": "C"})


def test_a_stamp_holds_no_value() -> None:
    assert "secret" not in stamp_of({"name": "secret"})
