"""Effective values written down: for one person by the rule, for many by SQL that gives the same (a property test holds
the two together).

Both lock the persons first and read the assertions in a later statement, so that of two writers of one person the
second sees what the first wrote.
"""

# ruff: noqa: S608 - identifiers come from `columns`, which is code; every value is a bound parameter

from collections.abc import Iterable, Sequence
from typing import Any

from stoa.db.errors import ForeignKeyViolation
from stoa.db.transactions import Row, TenantTx
from stoa.kernel.ids import PersonId, RunId, SourceId
from stoa.people.authority import Authority, authority
from stoa.people.columns import PERSON_COLUMNS, RECORD_VALUES, assigned, differ, listed
from stoa.people.fields import BY_NAME, KEYED, PERSON_FIELDS, from_json
from stoa.people.rules import Effective, Linked, effective

_STATE = (*PERSON_COLUMNS, "manager_id")
NOBODY = effective((), {})


# ------------------------------------------------------------------ one person


async def settle(tx: TenantTx, person_id: PersonId) -> None:
    """Brings one person's effective values up to date. A person without any record left is deleted, or left empty and
    inactive where something else still holds on to them.
    """
    row = await tx.fetchrow(
        f"SELECT {listed(_STATE)} FROM person WHERE tenant_id = $1 AND person_id = $2 FOR UPDATE",
        *(tx.tenant_id, person_id),
    )
    if row is None:
        return
    records = await linked_records(tx, person_id)
    if not records:
        await _part_with(tx, [person_id])
        return
    # One record alone wins every field, whoever ranks where.
    found = effective(records, (await authority(tx)).ranking if len(records) > 1 else {})
    fresh = _as_row(found)
    if tuple(row.values()) != fresh:
        await _update_person(tx, person_id, fresh)


def _as_row(found: Effective) -> tuple[object, ...]:
    named: dict[str, object] = {"active": found.active, "manager_id": found.manager_id, **found.values, **found.keys}
    return tuple(named[column] for column in _STATE)


async def _update_person(tx: TenantTx, person_id: PersonId, values: Sequence[object]) -> None:
    sets = ", ".join(f"{column} = ${i}" for i, column in enumerate(_STATE, start=4))
    # The epoch rises in the same statement as the state falls, so that sessions die with it.
    await tx.execute(
        f"""UPDATE person SET access_epoch = access_epoch + (active AND NOT $4)::int, {sets},
          version = version + 1, updated_at = $3
        WHERE tenant_id = $1 AND person_id = $2""",
        *(tx.tenant_id, person_id, tx.now, *values),
    )


async def insert_person(tx: TenantTx, person_id: PersonId, run_id: RunId, record: Linked) -> None:
    """Makes the person of a first record."""
    values = _as_row(effective([record], {}))
    marks = ", ".join(f"${i}" for i in range(5, 5 + len(values)))
    await tx.execute(
        f"""INSERT INTO person (tenant_id, person_id, created_run, created_at, updated_at, {listed(_STATE)})
        VALUES ($1, $2, $3, $4, $4, {marks})""",
        *(tx.tenant_id, person_id, run_id, tx.now, *values),
    )


# A held manager_ref names another manager than the record does. (MATERIALIZED: under row-level security a join may use
# the index for a plain column only.)
_LINKED = f"""
WITH mine AS MATERIALIZED (
  SELECT r.resource_id, r.source_id, r.person_id, r.present, r.active, {listed(RECORD_VALUES, "r")}, held.by_field,
    CASE WHEN held.by_field ? 'manager_ref' THEN (held.by_field->>'manager_ref') COLLATE "C"
         ELSE r.manager_ref END AS manager_key
  FROM source_record r
  CROSS JOIN LATERAL (SELECT jsonb_object_agg(h.field, h.held_value) AS by_field FROM hold h
    WHERE h.tenant_id = $1 AND h.resource_id = r.resource_id AND h.state = 'held') AS held
  WHERE r.tenant_id = $1 AND r.person_id = $2
)
SELECT mine.*, nullif(m.person_id, mine.person_id) AS manager FROM mine
LEFT JOIN source_record m ON m.tenant_id = $1 AND m.source_id = mine.source_id AND m.external_id = mine.manager_key"""


async def linked_records(tx: TenantTx, person_id: PersonId) -> list[Linked]:
    """Every record of a person, with the manager that it names and the holds upon it."""
    return [_linked(row) for row in await tx.fetch(_LINKED, tx.tenant_id, person_id)]


def _linked(row: Row) -> Linked:
    held: dict[str, Any] = row["by_field"] or {}
    return Linked(
        resource_id=row["resource_id"],
        source_id=SourceId(row["source_id"]),
        present=row["present"],
        active=row["active"],
        values={name: row[name] for name in RECORD_VALUES},
        manager=row["manager"],
        held={name: from_json(BY_NAME[name], value) if name in BY_NAME else value for name, value in held.items()},
    )


# ------------------------------------------------------------------ many


async def recompute(tx: TenantTx, person_ids: Iterable[PersonId]) -> None:
    """Brings many persons up to date, set by set; those under a hold, who are few, one by one."""
    wanted = sorted(set(person_ids))
    if not wanted:
        return
    await tx.execute(
        "SELECT 1 FROM person WHERE tenant_id = $1 AND person_id = ANY($2) ORDER BY person_id FOR UPDATE",
        *(tx.tenant_id, wanted),
    )
    rows = await tx.fetch(
        """SELECT DISTINCT r.person_id FROM hold h
        JOIN source_record r ON r.tenant_id = $1 AND r.resource_id = h.resource_id
        WHERE h.tenant_id = $1 AND h.state = 'held' AND r.person_id = ANY($2)""",
        *(tx.tenant_id, wanted),
    )
    held = {row["person_id"] for row in rows}
    for person_id in sorted(held):
        await settle(tx, person_id)
    free = [person_id for person_id in wanted if person_id not in held]
    if free:
        sql, rankings = _recompute_sql(await authority(tx))
        await tx.execute(sql, tx.tenant_id, free, tx.now, *rankings)
        await _part_with(tx, free)


