# Polars' signatures name types of NumPy, which is not installed.
# pyright: reportUnknownMemberType=false
"""Folded key columns and the keyed hash of each row, computed by column.

The hash lets a source that did not change be recognised by one `count(*), bit_xor(row_hash)` (docs/architecture.md,
section 6). It is keyed so that nobody who chooses the values of a report can make rows whose hashes cancel out.
"""

from typing import Final

import polars as pl
from polars_hash import CryptographicHashingNameSpace

from stoa.kernel.fold import fold
from stoa.sync.model import ACTIVE, EXTERNAL_ID, Fields

ROW_HASH: Final = "row_hash"
# Opens each value in the message that is hashed (unit separator, ASCII 31), and the character that escapes it.
_SEPARATOR: Final = "\x1f"
_ESCAPE: Final = "\x01"


def with_keys_and_hash(frame: pl.DataFrame, fields: Fields, hash_key: bytes) -> pl.DataFrame:
    """`frame` (typed, as `contract.admit` gives it) with `<field>_key` for every keyed field and `row_hash`.

    row_hash is Int64 and never 0. It covers external_id, active and every field of `fields`, in that order. A null is
    not an empty text, and leaves no trace, so that a new field changes no hash before it is filled. `hash_key` is at
    least 16 secret bytes; ValueError if it is shorter.
    """
    if len(hash_key) < 16:
        raise ValueError("the hash key has at least 16 bytes")
    names = (EXTERNAL_ID, ACTIVE, *(name for name in fields if name not in (EXTERNAL_ID, ACTIVE)))
    keys = [_folded(frame.get_column(name)).alias(f"{name}_key") for name, spec in fields.items() if spec.keyed]
    return frame.with_columns(*keys, _row_hash(frame, names, hash_key))


def _folded(column: pl.Series) -> pl.Series:
    """`kernel.fold` of every value; the function itself is called once for each distinct value that is not ASCII."""
    lowered = column.str.to_lowercase()
    beyond = column.filter(column.str.len_bytes() != column.str.len_chars()).unique()
    if beyond.is_empty():
        return lowered
    folded = pl.Series([fold(text) for text in beyond.to_list()], dtype=pl.String)
    replaced = column.replace_strict(beyond, folded, default=None, return_dtype=pl.String)
    return replaced.fill_null(lowered)


def _row_hash(frame: pl.DataFrame, names: tuple[str, ...], hash_key: bytes) -> pl.Series:
    """The first 8 bytes of BLAKE3(key, message).

    BLAKE3 is not open to length extension, so a secret prefix of fixed length makes a sound MAC of it; its own keyed
    mode is not offered by column.
    """
    unsafe = _with_separators(frame.select(names))
    parts = [_encoded(name, frame.schema[name], name in unsafe) for name in names]
    message = frame.select(pl.concat_str(pl.lit(hash_key.hex()), *parts).alias(ROW_HASH))
    digest = CryptographicHashingNameSpace(pl.col(ROW_HASH)).blake3()
    number = digest.str.head(16).str.to_integer(base=16, dtype=pl.UInt64)
    return message.select(number).to_series().clip(lower_bound=1).reinterpret(signed=True)


def _with_separators(frame: pl.DataFrame) -> frozenset[str]:
    """The text columns in which some value contains a character that the encoding uses for itself."""
    found = frame.select(pl.col(pl.String).str.contains(f"[{_ESCAPE}{_SEPARATOR}]").any())
    return frozenset(name for name in found.columns if found.item(0, name))


def _encoded(name: str, dtype: pl.DataType, unsafe: bool) -> pl.Expr:
    """Separator, name and value, or nothing for a null. No other sequence of values gives the same text."""
    text = pl.col(name) if dtype == pl.String else pl.col(name).cast(pl.String)
    if unsafe:
        escaped = text.str.replace_all(_ESCAPE, f"{_ESCAPE}a", literal=True)
        text = escaped.str.replace_all(_SEPARATOR, f"{_ESCAPE}b", literal=True)
    return pl.concat_str(pl.lit(f"{_SEPARATOR}{name}="), text).fill_null("")
