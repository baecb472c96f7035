"""Keys and hashes, by column the same as one by one."""

import datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stoa.kernel.fold import fold
from stoa.sync.model import FieldSpec, FieldType
from stoa.sync.rowhash import with_keys_and_hash

FIELDS = {
    "a": FieldSpec(keyed=True),
    "b": FieldSpec(),
    "day": FieldSpec(FieldType.DATE),
}
KEY = b"0123456789abcdef"
SCHEMA = {"external_id": pl.String, "active": pl.Boolean, "a": pl.String, "b": pl.String, "day": pl.Date}

Row = tuple[str, bool, str | None, str | None, datetime.date | None]


def hashed(*rows: Row, key: bytes = KEY) -> pl.DataFrame:
    return with_keys_and_hash(pl.DataFrame(rows, schema=SCHEMA, orient="row"), FIELDS, key)


def hash_of(*values: Any, key: bytes = KEY) -> int:
    return hashed(values, key=key).item(0, "row_hash")


_texts = st.one_of(
    st.none(), st.text(max_size=6), st.sampled_from(["", "\x1f", "\x01", "\x1fb=", "\x01b", "b=", "İ", "ß", "ﬁ", "A"])
)
_rows = st.tuples(st.text("ab\x1f", max_size=2), st.booleans(), _texts, _texts, st.one_of(st.none(), st.dates()))


@settings(deadline=None)
@given(st.lists(_rows, min_size=1, max_size=20))
def test_hashes_are_equal_just_where_rows_are(rows: list[Row]) -> None:
    hashes = hashed(*rows)["row_hash"].to_list()
    assert len(set(hashes)) == len(set(rows))
    assert dict(zip(rows, hashes, strict=True)) == {one: hash_of(*one) for one in rows}


@settings(deadline=None)
@given(st.lists(_texts, max_size=20))
def test_keys_are_those_of_fold(texts: list[str | None]) -> None:
    keys = hashed(*(("e", True, text, None, None) for text in texts))["a_key"].to_list()
    assert keys == [None if text is None else fold(text) for text in texts]


def test_a_null_is_not_an_empty_text() -> None:
    assert hash_of("e", True, None, None, None) != hash_of("e", True, "", None, None)


def test_values_do_not_run_into_one_another() -> None:
    assert hash_of("e", True, "x\x1fb=y", None, None) != hash_of("e", True, "x", "y", None)
    assert hash_of("e", True, "x\x01bb=y", None, None) != hash_of("e", True, "x\x1fb=y", None, None)


def test_a_new_field_changes_nothing_before_it_is_filled() -> None:
    before = hashed(("e", True, "x", None, None))
    frame = before.select(*SCHEMA, pl.lit(None, pl.String).alias("later"))
    assert with_keys_and_hash(frame, FIELDS | {"later": FieldSpec()}, KEY)["row_hash"].equals(before["row_hash"])


def test_the_hash_depends_on_the_key_and_on_nothing_else() -> None:
    one = ("e", True, "x", "y", datetime.date(2024, 1, 1))
    assert hash_of(*one) != hash_of(*one, key=b"another key of ours")
    # Stored hashes must stay comparable: a change of the encoding would make every row look changed.
    assert hash_of(*one) == 339734284695013168


def test_a_hash_is_a_signed_integer_of_64_bits_and_uses_them() -> None:
    hashes = hashed(*((f"e{n}", True, None, None, None) for n in range(200)))["row_hash"]
    assert hashes.dtype == pl.Int64
    assert hashes.min() < -(2**60)
    assert hashes.max() > 2**60


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="16"):
        hashed(("e", True, None, None, None), key=b"short")


def test_no_rows() -> None:
    assert hashed().schema["row_hash"] == pl.Int64
