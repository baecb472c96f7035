"""Comparing some people with everybody whom they share a key with, and keeping the pairs."""

# ruff: noqa: S608 - a constant of the code; every value is a bound parameter

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from stoa.db.transactions import Row, TenantTx
from stoa.kernel.fold import fold
from stoa.kernel.ids import new_id
from stoa.people.duplicates_rules import (
    COMMON,
    SHOWN,
    Facts,
    Key,
    comes_back,
    evidence_of,
    keys_of,
    score_of,
)

_PERSONS: Final = """
SELECT p.person_id, p.given_name, p.family_name, p.display_name, p.department, p.phone, p.hire_date, p.manager_id
FROM person p WHERE p.tenant_id = $1 AND p.person_id = ANY($2) AND p.merged_into IS NULL"""
_RECORDS: Final = """
SELECT r.person_id, r.source_id, r.present, r.employee_id_key, r.email_key, r.user_name_key FROM source_record r
WHERE r.tenant_id = $1 AND r.person_id = ANY($2)"""
# The journal is the history of addresses: what stood in a record before each change (index change_subject).
_PAST: Final = """
WITH mine AS MATERIALIZED (
  SELECT r.person_id, r.source_id, r.external_id FROM source_record r WHERE r.tenant_id = $1 AND r.person_id = ANY($2))
SELECT m.person_id, c.before->>'email' AS email FROM mine m
JOIN change c ON c.tenant_id = $1 AND c.source_id = m.source_id AND c.subject = m.external_id
WHERE c.before ? 'email' AND c.before->>'email' IS NOT NULL GROUP BY 1, 2"""

_KEPT: Final = "SELECT person_id, kind, key FROM duplicate_key WHERE tenant_id = $1 AND person_id = ANY($2)"
_FORGET: Final = """
DELETE FROM duplicate_key k USING unnest($2::text[], $3::text[], $4::uuid[]) AS g(kind, key, person_id)
WHERE k.tenant_id = $1 AND k.kind = g.kind COLLATE "C" AND k.key = g.key COLLATE "C" AND k.person_id = g.person_id"""
_KEEP: Final = """
INSERT INTO duplicate_key (tenant_id, kind, key, person_id)
SELECT $1, n.kind, n.key, n.person_id FROM unnest($2::text[], $3::text[], $4::uuid[]) AS n(kind, key, person_id)
ORDER BY n.kind COLLATE "C", n.key COLLATE "C", n.person_id ON CONFLICT DO NOTHING"""
# Who shares a key with whom, by the primary key; of a common key no more than tells that it is one.
SHARING: Final = f"""
WITH mine AS MATERIALIZED (
  SELECT DISTINCT k.kind, k.key FROM duplicate_key k WHERE k.tenant_id = $1 AND k.person_id = ANY($2))
SELECT m.kind, m.key, ARRAY(SELECT o.person_id FROM duplicate_key o
  WHERE o.tenant_id = $1 AND o.kind = m.kind AND o.key = m.key ORDER BY o.person_id LIMIT {COMMON + 1}) AS people
FROM mine m"""
_COMMON: Final = """
INSERT INTO duplicate_common (tenant_id, kind, key, seen_at)
SELECT $1, n.kind, n.key, $4 FROM unnest($2::text[], $3::text[]) AS n(kind, key) ORDER BY 2, 3
ON CONFLICT (tenant_id, kind, key) DO UPDATE SET seen_at = $4"""
_RARE: Final = """
DELETE FROM duplicate_common c USING unnest($2::text[], $3::text[]) AS n(kind, key)
WHERE c.tenant_id = $1 AND c.kind = n.kind COLLATE "C" AND c.key = n.key COLLATE "C" """

_PAIRS: Final = """
SELECT person_a, person_b, score, evidence, state, dismissed_score, dismissed_evidence FROM duplicate_pair
WHERE tenant_id = $1 AND person_a = ANY($2)
UNION
SELECT person_a, person_b, score, evidence, state, dismissed_score, dismissed_evidence FROM duplicate_pair
WHERE tenant_id = $1 AND person_b = ANY($2)"""
_GONE: Final = """
DELETE FROM duplicate_pair d USING unnest($2::uuid[], $3::uuid[]) AS g(a, b)
WHERE d.tenant_id = $1 AND d.person_a = g.a AND d.person_b = g.b AND d.state = 'open'"""
# What was merged, or dismissed, meanwhile stays so.
_WRITE: Final = """
INSERT INTO duplicate_pair AS d
  (tenant_id, pair_id, person_a, person_b, score, evidence, state, found_at, updated_at)
SELECT $1, n.pair_id, n.a, n.b, n.score, string_to_array(n.evidence, ','), 'open', $2, $2
FROM unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::int[], $7::text[])
  AS n(pair_id, a, b, score, evidence) ORDER BY n.a, n.b
ON CONFLICT (tenant_id, person_a, person_b) DO UPDATE SET score = excluded.score, evidence = excluded.evidence,
  updated_at = $2,
  state = CASE WHEN d.state = 'dismissed' AND excluded.pair_id = ANY($8) THEN 'open' ELSE d.state END,
  came_back_at = CASE WHEN d.state = 'dismissed' AND excluded.pair_id = ANY($8) THEN $2 ELSE d.came_back_at END
WHERE d.state <> 'merged'"""

Pair = tuple[UUID, UUID]


@dataclass(frozen=True, slots=True)
class Found:
    """What a comparison came to. pairs: those that are shown."""

    pairs: int
    common: int


