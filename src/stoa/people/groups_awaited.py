"""Members that a source names and that are not here yet: awaited by a group, until a user of the source comes who bears
the name. They are nobody: no role, no audience follows from them.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID, uuid5

from stoa.db.transactions import TenantTx
from stoa.kernel.ids import GroupId, SourceId, parse_id
from stoa.people.groups_journal import AwaitedEntry
from stoa.people.groups_model import Group, MemberName, Memberships, Replaced, UnknownMembers

LONGEST_NAME: Final = 500
# Of one group.
MOST_AWAITED: Final = 5_000

# Key by key, as everywhere in groups: of what was just filled, PostgreSQL believes that it is small.
_USERS: Final = """
SELECT a.id FROM unnest($3::uuid[]) AS a (id) CROSS JOIN LATERAL (
  (SELECT FROM source_record r
    WHERE r.tenant_id = $1 AND r.resource_id = a.id AND r.source_id = $4 AND r.present LIMIT 1)
  UNION ALL
  (SELECT FROM group_member m
    WHERE m.tenant_id = $1 AND m.group_id = $2 AND m.resource_id = a.id AND m.asserted LIMIT 1)
  LIMIT 1) AS found"""
_BEARING: Final = """
SELECT a.name, r.resource_id FROM unnest($3::text[]) AS a (name) CROSS JOIN LATERAL (
  SELECT o.resource_id FROM source_record o WHERE o.tenant_id = $1 AND o.source_id = $2
    AND o.scim_external_id = a.name AND o.present LIMIT 1) AS r"""
_PRESENT: Final = """
SELECT r.resource_id FROM source_record r
WHERE r.tenant_id = $1 AND r.resource_id = ANY($2) AND r.source_id = $3 AND r.present"""
_ALL: Final = "SELECT value_key, value FROM group_awaited WHERE tenant_id = $1 AND group_id = $2"
_AWAITING: Final = """
SELECT group_id FROM group_awaited WHERE tenant_id = $1 AND source_id = $2
AND (value_key = $3 OR (value_key = $4 AND value = $5)) GROUP BY group_id ORDER BY group_id"""
_MAKE: Final = """
INSERT INTO group_awaited (tenant_id, group_id, value_key, value, source_id, since)
SELECT $1, $2, x.key, x.value, $3, $4 FROM unnest($5::text[], $6::text[]) AS x (key, value)"""
_END: Final = "DELETE FROM group_awaited WHERE tenant_id = $1 AND group_id = $2 AND value_key = ANY($3)"


def member_name(text: str) -> MemberName:
    """What a source's text names: an id, if it is in the form of one."""
    return parse_id(text) or text


@dataclass(frozen=True, slots=True)
class Sides:
    """A request about members, by who is here and who is not.

    Attributes:
        remove: None is everybody who is not added.
    """

    add: frozenset[UUID]
    remove: frozenset[UUID] | None
    awaiting: tuple[AwaitedEntry, ...] = ()


async def sorted_out(tx: TenantTx, group: Group, wanted: Memberships, *, awaits: bool) -> Sides | UnknownMembers:
    """Tells users of the source, and members of the group, from those who are not here. Of a group that awaits nobody,
    of a source that has nobody awaited, nothing is read.

    awaits: whether who is not here is awaited from now on. Those who are awaited already are no strangers in any case.
    """
    add = wanted.ids if isinstance(wanted, Replaced) else wanted.add
    remove = None if isinstance(wanted, Replaced) else wanted.remove
    ids, texts = _ids(add), {name for name in add if isinstance(name, str)}
    gone = None if remove is None else _ids(remove)
    if not awaits and not group.awaited_count:
        return UnknownMembers(tuple(sorted(texts))) if texts else Sides(ids, gone)
    here = await _here(tx, group, ids)
    absent = {str(one): wanted.spelt.get(one, str(one)) for one in ids - here} | {text: text for text in texts}
    standing = await awaited_in(tx, group.group_id) if group.awaited_count else {}
    fresh = absent.keys() - standing.keys()
    if fresh:
        refused = await _refused(tx, group, fresh, awaits=awaits)
        if refused is not None:
            return refused
    came = {str(one) for one in (*here, *wanted.came)}
    dropped = standing.keys() if remove is None else {str(one) for one in remove}
    ending = sorted(standing.keys() & (came | dropped) - absent.keys())
    if len(standing) - len(ending) + len(fresh) > MOST_AWAITED:
        return UnknownMembers(tuple(sorted(fresh)), crowded=True)
    entries = (
        *(AwaitedEntry(key, absent[key], comes=True) for key in sorted(fresh)),
        *(_ending(key, standing[key], came) for key in ending),
    )
    return Sides(here, gone, entries)


def _ids(names: Iterable[MemberName]) -> frozenset[UUID]:
    return frozenset(name for name in names if isinstance(name, UUID))


def _ending(key: str, value: str, came: Collection[str]) -> AwaitedEntry:
    return AwaitedEntry(key, value, comes=False, reason="awaited_came" if key in came else "awaited_dropped")


async def _here(tx: TenantTx, group: Group, ids: Collection[UUID]) -> frozenset[UUID]:
    if not ids:
        return frozenset()
    rows = await tx.fetch(_USERS, tx.tenant_id, group.group_id, list(ids), group.source_id)
    return frozenset(row["id"] for row in rows)


