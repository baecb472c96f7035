"""A row for any table, made from what the catalogue says of its columns and checks."""

import re
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import asyncpg

_COLUMNS: Final = """
SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AND NOT a.atthasdef AS needed,
  (SELECT pg_get_constraintdef(k.oid) FROM pg_constraint k
   WHERE k.conrelid = a.attrelid AND k.contype = 'c' AND k.conkey = ARRAY[a.attnum] LIMIT 1) AS one_of
FROM pg_attribute a WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""

# An SQL expression for each type of ours; tables may hold a second row of a tenant, so ids are drawn anew.
_BY_TYPE: Final = {
    "uuid": "gen_random_uuid()",
    "text": "'x' || gen_random_uuid()",
    "bytea": "'\\x00'",
    "boolean": "true",
    "smallint": "1",
    "integer": "1",
    "bigint": "1",
    "double precision": "1",
    "date": "'2030-01-01'",
    "timestamp with time zone": "'2030-01-01'",
    "interval": "'0'",
    "jsonb": "'{}'",
    "text[]": "'{x}'",
    "uuid[]": "'{}'",
}
# Checks that look at more than one column, or at more than a list of values.
_BESIDES: Final = {
    ("change", "after"): "'{}'",
    ("duplicate_pair", "person_a"): "'00000000-0000-0000-0000-000000000001'",
    ("effect", "after"): "'{}'",
    ("idempotency_key", "request_digest"): "sha256('x')",
    ("webhook_delivery", "next_at"): "'2030-01-01'",
    ("webhook_delivery", "seq"): "1",
}


@dataclass(frozen=True, slots=True)
class Shape:
    """A table and how a row of it is made.

    Attributes:
        table: its name.
        columns: all of them.
        given: those that a row must give, with the expression.
    """

    table: str
    columns: tuple[str, ...]
    given: dict[str, str]

    def insert(self, tenant_id: UUID) -> str:
        """A statement that inserts one row of this tenant."""
        values = self.given | {"tenant_id": f"'{tenant_id}'"}
        return f"INSERT INTO {self.table} ({', '.join(values)}) VALUES ({', '.join(values.values())})"


async def shape(connection: asyncpg.Connection, table: str) -> Shape:
    """Reads what a row of `table` needs."""
    rows = await connection.fetch(_COLUMNS, table)
    given: dict[str, Any] = {}
    for row in rows:
        besides = _BESIDES.get((table, row["name"]))
        if besides is not None or row["needed"]:
            given[row["name"]] = besides or _allowed(row["one_of"]) or _BY_TYPE[row["type"]]
    return Shape(table, tuple(row["name"] for row in rows), given)


def _allowed(check: str | None) -> str | None:
    """The first of the words that a check allows."""
    found = re.search(r"= ANY \(ARRAY\['(\w+)'::text", check or "")
    return f"'{found[1]}'" if found else None