async def compare(tx: TenantTx, person_ids: Sequence[UUID]) -> Found:
    """Compares people with everybody, and keeps the pairs. Who is gone, or part of somebody else, has none."""
    wanted = sorted(set(person_ids))
    facts = await _facts(tx, wanted)
    await _keep_keys(tx, wanted, {person_id: keys_of(one) for person_id, one in facts.items()})
    shared, common = await _sharing(tx, wanted)
    others = {one for pair in shared for one in pair} - set(facts)
    facts |= await _facts(tx, sorted(others))
    found: dict[Pair, tuple[int, tuple[str, ...]]] = {}
    for (a, b), kinds in shared.items():
        if a in facts and b in facts:
            evidence = evidence_of(kinds, facts[a], facts[b])
            score = score_of(evidence)
            if score >= SHOWN:
                found[a, b] = (score, evidence)
    await _keep_pairs(tx, wanted, found)
    return Found(len(found), common)


async def _facts(tx: TenantTx, person_ids: Sequence[UUID]) -> dict[UUID, Facts]:
    if not person_ids:
        return {}
    persons = await tx.fetch(_PERSONS, tx.tenant_id, person_ids)
    records: dict[UUID, list[Row]] = {}
    for row in await tx.fetch(_RECORDS, tx.tenant_id, person_ids):
        records.setdefault(row["person_id"], []).append(row)
    past: dict[UUID, set[str]] = {}
    for row in await tx.fetch(_PAST, tx.tenant_id, person_ids):
        past.setdefault(row["person_id"], set()).add(fold(row["email"]))
    return {row["person_id"]: _facts_of(row, records.get(row["person_id"], ()), past) for row in persons}


def _facts_of(person: Row, records: Sequence[Row], past: Mapping[UUID, set[str]]) -> Facts:
    names = ("given_name", "family_name", "display_name", "department", "phone", "hire_date", "manager_id")
    values: dict[str, Any] = {name: person[name] for name in names}

    def said(column: str) -> frozenset[str]:
        return frozenset(record[column] for record in records if record[column])

    return Facts(
        **values,
        employee_ids=said("employee_id_key"),
        emails=said("email_key"),
        past=past.get(person["person_id"], set()),
        user_names=said("user_name_key"),
        sources=frozenset(record["source_id"] for record in records if record["present"]),
    )


async def _keep_keys(tx: TenantTx, person_ids: Sequence[UUID], keys: Mapping[UUID, set[Key]]) -> None:
    kept = {(row["kind"], row["key"], row["person_id"]) for row in await tx.fetch(_KEPT, tx.tenant_id, person_ids)}
    fresh = {(kind, key, person_id) for person_id, own in keys.items() for kind, key in own}
    for statement, rows in ((_FORGET, kept - fresh), (_KEEP, fresh - kept)):
        if rows:
            await tx.execute(statement, tx.tenant_id, *_columns(rows, 3))


def _columns(rows: Iterable[Sequence[object]], width: int) -> list[list[object]]:
    ordered = list(rows)
    return [[row[i] for row in ordered] for i in range(width)]


async def _sharing(tx: TenantTx, person_ids: Sequence[UUID]) -> tuple[dict[Pair, set[str]], int]:
    """By pair with one of these people: the kinds of the keys that the two share; and how many keys are common."""
    own = frozenset(person_ids)
    shared: dict[Pair, set[str]] = {}
    common: set[Key] = set()
    rare: set[Key] = set()
    for row in await tx.fetch(SHARING, tx.tenant_id, person_ids):
        people: Sequence[UUID] = row["people"]
        (common if len(people) > COMMON else rare).add((row["kind"], row["key"]))
        if len(people) > COMMON:
            continue
        for i, a in enumerate(people):
            for b in people[i + 1 :]:
                if a in own or b in own:
                    shared.setdefault((a, b), set()).add(row["kind"])
    if common:
        await tx.execute(_COMMON, tx.tenant_id, *_columns(sorted(common), 2), tx.now)
    if rare:
        await tx.execute(_RARE, tx.tenant_id, *_columns(sorted(rare), 2))
    return shared, len(common)


async def _keep_pairs(
    tx: TenantTx, person_ids: Sequence[UUID], found: Mapping[Pair, tuple[int, tuple[str, ...]]]
) -> None:
    known = {(row["person_a"], row["person_b"]): row for row in await tx.fetch(_PAIRS, tx.tenant_id, person_ids)}
    stale = [pair for pair, row in known.items() if row["state"] == "open" and pair not in found]
    if stale:
        await tx.execute(_GONE, tx.tenant_id, *_columns(stale, 2))
    rows: list[tuple[object, ...]] = []
    back: list[UUID] = []
    for (a, b), (score, evidence) in found.items():
        row = known.get((a, b))
        if row is not None and (row["score"], tuple(row["evidence"])) == (score, evidence):
            continue
        pair_id = new_id()
        if row is not None and row["state"] == "dismissed" and _comes_back(row, score, evidence):
            back.append(pair_id)
        rows.append((pair_id, a, b, score, ",".join(evidence)))
    if rows:
        await tx.execute(_WRITE, tx.tenant_id, tx.now, *_columns(rows, 5), back)


def _comes_back(row: Row, score: int, evidence: Sequence[str]) -> bool:
    return comes_back(row["dismissed_score"] or 0, row["dismissed_evidence"] or (), score, evidence)
