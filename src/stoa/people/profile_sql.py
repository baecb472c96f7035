"""All that is known of one person in one statement: its parts are rows in arrays, so that their values keep their types
(as JSON, days and moments would be texts).
"""

# ruff: noqa: S608 - identifiers come from `columns`, which is code; every value is a bound parameter

from collections.abc import Mapping, Sequence
from typing import Any, Final

from stoa.changes.queries import STATE
from stoa.db.transactions import Row
from stoa.people.authority import AUTHORITY
from stoa.people.queries import NAME, PERSON, RECORD
from stoa.people.recompute import with_holds
from stoa.people.roles_queries import GROUP_TOLD, GROUPS_OF_MINE, ROLE_TOLD, ROLES_OF
from stoa.people.timeline import JOURNAL, MERGED, TOLD, TOLD_OF

MOST_REPORTS: Final = 50
LATEST: Final = 10
_CHANGES_LOOKED_AT: Final = 500
_RECORD: Final = tuple(column.strip().removeprefix("r.") for column in RECORD.split(","))
_MINE: Final = (*_RECORD, "last_run", "by_field", "manager_key")
# What the rows of each part hold, in order.
PARTS: Final[Mapping[str, Sequence[str]]] = {
    "sources": ("source_id", "kind", "name", "created_at"),
    "confirmed": ("source_id", "at"),
    "records": (*_MINE, "manager", "manager_name"),
    "holds": ("resource_id", "source_id", "field", "held_value", "run_id", "made_at"),
    "dues": ("source_id", "external_id", "due_on", "active"),
    "since": ("resource_id", "field", "at"),
    "reports": ("person_id", "name"),
    "groups": GROUP_TOLD,
    "roles": ROLE_TOLD,
    "events": TOLD,
}

_SOURCES: Final = "SELECT (s.source_id, s.kind, s.name, s.created_at) FROM source s WHERE s.tenant_id = $1"
# When each source's word was last read as a whole and applied (`sync.freshness.confirmed`).
_CONFIRMED: Final = """SELECT (f.source_id, max(f.last_success_at)) FROM freshness f
  WHERE f.tenant_id = $1 AND f.last_success_at IS NOT NULL GROUP BY f.source_id"""
# The records of sources that still have them come first.
_RECORDS: Final = f"""SELECT ROW({", ".join(f"mine.{name}" for name in _MINE)}, p.person_id, {NAME}) FROM mine
  LEFT JOIN source_record m ON m.tenant_id = $1 AND m.source_id = mine.source_id AND m.external_id = mine.manager_key
  LEFT JOIN person p ON p.tenant_id = $1 AND p.person_id = m.person_id AND p.person_id <> $2
  ORDER BY mine.present DESC, mine.created_at, mine.resource_id"""
# By the record: a merge moves records, and with them the holds upon them.
_HOLDS: Final = """SELECT (h.resource_id, h.source_id, h.field, h.held_value, h.run_id, h.made_at) FROM mine
  JOIN hold h ON h.tenant_id = $1 AND h.resource_id = mine.resource_id AND h.state = 'held'
  ORDER BY h.made_at, h.field"""
_DUES: Final = """SELECT (d.source_id, d.external_id, d.due_on, d.active) FROM mine
  JOIN due_change d ON d.tenant_id = $1 AND d.source_id = mine.source_id AND d.external_id = mine.external_id
  ORDER BY d.due_on"""
# When each field was last written, as the latest changes tell.
_SINCE: Final = f"""SELECT (d.resource_id, f.name, max(d.at)) FROM (
    SELECT c.resource_id, c.after, c.at, {STATE} AS state FROM {JOURNAL}
    WHERE c.tenant_id = $1 AND c.person_id = $2 ORDER BY c.ord DESC LIMIT {_CHANGES_LOOKED_AT}) AS d
  CROSS JOIN LATERAL jsonb_object_keys(coalesce(d.after, '{{}}')) AS f(name)
  WHERE d.state = 'applied' GROUP BY d.resource_id, f.name"""
_REPORTS: Final = f"""SELECT (p.person_id, {NAME}) FROM person p WHERE p.tenant_id = $1 AND p.manager_id = $2
  ORDER BY p.display_name_key, p.person_id LIMIT {MOST_REPORTS}"""
_EVENTS: Final = f"""SELECT ROW({TOLD_OF}) FROM {JOURNAL}
  WHERE c.tenant_id = $1 AND c.person_id = $2 ORDER BY c.ord DESC LIMIT {LATEST + 1}"""

# One person ($2) with everything around them.
PROFILE: Final = f"""
WITH mine AS MATERIALIZED ({with_holds(f"{RECORD}, r.last_run")})
SELECT {PERSON}, p.created_at, p.updated_at, {NAME} AS name,
  (SELECT t.time_zone FROM tenant t WHERE t.tenant_id = $1) AS zone,
  {AUTHORITY},
  ARRAY({_SOURCES}) AS sources,
  ARRAY({_CONFIRMED}) AS confirmed,
  ARRAY({_RECORDS}) AS records,
  ARRAY({_HOLDS}) AS holds,
  ARRAY({_DUES}) AS dues,
  ARRAY({_SINCE}) AS since,
  ARRAY({_REPORTS}) AS reports,
  ARRAY({GROUPS_OF_MINE}) AS groups,
  ARRAY({ROLES_OF}) AS roles,
  ARRAY({MERGED}) AS merged,
  ARRAY({_EVENTS}) AS events
FROM person p WHERE p.tenant_id = $1 AND p.person_id = $2"""


def part(row: Row, name: str) -> list[dict[str, Any]]:
    """The rows of one part of PROFILE."""
    names = PARTS[name]
    return [dict(zip(names, one, strict=True)) for one in row[name]]