_ORPHANS = """
SELECT p.person_id FROM person p WHERE p.tenant_id = $1 AND p.person_id = ANY($2) AND p.merged_into IS NULL
AND NOT EXISTS (SELECT FROM source_record r WHERE r.tenant_id = $1 AND r.person_id = p.person_id)"""

_DELETE_PERSONS = """
DELETE FROM person p WHERE p.tenant_id = $1 AND p.person_id = ANY($2)
AND NOT EXISTS (SELECT FROM person m WHERE m.tenant_id = $1 AND m.merged_into = p.person_id) RETURNING person_id"""


async def _part_with(tx: TenantTx, person_ids: Sequence[PersonId]) -> None:
    """Deletes those of the persons of whom no record is left: an undo took the last. Whom something else holds stays,
    without values and without access.
    """
    orphans = [row["person_id"] for row in await tx.fetch(_ORPHANS, tx.tenant_id, list(person_ids))]
    for person_id in await _delete(tx, orphans):
        await _update_person(tx, person_id, _as_row(NOBODY))


async def _delete(tx: TenantTx, person_ids: Sequence[PersonId]) -> list[PersonId]:
    """Deletes persons and gives those whom another row refers to."""
    if not person_ids:
        return []
    try:
        async with tx.savepoint():
            rows = await tx.fetch(_DELETE_PERSONS, tx.tenant_id, list(person_ids))
    except ForeignKeyViolation:
        half = len(person_ids) // 2
        if half == 0:
            return list(person_ids)
        return await _delete(tx, person_ids[:half]) + await _delete(tx, person_ids[half:])
    gone = {row["person_id"] for row in rows}
    return [person_id for person_id in person_ids if person_id not in gone]


def _recompute_sql(rules: Authority) -> tuple[str, list[list[SourceId]]]:
    """The statement, and its parameters from $4 on: one list of sources for each different ranking.

    The first is that for `active`.
    """
    rankings: list[list[SourceId]] = [list(rules.ranking.get("active", ()))]
    place: dict[str, int] = {}
    for name in (*PERSON_FIELDS, "manager_ref"):
        ranked = list(rules.ranking.get(name, ()))
        if ranked not in rankings[1:]:
            rankings.append(ranked)
        place[name] = rankings.index(ranked, 1)
    ranks = ", ".join(
        f"coalesce(array_position(${i + 4}::uuid[], r.source_id), 2147483647) AS rank_{i}"
        for i in range(1, len(rankings))
    )

    def strongest(column: str, said: str, rank: int) -> str:
        order = f"rank_{rank}, source_id, NOT present, resource_id"
        return f"(array_agg({column} ORDER BY {order}) FILTER (WHERE {said} IS NOT NULL))[1]"

    fields = [f"{strongest(name, name, place[name])} AS {name}" for name in PERSON_FIELDS]
    fields += [f"{strongest(f'{name}_key', name, place[name])} AS {name}_key" for name in KEYED]
    fields.append(f"{strongest('manager', 'manager', place['manager_ref'])} AS manager_id")
    return _statement(fields, ranks), rankings


def _statement(fields: Sequence[str], ranks: str) -> str:
    return f"""
    WITH linked AS (
      SELECT r.*, nullif(m.person_id, r.person_id) AS manager, {ranks}
      FROM source_record r
      LEFT JOIN source_record m ON m.tenant_id = $1 AND m.source_id = r.source_id AND m.external_id = r.manager_ref
      WHERE r.tenant_id = $1 AND r.person_id = ANY($2)
    ), word AS (
      SELECT person_id, source_id = ANY($4::uuid[]) AS counted, bool_or(active) AS active
      FROM linked GROUP BY person_id, source_id
    ), state AS (
      SELECT person_id, coalesce(bool_and(active) FILTER (WHERE counted), bool_and(active)) AS active
      FROM word GROUP BY person_id
    ), ranked AS (
      SELECT person_id, {", ".join(fields)} FROM linked GROUP BY person_id
    ), x AS (
      SELECT state.active, ranked.* FROM ranked JOIN state USING (person_id)
    )
    UPDATE person p SET access_epoch = p.access_epoch + (p.active AND NOT x.active)::int, {assigned(_STATE, "x")},
      version = p.version + 1, updated_at = $3
    FROM x WHERE p.tenant_id = $1 AND p.person_id = x.person_id AND {differ(_STATE, "p", "x")}"""


async def recompute_everybody(tx: TenantTx, *, after: PersonId | None = None, limit: int = 5_000) -> PersonId | None:
    """Recomputes a page of the tenant's persons in the order of their ids. Gives the last one's id, from which to go
    on, or None when there are no more.
    """
    rows = await tx.fetch(
        """SELECT person_id FROM person
        WHERE tenant_id = $1 AND ($2::uuid IS NULL OR person_id > $2) AND merged_into IS NULL
        ORDER BY person_id LIMIT $3""",
        *(tx.tenant_id, after, limit),
    )
    await recompute(tx, [row["person_id"] for row in rows])
    return rows[-1]["person_id"] if len(rows) == limit else None
