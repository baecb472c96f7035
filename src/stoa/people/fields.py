"""The fields of a person that a source may assert, in one list.

Columns, keys, journal and authority all derive from it.
"""

from dataclasses import dataclass
from datetime import date
from typing import assert_never

from stoa.kernel.fold import fold
from stoa.sync.model import FieldType

Value = str | bool | date | None


@dataclass(frozen=True, slots=True)
class Field:
    """One assertable field.

    Attributes:
        name: the column of `source_record` and, but for references, of `person`.
        type: what it holds.
        keyed: whether a folded copy stands beside it in `<name>_key`, for look-ups without regard to case.
        max_length: the most characters of a text.
    """

    name: str
    type: FieldType = FieldType.TEXT
    keyed: bool = False
    max_length: int = 1000


FIELDS: tuple[Field, ...] = (
    Field("user_name", keyed=True),
    Field("email", keyed=True, max_length=320),
    Field("employee_id", keyed=True, max_length=200),
    Field("display_name", keyed=True),
    Field("given_name"),
    Field("family_name", keyed=True),
    Field("phone", max_length=100),
    Field("title"),
    Field("job_code", max_length=200),
    Field("department"),
    Field("division"),
    Field("cost_center", max_length=200),
    Field("organization"),
    Field("location"),
    Field("worker_type", max_length=200),
    Field("time_zone", max_length=100),
    Field("locale", max_length=100),
    Field("hire_date", FieldType.DATE),
    Field("termination_date", FieldType.DATE),
    Field("manager_ref", FieldType.REFERENCE),
)
BY_NAME = {field.name: field for field in FIELDS}
# Fields that a person has under the same name; manager_ref becomes manager_id, and `active` is combined, not ranked.
PERSON_FIELDS: tuple[str, ...] = tuple(f.name for f in FIELDS if f.type is not FieldType.REFERENCE)
KEYED: tuple[str, ...] = tuple(f.name for f in FIELDS if f.keyed)
KEY_COLUMNS: tuple[str, ...] = tuple(f"{name}_key" for name in KEYED)
# Keyed since migration 0013. Records of before have a null there until `keys.fill_keys` has come to them, and changes
# that were planned or journalled before say nothing of them.
LATER_KEYED: tuple[str, ...] = ("family_name",)
# What an authority version ranks.
AUTHORITY_FIELDS: tuple[str, ...] = (*PERSON_FIELDS, "manager_ref", "active")


def key_of(value: Value) -> str | None:
    """The folded copy of a keyed field's value."""
    return fold(value) if isinstance(value, str) else None


def to_json(value: Value) -> str | bool | None:
    """A field's value as it stands in a journal row: dates as ISO 8601."""
    return value.isoformat() if isinstance(value, date) else value


def from_json(field: Field, value: str | bool | None) -> Value:
    """The value that `to_json` wrote. Raises ValueError when it is not of the field's type."""
    if value is None:
        return None
    match field.type:
        case FieldType.DATE:
            return date.fromisoformat(str(value))
        case FieldType.BOOLEAN:
            return bool(value)
        case FieldType.TEXT | FieldType.REFERENCE:
            return str(value)
        case _:
            assert_never(field.type)
