"""Reading the log page by page, by filter, and waiting for what comes next without holding a connection."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from weakref import WeakValueDictionary

from stoa.changes.rendering import render_changes
from stoa.db.database import Database
from stoa.db.transactions import Origin, TenantTx
from stoa.events.model import NUMBERED_CHANNEL, StoredEvent
from stoa.events.queries import read_events
from stoa.events.selecting import facts
from stoa.kernel.cursors import BadCursor, Position, decode_cursor, encode_cursor, number_mark, read_position
from stoa.kernel.filters import Typed, evaluate
from stoa.kernel.ids import TenantId

# The most events that one page of a filtered list looks at. The cursor moves past them, whether they match or not.
MOST_SCANNED: Final = 2_000
_AT_ONCE: Final = 500
# Bells may be lost with a connection: every reader looks for itself besides.
POLL_SECONDS: Final = 1.0
# Of one tenant's followers in one process, so that the pool's connections are not all theirs.
LOOKS_AT_ONCE: Final = 4
# The bell rings for every tenant's events: whoever is woken for others' again and again rests longer each time.
_REST_SECONDS: Final = 0.01
_LONGEST_REST_SECONDS: Final = 0.2
_turns: Final[WeakValueDictionary[TenantId, asyncio.Semaphore]] = WeakValueDictionary()
_LAST: Final = """
SELECT first_seq + n - 1 AS seq, at FROM entry WHERE tenant_id = $1 AND first_seq IS NOT NULL
ORDER BY first_seq DESC LIMIT 1"""


@dataclass(frozen=True, slots=True)
class Head:
    """The last event that has a number, and when it happened; 0 and None in an empty log."""

    seq: int
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Reading:
    """A piece of the log.

    Attributes:
        events: those that match, in order.
        after: the number of the last event that was looked at: where to go on.
        head: the end of the log as it was read.
    """

    events: tuple[StoredEvent, ...]
    after: int
    head: Head

    @property
    def has_more(self) -> bool:
        """Whether there are numbered events after these."""
        return self.after < self.head.seq


async def head_of(tx: TenantTx) -> Head:
    """The end of the tenant's log (index entry_seq)."""
    row = await tx.fetchrow(_LAST, tx.tenant_id)
    return Head(0, None) if row is None else Head(row["seq"], row["at"])


async def read(tx: TenantTx, after: int, limit: int, where: Typed | None = None) -> Reading:
    """The events after the number `after` that match, at most `limit`; of a filtered log no more than MOST_SCANNED are
    looked at.

    Raises:
        BadCursor: the log ends before that number, as after a restore of an older backup.
    """
    head = await head_of(tx)
    if after > head.seq:
        raise BadCursor(
            f"The log ends at {head.seq}, before this cursor.",
            hint="Begin again at the beginning: the database may have been restored from a backup.",
        )
    if where is None:
        events = await read_events(tx, after, limit, render_changes)
        return Reading(tuple(events), events[-1].seq if events else after, head)
    found: list[StoredEvent] = []
    end = after + MOST_SCANNED
    while after < end and len(found) < limit:
        page = await read_events(tx, after, min(_AT_ONCE, end - after), render_changes)
        for event in page:
            after = event.seq
            if evaluate(where, facts(event), now=tx.now):
                found.append(event)
                if len(found) == limit:
                    break
        if not page or after >= head.seq:
            break
    return Reading(tuple(found), after, head)


async def read_back(tx: TenantTx, before: int | None, limit: int, where: Typed | None = None) -> Reading:
    """As `read`, from the number `before` (None: from the end) backwards, newest first. `after` of what it gives is the
    number of the oldest event that was looked at, before which to go on; 1 or less at the beginning of the log.
    """
    head = await head_of(tx)
    place = head.seq + 1 if before is None else min(before, head.seq + 1)
    found: list[StoredEvent] = []
    stop = max(0, place - 1 - MOST_SCANNED)
    while place - 1 > stop and len(found) < limit:
        size = min(place - 1 - stop, limit if where is None else _AT_ONCE)
        for event in reversed(await read_events(tx, place - 1 - size, size, render_changes)):
            place = event.seq
            if where is None or evaluate(where, facts(event), now=tx.now):
                found.append(event)
                if len(found) == limit:
                    break
    return Reading(tuple(found), place, head)


# ------------------------------------------------------------------ cursors


def cursor_of(tenant_id: TenantId, after: int) -> str:
    """The place after an event, whatever the filter: opaque, and good for this tenant's log alone."""
    return encode_cursor(_scope(tenant_id), (after,))


def place_of(tenant_id: TenantId, cursor: str) -> int:
    """The number in a cursor. Raises BadCursor."""
    position: Position = decode_cursor(cursor, _scope(tenant_id))
    (after,) = read_position(position, number_mark(0))
    assert isinstance(after, int)
    return after


def _scope(tenant_id: TenantId) -> str:
    return f"events\0{tenant_id}"


# ------------------------------------------------------------------ waiting


@dataclass(frozen=True, slots=True)
class Follower:
    """Whoever follows a tenant's log.

    Attributes:
        stopping: set when the server stops.
        bell: rung whenever events get their numbers, and when the server stops.
        turns: shared by the followers of the tenant in this process.
    """

    database: Database
    tenant_id: TenantId
    origin: Origin
    where: Typed | None
    stopping: asyncio.Event
    bell: asyncio.Event
    turns: asyncio.Semaphore

    async def look(self, after: int, limit: int) -> Reading:
        """What there is, in a transaction of its own. Raises BadCursor."""
        async with self.turns, self.database.tenant(self.tenant_id, self.origin, read_only=True) as tx:
            return await read(tx, after, limit, self.where)

    async def next(self, after: int, limit: int, until: float) -> Reading:
        """The next events that match, as soon as there are any; none of them once the loop's clock shows `until` or the
        server stops. No connection is held while it waits, and nothing is missed between a look and the wait.

        Raises:
            BadCursor.
        """
        clock, in_vain = asyncio.get_running_loop().time, 0
        while True:
            # Before the look: what gets its number after the look rings.
            self.bell.clear()
            began = clock()
            reading = await self.look(after, limit)
            after = reading.after
            left = until - clock()
            if reading.events or left <= 0 or self.stopping.is_set():
                return reading
            if reading.has_more:
                # Through a long log that does not match: half of the time is others'.
                await asyncio.sleep(min(left, clock() - began))
            else:
                try:
                    await asyncio.wait_for(self.bell.wait(), min(left, POLL_SECONDS))
                except TimeoutError:
                    continue
                await asyncio.sleep(min(left, _LONGEST_REST_SECONDS, _REST_SECONDS * in_vain))
                in_vain += 1

    async def wait(self, after: int, limit: int, seconds: float) -> Reading:
        """As `next`, for at most so many seconds. Raises BadCursor."""
        return await self.next(after, limit, asyncio.get_running_loop().time() + seconds)


@asynccontextmanager
async def following(
    database: Database, tenant_id: TenantId, origin: Origin, where: Typed | None, stopping: asyncio.Event
) -> AsyncGenerator[Follower]:
    """A follower for the length of a block."""
    turns = _turns.setdefault(tenant_id, asyncio.Semaphore(LOOKS_AT_ONCE))
    async with database.notifier.listening(NUMBERED_CHANNEL) as bell:
        ringer = asyncio.create_task(_ring_at(stopping, bell))
        try:
            yield Follower(database, tenant_id, origin, where, stopping, bell, turns)
        finally:
            ringer.cancel()


async def _ring_at(stopping: asyncio.Event, bell: asyncio.Event) -> None:
    await stopping.wait()
    bell.set()
