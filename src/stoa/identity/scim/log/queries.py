"""Reading the log of requests. The alias of a line is `q`."""

# ruff: noqa: S608 - identifiers come from code; every value is a bound parameter

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from stoa.api.lists import ListAsk
from stoa.api.tables import Table, rows_of
from stoa.db.transactions import Row, TenantTx
from stoa.identity.scim.log.bodies import digest
from stoa.identity.scim.log.model import Freshness, Line, Sealed
from stoa.identity.scim.log.store import TABLE, Vault
from stoa.kernel.cursors import Position, id_mark
from stoa.kernel.filters import Attribute, AttrType, Binding, Catalogue, Column, Operator
from stoa.kernel.fold import fold
from stoa.kernel.ids import PersonId, SourceId, parse_id

_WORD: Final = frozenset({Operator.EQ, Operator.NE})
CATALOGUE: Final = Catalogue(
    (
        Attribute("outcome", case_exact=True, operators=_WORD),
        Attribute("method", case_exact=True, operators=_WORD),
        Attribute("status", AttrType.INTEGER),
        Attribute("reason", case_exact=True),
        Attribute("path", case_exact=True),
        Attribute("at", AttrType.DATETIME),
        Attribute("resource_id", AttrType.UUID),
        Attribute("person_id", AttrType.UUID),
        Attribute("trace_id", case_exact=True),
        Attribute("duration_us", AttrType.INTEGER),
    )
)
_BINDING: Final[Binding] = {
    name: Column(f"q.{name}")
    for name in ("outcome", "method", "status", "reason", "path", "at", "resource_id", "person_id", "trace_id")
} | {"duration_us": Column("q.duration_us")}
_FIELDS: Final = tuple(one.name for one in fields(Line))
_LINE: Final = ", ".join(f"q.{name}" for name in _FIELDS)
LINES: Final = Table(
    select=f"""SELECT {_LINE}, q.request_id AS id, q.request_id AS came_key
        FROM scim_request q WHERE q.tenant_id = $1 AND q.source_id = $2""",
    key="q.request_id",
    binding=_BINDING,
    sorts={"came": ("q.request_id", id_mark)},
)
_SEALED: Final = "SELECT sealed FROM scim_request WHERE tenant_id = $1 AND request_id = $2"
_SINCE: Final = f"""
SELECT {_LINE} FROM scim_request q WHERE q.tenant_id = $1 AND q.source_id = $2 AND q.request_id > $3
ORDER BY q.request_id DESC LIMIT $4"""
_REPLAYS: Final = f"""
SELECT {_LINE} FROM scim_request q WHERE q.tenant_id = $1 AND q.replay_of = $2 ORDER BY q.request_id DESC LIMIT 20"""
_FRESHNESS: Final = """
SELECT max(last_at) AS last_at, max(success_at) AS success_at,
  coalesce(sum(requests) FILTER (WHERE hour > $3), 0)::bigint AS requests,
  coalesce(sum(errors) FILTER (WHERE hour > $3), 0)::bigint AS errors
FROM scim_hour WHERE tenant_id = $1 AND source_id = $2"""
# Each arm by an index of its own. Requests that name a user by id alone are found by the records that have the name, or
# that another request with the name was about.
NAMED: Final = """
WITH named AS MATERIALIZED (
  (SELECT request_id, resource_id FROM scim_request WHERE tenant_id = $1 AND name_key = $3 AND source_id = $2
   ORDER BY request_id DESC LIMIT $6)
  UNION (SELECT request_id, resource_id FROM scim_request WHERE tenant_id = $1 AND external_key = $3 AND source_id = $2
   ORDER BY request_id DESC LIMIT $6)
  UNION (SELECT request_id, resource_id FROM scim_request WHERE tenant_id = $1 AND email_key = $3 AND source_id = $2
   ORDER BY request_id DESC LIMIT $6)
), about AS MATERIALIZED (
  SELECT resource_id FROM named WHERE resource_id IS NOT NULL UNION SELECT unnest($4::uuid[]))
SELECT request_id FROM (
  SELECT request_id FROM named
  UNION (SELECT q.request_id FROM about CROSS JOIN LATERAL (
    SELECT request_id FROM scim_request
    WHERE tenant_id = $1 AND resource_id = about.resource_id AND source_id = $2
    ORDER BY request_id DESC LIMIT $6) q)
  UNION (SELECT request_id FROM scim_request WHERE tenant_id = $1 AND request_id = $5 AND source_id = $2)) AS found
ORDER BY request_id DESC LIMIT $6"""
_RECORDS: Final = """
(SELECT resource_id FROM source_record WHERE tenant_id = $1 AND source_id = $2 AND user_name_key = $3 LIMIT 20)
UNION (SELECT resource_id FROM source_record WHERE tenant_id = $1 AND source_id = $2 AND email_key = $3 LIMIT 20)
UNION (SELECT resource_id FROM source_record WHERE tenant_id = $1 AND source_id = $2 AND scim_external_id = $4
  AND present LIMIT 20)
UNION (SELECT resource_id FROM source_record WHERE tenant_id = $1 AND source_id = $2 AND scim_external_id = $4
  AND NOT present LIMIT 20)
UNION (SELECT resource_id FROM source_record WHERE tenant_id = $1 AND source_id = $2 AND resource_id = $5)
UNION (SELECT resource_id FROM source_record WHERE tenant_id = $1 AND source_id = $2 AND person_id = $5 LIMIT 20)"""
# Of somebody who is searched for, the list goes back so far.
MOST_NAMED: Final = 500