async def _refused(tx: TenantTx, group: Group, keys: Collection[str], *, awaits: bool) -> UnknownMembers | None:
    """Who is not here may be a group, which is never a member."""
    names = {key: member_name(key) for key in sorted(keys)}
    rows = await tx.fetch(
        "SELECT group_id FROM person_group WHERE tenant_id = $1 AND group_id = ANY($2) AND source_id = $3",
        *(tx.tenant_id, list(_ids(names.values())), group.source_id),
    )
    groups: frozenset[UUID] = frozenset(row["group_id"] for row in rows)
    return UnknownMembers(tuple(names.values()), groups) if groups or not awaits else None


# ------------------------------------------------------------------ who bears a name


async def users_bearing(tx: TenantTx, source_id: SourceId, names: Mapping[MemberName, str]) -> dict[MemberName, UUID]:
    """The users of a source whom names mean that are no id of a user: those who bear them as their external id.

    names: with the text of each as it was sent.
    """
    if not names:
        return {}
    rows = await tx.fetch(_BEARING, tx.tenant_id, source_id, list(names.values()))
    bearing: dict[str, UUID] = {row["name"]: row["resource_id"] for row in rows}
    found = {name: bearing[text] for name, text in names.items() if text in bearing}
    ids = _ids(found)
    if ids:
        # An id comes before an external id.
        present = await tx.fetch(_PRESENT, tx.tenant_id, list(ids), source_id)
        for row in present:
            del found[row["resource_id"]]
    return found


async def groups_awaiting(
    tx: TenantTx, source_id: SourceId, resource_id: UUID, external_id: str | None
) -> list[GroupId]:
    """The groups of a source that await whoever has this id or bears this external id, in the order of their ids
    (index group_awaited_value).
    """
    key = None if external_id is None else str(member_name(external_id))
    rows = await tx.fetch(_AWAITING, tx.tenant_id, source_id, str(resource_id), key, external_id)
    return [row["group_id"] for row in rows]


@dataclass(frozen=True, slots=True)
class AwaitedLine:
    """Whom a group awaits: the name as it was sent, and since when."""

    value: str
    since: datetime


async def awaited_lines(tx: TenantTx, group_id: GroupId, *, limit: int) -> list[AwaitedLine]:
    """The first of those whom a group awaits, in the order of their keys."""
    rows = await tx.fetch(
        """SELECT value, since FROM group_awaited WHERE tenant_id = $1 AND group_id = $2
        ORDER BY value_key LIMIT $3""",
        *(tx.tenant_id, group_id, limit),
    )
    return [AwaitedLine(row["value"], row["since"]) for row in rows]


async def count_awaited(tx: TenantTx, source_id: SourceId) -> tuple[int, int]:
    """How many members the groups of a source await, and how many groups those are."""
    row = await tx.fetchrow(
        """SELECT coalesce(sum(awaited_count), 0) AS members, count(*) FILTER (WHERE awaited_count > 0) AS groups
        FROM person_group WHERE tenant_id = $1 AND source_id = $2""",
        *(tx.tenant_id, source_id),
    )
    assert row is not None
    return row["members"], row["groups"]


async def awaited_in(tx: TenantTx, group_id: GroupId) -> dict[str, str]:
    """Whom a group awaits: by key, the name as it was sent."""
    rows = await tx.fetch(_ALL, tx.tenant_id, group_id)
    return {row["value_key"]: row["value"] for row in rows}


async def awaited_of(tx: TenantTx, group_ids: Collection[GroupId]) -> dict[GroupId, list[str]]:
    """Whom several groups await, as it was sent, in the order of their keys."""
    found: dict[GroupId, list[str]] = {group_id: [] for group_id in group_ids}
    if found:
        rows = await tx.fetch(
            """SELECT group_id, value FROM group_awaited WHERE tenant_id = $1 AND group_id = ANY($2)
            ORDER BY group_id, value_key""",
            *(tx.tenant_id, list(group_ids)),
        )
        for row in rows:
            found[row["group_id"]].append(row["value"])
    return found


# ------------------------------------------------------------------ writing


async def lock_awaited(tx: TenantTx, source_id: SourceId, *, alone: bool) -> None:
    """Keeps a user who comes and a group that begins to await them from missing each other, until the end of the
    transaction: groups are changed alone, users come beside each other.

    Taken before any group or record is locked.
    """
    number = int.from_bytes(uuid5(source_id, "awaited").bytes[:8], "big", signed=True)
    way = "" if alone else "_shared"
    await tx.execute(f"SELECT pg_advisory_xact_lock{way}($1::bigint)", number)


async def write_awaited(tx: TenantTx, group: Group, entries: Sequence[AwaitedEntry]) -> None:
    """Writes the rows themselves, of a group that is locked."""
    fresh, ending = [one for one in entries if one.comes], [one for one in entries if not one.comes]
    if ending:
        await tx.execute(_END, tx.tenant_id, group.group_id, [one.key for one in ending])
    if fresh:
        await tx.execute(
            _MAKE,
            *(tx.tenant_id, group.group_id, group.source_id, tx.now),
            *([one.key for one in fresh], [one.value for one in fresh]),
        )
