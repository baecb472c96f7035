"""Blocks of a budget, without a database."""

from hypothesis import given
from hypothesis import strategies as st

from stoa.access.budget_rules import (
    CLIENT_PER_MINUTE,
    HIGHEST_PER_MINUTE,
    TENANT_PER_MINUTE,
    Block,
    block_of,
    seconds_left,
    window_at,
)

QUOTAS = st.integers(1, HIGHEST_PER_MINUTE)


@given(QUOTAS)
def test_a_block_is_a_seconds_worth_or_five_percent(quota: int) -> None:
    block = block_of(quota)
    assert 1 <= block <= quota
    assert block == 1 or block <= quota / 20
    assert block <= max(5, quota / 60)


def test_blocks_of_the_usual_quotas() -> None:
    assert [block_of(quota) for quota in (1, 60, 100, CLIENT_PER_MINUTE, TENANT_PER_MINUTE)] == [1, 3, 5, 20, 100]


@given(st.floats(0, 1e11))
def test_a_moment_lies_in_its_window_and_before_its_end(at: float) -> None:
    window = window_at(at)
    assert window * 60 <= at < (window + 1) * 60
    assert 1 <= seconds_left(window, at) <= 60


@given(QUOTAS, st.lists(st.tuples(st.integers(1, 3000), st.integers(0, 500)), max_size=60))
def test_no_more_is_let_through_than_was_granted_and_nothing_is_ever_negative(
    quota: int, steps: list[tuple[int, int]]
) -> None:
    block, granted, spent = Block(0, quota, 0, 0), 0, 0
    for cost, more in steps:
        if block.lets(cost) is None:
            grant = min(more, quota - granted)
            granted += grant
            block = block.refilled(0, quota, granted, grant)
        if block.lets(cost):
            spent += block.price(cost)
            block = block.spent(cost)
        standing = block.standing("client", 30.0)
        assert spent + block.held == granted <= quota
        assert 0 <= standing.remaining == quota - spent


@given(QUOTAS, st.integers(1, 2 * HIGHEST_PER_MINUTE))
def test_a_cost_above_the_quota_takes_the_whole_quota_once(quota: int, cost: int) -> None:
    full = Block(0, quota, quota, quota)
    assert full.lets(cost)
    assert full.spent(cost).held == quota - min(cost, quota)
    assert full.spent(quota).lets(cost) is False


def test_what_was_held_of_the_last_window_is_void_in_the_next() -> None:
    assert Block(7, 100, 40, 5).refilled(8, 100, 3, 3) == Block(8, 100, 3, 3)
    assert Block(7, 100, 40, 5).refilled(7, 100, 43, 3) == Block(7, 100, 43, 8)


def test_a_quota_that_was_lowered_leaves_nothing_and_no_less() -> None:
    lowered = Block(0, 10, 40, 0)
    assert lowered.remaining == 0
    assert lowered.lets(1) is False
