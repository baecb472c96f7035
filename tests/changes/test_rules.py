"""What may follow what, and which changes are too many to be believed."""

from itertools import product

import pytest

from stoa.changes.model import Action, RunState
from stoa.changes.rules import DEFAULT_THRESHOLDS, FINISHED, TRANSITIONS, Threshold, sources_of, tripped


def test_every_state_has_its_transitions() -> None:
    assert set(TRANSITIONS) == set(RunState)
    for state, after in TRANSITIONS.items():
        assert all(str(state) in sources_of(then) for then in after)


def test_a_finished_run_stays_finished_but_for_its_undo() -> None:
    for state in FINISHED:
        assert TRANSITIONS[state] <= {RunState.UNDONE}
    assert sources_of(RunState.UNDONE) == ["applied"]


def test_every_other_state_can_end() -> None:
    for state in set(RunState) - FINISHED:
        seen = {state}
        while new := set().union(*(TRANSITIONS[s] for s in seen)) - seen:
            seen |= new
        assert seen & FINISHED


@pytest.mark.parametrize(
    ("n", "population", "held"),
    [
        (0, 1000, False),
        (5, 5, False),
        (6, 1000, False),
        (100, 1000, False),
        (101, 1000, True),
        (200, 100_000, False),
        (201, 100_000, True),
        (6, 6, True),
        (1000, 0, False),
    ],
)
def test_a_threshold(n: int, population: int, held: bool) -> None:
    reasons = tripped({"deactivate": n}, population, {Action.DEACTIVATE: Threshold(percent=10, absolute=200, floor=5)})
    assert [r.code for r in reasons] == (["deactivate_over_threshold"] if held else [])


def test_each_kind_of_change_is_judged_by_itself_and_says_what_it_found() -> None:
    reasons = tripped({"deactivate": 600, "update": 600, "create": 10}, 1000, DEFAULT_THRESHOLDS)
    assert [r.code for r in reasons] == ["deactivate_over_threshold", "update_over_threshold"]
    assert reasons[0].figures == {
        "action": "deactivate",
        "count": 600,
        "population": 1000,
        "percent": 60.0,
        "limit_percent": 10,
        "limit": 500,
    }
    assert "60.0 % of 1,000 records (limit 10 %)" in reasons[0].detail
    assert reasons[0].as_json().keys() == {"code", "detail", "hint", "figures"}


def test_every_action_has_a_threshold() -> None:
    assert set(DEFAULT_THRESHOLDS) == set(Action)
    for action, population in product(Action, (10, 1_000_000)):
        assert tripped({str(action): DEFAULT_THRESHOLDS[action].floor}, population, DEFAULT_THRESHOLDS) == []
