"""What can go wrong with a report, switched on per company.

Three places can fail: the answer as a whole (status, a login page), the table (rows and columns), and the bytes.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from stoa_simulators.workday.report import COLUMNS, Row


class FaultKind(StrEnum):
    """The faults. Those of the table keep the answer well-formed; a reader must notice them by what it says."""

    HALF_ROWS = "half_rows"
    HTML = "html"
    TRUNCATED = "truncated"
    EMPTY = "empty"
    LATIN1 = "latin1"
    RENAMED_COLUMN = "renamed_column"
    MISSING_COLUMN = "missing_column"
    EMPTY_COLUMN = "empty_column"
    DUPLICATE_IDS = "duplicate_ids"
    MANAGER_CYCLE = "manager_cycle"
    STATUS_429 = "status_429"
    STATUS_500 = "status_500"
    SLOW = "slow"


_DEFAULT_COLUMN: Final = {
    FaultKind.RENAMED_COLUMN: "Employee_ID",
    FaultKind.MISSING_COLUMN: "Work_Email",
    FaultKind.EMPTY_COLUMN: "Department",
}
_DEFAULT_REQUESTS: Final = {FaultKind.STATUS_429: 2, FaultKind.STATUS_500: 2}

_RECORD_STARTS: Final = ('{"', "\n", "<wd:Report_Entry>")

LOGIN_PAGE: Final = (
    "<!DOCTYPE html>\n<html lang='en'><head><title>Workday - Sign In</title></head>"
    "<body><h1>Sign In</h1><form method='post'><input name='userName'><input name='password' type='password'>"
    "<button>Sign In</button></form></body></html>\n"
)


@dataclass(slots=True)
class Fault:
    """A fault that is on, for `remaining` requests or (None) until cleared. `seconds` is how long `slow` takes."""

    kind: FaultKind
    column: str
    remaining: int | None
    seconds: float

    def spend(self) -> bool:
        """Count one request; True when this fault still applied to it."""
        if self.remaining is None:
            return True
        if self.remaining <= 0:
            return False
        self.remaining -= 1
        return True


def make_fault(kind: FaultKind, column: str | None, requests: int | None, seconds: float | None) -> Fault:
    """A fault with what was left open filled in. Raises ValueError for an unknown column or a count below 1."""
    chosen = column or _DEFAULT_COLUMN.get(kind, "")
    if chosen and chosen not in COLUMNS:
        raise ValueError(f"the report has no column {chosen!r}; it has {', '.join(COLUMNS)}")
    if requests is not None and requests < 1:
        raise ValueError("requests is a count of at least 1")
    if seconds is not None and not 0 <= seconds <= 600:
        raise ValueError("seconds is between 0 and 600")
    return Fault(kind, chosen, requests or _DEFAULT_REQUESTS.get(kind), 3.0 if seconds is None else seconds)


def spoil_table(fault: Fault | None, rows: list[Row]) -> tuple[list[Row], tuple[str, ...]]:
    """The rows and the header that are sent. `rows` is the caller's own list of fresh rows."""
    columns = COLUMNS
    match fault.kind if fault else None:
        case FaultKind.HALF_ROWS:
            rows = rows[::2]
        case FaultKind.EMPTY:
            rows = []
        case FaultKind.DUPLICATE_IDS:
            rows = _with_duplicates(rows)
        case FaultKind.MANAGER_CYCLE:
            _close_cycle(rows)
        case FaultKind.RENAMED_COLUMN | FaultKind.MISSING_COLUMN | FaultKind.EMPTY_COLUMN if fault:
            return _spoil_column(fault, rows)
        case _:
            pass
    return rows, columns


def renamed(column: str) -> str:
    """The name under which `renamed_column` sends a column: without underscores, or with `_1` when it has none."""
    plain = column.replace("_", "")
    return plain if plain != column else f"{column}_1"


def _spoil_column(fault: Fault, rows: list[Row]) -> tuple[list[Row], tuple[str, ...]]:
    match fault.kind:
        case FaultKind.EMPTY_COLUMN:
            return [{**row, fault.column: ""} for row in rows], COLUMNS
        case FaultKind.MISSING_COLUMN:
            left = tuple(column for column in COLUMNS if column != fault.column)
        case _:
            new = renamed(fault.column)
            rows = [{**row, new: row[fault.column]} for row in rows]
            left = tuple(new if column == fault.column else column for column in COLUMNS)
    return [{column: row[column] for column in left} for row in rows], left


def _with_duplicates(rows: list[Row]) -> list[Row]:
    """One row in a hundred, and at least two, comes again with another title, as a second job would."""
    step = max(1, min(100, len(rows) // 2))
    return [*rows, *({**row, "Business_Title": f"{row['Business_Title']} (second position)"} for row in rows[::step])]


def _close_cycle(rows: list[Row]) -> None:
    """A worker without reports becomes manager of the one two levels up; somebody alone manages themselves."""
    above = {row["Employee_ID"]: row["Manager_Employee_ID"] for row in rows}
    if not rows:
        return
    by_id = {row["Employee_ID"]: row for row in rows}
    leads = Counter(above.values())
    leaf = next((row for row in reversed(rows) if not leads[row["Employee_ID"]]), rows[0])
    top = leaf["Employee_ID"]
    for _ in range(2):
        top = above[top] if above[top] in by_id else top
    by_id[top]["Manager_Employee_ID"] = leaf["Employee_ID"]


def spoil_bytes(fault: Fault | None, pieces: Iterable[str]) -> Iterator[bytes]:
    """The report's bytes: UTF-8, Latin-1 that still says UTF-8, or cut at two thirds in the middle of a record."""
    match fault.kind if fault else None:
        case FaultKind.LATIN1:
            return (piece.encode("latin-1", errors="replace") for piece in pieces)
        case FaultKind.TRUNCATED:
            return iter([_cut("".join(pieces)).encode()])
        case _:
            return (piece.encode() for piece in pieces)


def _cut(text: str) -> str:
    """Two thirds of the text, ending inside a record's first field or two, so that no format can read it as whole."""
    near = len(text) * 2 // 3
    start = max(text.rfind(mark, 0, near) for mark in _RECORD_STARTS)
    return text[: max(start, 0) + 30]