def line_of(row: Row) -> Line:
    """The line in a row with its columns."""
    return Line(**{name: row[name] for name in _FIELDS})


@dataclass(frozen=True, slots=True)
class Looking:
    """What the list shows of a source's lines.

    named: the ids of those that a search found; None without one. on_path: a text in the path.
    """

    source_id: SourceId
    named: Sequence[UUID] | None = None
    on_path: str | None = None


async def lines(tx: TenantTx, looking: Looking, ask: ListAsk) -> tuple[list[Line], Position | None]:
    """A page of the log (index scim_request_of), and the position of its last line if there are more."""
    more: tuple[object, ...] = (looking.source_id,)
    condition = ""
    if looking.named is not None:
        condition, more = " AND q.request_id = ANY($3::uuid[])", (*more, list(looking.named))
    elif looking.on_path is not None:
        condition, more = " AND strpos(q.path, $3) > 0", (*more, looking.on_path)
    rows, after = await rows_of(tx, LINES, ask, *more, condition=condition)
    return [line_of(row) for row in rows], after


async def one_line(tx: TenantTx, source_id: SourceId, request_id: UUID) -> Line | None:
    """One line of a source's, or None."""
    row = await tx.fetchrow(LINES.select + " AND q.request_id = $3", tx.tenant_id, source_id, request_id)
    return None if row is None else line_of(row)


async def opened(tx: TenantTx, vault: Vault, request_id: UUID) -> Sealed:
    """What is sealed of a line that is there. Raises SecretUnreadable."""
    blob = await tx.fetchval(_SEALED, tx.tenant_id, request_id)
    return msgspec.msgpack.decode(vault.sealer.open(blob, tx.tenant_id, TABLE, request_id), type=Sealed)


async def lines_since(tx: TenantTx, source_id: SourceId, after: UUID, limit: int) -> list[Line]:
    """The latest lines after an id, newest first."""
    return [line_of(row) for row in await tx.fetch(_SINCE, tx.tenant_id, source_id, after, limit)]


async def latest(tx: TenantTx, source_id: SourceId, limit: int) -> list[Line]:
    """The latest lines of a source, newest first."""
    sql = LINES.select + " ORDER BY q.request_id DESC LIMIT $3"
    return [line_of(row) for row in await tx.fetch(sql, tx.tenant_id, source_id, limit)]


async def replays_of(tx: TenantTx, request_id: UUID) -> list[Line]:
    """What came of a request when it was done once more, the latest first (index scim_request_replay)."""
    return [line_of(row) for row in await tx.fetch(_REPLAYS, tx.tenant_id, request_id)]


async def freshness(tx: TenantTx, source_id: SourceId) -> Freshness:
    """What a source did of late."""
    row = await tx.fetchrow(_FRESHNESS, tx.tenant_id, source_id, tx.now - timedelta(hours=24))
    assert row is not None
    return Freshness(row["last_at"], row["success_at"], row["requests"], row["errors"])


async def records_known_as(tx: TenantTx, source_id: SourceId, name: str) -> list[UUID]:
    """The records of a source that have this user name, e-mail address, client's id, or id; gone ones too."""
    rows = await tx.fetch(_RECORDS, tx.tenant_id, source_id, fold(name), name, parse_id(name))
    return [row["resource_id"] for row in rows]


async def requests_about(tx: TenantTx, vault: Vault, source_id: SourceId, name: str) -> list[UUID]:
    """The ids of a source's requests that were about somebody of this name, as `records_known_as` has it, or that have
    this id themselves; the latest MOST_NAMED, newest first.
    """
    records = await records_known_as(tx, source_id, name)
    key = digest(vault.key, tx.tenant_id, name)
    rows = await tx.fetch(NAMED, tx.tenant_id, source_id, key, records, parse_id(name), MOST_NAMED)
    return [row["request_id"] for row in rows]


@dataclass(frozen=True, slots=True)
class Written:
    """A change in the journal."""

    action: str
    reason: str
    state: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    person_id: PersonId | None


_WRITTEN: Final = """
SELECT action, reason, state, before, after, person_id FROM change WHERE tenant_id = $1 AND run_id = $2 AND ord = $3"""


async def written_at(tx: TenantTx, run_id: UUID, ord_: int) -> Written | None:
    """The change at a place in the journal; None if it is not there any more."""
    row = await tx.fetchrow(_WRITTEN, tx.tenant_id, run_id, ord_)
    return None if row is None else Written(**dict(row))
