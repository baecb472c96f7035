"""Effective values written down: for one person by the rule, for many by SQL that gives the same (a property test holds
the two together).

Both lock the persons first and read the assertions in a later statement, so that of two writers of one person the
second sees what the first wrote.
"""

# ruff: noqa: S608 - identifiers come from `columns`, which is code; every value is a bound parameter

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stoa.db.errors import ForeignKeyViolation
from stoa.db.transactions import Row, TenantTx
from stoa.kernel.ids import PersonId, RunId, SourceId
from stoa.people.authority import Authority, authority
from stoa.people.columns import PERSON_COLUMNS, RECORD_VALUES, assigned, differ, listed
from stoa.people.effects import WRITTEN, Effect, difference, differing, made, tell, tell_written, telling, whole
from stoa.people.fields import BY_NAME, KEYED, PERSON_FIELDS, from_json
from stoa.people.journal import Part
from stoa.people.rules import Effective, Linked, Ranking, effective

# What follows for a person from their records, by column.
STATE = (*PERSON_COLUMNS, "manager_id")
NOBODY = effective((), {})


# ------------------------------------------------------------------ one person


async def settle(tx: TenantTx, person_id: PersonId, run_id: RunId) -> Effect | None:
    """Brings one person's effective values up to date. A person without any record left is deleted, or left empty and
    inactive where something else still holds on to them.

    Gives what changed, for the caller to write down with the change that is its cause (`journal.write`), or by itself
    (`effects.tell`).

    run_id: the run in whose name a person is parted with.
    """
    row = await _locked(tx, person_id)
    if row is None:
        return None
    records = await linked_records(tx, person_id)
    if not records:
        await _part_with(tx, [person_id], run_id)
        return None
    # One record alone wins every field, whoever ranks where.
    found = effective(records, (await authority(tx)).ranking if len(records) > 1 else {})
    return await _become(tx, person_id, row, _as_row(found))


async def becoming(tx: TenantTx, person_id: PersonId, row: Row) -> tuple[Effect | None, tuple[Part, ...]]:
    """As `settle`, for a person who has a record and is locked already: gives what changed and the statement that
    writes it, for the caller to send with the journal's.

    row: has the columns LOCKED, read under the lock by an earlier statement than this asks for the records.
    """
    records = await linked_records(tx, person_id)
    became = becomes(row, records, (await authority(tx)).ranking if len(records) > 1 else {})
    if became is None:
        return None, ()
    return became.effect, (Part(_UPDATE_PART, (person_id, tx.now, *became.values)),)


@dataclass(frozen=True, slots=True)
class Became:
    """What becomes of a person: every column of STATE, and what is told of it, if anybody outside would see it."""

    values: tuple[object, ...]
    effect: Effect | None


def becomes(row: Row | Mapping[str, Any], records: Sequence[Linked], ranking: Ranking) -> Became | None:
    """What follows for a person of all their records; None where that is what they are.

    row: has the columns LOCKED.
    """
    fresh = _as_row(effective(records, ranking))
    if tuple(row[column] for column in STATE) == fresh:
        return None
    return Became(fresh, difference(row["version"] + 1, dict(row.items()), dict(zip(STATE, fresh, strict=True))))


# What is read of a person under their lock.
LOCKED = f"{listed(STATE)}, version"


def _values(row: Row) -> tuple[object, ...]:
    return tuple(row.values())[: len(STATE)]


async def _locked(tx: TenantTx, person_id: PersonId) -> Row | None:
    return await tx.fetchrow(
        f"SELECT {LOCKED} FROM person WHERE tenant_id = $1 AND person_id = $2 FOR UPDATE", tx.tenant_id, person_id
    )


async def _become(tx: TenantTx, person_id: PersonId, row: Row, fresh: tuple[object, ...]) -> Effect | None:
    if _values(row) == fresh:
        return None
    version = await _update_person(tx, person_id, fresh)
    return difference(version, dict(row.items()), dict(zip(STATE, fresh, strict=True)))


def _as_row(found: Effective) -> tuple[object, ...]:
    named: dict[str, object] = {"active": found.active, "manager_id": found.manager_id, **found.values, **found.keys}
    return tuple(named[column] for column in STATE)


def _update(first: int, mark: str) -> str:
    """The statement that writes a person's values. mark: what parameters begin with; `first`: that of the person."""
    sets = ", ".join(f"{column} = {mark}{i}" for i, column in enumerate(STATE, start=first + 2))
    # The epoch rises in the same statement as the state falls, so that sessions die with it.
    return f"""UPDATE person SET access_epoch = access_epoch + (active AND NOT {mark}{first + 2})::int, {sets},
      version = version + 1, updated_at = {mark}{first + 1} WHERE tenant_id = $1 AND person_id = {mark}{first}"""


