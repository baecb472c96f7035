"""Who the new rows of a report are about: the one resolver asked for each, as if they came one after the other.

They come after what the same report changes and takes away: an employee id that one row gives up is free for the next,
and who left under one key may return under another.
"""

# Polars' signatures name types of NumPy, which is not installed.
# pyright: reportUnknownMemberType=false

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import polars as pl

from stoa.db.transactions import Row, TenantTx
from stoa.kernel.ids import PersonId, SourceId, new_id
from stoa.people.authority import authority
from stoa.people.delta import Delta
from stoa.people.fields import key_of
from stoa.people.rules import (
    Arrival,
    Candidate,
    CreateNew,
    Linked,
    LinkTo,
    Refuse,
    Verdict,
    resolve_in_order,
    strongest,
)

_ACTIONS: Mapping[type, str] = {LinkTo: "link", CreateNew: "create", Refuse: "refused"}
_IDENTIFIERS = ("employee_id", "email")


@dataclass(frozen=True, slots=True)
class Resolved:
    """The new rows with the resolver's word on each: links and creations, and what was refused (key and refusal)."""

    accepted: pl.DataFrame
    refused: Sequence[tuple[str, Refuse]]


async def resolve_new(tx: TenantTx, source_id: SourceId, delta: Delta) -> Resolved:
    """Asks about each new row, in the order of their keys, and adds person_id, resource_id, action and reason."""
    made = delta.made.sort("external_id")
    known = await _known(tx, source_id, delta)
    domains = await tx.fetch("SELECT domain FROM domain WHERE tenant_id = $1", tx.tenant_id)
    rows = made.select("employee_id_key", "email_key").iter_rows()
    arrivals = [Arrival(PersonId(new_id()), employee_id, email) for employee_id, email in rows]
    verdicts = resolve_in_order(arrivals, known, frozenset(row["domain"] for row in domains))
    told = made.with_columns(
        pl.Series("resource_id", [str(arrival.own_id) for arrival in arrivals], dtype=pl.String),
        pl.Series("person_id", list(_persons(arrivals, verdicts)), dtype=pl.String),
        pl.Series("action", [_ACTIONS[type(verdict)] for verdict in verdicts], dtype=pl.String),
        pl.Series("reason", [verdict.rule for verdict in verdicts], dtype=pl.String),
    )
    keys = made.get_column("external_id")
    refused = [(key, verdict) for key, verdict in zip(keys, verdicts, strict=True) if isinstance(verdict, Refuse)]
    return Resolved(told.filter(pl.col("action") != "refused"), refused)


def _persons(arrivals: Sequence[Arrival], verdicts: Sequence[Verdict]) -> Iterable[str | None]:
    for arrival, verdict in zip(arrivals, verdicts, strict=True):
        match verdict:
            case LinkTo():
                yield str(verdict.person_id)
            case CreateNew():
                yield str(arrival.own_id)
            case Refuse():
                yield None


async def _known(tx: TenantTx, source_id: SourceId, delta: Delta) -> list[Candidate]:
    """Persons that share an identifier with a new row, as the rest of the report leaves them."""
    touched = await _as_left(tx, source_id, delta)
    employee_ids = frozenset(delta.made.get_column("employee_id_key").drop_nulls())
    emails = frozenset(delta.made.get_column("email_key").drop_nulls())
    standing = await _standing(tx, source_id, employee_ids, emails)
    return [
        candidate
        for candidate in (*touched.values(), *(c for c in standing if c.person_id not in touched))
        if candidate.employee_id_key in employee_ids or candidate.email_key in emails
    ]


# ------------------------------------------------------------------ persons as they stand

_SHARING = """
SELECT p.person_id, p.employee_id_key, p.email_key, EXISTS (SELECT FROM source_record r
  WHERE r.tenant_id = $1 AND r.person_id = p.person_id AND r.source_id = $2 AND r.present) AS linked
FROM person p WHERE p.tenant_id = $1 AND p.merged_into IS NULL"""


