"""Who the new rows of a report are about: the one resolver asked for each, as if they came one after the other.

They come after what the same report changes and takes away: an employee id that one row gives up is free for the next,
and who left under one key may return under another.
"""

# Polars' signatures name types of NumPy, which is not installed.
# pyright: reportUnknownMemberType=false

# ruff: noqa: S608 - identifiers are code; every value is a bound parameter

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import polars as pl

from stoa.db.transactions import Row, TenantTx
from stoa.kernel.ids import PersonId, SourceId, new_id
from stoa.people.authority import authority
from stoa.people.columns import RECORD_VALUES
from stoa.people.decisions import RefusedRow
from stoa.people.delta import Delta
from stoa.people.fields import key_of
from stoa.people.matching import (
    Arrival,
    Candidate,
    ClaimBy,
    Claims,
    CreateNew,
    Identifiers,
    LinkTo,
    Refuse,
    Standing,
    Verdict,
    Word,
    resolve_in_order,
)
from stoa.people.recognising import key_of_subject
from stoa.people.rules import Linked, strongest

_ACTIONS: Mapping[type, str] = {LinkTo: "link", CreateNew: "create", Refuse: "refused"}
_IDENTIFIERS = ("employee_id", "email")


@dataclass(frozen=True, slots=True)
class Resolved:
    """The new rows with the resolver's word on each: links and creations, and what was refused."""

    accepted: pl.DataFrame
    refused: Sequence[RefusedRow]


async def resolve_new(tx: TenantTx, source_id: SourceId, delta: Delta) -> Resolved:
    """Asks about each new row, in the order of their keys, and adds person_id, resource_id, action and reason."""
    made = delta.made.sort("external_id")
    claims = await _claims(tx, source_id, made)
    standing = await _decided(tx, source_id)
    named = frozenset(one for people in claims.values() for one in people)
    chosen = frozenset(one.person_id for one in standing.values() if one.person_id is not None)
    known = await _known(tx, source_id, delta, named | chosen)
    domains = await tx.fetch("SELECT domain FROM domain WHERE tenant_id = $1", tx.tenant_id)
    arrivals = [
        Arrival(PersonId(new_id()), Identifiers(*said), standing.get(key_of_subject(said[-1])))
        for said in made.select("employee_id_key", "email_key", "user_name_key", "external_id").iter_rows()
    ]
    verdicts = resolve_in_order(arrivals, known, frozenset(row["domain"] for row in domains), claims)
    told = made.with_columns(
        pl.Series("resource_id", [str(arrival.own_id) for arrival in arrivals], dtype=pl.String),
        pl.Series("person_id", list(_persons(arrivals, verdicts)), dtype=pl.String),
        pl.Series("action", [_ACTIONS[type(verdict)] for verdict in verdicts], dtype=pl.String),
        pl.Series("reason", [verdict.rule for verdict in verdicts], dtype=pl.String),
    )
    return Resolved(told.filter(pl.col("action") != "refused"), _refused(made, verdicts))


def _refused(made: pl.DataFrame, verdicts: Sequence[Verdict]) -> list[RefusedRow]:
    places = [place for place, verdict in enumerate(verdicts) if isinstance(verdict, Refuse)]
    rows = made[places].select("external_id", *RECORD_VALUES, "asserted_active").iter_rows(named=True)
    return [
        RefusedRow(row["external_id"], verdict, row)
        for row, verdict in zip(rows, (verdicts[place] for place in places), strict=True)
        if isinstance(verdict, Refuse)
    ]


def _persons(arrivals: Sequence[Arrival], verdicts: Sequence[Verdict]) -> Iterable[str | None]:
    for arrival, verdict in zip(arrivals, verdicts, strict=True):
        match verdict:
            case LinkTo():
                yield str(verdict.person_id)
            case CreateNew():
                yield str(arrival.own_id)
            case Refuse():
                yield None


# ------------------------------------------------------------------ claims and decisions

_RULES: Final = "SELECT of_source, matched_by FROM claim_rule WHERE tenant_id = $1 AND source_id = $2"
_NAMED: Final[Mapping[ClaimBy, tuple[str, ...]]] = {
    ClaimBy.EXTERNAL_ID: ("scim_external_id", "external_id"),
    ClaimBy.USER_NAME: ("user_name_key",),
    ClaimBy.EMAIL: ("email_key",),
}


async def _claims(tx: TenantTx, source_id: SourceId, made: pl.DataFrame) -> Claims:
    """Whom the source's claim rules name, by the values of the new rows."""
    claims: dict[tuple[ClaimBy, str], list[PersonId]] = {}
    for rule in await tx.fetch(_RULES, tx.tenant_id, source_id):
        by = ClaimBy(rule["matched_by"])
        column = "external_id" if by is ClaimBy.EXTERNAL_ID else f"{by}_key"
        values = made.get_column(column).drop_nulls().unique().to_list()
        for name in _NAMED[by]:
            rows = await tx.fetch(
                f"""SELECT r.{name} AS value, r.person_id FROM source_record r
                WHERE r.tenant_id = $1 AND r.source_id = $2 AND r.{name} = ANY($3) AND r.present""",
                *(tx.tenant_id, rule["of_source"], values),
            )
            for row in rows:
                claims.setdefault((by, row["value"]), []).append(row["person_id"])
    return claims


async def _decided(tx: TenantTx, source_id: SourceId) -> dict[str, Standing]:
    """What admins have said of the source's subjects, by their keys."""
    rows = await tx.fetch(
        """SELECT d.decision_id, d.subject_key, d.verdict, p.person_id FROM decision d
        LEFT JOIN person p ON p.tenant_id = $1 AND p.person_id = d.verdict_person AND p.merged_into IS NULL
        WHERE d.tenant_id = $1 AND d.source_id = $2 AND d.subject_key IS NOT NULL AND d.resolved_at IS NULL
          AND d.verdict IS NOT NULL""",
        *(tx.tenant_id, source_id),
    )
    return {row["subject_key"]: Standing(row["decision_id"], Word(row["verdict"]), row["person_id"]) for row in rows}


# ------------------------------------------------------------------ who shares an identifier


async def _known(tx: TenantTx, source_id: SourceId, delta: Delta, claimed: frozenset[PersonId]) -> list[Candidate]:
    """Persons that share an identifier with a new row, or whom a claim or a decision names, as the rest of the report
    leaves them.
    """
    touched = await _as_left(tx, source_id, delta)
    employee_ids = frozenset(delta.made.get_column("employee_id_key").drop_nulls())
    emails = frozenset(delta.made.get_column("email_key").drop_nulls())
    standing = await _standing(tx, source_id, employee_ids, emails)
    asked = {candidate.person_id for candidate in standing} | touched.keys()
    by_claim = await tx.fetch(f"{_SHARING} AND p.person_id = ANY($3)", tx.tenant_id, source_id, list(claimed - asked))
    standing += [_candidate(row) for row in by_claim]
    return [
        candidate
        for candidate in (*touched.values(), *(c for c in standing if c.person_id not in touched))
        if candidate.employee_id_key in employee_ids or candidate.email_key in emails or candidate.person_id in claimed
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
    return [_candidate(row) for row in rows]


def _candidate(row: Row) -> Candidate:
    return Candidate(row["person_id"], row["employee_id_key"], row["email_key"], row["linked"])


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
