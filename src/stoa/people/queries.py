"""Records and persons in SQL. The table alias of a record is `r`, of a person `p`."""

# ruff: noqa: S608 - identifiers come from `columns`, which is code; every value is a bound parameter

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from stoa.db.transactions import Row, TenantTx
from stoa.kernel.filters import Sql
from stoa.kernel.ids import PersonId, ResourceId, SourceId
from stoa.people.columns import PERSON_COLUMNS, RECORD_VALUES, listed
from stoa.people.fields import KEY_COLUMNS, PERSON_FIELDS
from stoa.people.identity_locks import lock_numbers
from stoa.people.model import Person, Record

RECORD = f"""r.source_id, r.external_id, r.resource_id, r.person_id, r.present, r.asserted_active, r.active,
 {listed(RECORD_VALUES, "r")}, r.scim_external_id, r.raw, r.version, r.created_at, r.updated_at"""


def record_of(row: Row | Mapping[str, Any]) -> Record:
    """The record of a row that has the columns of RECORD."""
    raw: dict[str, Any] | None = row["raw"]
    return Record(
        source_id=SourceId(row["source_id"]),
        external_id=row["external_id"],
        resource_id=ResourceId(row["resource_id"]),
        person_id=PersonId(row["person_id"]),
        present=row["present"],
        asserted_active=row["asserted_active"],
        active=row["active"],
        values={name: row[name] for name in RECORD_VALUES},
        scim_external_id=row["scim_external_id"],
        raw=raw,
        version=row["version"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


_BY_RESOURCE: Final = "WHERE r.tenant_id = $1 AND r.resource_id = $2 AND r.source_id = $3 AND r.present"


async def record_by_resource(
    tx: TenantTx, source_id: SourceId, resource_id: UUID, *, lock: bool = False
) -> Record | None:
    """The present record of a source with this SCIM id, locked until the end of the transaction if asked."""
    row = await tx.fetchrow(
        f"SELECT {RECORD} FROM source_record r {_BY_RESOURCE} {'FOR UPDATE' if lock else ''}",
        *(tx.tenant_id, resource_id, source_id),
    )
    return None if row is None else record_of(row)


async def record_and_grouped(
    tx: TenantTx, source_id: SourceId, resource_id: UUID, *, lock: bool = False
) -> tuple[Record, bool] | None:
    """As `record_by_resource`, and whether the record is in any group."""
    row = await tx.fetchrow(
        f"""SELECT {RECORD}, EXISTS (
          SELECT FROM group_member m WHERE m.tenant_id = $1 AND m.resource_id = $2 AND m.asserted) AS grouped
        FROM source_record r {_BY_RESOURCE} {"FOR UPDATE" if lock else ""}""",
        *(tx.tenant_id, resource_id, source_id),
    )
    return None if row is None else (record_of(row), row["grouped"])


async def record_by_key(tx: TenantTx, source_id: SourceId, external_id: str) -> Record | None:
    """A source's record by its key, present or gone."""
    row = await tx.fetchrow(
        f"SELECT {RECORD} FROM source_record r WHERE r.tenant_id = $1 AND r.source_id = $2 AND r.external_id = $3",
        tx.tenant_id, source_id, external_id,
    )  # fmt: skip
    return None if row is None else record_of(row)


# Written in arms because each has an index of its own, which is then used whatever the statistics say: the client's ids
# of present and of gone records have two. Somebody else may change a record before it is locked, so the names are
# compared once more. The locks ($5, $6; identity_locks) are taken before anything is read.
_NAMED: Final = f"""
WITH hit AS MATERIALIZED (
  SELECT external_id FROM source_record WHERE tenant_id = $1 AND source_id = $2 AND user_name_key = $3
  UNION
  SELECT external_id FROM source_record WHERE tenant_id = $1 AND source_id = $2 AND scim_external_id = $4 AND present
  UNION
  SELECT external_id FROM source_record
  WHERE tenant_id = $1 AND source_id = $2 AND scim_external_id = $4 AND NOT present
  ORDER BY external_id
)
SELECT {RECORD} FROM hit CROSS JOIN LATERAL (
  SELECT * FROM source_record s
  WHERE s.tenant_id = $1 AND s.source_id = $2 AND s.external_id = hit.external_id
    AND (s.user_name_key = $3 OR s.scim_external_id = $4) OFFSET 0 FOR UPDATE) AS r
WHERE (SELECT count(pg_advisory_xact_lock(key)) FROM unnest($6::bigint[]) AS key
    WHERE pg_advisory_xact_lock_shared($5::bigint) IS NOT NULL) >= 0
ORDER BY r.present DESC, r.updated_at DESC, r.resource_id"""


async def records_named(
    tx: TenantTx,
    source_id: SourceId,
    user_name_key: str | None,
    scim_external_id: str | None,
    *,
    locking: Iterable[str] = (),
) -> list[Record]:
    """Records of a source, gone ones too, that have this user name or client's id; locked. Present ones come first,
    then the latest touched.

    locking: identifiers that are locked in the same round trip (`identity_locks.lock_identifiers`). What is read here
        may be older than the locks; the next statement sees all.
    """
    whole, numbers = lock_numbers(tx, locking)
    # Nobody has an empty name; NULL would have the planner make a plan of its own for each request.
    names = (user_name_key or "", scim_external_id or "")
    rows = await tx.fetch(_NAMED, tx.tenant_id, source_id, *names, whole, numbers)
    return [record_of(row) for row in rows]


async def records_page(
    tx: TenantTx,
    source_id: SourceId,
    where: Sql | None,
    *,
    order_by: str = "r.resource_id",
    limit: int,
    offset: int = 0,
) -> list[Record]:
    """A page of a source's present records.

    where: a compiled filter whose parameters start at $3.
    order_by: code, never input.
    """
    text, params = _condition(where)
    rows = await tx.fetch(
        f"""SELECT {RECORD} FROM source_record r WHERE r.tenant_id = $1 AND r.source_id = $2 AND r.present AND {text}
        ORDER BY {order_by} LIMIT ${len(params) + 3} OFFSET ${len(params) + 4}""",
        tx.tenant_id, source_id, *params, limit, offset,
    )  # fmt: skip
    return [record_of(row) for row in rows]


async def records_after(tx: TenantTx, after: UUID | None = None, *, limit: int = 100) -> list[Record]:
    """A page of all sources' records, gone ones too, in the order of their resource ids."""
    rows = await tx.fetch(
        f"""SELECT {RECORD} FROM source_record r
        WHERE r.tenant_id = $1 AND ($2::uuid IS NULL OR r.resource_id > $2)
        ORDER BY r.resource_id LIMIT $3""",
        tx.tenant_id, after, limit,
    )  # fmt: skip
    return [record_of(row) for row in rows]


async def count_records(tx: TenantTx, source_id: SourceId, where: Sql | None) -> int:
    """How many present records of a source the filter admits."""
    text, params = _condition(where)
    return await tx.fetchval(
        f"SELECT count(*) FROM source_record r WHERE r.tenant_id = $1 AND r.source_id = $2 AND r.present AND {text}",
        tx.tenant_id, source_id, *params,
    )  # fmt: skip


def _condition(where: Sql | None) -> tuple[str, Sequence[object]]:
    return ("true", ()) if where is None else (f"({where.text})", where.params)


PERSON = f"""p.person_id, {listed(PERSON_COLUMNS, "p")}, p.manager_id, p.access_epoch, p.merged_into, p.version,
 p.created_run"""


async def person_by_id(tx: TenantTx, person_id: UUID) -> Person | None:
    """The person with effective values."""
    row = await tx.fetchrow(
        f"SELECT {PERSON} FROM person p WHERE p.tenant_id = $1 AND p.person_id = $2", tx.tenant_id, person_id
    )
    return None if row is None else person_of(row)


async def persons_page(tx: TenantTx, *, after: UUID | None = None, limit: int = 100) -> list[Person]:
    """A page of the tenant's persons in the order of their ids."""
    rows = await tx.fetch(
        f"""SELECT {PERSON} FROM person p
        WHERE p.tenant_id = $1 AND ($2::uuid IS NULL OR p.person_id > $2) AND p.merged_into IS NULL
        ORDER BY p.person_id LIMIT $3""",
        tx.tenant_id, after, limit,
    )  # fmt: skip
    return [person_of(row) for row in rows]


async def persons_by_name(tx: TenantTx, *, after: tuple[str, UUID] | None = None, limit: int = 100) -> list[Person]:
    """A page of the tenant's persons who have a display name, in its folded order (index person_display_name).

    after: folded display name and id of the last person of the page before.
    """
    name, person_id = after or ("", UUID(int=0))
    rows = await tx.fetch(
        f"""SELECT {PERSON} FROM person p
        WHERE p.tenant_id = $1 AND (p.display_name_key, p.person_id) > ($2, $3::uuid) AND p.merged_into IS NULL
        ORDER BY p.display_name_key, p.person_id LIMIT $4""",
        *(tx.tenant_id, name, person_id, limit),
    )
    return [person_of(row) for row in rows]


async def reports_of(tx: TenantTx, manager_id: UUID, *, limit: int = 1000) -> list[Person]:
    """Persons whose manager this is, by the effective values (index person_manager)."""
    rows = await tx.fetch(
        f"SELECT {PERSON} FROM person p WHERE p.tenant_id = $1 AND p.manager_id = $2 ORDER BY p.person_id LIMIT $3",
        *(tx.tenant_id, manager_id, limit),
    )
    return [person_of(row) for row in rows]


def person_of(row: Row) -> Person:
    """The person of a row that has the columns of PERSON."""
    return Person(
        person_id=PersonId(row["person_id"]),
        active=row["active"],
        values={name: row[name] for name in PERSON_FIELDS},
        manager_id=row["manager_id"],
        access_epoch=row["access_epoch"],
        merged_into=row["merged_into"],
        version=row["version"],
        created_run=row["created_run"],
        keys={name: row[name] for name in KEY_COLUMNS},
    )


# What to call a person, as far as any source says anything of the kind.
NAME = """coalesce(p.display_name, nullif(concat_ws(' ', p.given_name, p.family_name), ''), p.user_name, p.email,
 p.employee_id)"""


async def person_names(tx: TenantTx, ids: Sequence[UUID]) -> dict[UUID, str]:
    """What to call people, by their ids, as far as any source says anything of the kind."""
    rows = await tx.fetch(
        f"SELECT p.person_id, {NAME} AS name FROM person p WHERE p.tenant_id = $1 AND p.person_id = ANY($2)",
        *(tx.tenant_id, list(ids)),
    )
    return {row["person_id"]: row["name"] for row in rows if row["name"] is not None}


async def headcount(tx: TenantTx) -> tuple[int, int]:
    """People, and active people, of the tenant."""
    row = await tx.fetchrow(
        """SELECT count(*) AS people, count(*) FILTER (WHERE active) AS active FROM person
        WHERE tenant_id = $1 AND merged_into IS NULL""",
        tx.tenant_id,
    )
    assert row is not None
    return row["people"], row["active"]
