"""Filling in the folded copies of names that were stored before there was a column for them.

SQL cannot fold, so no migration can do it; the one that made the columns asks for the job instead. A key that does not
fit its name, which a process of the old version may leave during an upgrade, is set right on the way.
"""

# ruff: noqa: S608 - identifiers come from `fields`, which is code; every value is a bound parameter

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from stoa.db.transactions import Row, TenantTx
from stoa.jobs.actions import enqueue
from stoa.jobs.run import JobRun
from stoa.people.columns import listed
from stoa.people.fields import LATER_KEYED, key_of

KEYS_JOB: Final = "people.keys"
_BATCH: Final = 2_000
_COLUMNS: Final = (*LATER_KEYED, *(f"{name}_key" for name in LATER_KEYED))
# In the order in which others lock several records or persons: by external id, by person id.
_RECORDS: Final = f"""
SELECT source_id, external_id AS id, {listed(_COLUMNS)} FROM source_record
WHERE tenant_id = $1 AND (source_id, external_id) > ($2, $3) ORDER BY source_id, external_id LIMIT $4"""
_PERSONS: Final = f"""
SELECT person_id AS id, {listed(_COLUMNS)} FROM person
WHERE tenant_id = $1 AND person_id > $2 ORDER BY person_id LIMIT $3"""
_KEYS: Final = ", ".join(f"{name}_key = x.{name}_key" for name in LATER_KEYED)
# Whoever was renamed since they were read got the key with the name. No version, no time: nothing is said anew.
_STILL: Final = " AND ".join(f"y.{name} IS NOT DISTINCT FROM x.{name}" for name in LATER_KEYED)
_TEXTS: Final = ", ".join(f"${i}::text[]" for i in range(4, 4 + len(_COLUMNS)))
_FILL_RECORDS: Final = f"""
WITH x AS (
  SELECT r.source_id, r.external_id, {listed(_COLUMNS, "n")}
  FROM unnest($2::uuid[], $3::text[], {_TEXTS}) AS n(source_id, external_id, {listed(_COLUMNS)})
  JOIN source_record r ON r.tenant_id = $1 AND r.source_id = n.source_id AND r.external_id = n.external_id COLLATE "C"
  ORDER BY r.source_id, r.external_id FOR NO KEY UPDATE OF r)
UPDATE source_record y SET {_KEYS} FROM x
WHERE y.tenant_id = $1 AND y.source_id = x.source_id AND y.external_id = x.external_id AND {_STILL}"""
_FILL_PERSONS: Final = f"""
WITH x AS (
  SELECT p.person_id, {listed(_COLUMNS, "n")}
  FROM unnest($2::uuid[], $3::text[], {_TEXTS}) AS n(person_id, nothing, {listed(_COLUMNS)})
  JOIN person p ON p.tenant_id = $1 AND p.person_id = n.person_id
  ORDER BY p.person_id FOR NO KEY UPDATE OF p)
UPDATE person y SET {_KEYS} FROM x WHERE y.tenant_id = $1 AND y.person_id = x.person_id AND {_STILL}"""


async def ask_for_keys(tx: TenantTx) -> None:
    """Has a worker fill in what is missing."""
    await enqueue(tx, KEYS_JOB, "all")


async def fill_keys(job: JobRun, *, limit: int = _BATCH) -> None:
    """Handles KEYS_JOB: the records first, then the persons, in transactions of `limit` rows.

    Whatever was committed is not written again by who goes on after a crash: rows whose keys fit are read and left.
    """
    at: tuple[UUID, str] | None = (UUID(int=0), "")
    while at is not None:
        async with job.database.tenant(job.tenant_id, job.origin) as tx:
            await job.fence(tx)
            at = await fill_records(tx, at, limit=limit)
    last: UUID | None = UUID(int=0)
    while last is not None:
        async with job.database.tenant(job.tenant_id, job.origin) as tx:
            await job.fence(tx)
            last = await fill_persons(tx, last, limit=limit)


async def fill_records(tx: TenantTx, after: tuple[UUID, str], *, limit: int = _BATCH) -> tuple[UUID, str] | None:
    """Fills in the keys of a page of records, in the order of source and external id. Gives where to go on, or None at
    the end.
    """
    rows = await tx.fetch(_RECORDS, tx.tenant_id, *after, limit)
    if wrong := [row for row in rows if not _fits(row)]:
        await tx.execute(_FILL_RECORDS, tx.tenant_id, [row["source_id"] for row in wrong], *_lists(wrong))
    return (rows[-1]["source_id"], rows[-1]["id"]) if len(rows) == limit else None


async def fill_persons(tx: TenantTx, after: UUID, *, limit: int = _BATCH) -> UUID | None:
    """Fills in the keys of a page of persons, in the order of their ids. Gives where to go on, or None at the end."""
    rows = await tx.fetch(_PERSONS, tx.tenant_id, after, limit)
    if wrong := [row for row in rows if not _fits(row)]:
        ids = [row["id"] for row in wrong]
        await tx.execute(_FILL_PERSONS, tx.tenant_id, ids, [None] * len(ids), *_lists(wrong)[1:])
    return rows[-1]["id"] if len(rows) == limit else None


def _fits(row: Row) -> bool:
    return all(row[f"{name}_key"] == key_of(row[name]) for name in LATER_KEYED)


def _lists(rows: Sequence[Row]) -> list[list[str | None]]:
    """The ids, the names and their keys, by column."""
    names: list[list[str | None]] = [[row[name] for row in rows] for name in LATER_KEYED]
    return [[row["id"] for row in rows], *names, *([key_of(value) for value in column] for column in names)]
