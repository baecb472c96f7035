"""Persons who are no more, in the list of those who changed: whoever keeps a copy of it learns that they went."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from stoa.api.lists import ListAsk, Tombstone
from stoa.db.transactions import TenantTx
from stoa.kernel.cursors import Position, id_mark, mark_of, moment_mark, read_position
from stoa.people.wire import Person

# One who is back, because the undoing was undone, is no tombstone.
_GONE: Final = """
SELECT g.person_id, g.removed_at FROM removed_person g WHERE g.tenant_id = $1 AND g.removed_at >= $2
AND NOT EXISTS (SELECT FROM person p WHERE p.tenant_id = $1 AND p.person_id = g.person_id)"""


async def tombstones(tx: TenantTx, ask: ListAsk) -> list[Tombstone]:
    """Who went since the moment that is asked about, in the list's order; one more than a page holds.

    Raises:
        BadCursor.
    """
    assert ask.updated_since is not None
    params: tuple[object, ...] = (tx.tenant_id, ask.updated_since)
    after = ""
    if ask.after is not None:
        after = f" AND (g.removed_at, g.person_id) {'<' if ask.descending else '>'} ($3, $4)"
        params = (*params, *read_position(ask.after, moment_mark, id_mark))
    way = " DESC" if ask.descending else ""
    order = f" ORDER BY g.removed_at{way}, g.person_id{way} LIMIT {ask.limit + 1}"
    return [Tombstone(row["person_id"], row["removed_at"]) for row in await tx.fetch(_GONE + after + order, *params)]


def with_tombstones(
    ask: ListAsk, people: Sequence[Person | Tombstone], gone: Sequence[Tombstone], *, more: bool
) -> tuple[list[Person | Tombstone], Position | None]:
    """A page of both in the order of their change, and its last place if there is more.

    more: whether there are more people than these.
    """
    mixed = sorted([*people, *gone], key=_place, reverse=ask.descending)
    shown = mixed[: ask.limit]
    if not more and len(mixed) <= ask.limit:
        return shown, None
    at, person_id = _place(shown[-1])
    return shown, (mark_of(at), str(person_id))


def _place(one: Person | Tombstone) -> tuple[datetime, UUID]:
    return (one.deleted_at if isinstance(one, Tombstone) else one.updated_at), one.id
