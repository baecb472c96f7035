"""Groups as the console lists them, who is in one, and what happened to it."""

# ruff: noqa: S608 - made of constants; every value is a bound parameter

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from stoa.api.lists import ListAsk
from stoa.api.tables import MOMENT, Table, rows_of
from stoa.db.transactions import Row, TenantTx
from stoa.kernel.cursors import Position, id_mark, number_mark, read_position, text_mark
from stoa.kernel.filters import (
    Attribute,
    AttrType,
    Binding,
    Catalogue,
    Column,
    Cost,
    Exists,
    Operator,
    reads,
    successor,
)
from stoa.kernel.fold import fold
from stoa.kernel.ids import GroupId, PersonId, RunId, SourceId
from stoa.people.queries import NAME
from stoa.people.roles_model import Role
from stoa.people.roles_preview import NoSuchGroup
from stoa.people.timeline import JOURNAL, TOLD_AS, Timeline, timeline_of

_EQUALITY: Final = frozenset({Operator.EQ, Operator.NE, Operator.PR})
CATALOGUE: Final = Catalogue(
    (
        Attribute("id", AttrType.UUID, cost=Cost.INDEXED),
        Attribute("display_name", cost=Cost.INDEXED),
        Attribute("source", operators=_EQUALITY),
        Attribute("external_id", case_exact=True),
        Attribute("members", AttrType.INTEGER),
        # Without a word of it, groups that their sources have deleted are left out.
        Attribute("present", AttrType.BOOLEAN),
        Attribute("roles", case_exact=True, multi_valued=True, operators=_EQUALITY),
        Attribute("updated_at", AttrType.DATETIME, cost=Cost.INDEXED),
    )
)
_BINDING: Final[Binding] = {
    "id": Column("g.group_id"),
    "display_name": Column("g.display_name", "g.display_name_key"),
    "source": Column("s.name", "s.name_key"),
    "external_id": Column("g.scim_external_id"),
    "members": Column("g.member_count"),
    "present": Column("g.present"),
    "roles": Exists("role_rule u", {"value": Column("u.role")}, on="u.tenant_id = $1 AND u.group_id = g.group_id"),
    "updated_at": Column("g.updated_at"),
}
_COLUMNS: Final = """
  g.group_id, g.source_id, s.name AS source_name, s.kind AS source_kind, g.display_name, g.scim_external_id, g.present,
  g.member_count, g.awaited_count, g.version, g.created_at, g.updated_at,
  ARRAY(SELECT u.role FROM role_rule u WHERE u.tenant_id = $1 AND u.group_id = g.group_id ORDER BY u.role) AS gives"""
_FROM: Final = "person_group g JOIN source s ON s.tenant_id = $1 AND s.source_id = g.source_id"
TABLE: Final = Table(
    select=f"SELECT g.group_id AS id, g.display_name_key, {_COLUMNS} FROM {_FROM} WHERE g.tenant_id = $1",
    key="g.group_id",
    binding=_BINDING,
    sorts={"display_name": ("g.display_name_key", text_mark), "updated_at": ("g.updated_at", MOMENT)},
)


@dataclass(frozen=True, slots=True)
class GroupLine:
    """A group as a line of the list.

    Attributes:
        member_count: in the word of the source.
        awaited_count: whom the source names besides, and who are not here yet.
        gives: the roles that its rules give.
    """

    group_id: GroupId
    source_id: SourceId
    source_name: str
    source_kind: str
    display_name: str
    scim_external_id: str | None
    present: bool
    member_count: int
    awaited_count: int
    version: int
    created_at: datetime
    updated_at: datetime
    gives: tuple[Role, ...]


