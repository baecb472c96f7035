"""Merges in SQL."""

# ruff: noqa: S608 - identifiers are code; every value is a bound parameter

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from stoa.db.transactions import Row, TenantTx
from stoa.kernel.ids import PersonId, RunId, SourceId
from stoa.people.merging_model import Merge, NoSuchMerge

MERGE: Final = """m.run_id, m.survivor_id, m.absorbed_id, m.state, m.picks, m.note, m.made_by, m.made_at,
 m.split_run, m.split_by, m.split_at, m.moved"""


def merge_of(row: Row) -> Merge:
    """The merge of a row that has the columns of MERGE."""
    values: dict[str, Any] = {name: row[name] for name in Merge.__dataclass_fields__}
    return Merge(**values)


async def merge_by_run(tx: TenantTx, run_id: UUID, *, lock: bool = False) -> Merge:
    """The merge that a run made. Raises NoSuchMerge."""
    row = await tx.fetchrow(
        f"""SELECT {MERGE} FROM person_merge m WHERE m.tenant_id = $1 AND m.run_id = $2
        {"FOR UPDATE" if lock else ""}""",
        *(tx.tenant_id, run_id),
    )
    if row is None:
        raise NoSuchMerge("There is no such merge in this tenant.", hint="The list of merges has those that there are.")
    return merge_of(row)


async def merge_in_force(tx: TenantTx, absorbed_id: UUID) -> Merge | None:
    """By which somebody is part of another person now."""
    row = await tx.fetchrow(
        f"SELECT {MERGE} FROM person_merge m WHERE m.tenant_id = $1 AND m.absorbed_id = $2 AND m.state = 'merged'",
        *(tx.tenant_id, absorbed_id),
    )
    return None if row is None else merge_of(row)


async def merges_of(tx: TenantTx, person_ids: Collection[UUID], limit: int = 50) -> list[Merge]:
    """Merges in which one of the people was the survivor or was absorbed, the newest first."""
    rows = await tx.fetch(
        f"""SELECT {MERGE} FROM person_merge m WHERE m.tenant_id = $1
        AND (m.survivor_id = ANY($2) OR m.absorbed_id = ANY($2)) ORDER BY m.made_at DESC, m.run_id DESC LIMIT $3""",
        *(tx.tenant_id, list(person_ids), limit),
    )
    return [merge_of(row) for row in rows]


async def insert_merge(tx: TenantTx, merge: Merge) -> None:
    """Writes down a merge that was made."""
    await tx.execute(
        """INSERT INTO person_merge
          (tenant_id, run_id, survivor_id, absorbed_id, state, picks, note, made_by, made_at, moved)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)""",
        *(tx.tenant_id, merge.run_id, merge.survivor_id, merge.absorbed_id, merge.state, dict(merge.picks)),
        *(merge.note, merge.made_by, merge.made_at, [list(one) for one in merge.moved]),
    )


async def set_split(tx: TenantTx, run_id: RunId, split_run: RunId | None) -> None:
    """Notes that a merge was split by a run; or, for None, that it is in force again."""
    await tx.execute(
        """UPDATE person_merge SET state = CASE WHEN $3::uuid IS NULL THEN 'merged' ELSE 'split' END,
          split_run = $3, split_by = CASE WHEN $3::uuid IS NOT NULL THEN $4 END,
          split_at = CASE WHEN $3::uuid IS NOT NULL THEN $5::timestamptz END
        WHERE tenant_id = $1 AND run_id = $2""",
        *(tx.tenant_id, run_id, split_run, tx.origin.actor, tx.now),
    )


async def console_source(tx: TenantTx) -> SourceId:
    """The source of what is edited in the console; every tenant is made with one."""
    return SourceId(
        await tx.fetchval(
            "SELECT source_id FROM source WHERE tenant_id = $1 AND kind = 'console' ORDER BY created_at LIMIT 1",
            tx.tenant_id,
        )
    )


async def bars_of(tx: TenantTx, person_ids: Collection[PersonId]) -> list[tuple[str, str | None, str]]:
    """What forbids merging one of these people: `person` or `source`, its name for a source, and the reason."""
    rows = await tx.fetch(
        """SELECT b.what, s.name, b.reason FROM merge_bar b
        LEFT JOIN source s ON s.tenant_id = $1 AND b.what = 'source' AND s.source_id = b.of_id
        WHERE b.tenant_id = $1 AND ((b.what = 'person' AND b.of_id = ANY($2)) OR (b.what = 'source'
          AND EXISTS (SELECT FROM source_record r
            WHERE r.tenant_id = $1 AND r.person_id = ANY($2) AND r.source_id = b.of_id AND r.present)))
        ORDER BY b.what, b.made_at""",
        *(tx.tenant_id, list(person_ids)),
    )
    return [(row["what"], row["name"], row["reason"]) for row in rows]


@dataclass(frozen=True, slots=True)
class Bar:
    """Why a source's people, or a person, are never merged."""

    of_id: UUID
    name: str | None
    reason: str
    made_by: str
    made_at: datetime


async def source_bars(tx: TenantTx) -> list[Bar]:
    """Sources whose people are never merged."""
    rows = await tx.fetch(
        """SELECT b.of_id, s.name, b.reason, b.made_by, b.made_at FROM merge_bar b
        JOIN source s ON s.tenant_id = $1 AND s.source_id = b.of_id
        WHERE b.tenant_id = $1 AND b.what = 'source' ORDER BY b.made_at""",
        tx.tenant_id,
    )
    return [Bar(**dict(row)) for row in rows]


async def person_bar(tx: TenantTx, person_id: UUID) -> Bar | None:
    """Why a person is never merged; None if they may be."""
    row = await tx.fetchrow(
        """SELECT of_id, NULL::text AS name, reason, made_by, made_at FROM merge_bar
        WHERE tenant_id = $1 AND what = 'person' AND of_id = $2""",
        *(tx.tenant_id, person_id),
    )
    return None if row is None else Bar(**dict(row))
