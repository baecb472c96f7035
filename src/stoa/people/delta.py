"""What a full report changes, found in the client: one cheap question to the database when nothing did, keys and hashes
when something did.
"""

# Polars' signatures name types of NumPy, which is not installed.
# pyright: reportUnknownMemberType=false

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import cast

import polars as pl

from stoa.db.transactions import TenantTx
from stoa.kernel.ids import SourceId

_KNOWN = {"external_id": pl.String, "row_hash": pl.Int64, "present": pl.String}
# Deeper companies than this are applied all the same: whose manager comes later is computed twice.
_MOST_LEVELS = 30


@dataclass(frozen=True, slots=True)
class Delta:
    """Rows to be made, rows whose values differ, keys that left, and how many stayed as they were.

    Attributes:
        made, changed: with the columns of the report's frame.
        population: the source's present records before the run.
    """

    made: pl.DataFrame
    changed: pl.DataFrame
    gone: Sequence[str]
    unchanged: int
    population: int


async def compare(tx: TenantTx, source_id: SourceId, frame: pl.DataFrame, kept_ids: frozenset[str]) -> Delta:
    """The difference between a report and the records of its source.

    frame: has `external_id` and `row_hash`.
    kept_ids: keys that have not left, whatever the frame says.
    """
    row = await tx.fetchrow(
        """SELECT count(*) AS n, coalesce(bit_xor(row_hash), 0) AS hash FROM source_record
        WHERE tenant_id = $1 AND source_id = $2 AND present""",
        *(tx.tenant_id, source_id),
    )
    assert row is not None
    none = frame.clear()
    if row["n"] == frame.height and row["hash"] == _xor(frame):
        return Delta(none, none, (), frame.height, row["n"])
    known = await _known(tx, source_id)
    joined = frame.join(known, on="external_id", how="left", suffix="_known", maintain_order="left")
    is_new = pl.col("row_hash_known").is_null()
    same = (pl.col("row_hash_known") == pl.col("row_hash")) & pl.col("present")
    gone = known.filter("present").join(frame.select("external_id"), on="external_id", how="anti")
    return Delta(
        made=joined.filter(is_new).select(frame.columns),
        changed=joined.filter(~is_new & ~same).select(frame.columns),
        gone=[key for key in gone.get_column("external_id").sort() if key not in kept_ids],
        unchanged=joined.filter(~is_new & same).height,
        population=row["n"],
    )


async def _known(tx: TenantTx, source_id: SourceId) -> pl.DataFrame:
    sql = "SELECT external_id, row_hash, present FROM source_record WHERE tenant_id = $1 AND source_id = $2"
    csv = await tx.copy_out(sql, tx.tenant_id, source_id)
    return pl.read_csv(BytesIO(csv), schema=_KNOWN).with_columns(pl.col("present") == "t")


def _xor(frame: pl.DataFrame) -> int:
    # None for a frame without rows. The signature allows whatever a column of any type can hold.
    found = cast("int | None", frame.get_column("row_hash").bitwise_xor())
    return found or 0


def with_depth(made: pl.DataFrame) -> pl.DataFrame:
    """Adds `depth`: how many managers stand above a row within the frame, so that managers can be applied first.

    It is an order that saves work, not one that matters: a cycle ends at the deepest level.
    """
    keys, managers = made.get_column("external_id"), made.get_column("manager_ref")
    depth = pl.repeat(0, made.height, dtype=pl.Int32, eager=True)
    below = managers.is_in(keys.implode()).fill_null(value=False)
    for level in range(1, _MOST_LEVELS + 1):
        if not below.any():
            break
        depth = depth.zip_with(~below, pl.repeat(level, made.height, dtype=pl.Int32, eager=True))
        below = managers.is_in(keys.filter(below).implode()).fill_null(value=False)
    return made.with_columns(depth.alias("depth"))