_UPDATE_PART = _update(1, ":")


async def _update_person(tx: TenantTx, person_id: PersonId, values: Sequence[object]) -> int:
    return await tx.fetchval(f"{_update(2, '$')} RETURNING version", tx.tenant_id, person_id, tx.now, *values)


_INSERT_PART = f"""INSERT INTO person (tenant_id, person_id, created_run, created_at, updated_at, {listed(STATE)})
  SELECT $1, :1, :2, :3, :3, {", ".join(f":{i}" for i in range(4, 4 + len(STATE)))} FROM part_0"""


def new_person(tx: TenantTx, person_id: PersonId, run_id: RunId, record: Linked) -> tuple[Effect, Part]:
    """The person of a first record: what is written down of them with the record's change, and the statement that makes
    them once that record, which is the first part, is made.
    """
    values = _as_row(effective([record], {}))
    return made(record.manager), Part(_INSERT_PART, (person_id, run_id, tx.now, *values))


def with_holds(columns: str, person: str = "$2") -> str:
    """The query of a person's records: some columns of `r`, the holds upon it as `by_field`, and as `manager_key`
    the key by which it names a manager: that of a held manager_ref is another than the record's.

    Let it be MATERIALIZED: under row-level security a join may use the index for a plain column only.
    """
    return f"""
  SELECT {columns}, held.by_field,
    CASE WHEN held.by_field ? 'manager_ref' THEN (held.by_field->>'manager_ref') COLLATE "C"
         ELSE r.manager_ref END AS manager_key
  FROM source_record r
  CROSS JOIN LATERAL (SELECT jsonb_object_agg(h.field, h.held_value) AS by_field FROM hold h
    WHERE h.tenant_id = $1 AND h.resource_id = r.resource_id AND h.state = 'held') AS held
  WHERE r.tenant_id = $1 AND r.person_id = {person}"""


_OF_RECORD = f"r.resource_id, r.source_id, r.person_id, r.present, r.active, {listed(RECORD_VALUES, 'r')}"
_WITH_MANAGER = """
SELECT mine.*, nullif(m.person_id, mine.person_id) AS manager FROM mine LEFT JOIN LATERAL (
  SELECT r.person_id FROM source_record r
  WHERE r.tenant_id = $1 AND r.source_id = mine.source_id AND r.external_id = mine.manager_key LIMIT 1) AS m ON true"""
_LINKED = f"WITH mine AS MATERIALIZED ({with_holds(_OF_RECORD)}) {_WITH_MANAGER}"
# Person by person, whatever the statistics say.
_ALL_LINKED = f"""
WITH mine AS MATERIALIZED (
  SELECT r.* FROM unnest($2::uuid[]) AS wanted (id)
  CROSS JOIN LATERAL ({with_holds(_OF_RECORD, "wanted.id")} OFFSET 0) AS r
) {_WITH_MANAGER}"""


async def linked_records(tx: TenantTx, person_id: PersonId) -> list[Linked]:
    """Every record of a person, with the manager that it names and the holds upon it."""
    return [linked_of(row) for row in await tx.fetch(_LINKED, tx.tenant_id, person_id)]


async def records_of_all(tx: TenantTx, person_ids: Sequence[PersonId]) -> dict[PersonId, list[Linked]]:
    """As `linked_records`, for several persons."""
    found: dict[PersonId, list[Linked]] = {}
    for row in await tx.fetch(_ALL_LINKED, tx.tenant_id, person_ids):
        found.setdefault(row["person_id"], []).append(linked_of(row))
    return found


def linked_of(row: Row | Mapping[str, Any]) -> Linked:
    """The record of a row that has the columns of `with_holds`, and the person whom it names as `manager`."""
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


async def recompute(tx: TenantTx, person_ids: Iterable[PersonId], run_id: RunId) -> None:
    """Brings many persons up to date, set by set; those under a hold, who are few, one by one. Writes down what became
    of them, with its events.

    run_id: the run that they follow from. No other transaction may recompute many in its name at the same time.
    """
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
        effect = await settle(tx, person_id, run_id)
        if effect is not None:
            await tell(tx, run_id, person_id, effect)
    free = [person_id for person_id in wanted if person_id not in held]
    if free:
        sql, rankings = _recompute_sql(await authority(tx))
        written = await tx.fetchrow(sql, tx.tenant_id, free, tx.now, run_id, *rankings)
        assert written is not None
        tell_written(tx, run_id, written)
        await _part_with(tx, free, run_id)


