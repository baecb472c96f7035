"""Reading the log: pages by cursor."""

from collections.abc import Sequence
from typing import Final

from stoa.db.transactions import PlatformTx, Row, TenantTx
from stoa.events.actions import NUMBERED_AT_ONCE, number_entries
from stoa.events.model import ERASED, Event, Renderer, RendererMissing, StoredEvent
from stoa.kernel.ids import RunId, TenantId

# A read-only transaction reads what is numbered and leaves the rest to others.
_CAN_NUMBER: Final = """
SELECT current_setting('transaction_read_only') = 'off'
   AND EXISTS (SELECT FROM entry WHERE tenant_id = $1 AND first_seq IS NULL)"""

# Numbers have no gaps, so the entries that hold the events $2+1 to $2+$3 are those from the one that holds $2+1 on.
_ENTRIES: Final = """
SELECT entry_no, at, actor, via, run_id, ord_from, ord_to, n, first_seq FROM entry
WHERE tenant_id = $1 AND first_seq <= $2::bigint + $3::bigint AND first_seq >= coalesce(
  (SELECT max(first_seq) FROM entry WHERE tenant_id = $1 AND first_seq <= $2::bigint + 1), 0)
ORDER BY first_seq"""

_EVENTS: Final = """
SELECT e.entry_no, e.ord, e.type, e.subject, e.body
FROM unnest($2::bigint[], $3::int[], $4::int[]) AS w(entry_no, ord_from, ord_to)
JOIN event e ON e.tenant_id = $1 AND e.entry_no = w.entry_no AND e.ord BETWEEN w.ord_from AND w.ord_to"""

# From one tenant to the next by the partial index: one tenant's backlog is not read through to find the others.
_WAITING: Final = """
WITH RECURSIVE waiting AS (
  (SELECT e.tenant_id FROM entry e WHERE e.first_seq IS NULL ORDER BY e.tenant_id LIMIT 1)
  UNION ALL
  SELECT n.tenant_id FROM waiting w CROSS JOIN LATERAL (
    SELECT e.tenant_id FROM entry e WHERE e.first_seq IS NULL AND e.tenant_id > w.tenant_id
    ORDER BY e.tenant_id LIMIT 1) n
) SELECT tenant_id FROM waiting LIMIT $1"""


async def read_events(tx: TenantTx, after: int, limit: int, render: Renderer | None = None) -> list[StoredEvent]:
    """The events numbered after+1 to after+limit, as far as there are any, in order.

    Un-numbered entries are numbered first, unless the transaction is read-only or somebody else is at it. An event
    that is gone (erased, or past its retention) is given as one of type `ERASED`, so a full page always moves the
    cursor on.

    Raises:
        RendererMissing: a bulk entry is among them and `render` is None.
    """
    if await tx.fetchval(_CAN_NUMBER, tx.tenant_id):
        await number_entries(tx, limit=max(limit, NUMBERED_AT_ONCE), wait=False)
    entries = await tx.fetch(_ENTRIES, tx.tenant_id, after, limit)
    plain = await _plain_events(tx, [entry for entry in entries if entry["ord_from"] is None], after, limit)
    page: list[StoredEvent] = []
    for entry in entries:
        start, stop = _window(entry, after, limit)
        if entry["ord_from"] is None:
            found = [plain.get((entry["entry_no"], ord_)) for ord_ in range(start, stop)]
        else:
            found = await _rendered(tx, entry, start, stop, render)
        page.extend(_stored(entry, start + i, event) for i, event in enumerate(found))
    return page


def _window(entry: Row, after: int, limit: int) -> tuple[int, int]:
    # Which of the entry's events (start included, stop not) lie on the page.
    return max(0, after + 1 - entry["first_seq"]), min(entry["n"], after + limit + 1 - entry["first_seq"])


async def _plain_events(tx: TenantTx, entries: Sequence[Row], after: int, limit: int) -> dict[tuple[int, int], Event]:
    if not entries:
        return {}
    windows = [_window(entry, after, limit) for entry in entries]
    rows = await tx.fetch(
        _EVENTS,
        tx.tenant_id,
        [entry["entry_no"] for entry in entries],
        [start for start, _ in windows],
        [stop - 1 for _, stop in windows],
    )
    return {(row["entry_no"], row["ord"]): Event(row["type"], row["subject"], row["body"]) for row in rows}


async def _rendered(tx: TenantTx, entry: Row, start: int, stop: int, render: Renderer | None) -> list[Event | None]:
    if start >= stop:
        return []
    if render is None:
        raise RendererMissing(f"Entry {entry['entry_no']} is a bulk entry, and this reader was given no renderer.")
    size = stop - start
    events: list[Event | None] = list(
        await render(tx, RunId(entry["run_id"]), entry["ord_from"], entry["ord_to"], start, size)
    )
    return events[:size] + [None] * (size - len(events))


def _stored(entry: Row, ord_: int, event: Event | None) -> StoredEvent:
    told = event or Event(ERASED, "", {})
    return StoredEvent(
        seq=entry["first_seq"] + ord_,
        type=told.type,
        subject=told.subject,
        at=entry["at"],
        actor=entry["actor"],
        via=entry["via"],
        run_id=None if entry["run_id"] is None else RunId(entry["run_id"]),
        body=told.body,
    )


async def last_seq(tx: TenantTx) -> int:
    """The number of the last numbered event; 0 in an empty log."""
    return (await tx.fetchval("SELECT next_seq FROM event_head WHERE tenant_id = $1", tx.tenant_id) or 1) - 1


async def tenants_with_unnumbered(tx: PlatformTx, limit: int = 1000) -> list[TenantId]:
    """Tenants of whom a committed entry waits for its number."""
    return [TenantId(row["tenant_id"]) for row in await tx.fetch(_WAITING, limit)]
