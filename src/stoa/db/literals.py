"""Values as SQL literals, for the statements that are sent together with BEGIN or COMMIT and so can take no parameters.

Nothing of a value can be read as SQL: what is text goes as hexadecimal digits.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, TypeAlias
from uuid import UUID

import msgspec

Literal: TypeAlias = str | int | bytes | UUID | datetime | list[object] | Mapping[str, object] | None
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode


def literal(value: Literal) -> str:
    """The value as an expression of its type: text, a whole number, bytea, uuid, timestamptz or, of lists and mappings,
    jsonb.

    Raises ValueError for a time without a zone.
    """
    match value:
        case None:
            return "NULL"
        case str():
            return f"convert_from('\\x{value.encode().hex()}', 'UTF8')"
        case bytes():
            return f"'\\x{value.hex()}'::bytea"
        case int():
            return f"({int(value)})"
        case UUID():
            return f"'{value}'::uuid"
        case datetime():
            if value.tzinfo is None:
                raise ValueError("a time needs a zone")
            return f"'{value.isoformat()}'::timestamptz"
        case _:
            return f"convert_from('\\x{_encode(value).hex()}', 'UTF8')::jsonb"
