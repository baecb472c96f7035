"""Groups and memberships in SQL. The alias of a group is `g`, of a membership `m`, of a record `r`."""

# ruff: noqa: S608 - identifiers are code; every value is a bound parameter

from collections.abc import Collection
from typing import Final
from uuid import UUID

from stoa.db.transactions import Row, TenantTx
from stoa.kernel.filters import Sql
from stoa.kernel.ids import GroupId, ResourceId, SourceId
from stoa.people.groups_model import Group, Member

GROUP: Final = """g.group_id, g.source_id, g.display_name, g.scim_external_id, g.raw, g.present, g.member_count,
 g.version, g.created_at, g.updated_at, g.awaited_count"""
# What to call whom a record is about, as far as its source says anything of the kind.
_NAME: Final = (
    """coalesce(r.display_name, nullif(concat_ws(' ', r.given_name, r.family_name), ''), r.user_name, r.email)"""
)


def group_of(row: Row) -> Group:
    """The group of a row that has the columns of GROUP."""
    return Group(
        row["group_id"], row["source_id"], row["display_name"], row["scim_external_id"], row["raw"], row["present"],
        row["member_count"], row["version"], row["created_at"], row["updated_at"], row["awaited_count"],
    )  # fmt: skip


async def group_by_id(tx: TenantTx, source_id: SourceId, group_id: UUID, *, lock: bool = False) -> Group | None:
    """The present group of a source with this id, locked until the end of the transaction if asked."""
    row = await tx.fetchrow(
        f"""SELECT {GROUP} FROM person_group g
        WHERE g.tenant_id = $1 AND g.group_id = $2 AND g.source_id = $3 AND g.present {"FOR UPDATE" if lock else ""}""",
        *(tx.tenant_id, group_id, source_id),
    )
    return None if row is None else group_of(row)


async def group_for_change(tx: TenantTx, source_id: SourceId, group_id: UUID) -> Group | None:
    """A group of a source, gone or not, locked until the end of the transaction."""
    row = await tx.fetchrow(
        f"""SELECT {GROUP} FROM person_group g WHERE g.tenant_id = $1 AND g.group_id = $2 AND g.source_id = $3
        FOR UPDATE""",
        *(tx.tenant_id, group_id, source_id),
    )
    return None if row is None else group_of(row)


async def groups_named(
    tx: TenantTx, source_id: SourceId, display_name_key: str, scim_external_id: str | None
) -> list[Group]:
    """Groups of a source, gone ones too, that have this name or client's id; locked. Present ones come first, then
    those with the client's id, then the latest touched.

    Written in arms because each has an index of its own.
    """
    rows = await tx.fetch(
        f"""SELECT {GROUP} FROM person_group g WHERE g.tenant_id = $1 AND g.source_id = $2
        AND ((g.display_name_key = $3 AND g.present) OR (g.display_name_key = $3 AND NOT g.present)
          OR (g.scim_external_id = $4 AND g.present) OR (g.scim_external_id = $4 AND NOT g.present))
        ORDER BY g.present DESC, g.scim_external_id IS NOT DISTINCT FROM $4 DESC, g.updated_at DESC, g.group_id
        FOR UPDATE""",
        *(tx.tenant_id, source_id, display_name_key, scim_external_id),
    )
    return [group_of(row) for row in rows]


async def groups_page(
    tx: TenantTx,
    source_id: SourceId,
    where: Sql | None,
    *,
    order_by: str = "g.group_id",
    limit: int,
    offset: int = 0,
) -> list[Group]:
    """A page of a source's present groups.

    where: a compiled filter whose parameters start at $3. order_by: code, never input.
    """
    text, params = ("true", ()) if where is None else (f"({where.text})", where.params)
    rows = await tx.fetch(
        f"""SELECT {GROUP} FROM person_group g
        WHERE g.tenant_id = $1 AND g.source_id = $2 AND g.present AND {text}
        ORDER BY {order_by} LIMIT ${len(params) + 3} OFFSET ${len(params) + 4}""",
        *(tx.tenant_id, source_id, *params, limit, offset),
    )
    return [group_of(row) for row in rows]


