"""Where the next page of a list begins, as text."""

import base64
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoa.kernel.cursors import (
    BadCursor,
    Mark,
    Position,
    decode_cursor,
    encode_cursor,
    id_mark,
    mark_of,
    moment_mark,
    number_mark,
    read_position,
    text_mark,
)

PARTS = st.one_of(
    st.none(),
    st.text(st.characters(exclude_categories=("Cs",)), max_size=40),
    st.integers(min_value=-(2**63), max_value=2**63 - 1),
)
POSITIONS = st.lists(PARTS, max_size=5).map(tuple)
SCOPES = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
SOME = encode_cursor("people\0acme", ("Ada", 7, None))


def made(scope: str, body: bytes) -> str:
    """A cursor as another version of Stoa may have made it."""
    digest = hashlib.blake2b(scope.encode() + b"\0" + body, digest_size=9).digest()
    return base64.urlsafe_b64encode(digest + body).decode().rstrip("=")


@given(SCOPES, POSITIONS)
def test_a_cursor_means_the_position_it_was_made_of(scope: str, position: Position) -> None:
    cursor = encode_cursor(scope, position)
    assert decode_cursor(cursor, scope) == position
    assert set(cursor) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(SCOPES, SCOPES, POSITIONS)
def test_a_cursor_of_another_scope_is_refused(scope: str, other: str, position: Position) -> None:
    if scope == other:
        other += "x"
    with pytest.raises(BadCursor):
        decode_cursor(encode_cursor(scope, position), other)


@given(st.text(max_size=200))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(BadCursor):
        decode_cursor(text, "people")


@given(st.integers(min_value=0, max_value=len(SOME) - 2), st.characters())
def test_a_damaged_cursor_is_refused(place: int, letter: str) -> None:
    damaged = SOME[:place] + letter + SOME[place + 1 :]
    if damaged.replace("+", "-").replace("/", "_") == SOME:
        damaged = SOME[:place] + SOME[place + 1 :]
    with pytest.raises(BadCursor):
        decode_cursor(damaged, "people\0acme")


@pytest.mark.parametrize("length", range(len(SOME)))
def test_a_cursor_that_was_cut_off_is_refused(length: int) -> None:
    with pytest.raises(BadCursor):
        decode_cursor(SOME[:length], "people\0acme")


@pytest.mark.parametrize(
    "body",
    [
        msgspec.json.encode((0, ("Ada",))),
        msgspec.json.encode((2, ("Ada",))),
        msgspec.json.encode(("Ada",)),
        msgspec.json.encode((1, ({"a": 1},))),
        msgspec.json.encode((1, "Ada")),
        b"",
        b"\xff",
        b"[" * 2_000,
    ],
)
def test_what_another_version_made_is_refused(body: bytes) -> None:
    with pytest.raises(BadCursor) as refused:
        decode_cursor(made("people", body), "people")
    assert refused.value.hint is not None


def test_what_this_version_made_is_taken() -> None:
    assert decode_cursor(made("people", msgspec.json.encode((1, ("Ada",)))), "people") == ("Ada",)


def test_a_cursor_that_is_too_long_is_refused() -> None:
    with pytest.raises(BadCursor):
        decode_cursor(encode_cursor("people", ("x" * 5_000,)), "people")


READERS = st.lists(st.sampled_from([text_mark, moment_mark, id_mark, number_mark(), number_mark(1, 3)]), max_size=4)
# Among whatever else a forged position may hold: what some reader would take.
FORGED = st.one_of(
    PARTS,
    st.integers(),
    st.booleans(),
    st.uuids().map(str),
    st.integers(min_value=0, max_value=2**56),
    st.integers(min_value=1, max_value=3),
)


@given(READERS, st.lists(FORGED, max_size=5))
def test_what_is_read_of_a_forged_position_fits_the_database(
    readers: list[Callable[[Mark], object]], forged: list[Mark]
) -> None:
    try:
        read = read_position(tuple(forged), *readers)
    except BadCursor:
        return
    assert len(read) == len(readers)
    for value in read:
        match value:
            case str():
                assert "\0" not in value
            case int():
                assert type(value) is int
                assert -(2**63) < value < 2**63
            case _:
                assert isinstance(value, datetime | UUID)


@given(st.timedeltas(timedelta(0), timedelta(days=800_000)), st.uuids(), st.text())
def test_what_a_page_writes_is_read_again(since: timedelta, some_id: UUID, text: str) -> None:
    aware = datetime(1970, 1, 1, tzinfo=UTC) + since
    name = text.replace("\0", "")
    position = (mark_of(aware), name, str(some_id), 7)
    assert read_position(position, moment_mark, text_mark, id_mark, number_mark()) == (aware, name, some_id, 7)
    assert [type(mark) for mark in position] == [int, str, str, int]


@pytest.mark.parametrize(
    ("forged", "reader"),
    [
        ("7", number_mark()),
        (True, number_mark()),
        (None, number_mark()),
        (2**63, number_mark()),
        (-(2**63) - 1, number_mark()),
        (4, number_mark(1, 3)),
        (-1, moment_mark),
        (2**60, moment_mark),
        ("2026-11-23T00:00:00Z", moment_mark),
        (7, text_mark),
        (None, text_mark),
        ("a\0b", text_mark),
        ("x", id_mark),
        (7, id_mark),
        ("0" * 36, id_mark),
    ],
)
def test_a_value_of_another_type_is_refused(forged: Mark, reader: Callable[[Mark], object]) -> None:
    with pytest.raises(BadCursor):
        read_position((forged,), reader)
    with pytest.raises(BadCursor):
        read_position((forged, forged), reader)
    with pytest.raises(BadCursor):
        read_position((), reader)