_ORPHANS = """
SELECT p.person_id FROM person p WHERE p.tenant_id = $1 AND p.person_id = ANY($2) AND p.merged_into IS NULL
AND NOT EXISTS (SELECT FROM source_record r WHERE r.tenant_id = $1 AND r.person_id = p.person_id)"""

_DELETE_PERSONS = f"""
WITH gone AS (
  DELETE FROM person p WHERE p.tenant_id = $1 AND p.person_id = ANY($2)
  AND NOT EXISTS (SELECT FROM person m WHERE m.tenant_id = $1 AND m.merged_into = p.person_id)
  RETURNING p.person_id, p.version, {whole("p")} AS before, NULL::jsonb AS after
), noted AS (
  INSERT INTO removed_person (tenant_id, person_id, removed_at) SELECT $1, person_id, $4 FROM gone
  ON CONFLICT (tenant_id, person_id) DO UPDATE SET removed_at = excluded.removed_at
), {telling("$3", "gone")}
SELECT written.*, ARRAY(SELECT person_id FROM gone) AS gone FROM ({WRITTEN}) AS written"""


async def _part_with(tx: TenantTx, person_ids: Sequence[PersonId], run_id: RunId) -> None:
    """Deletes those of the persons of whom no record is left: an undo took the last. Whom something else holds stays,
    without values and without access.
    """
    orphans = [row["person_id"] for row in await tx.fetch(_ORPHANS, tx.tenant_id, list(person_ids))]
    for person_id in await _delete(tx, orphans, run_id):
        row = await _locked(tx, person_id)
        assert row is not None
        effect = await _become(tx, person_id, row, _as_row(NOBODY))
        if effect is not None:
            await tell(tx, run_id, person_id, effect)


async def _delete(tx: TenantTx, person_ids: Sequence[PersonId], run_id: RunId) -> list[PersonId]:
    """Deletes persons and gives those whom another row refers to."""
    if not person_ids:
        return []
    try:
        async with tx.savepoint():
            written = await tx.fetchrow(_DELETE_PERSONS, tx.tenant_id, list(person_ids), run_id, tx.now)
    except ForeignKeyViolation:
        half = len(person_ids) // 2
        if half == 0:
            return list(person_ids)
        return await _delete(tx, person_ids[:half], run_id) + await _delete(tx, person_ids[half:], run_id)
    assert written is not None
    tell_written(tx, run_id, written)
    gone = set(written["gone"])
    return [person_id for person_id in person_ids if person_id not in gone]


def _recompute_sql(rules: Authority) -> tuple[str, list[list[SourceId]]]:
    """The statement, and its parameters from $5 on: one list of sources for each different ranking.

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
        f"coalesce(array_position(${i + 5}::uuid[], r.source_id), 2147483647) AS rank_{i}"
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
      SELECT person_id, source_id = ANY($5::uuid[]) AS counted, bool_or(active) AS active
      FROM linked GROUP BY person_id, source_id
    ), state AS (
      SELECT person_id, coalesce(bool_and(active) FILTER (WHERE counted), bool_and(active)) AS active
      FROM word GROUP BY person_id
    ), ranked AS (
      SELECT person_id, {", ".join(fields)} FROM linked GROUP BY person_id
    ), x AS (
      SELECT state.active, ranked.* FROM ranked JOIN state USING (person_id)
    ), changed AS (
      -- The persons are locked: `o` is what they are until now.
      UPDATE person p SET access_epoch = p.access_epoch + (p.active AND NOT x.active)::int, {assigned(STATE, "x")},
        version = p.version + 1, updated_at = $3
      FROM x JOIN person o ON o.tenant_id = $1 AND o.person_id = x.person_id
      WHERE p.tenant_id = $1 AND p.person_id = x.person_id AND {differ(STATE, "p", "x")}
      RETURNING p.person_id, p.version, {differing("o", "x")} AS before, {differing("x", "o")} AS after
    ), {telling("$4", "changed")}
    {WRITTEN}"""


async def recompute_everybody(
    tx: TenantTx, run_id: RunId, *, after: PersonId | None = None, limit: int = 5_000
) -> PersonId | None:
    """Recomputes a page of the tenant's persons in the order of their ids. Gives the last one's id, from which to go
    on, or None when there are no more.
    """
    rows = await tx.fetch(
        """SELECT person_id FROM person
        WHERE tenant_id = $1 AND ($2::uuid IS NULL OR person_id > $2) AND merged_into IS NULL
        ORDER BY person_id LIMIT $3""",
        *(tx.tenant_id, after, limit),
    )
    await recompute(tx, [row["person_id"] for row in rows], run_id)
    return rows[-1]["person_id"] if len(rows) == limit else None
