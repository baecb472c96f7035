# Polars' signatures name types of NumPy, which is not installed.
# pyright: reportUnknownMemberType=false
"""Circles in a tree of references, found by column: no recursion, and time that does not grow with the tree's depth."""

import polars as pl


def cycles(ids: pl.Series, managers: pl.Series) -> list[tuple[str, ...]]:
    """The circles among records of which each names at most one other.

    ids: distinct keys, no null. managers: for each, the key it refers to, or null; keys that are not in `ids` lead
    nowhere. Each circle starts with its least key and follows the references; circles are in the order of these keys.
    A record that refers to itself is a circle of one. Records that only lead into a circle are not in it.
    """
    places = pl.DataFrame({"id": ids, "place": pl.int_range(len(ids), eager=True, dtype=pl.UInt32)})
    named = pl.DataFrame({"id": managers})
    above = named.join(places, on="id", how="left", maintain_order="left").get_column("place")
    on_a_circle = _end_of_ways(above)
    names: list[str] = ids.gather(on_a_circle).to_list()
    name_at = dict(zip(on_a_circle.to_list(), names, strict=True))
    next_of = dict(zip(names, (name_at[place] for place in above.gather(on_a_circle).to_list()), strict=True))
    return _walked(next_of)


def _end_of_ways(above: pl.Series) -> pl.Series:
    """The places on circles: what is reached after at least as many steps as there are records, doubling each time."""
    reached, steps = above, 1
    while steps <= len(above) and reached.null_count() < len(above):
        reached, steps = reached.gather(reached), steps * 2
    return reached.drop_nulls().unique()


def _walked(next_of: dict[str, str]) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    left = dict(next_of)
    for start in sorted(next_of):
        circle: list[str] = []
        at = start
        while at in left:
            circle.append(at)
            at = left.pop(at)
        if circle:
            found.append(tuple(circle))
    return found
