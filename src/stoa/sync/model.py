"""What sync knows of a feed: its mapping, what was admitted, what was set aside and why, and how it has changed.

Sync never knows a person. The fields it may fill come in as `FieldSpec` values from the room that owns the target.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum
from zlib import crc32

import polars as pl

# The two fields that every target has: the record's key within its source, and whether the source calls it active.
EXTERNAL_ID = "external_id"
ACTIVE = "active"
EXTERNAL_ID_LENGTH = 1000


class FieldType(StrEnum):
    """What a target field holds. A REFERENCE names another record of the same source by its external_id."""

    TEXT = "text"
    DATE = "date"
    BOOLEAN = "boolean"
    REFERENCE = "reference"


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field that the target can take.

    Attributes:
        type: what it holds.
        max_length: the most characters of a text or reference.
        keyed: whether a folded copy stands beside it in `<field>_key`.
    """

    type: FieldType = FieldType.TEXT
    max_length: int = 1000
    keyed: bool = False


Fields = Mapping[str, FieldSpec]


class ColumnType(Enum):
    """How the text of a feed's cell is read."""

    TEXT = "text"
    EMAIL = "email"
    BOOLEAN = "boolean"
    DATE = "date"
    ENUM = "enum"


class ColumnClass(Enum):
    """What a mapping does with a column of the feed. A column of no class is reported as drift, never dropped."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    # Taken if it is sound and left out if it is not, with a count; it never costs the row.
    UNCHECKED = "unchecked"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the feed and the field that it fills.

    Attributes:
        field: the target field.
        source: the column's name in the feed.
        required: a row without it is set aside.
        unchecked: a value that cannot be read is left out instead of setting the row aside.
        type: how the text is read.
        values: for ENUM, text of the feed (compared without regard to case) to the value stored.
        max_length: the most characters; the field's own limit holds as well.
    """

    field: str
    source: str
    required: bool = False
    type: ColumnType = ColumnType.TEXT
    values: Mapping[str, str | bool] | None = None
    max_length: int | None = None
    unchecked: bool = False

    def __post_init__(self) -> None:
        if self.required and self.unchecked:
            raise ValueError(f"column {self.source!r} cannot be both required and unchecked")
        if (self.type is ColumnType.ENUM) != bool(self.values):
            raise ValueError(f"column {self.source!r}: an enum has a map of values, and nothing else has one")

    @property
    def column_class(self) -> ColumnClass:
        """Required, optional or unchecked."""
        if self.required:
            return ColumnClass.REQUIRED
        return ColumnClass.UNCHECKED if self.unchecked else ColumnClass.OPTIONAL


@dataclass(frozen=True, slots=True)
class Joined:
    """A default made of other fields: those that are present, in order, with `separator` between them."""

    fields: tuple[str, ...]
    separator: str = " "


Default = str | bool | Joined


@dataclass(frozen=True, slots=True)
class FeedMapping:
    """How the columns of a feed become the fields of a record.

    Attributes:
        version: changes whenever anything else in it does (see `with_content_version`).
        key: the column whose value is the record's external_id.
        columns: the columns that are read, each filling one field.
        ignored: columns that are known and not read.
        defaults: what a field is when its column is absent or its cell empty.
    """

    version: int
    key: str
    columns: tuple[Column, ...]
    ignored: frozenset[str] = frozenset()
    defaults: Mapping[str, Default] = field(default_factory=dict[str, Default])

    def classes(self) -> dict[str, ColumnClass]:
        """Every known column of the feed with its class. A column that fills two fields has the stricter class."""
        found = dict.fromkeys(self.ignored, ColumnClass.IGNORED)
        strictness = list(ColumnClass)
        for column in self.columns:
            present = found.get(column.source, ColumnClass.IGNORED)
            found[column.source] = min(present, column.column_class, key=strictness.index)
        found[self.key] = ColumnClass.REQUIRED
        return found


def with_content_version(mapping: FeedMapping) -> FeedMapping:
    """The mapping with a version drawn from its content (31 bits), so that no change of it can go unnoticed."""
    columns = [
        (c.field, c.source, c.required, c.unchecked, c.type.value, sorted((c.values or {}).items()), c.max_length)
        for c in mapping.columns
    ]
    defaults = sorted(mapping.defaults.items(), key=lambda item: item[0])
    content = repr((mapping.key, columns, sorted(mapping.ignored), defaults))
    return replace(mapping, version=crc32(content.encode()) & 0x7FFF_FFFF)


@dataclass(frozen=True, slots=True)
class RowReason:
    """Why a row was set aside, in words for an administrator of the source.

    Attributes:
        code: stable name: required_missing, control_character, too_long, not_a_date, not_a_boolean, unknown_value,
            not_an_email, duplicate_id, manager_cycle.
        column: the column of the feed.
        detail: what is wrong and what would be right.
    """

    code: str
    column: str
    detail: str


@dataclass(frozen=True, slots=True)
class QuarantinedRow:
    """A row that was set aside.

    Attributes:
        row_no: its place among the feed's rows, from 1; a header does not count.
        external_id: its key as far as it could be read.
        reasons: every reason, in the order of the mapping's columns.
        raw: its cells as sent, of the columns that the mapping reads; empty cells left out.
    """

    row_no: int
    external_id: str | None
    reasons: tuple[RowReason, ...]
    raw: Mapping[str, str]


class Severity(StrEnum):
    """HOLD: the run waits for a decision. WARN: it is shown."""

    HOLD = "hold"
    WARN = "warn"


@dataclass(frozen=True, slots=True)
class Drift:
    """Something about the feed as a whole that is not as the mapping, or the last feed, says.

    Attributes:
        code: required_column_missing, column_emptied, column_missing, column_unclassified, rows_dropped,
            many_quarantined, none_admitted, identical_duplicates, manager_absent, values_left_out.
        column: the column it is about, or None.
    """

    code: str
    column: str | None
    detail: str
    severity: Severity


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """The share of filled cells of one column (0 to 1), and the commonest shape of its values, such as `a-9`."""

    filled: float
    shape: str | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """What a feed looked like, kept to compare the next one with. It holds no values."""

    rows: int
    columns: Mapping[str, ColumnProfile]


@dataclass(frozen=True, slots=True)
class Admitted:
    """A feed after the contract.

    Attributes:
        frame: the rows that were accepted: external_id, active, then every target field in order, typed (text, date,
            boolean); fields that no column fills are null throughout.
        quarantined: the rows that were set aside, in the order of the feed.
        kept_ids: keys that are in the feed but were set aside. They must not count as having left.
        profile: for comparing the next feed with.
        drift: what is unusual about the feed as a whole.
        blocked: nothing can be used, not even by approval: a required column is missing. The frame is empty.
        figures: counts: rows, admitted, quarantined, identical_duplicates, manager_absent, values_left_out.
    """

    frame: pl.DataFrame
    quarantined: Sequence[QuarantinedRow]
    kept_ids: frozenset[str]
    profile: Profile
    drift: tuple[Drift, ...]
    blocked: bool
    figures: Mapping[str, int]

    @property
    def held(self) -> bool:
        """Whether some drift asks for a decision before anything is applied."""
        return any(drift.severity is Severity.HOLD for drift in self.drift)
