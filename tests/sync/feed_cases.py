"""Feeds, mappings and fields for the tests of the contract."""

from typing import Any

import polars as pl

from stoa.sync.contract import admit
from stoa.sync.drift import DriftLimits
from stoa.sync.model import (
    Admitted,
    Column,
    ColumnType,
    FeedMapping,
    FieldSpec,
    FieldType,
    Joined,
    Profile,
    RowReason,
)

FIELDS = {
    "employee_id": FieldSpec(max_length=20, keyed=True),
    "email": FieldSpec(max_length=320, keyed=True),
    "display_name": FieldSpec(max_length=12),
    "given_name": FieldSpec(),
    "family_name": FieldSpec(),
    "phone": FieldSpec(max_length=8),
    "worker_type": FieldSpec(),
    "hire_date": FieldSpec(FieldType.DATE),
    "manager_ref": FieldSpec(FieldType.REFERENCE, max_length=1000),
    "title": FieldSpec(),
}
COLUMNS = (
    Column("employee_id", "ID", required=True),
    Column("active", "Active", required=True, type=ColumnType.BOOLEAN),
    Column("email", "Email", type=ColumnType.EMAIL),
    Column("given_name", "First"),
    Column("family_name", "Last", required=True, max_length=10),
    Column("phone", "Phone", unchecked=True),
    Column("worker_type", "Type", type=ColumnType.ENUM, values={"Employee": "employee", "Contractor": "contractor"}),
    Column("hire_date", "Hired", type=ColumnType.DATE),
    Column("manager_ref", "Manager"),
)
MAPPING = FeedMapping(1, "ID", COLUMNS, frozenset({"WID"}), {"display_name": Joined(("given_name", "family_name"))})
TINY = DriftLimits(quarantined_rows=10**9)

Cell = str | None


def row(number: int | str = 1, **cells: Cell) -> dict[str, Cell]:
    """A sound row, with other cells as given."""
    sound: dict[str, Cell] = {
        "ID": f"E{number}" if isinstance(number, int) else number,
        "Active": "1",
        "Email": f"p{number}@example.com",
        "First": "Ada",
        "Last": "Byron",
        "Phone": "12",
        "Type": "Employee",
        "Hired": "2020-02-29",
        "Manager": None,
    }
    return sound | cells


def frame(*rows: dict[str, Cell]) -> pl.DataFrame:
    """Rows as a feed; cells that a row lacks are null."""
    names = dict.fromkeys(name for one in rows for name in one) or dict.fromkeys(row())
    return pl.DataFrame(
        {name: [one.get(name) for one in rows] for name in names}, schema=dict.fromkeys(names, pl.String)
    )


def judge(*rows: dict[str, Cell], previous: Profile | None = None, limits: DriftLimits = TINY) -> Admitted:
    """The verdict on these rows."""
    return admit(frame(*rows), MAPPING, FIELDS, previous=previous, limits=limits)


def codes(admitted: Admitted) -> dict[str | None, list[tuple[str, str]]]:
    """Key of each row set aside, with code and column of its reasons."""
    found: dict[str | None, list[tuple[str, str]]] = {}
    for one in admitted.quarantined:
        found.setdefault(one.external_id, []).extend((reason.code, reason.column) for reason in one.reasons)
    return found


def only_reason(admitted: Admitted) -> RowReason:
    """The one reason of the one row that was set aside."""
    (one,) = admitted.quarantined
    (reason,) = one.reasons
    return reason


def values(admitted: Admitted) -> list[dict[str, Any]]:
    """The admitted rows by key."""
    return admitted.frame.sort("external_id").to_dicts()