async def group_lines(tx: TenantTx, ask: ListAsk, search: str = "") -> tuple[list[GroupLine], Position | None]:
    """A page of groups, and where the next begins. search: what a name begins with. Raises BadCursor."""
    more: list[object] = []
    condition = "" if ask.where is not None and "present" in reads(ask.where) else " AND g.present"
    # No text of the database holds a NUL.
    folded = fold(search).replace("\0", "\ufffd")
    if folded:
        more.append(folded)
        condition += " AND g.display_name_key >= $2"
        if (after := successor(folded)) is not None:
            more.append(after)
            condition += " AND g.display_name_key < $3"
    rows, further = await rows_of(tx, TABLE, ask, *more, condition=condition)
    return [_line(row) for row in rows], further


async def group_line(tx: TenantTx, group_id: UUID) -> GroupLine:
    """One group, also one that its source has deleted. Raises NoSuchGroup."""
    row = await tx.fetchrow(
        f"SELECT {_COLUMNS} FROM {_FROM} WHERE g.tenant_id = $1 AND g.group_id = $2", tx.tenant_id, group_id
    )
    if row is None:
        raise NoSuchGroup("This tenant has no such group.", hint="The list of groups shows those that there are.")
    return _line(row)


def _line(row: Row) -> GroupLine:
    values: dict[str, Any] = {name: row[name] for name in GroupLine.__dataclass_fields__}
    values["gives"] = tuple(Role(role) for role in row["gives"])
    return GroupLine(**values)


# ------------------------------------------------------------------ who is in it


@dataclass(frozen=True, slots=True)
class MemberLine:
    """One record in a group.

    Attributes:
        record_present: whether the source still has the record. One that left stays in while that waits.
        asserted: what the source says. in_force: what counts; the two differ while a change waits in `held_run`.
    """

    resource_id: UUID
    person_id: PersonId
    name: str | None
    active: bool
    record_present: bool
    asserted: bool
    in_force: bool
    held_run: RunId | None
    since: datetime


# A page is cut out before its people are looked up.
_MEMBERS: Final = f"""
SELECT m.resource_id, r.person_id, {NAME} AS name, p.active, r.present AS record_present, m.asserted, m.in_force,
  m.held_run, m.since
FROM (SELECT * FROM group_member o WHERE o.tenant_id = $1 AND o.group_id = $2
  AND ($3::uuid IS NULL OR o.resource_id > $3) ORDER BY o.resource_id LIMIT $4) AS m
JOIN source_record r ON r.tenant_id = $1 AND r.resource_id = m.resource_id
JOIN person p ON p.tenant_id = $1 AND p.person_id = r.person_id
ORDER BY m.resource_id"""


async def member_lines(
    tx: TenantTx, group_id: UUID, *, after: Position | None = None, limit: int
) -> tuple[Sequence[MemberLine], Position | None]:
    """A page of a group's members, in the order in which their records were made. Raises BadCursor."""
    (mark,) = (None,) if after is None else read_position(after, id_mark)
    rows = await tx.fetch(_MEMBERS, tx.tenant_id, group_id, mark, limit + 1)
    shown = [MemberLine(**dict(row.items())) for row in rows[:limit]]
    return shown, (str(shown[-1].resource_id),) if len(rows) > limit else None


# ------------------------------------------------------------------ what happened


_LAST_ORD: Final = 2**63 - 1
# Its own changes have its id as their subject, those of its members begin with it and a slash; "0" follows the slash.
_HAPPENED: Final = f"""
SELECT {TOLD_AS} FROM {JOURNAL}
WHERE c.tenant_id = $1 AND c.source_id = $2 AND c.subject >= $3 AND c.subject < $3 || '0' AND c.ord < $4
ORDER BY c.ord DESC LIMIT $5"""


async def group_timeline(tx: TenantTx, group: GroupLine, *, after: Position | None = None, limit: int = 25) -> Timeline:
    """A page of what the journal says of a group and its members, newest first. Raises BadCursor."""
    before = (_LAST_ORD,) if after is None else read_position(after, number_mark())
    rows = await tx.fetch(_HAPPENED, tx.tenant_id, group.source_id, str(group.group_id), *before, limit + 1)
    return timeline_of(rows, limit)