async def count_groups(tx: TenantTx, source_id: SourceId, where: Sql | None) -> int:
    """How many present groups of a source the filter admits."""
    text, params = ("true", ()) if where is None else (f"({where.text})", where.params)
    return await tx.fetchval(
        f"""SELECT count(*) FROM person_group g
        WHERE g.tenant_id = $1 AND g.source_id = $2 AND g.present AND {text}""",
        *(tx.tenant_id, source_id, *params),
    )


async def members_page(tx: TenantTx, group_id: UUID, *, after: UUID | None = None, limit: int) -> list[Member]:
    """Members of a group in the word of its source, in the order of their ids, those behind `after`."""
    rows = await tx.fetch(
        f"""SELECT r.resource_id, r.person_id, {_NAME} AS display FROM (
          SELECT m.resource_id FROM group_member m WHERE m.tenant_id = $1 AND m.group_id = $2 AND m.asserted
            AND ($3::uuid IS NULL OR m.resource_id > $3) ORDER BY m.resource_id LIMIT $4) AS m
        JOIN source_record r ON r.tenant_id = $1 AND r.resource_id = m.resource_id AND r.present
        ORDER BY r.resource_id""",
        *(tx.tenant_id, group_id, after, limit),
    )
    return [Member(row["resource_id"], row["person_id"], row["display"]) for row in rows]


async def members_of(tx: TenantTx, group_ids: Collection[GroupId]) -> dict[GroupId, list[Member]]:
    """All members of several groups, in the word of their source, in the order of their ids."""
    found: dict[GroupId, list[Member]] = {group_id: [] for group_id in group_ids}
    rows = await tx.fetch(
        f"""SELECT m.group_id, r.resource_id, r.person_id, {_NAME} AS display FROM group_member m
        JOIN source_record r ON r.tenant_id = $1 AND r.resource_id = m.resource_id AND r.present
        WHERE m.tenant_id = $1 AND m.group_id = ANY($2) AND m.asserted ORDER BY m.group_id, m.resource_id""",
        *(tx.tenant_id, list(group_ids)),
    )
    for row in rows:
        found[row["group_id"]].append(Member(row["resource_id"], row["person_id"], row["display"]))
    return found


# A column: the groups of a record `r`, with their names, as `groups_of` gives them. Membership by membership, as there.
GROUPS_OF_RECORD: Final = """ARRAY(
  SELECT (one.group_id, one.display_name) FROM (SELECT m.group_id FROM group_member m
    WHERE m.tenant_id = $1 AND m.resource_id = r.resource_id AND m.asserted ORDER BY m.group_id OFFSET 0) AS mine
  CROSS JOIN LATERAL (SELECT g.group_id, g.display_name FROM person_group g
    WHERE g.tenant_id = $1 AND g.group_id = mine.group_id AND g.present LIMIT 1) AS one) AS groups"""
_OF: Final = """SELECT a.id AS resource_id, g.group_id, g.display_name FROM {ids} AS a (id)
CROSS JOIN LATERAL (SELECT m.group_id FROM group_member m
  WHERE m.tenant_id = $1 AND m.resource_id = a.id AND m.asserted ORDER BY m.group_id OFFSET 0) AS mine
JOIN person_group g ON g.tenant_id = $1 AND g.group_id = mine.group_id AND g.present
ORDER BY a.id, g.group_id"""
_GROUPS_OF: Final = _OF.format(ids="unnest($2::uuid[])")
_GROUPS_OF_ONE: Final = _OF.format(ids="(SELECT $2::uuid)")


async def groups_of(tx: TenantTx, resource_ids: Collection[ResourceId]) -> dict[ResourceId, list[tuple[GroupId, str]]]:
    """The groups, with their names, in which records are in the word of their source (index group_member_of). Records
    without any are left out.

    Record by record: of a group that has just been filled, PostgreSQL believes that it has few members, and would read
    it all.
    """
    found: dict[ResourceId, list[tuple[GroupId, str]]] = {}
    # Of one, as most requests ask, the statement has a plan that is kept.
    alone = len(resource_ids) == 1
    asked = next(iter(resource_ids)) if alone else list(resource_ids)
    rows = await tx.fetch(_GROUPS_OF_ONE if alone else _GROUPS_OF, tx.tenant_id, asked)
    for row in rows:
        found.setdefault(row["resource_id"], []).append((row["group_id"], row["display_name"]))
    return found
