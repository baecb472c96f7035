"""Effective values written down: for one person by the rule, for many by SQL that gives the same (a property test holds the two together).

Both lock the persons first and read the assertions in a later statement, so that of two writers of one person the second sees what the first wrote.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from stoa.db.transactions import Row, TenantTx
from stoa.kernel.ids import PersonId, RunId, SourceId
from stoa.people.authority import Authority, authority
from stoa.people.columns import PERSON_COLUMNS, RECORD_VALUES, assigned, differ, listed
from stoa.people.fields import BY_NAME, KEYED, PERSON_FIELDS, from_json
from stoa.people.rules import Effective, Linked, effective

_STATE = (*PERSON_COLUMNS, "manager_id")


# ------------------------------------------------------------------ one person


async def settle(tx: TenantTx, person_id: PersonId) -> None:
    """Brings one person's effective values up to date; a person without any record left is deleted."""
    row = await tx.fetchrow(
        f"SELECT {listed(_STATE)} FROM person WHERE tenant_id = $1 AND person_id = $2 FOR UPDATE",
        tx.tenant_id,
        person_id,
    )
    records = await linked_records(tx, person_id)
    if row is None:
        return
    if not records:
        await _delete_orphans(tx, [person_id])
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
        f"""UPDATE person SET access_epoch = access_epoch + (active AND NOT $4)::int, {sets}, version = version + 1, updated_at = $3
        WHERE tenant_id = $1 AND person_id = $2""",
        tx.tenant_id, person_id, tx.now, *values,
    )  # fmt: skip


async def insert_person(tx: TenantTx, person_id: PersonId, run_id: RunId, record: Linked) -> None:
    """Makes the person of a first record."""
    values = _as_row(effective([record], {}))
    marks = ", ".join(f"${i}" for i in range(5, 5 + len(values)))
    await tx.execute(
        f"""INSERT INTO person (tenant_id, person_id, created_run, created_at, updated_at, {listed(_STATE)})
        VALUES ($1, $2, $3, $4, $4, {marks})""",
        tx.tenant_id, person_id, run_id, tx.now, *values,
    )  # fmt: skip


async def linked_records(tx: TenantTx, person_id: PersonId) -> list[Linked]:
    """Every record of a person, with the manager that it names and the holds upon it."""
    rows = await tx.fetch(
        f"""SELECT r.resource_id, r.source_id, r.present, r.active, {listed(RECORD_VALUES, "r")}, nullif(m.person_id, r.person_id) AS manager,
          (SELECT jsonb_object_agg(h.field, h.held_value) FROM hold h
           WHERE h.tenant_id = $1 AND h.resource_id = r.resource_id AND h.state = 'held') AS held
        FROM source_record r
        LEFT JOIN source_record m ON m.tenant_id = $1 AND m.source_id = r.source_id AND m.external_id = r.manager_ref
        WHERE r.tenant_id = $1 AND r.person_id = $2""",
        tx.tenant_id, person_id,
    )  # fmt: skip
    return [_linked(row) for row in rows]


def _linked(row: Row) -> Linked:
    held: dict[str, Any] = row["held"] or {}
    return Linked(
        resource_id=row["resource_id"],
        source_id=SourceId(row["source_id"]),
        present=row["present"],
        active=row["active"],
        values={name: row[name] for name in RECORD_VALUES},
        manager=row["manager"],
        held={name: from_json(BY_NAME[name], value) if name in BY_NAME else value for name, value in held.items()},
    )


async def reports_of(tx: TenantTx, source_id: SourceId, external_ids: Sequence[str]) -> list[PersonId]:
    """Persons whose record in the source names one of these records as manager (index source_record_manager)."""
    rows = await tx.fetch(
        "SELECT DISTINCT person_id FROM source_record WHERE tenant_id = $1 AND source_id = $2 AND manager_ref = ANY($3)",
        tx.tenant_id, source_id, list(external_ids),
    )  # fmt: skip
    return [row["person_id"] for row in rows]


# ------------------------------------------------------------------ many


async def recompute(tx: TenantTx, person_ids: Iterable[PersonId]) -> None:
    """Brings many persons up to date, set by set; those under a hold, who are few, one by one."""
    wanted = sorted(set(person_ids))
    if not wanted:
        return
    await tx.execute(
        "SELECT 1 FROM person WHERE tenant_id = $1 AND person_id = ANY($2) ORDER BY person_id FOR UPDATE",
        tx.tenant_id,
        wanted,
    )
    rows = await tx.fetch(
        "SELECT DISTINCT person_id FROM hold WHERE tenant_id = $1 AND state = 'held' AND person_id = ANY($2)",
        tx.tenant_id,
        wanted,
    )
    held = {row["person_id"] for row in rows}
    for person_id in sorted(held):
        await settle(tx, person_id)
    free = [person_id for person_id in wanted if person_id not in held]
    if free:
        sql, rankings = _recompute_sql(await authority(tx))
        await tx.execute(sql, tx.tenant_id, free, tx.now, *rankings)
        await _delete_orphans(tx, free)


async def _delete_orphans(tx: TenantTx, person_ids: Sequence[PersonId]) -> None:
    # A person is what the records say; where an undo took the last of them, there is nobody left.
    await tx.execute(
        """DELETE FROM person p WHERE p.tenant_id = $1 AND p.person_id = ANY($2) AND p.merged_into IS NULL
        AND NOT EXISTS (SELECT FROM source_record r WHERE r.tenant_id = $1 AND r.person_id = p.person_id)""",
        tx.tenant_id, list(person_ids),
    )  # fmt: skip


def _recompute_sql(rules: Authority) -> tuple[str, list[list[SourceId]]]:
    """The statement, and its parameters from $4 on: one list of sources for each different ranking, the first that for `active`."""
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
    sql = f"""
    WITH linked AS (
      SELECT r.*, nullif(m.person_id, r.person_id) AS manager, {ranks}
      FROM source_record r
      LEFT JOIN source_record m ON m.tenant_id = $1 AND m.source_id = r.source_id AND m.external_id = r.manager_ref
      WHERE r.tenant_id = $1 AND r.person_id = ANY($2)
    ), word AS (
      SELECT person_id, source_id = ANY($4::uuid[]) AS counted, bool_or(active) AS active FROM linked GROUP BY person_id, source_id
    ), state AS (
      SELECT person_id, coalesce(bool_and(active) FILTER (WHERE counted), bool_and(active)) AS active FROM word GROUP BY person_id
    ), ranked AS (
      SELECT person_id, {", ".join(fields)} FROM linked GROUP BY person_id
    ), x AS (
      SELECT state.active, ranked.* FROM ranked JOIN state USING (person_id)
    )
    UPDATE person p SET access_epoch = p.access_epoch + (p.active AND NOT x.active)::int, {assigned(_STATE, "x")},
      version = p.version + 1, updated_at = $3
    FROM x WHERE p.tenant_id = $1 AND p.person_id = x.person_id AND {differ(_STATE, "p", "x")}"""
    return sql, rankings


async def recompute_everybody(tx: TenantTx, *, after: PersonId | None = None, limit: int = 5_000) -> PersonId | None:
    """Recomputes a page of the tenant's persons in the order of their ids and gives the last, or None when there are no more."""
    rows = await tx.fetch(
        """SELECT person_id FROM person WHERE tenant_id = $1 AND ($2::uuid IS NULL OR person_id > $2) AND merged_into IS NULL
        ORDER BY person_id LIMIT $3""",
        tx.tenant_id, after, limit,
    )  # fmt: skip
    await recompute(tx, [row["person_id"] for row in rows])
    return rows[-1]["person_id"] if len(rows) == limit else None