async def _standing(
    tx: TenantTx, source_id: SourceId, employee_ids: frozenset[str], emails: frozenset[str]
) -> list[Candidate]:
    """Persons with one of the identifiers: by index for few of them, all persons in one pass for many."""
    many = 2 * (len(employee_ids) + len(emails))
    people = await tx.fetchval(
        "SELECT count(*) FROM (SELECT FROM person WHERE tenant_id = $1 LIMIT $2) AS x", tx.tenant_id, many
    )
    if not people:
        return []
    if people < many:
        rows = await tx.fetch(_SHARING, tx.tenant_id, source_id)
    else:
        by_key = f"{_SHARING} AND (p.employee_id_key = ANY($3) OR p.email_key = ANY($4))"
        rows = await tx.fetch(by_key, tx.tenant_id, source_id, list(employee_ids), list(emails))
    return [Candidate(row["person_id"], row["employee_id_key"], row["email_key"], row["linked"]) for row in rows]


# ------------------------------------------------------------------ persons as the report leaves them

# Records of persons whose identifiers, or whose presence in the source, the report changes. $3 to $5 are the keys and
# identifiers of changed rows, $6 the keys that left.
_TOUCHED = """
WITH said AS MATERIALIZED (
  SELECT * FROM unnest($3::text[], $4::text[], $5::text[]) AS s(external_id, employee_id, email)
  UNION ALL SELECT external_id, NULL, NULL FROM unnest($6::text[]) AS s(external_id)
), touched AS MATERIALIZED (
  SELECT DISTINCT r.person_id FROM said s
  JOIN source_record r ON r.tenant_id = $1 AND r.source_id = $2 AND r.external_id = s.external_id
  WHERE NOT r.present OR s.employee_id IS DISTINCT FROM r.employee_id OR s.email IS DISTINCT FROM r.email
    OR r.external_id = ANY($6)
)
SELECT r.person_id, r.source_id, r.external_id, r.resource_id, r.present, r.employee_id, r.email,
  (SELECT jsonb_object_agg(h.field, h.held_value) FROM hold h
   WHERE h.tenant_id = $1 AND h.resource_id = r.resource_id AND h.state = 'held') AS held
FROM touched t JOIN source_record r ON r.tenant_id = $1 AND r.person_id = t.person_id"""


async def _as_left(tx: TenantTx, source_id: SourceId, delta: Delta) -> dict[PersonId, Candidate]:
    said = {row[0]: row[1:] for row in delta.changed.select("external_id", *_IDENTIFIERS).iter_rows()}
    gone = frozenset(delta.gone)
    if not said and not gone:
        return {}
    columns = [list(said), *([row[i] for row in said.values()] for i in range(len(_IDENTIFIERS)))]
    rows = await tx.fetch(_TOUCHED, tx.tenant_id, source_id, *columns, list(gone))
    people: dict[PersonId, list[Linked]] = {}
    for row in rows:
        linked = _left(row, source_id, said, gone)
        people.setdefault(row["person_id"], []).append(linked)
    ranking = (await authority(tx)).ranking
    return {
        person_id: Candidate(
            person_id,
            *(key_of(strongest(records, name, ranking)) for name in _IDENTIFIERS),
            linked_here=any(record.present and record.source_id == source_id for record in records),
        )
        for person_id, records in people.items()
    }


def _left(row: Row, source_id: SourceId, said: Mapping[str, tuple[str | None, ...]], gone: frozenset[str]) -> Linked:
    values: dict[str, str | None] = {name: row[name] for name in _IDENTIFIERS}
    present: bool = row["present"]
    if row["source_id"] == source_id and row["external_id"] in said:
        values, present = dict(zip(_IDENTIFIERS, said[row["external_id"]], strict=True)), True
    if row["source_id"] == source_id and row["external_id"] in gone:
        present = False
    held: dict[str, str | None] = row["held"] or {}
    return Linked(UUID(str(row["resource_id"])), SourceId(row["source_id"]), present, present, values, held=held)
