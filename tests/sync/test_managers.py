"""Circles of references."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from stoa.sync.managers import cycles


def found(above: dict[str, str | None]) -> list[tuple[str, ...]]:
    return cycles(pl.Series(list(above), dtype=pl.String), pl.Series(list(above.values()), dtype=pl.String))


def test_a_tree_has_none() -> None:
    assert found({}) == []
    assert found({"a": None, "b": "a", "c": "b", "d": "gone"}) == []


def test_circles_start_with_their_least_and_follow_the_references() -> None:
    assert found({"c": "b", "b": "a", "a": "c", "z": "z", "d": "c"}) == [("a", "c", "b"), ("z",)]


def test_a_circle_of_all() -> None:
    above = {f"{n:05}": f"{(n + 1) % 30_000:05}" for n in range(30_000)}
    (circle,) = found(above)
    assert circle == tuple(above)


@given(
    st.dictionaries(st.sampled_from("abcdefghij"), st.one_of(st.none(), st.sampled_from("abcdefghijXY")), max_size=10)
)
def test_the_same_as_walking_from_everybody(above: dict[str, str | None]) -> None:
    walked: set[frozenset[str]] = set()
    for start in above:
        way = [start]
        while (step := above.get(way[-1])) is not None and step in above and step not in way:
            way.append(step)
        if step is not None and step in way:
            walked.add(frozenset(way[way.index(step) :]))
    assert {frozenset(circle) for circle in found(above)} == walked
