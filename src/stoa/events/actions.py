"""Writing the log, and numbering what was written.

Nothing is locked or numbered by a writer. Its entry is inserted last in the transaction, after all row locks are held,
so for any one row the order of entry_no is the order of the changes. Numbers without gaps are given afterwards, by
whoever holds the tenant's `event_head` row.
"""

import secrets
from collections.abc import Iterable
from typing import Final, cast

import msgspec

from stoa.db.literals import Literal, literal
from stoa.db.transactions import Origin, TenantTx
from stoa.events import metrics
from stoa.events.model import CHANNEL, NUMBERED_CHANNEL, Batch, Event
from stoa.events.rules import Head, Heading, Told, Unnumbered, comparable, entry_digest, number
from stoa.kernel.ids import RunId, TenantId

_EVENTS: Final = "events"
_BATCHES: Final = "events.batches"
_CLOSED: Final = "events.closed"
_NUMBERED_TO: Final = "events.numbered_to"
_SALT_BYTES: Final = 16
_LONGEST_ADDRESS: Final = 100
NUMBERED_AT_ONCE: Final = 1000
_encode = msgspec.json.Encoder(decimal_format="number").encode

_HEAD: Final = "SELECT FROM event_head WHERE tenant_id = $1 FOR UPDATE"

_UNNUMBERED: Final = """
SELECT h.next_seq, h.chain AS so_far, e.entry_no, e.n, e.digest FROM event_head h
CROSS JOIN LATERAL (
  SELECT entry_no, n, digest FROM entry WHERE tenant_id = $1 AND first_seq IS NULL ORDER BY entry_no LIMIT $2) AS e
WHERE h.tenant_id = $1 ORDER BY e.entry_no"""

# The range keeps a planner without statistics from reading the tenant's whole log.
_NUMBER: Final = """
WITH head AS (UPDATE event_head SET next_seq = $5, chain = $6 WHERE tenant_id = $1)
UPDATE entry SET first_seq = v.first_seq, chain = v.chain
FROM unnest($2::bigint[], $3::bigint[], $4::bytea[]) AS v(entry_no, first_seq, chain)
WHERE entry.tenant_id = $1 AND entry.entry_no = v.entry_no AND entry.entry_no BETWEEN $7 AND $8"""


def emit(tx: TenantTx, event: Event, *, run_id: RunId | None = None) -> None:
    """Adds an event to the one entry that this transaction writes at its end. A rolled-back transaction has no events.

    run_id: the run it belongs to. The entry names a run if its events agree on one.
    """
    _collect(tx, _EVENTS, ((event, run_id),))


def emit_all(tx: TenantTx, events: Iterable[Event], *, run_id: RunId | None = None) -> None:
    """Adds many events, as `emit` does one."""
    if told := tuple((event, run_id) for event in events):
        _collect(tx, _EVENTS, told)


def emit_batch(
    tx: TenantTx, *, run_id: RunId, ord_from: int, ord_to: int, n: int, origin: Origin | None = None
) -> None:
    """Adds one entry that stands for the events of `n` changed rows of a run. They are rendered from those rows when
    read.

    origin: who acts, in a transaction that does the work of several requests.

    A page of a reader passes over the rows of the batch that come before it, so a batch should stay within some
    thousand rows.
    """
    if n < 1 or ord_from > ord_to:
        raise ValueError(f"a batch has rows: n={n}, ord {ord_from} to {ord_to}")
    _collect(tx, _BATCHES, (Batch(run_id, ord_from, ord_to, n, origin),))


def _collect(tx: TenantTx, where: str, what: tuple[object, ...]) -> None:
    if tx.memo.get(_CLOSED):
        raise RuntimeError("an event was emitted after the transaction's entry was written")
    # A tuple, replaced and never changed: whoever copies the memo can put it back.
    tx.memo[where] = (*tx.memo.get(where, ()), *what)
    tx.before_commit("events", _write)


async def _write(tx: TenantTx) -> None:
    batches = cast("tuple[Batch, ...]", tx.memo.get(_BATCHES, ()))
    events = cast("tuple[tuple[Event, RunId | None], ...]", tx.memo.get(_EVENTS, ()))
    tx.memo[_CLOSED] = True
    for batch in batches:
        tx.closing += _entry(tx, batch.n, batch.run_id, batch, [])
    if events:
        runs = {run_id for _, run_id in events}
        run_id = runs.pop() if len(runs) == 1 else None
        tx.closing += _entry(tx, len(events), run_id, None, [event for event, _ in events])
    if batches or events:
        tx.wake(CHANNEL)


def _entry(tx: TenantTx, n: int, run_id: RunId | None, batch: Batch | None, events: list[Event]) -> str:
    """The statement that writes an entry, which is sent with the commit: nothing comes after it."""
    origin = (batch and batch.origin) or tx.origin
    ord_from, ord_to = (batch.ord_from, batch.ord_to) if batch else (None, None)
    # The zone of an IPv6 address may be of any length (RFC 4007, section 11).
    address = (origin.address or "")[:_LONGEST_ADDRESS] or None
    heading = Heading(tx.now, origin.actor, origin.via, origin.request_id, run_id, ord_from, ord_to, n, address)
    told: list[Told] = [(event.type, event.subject, comparable(_encode(event.body))) for event in events]
    salt = secrets.token_bytes(_SALT_BYTES)
    given: tuple[Literal, ...] = (
        *(tx.tenant_id, heading.at, heading.actor, heading.via, heading.request_id, run_id, ord_from, ord_to),
        *(n, salt, entry_digest(salt, heading, told)),
        [(event.type, event.subject, event.body) for event in events] or None,
        address,
    )
    metrics.WRITTEN.inc(n)
    return f"SELECT write_entry({', '.join(map(literal, given))}); "


def head_lock(tenant_id: TenantId) -> str:
    """A statement that locks the tenant's head, and gives a row if there is one: for `Database.tenant`, which runs it
    in the round trip that begins a transaction. Its `tx.found` is then what `number_entries` is given as `locked`.
    """
    return f"SELECT FROM event_head WHERE tenant_id = '{tenant_id!s}' FOR UPDATE"


async def number_entries(
    tx: TenantTx, *, limit: int = NUMBERED_AT_ONCE, wait: bool = True, locked: bool = False
) -> int:
    """Numbers up to `limit` committed entries in order of entry_no, and chains them. Gives how many.

    wait: whether to wait for another sequencer of the same tenant. Without, 0 if there is one at it: a reader that
        holds locks must not wait for a holder of the head.
    locked: whether this transaction holds the head already.
    """
    if not locked and not await _lock_head(tx, wait=wait):
        return 0
    # A statement of its own: its snapshot is taken after the lock, so it sees all that the holder before us numbered.
    rows = await tx.fetch(_UNNUMBERED, tx.tenant_id, limit)
    if not rows:
        return 0
    head = Head(rows[0]["next_seq"], rows[0]["so_far"])
    after, numbered = number(head, (Unnumbered(row["entry_no"], row["n"], row["digest"]) for row in rows))
    await tx.execute(
        _NUMBER,
        tx.tenant_id,
        [entry.entry_no for entry in numbered],
        [entry.first_seq for entry in numbered],
        [entry.chain for entry in numbered],
        after.next_seq,
        after.chain,
        numbered[0].entry_no,
        numbered[-1].entry_no,
    )
    metrics.NUMBERED.inc(after.next_seq - head.next_seq)
    tx.memo[_NUMBERED_TO] = after.next_seq - 1
    tx.wake(NUMBERED_CHANNEL)
    return len(numbered)


def numbered_to(tx: TenantTx) -> int | None:
    """The number of the last event that this transaction has numbered, or None if it has numbered none."""
    return tx.memo.get(_NUMBERED_TO)


async def _lock_head(tx: TenantTx, *, wait: bool) -> bool:
    sql = _HEAD if wait else f"{_HEAD} SKIP LOCKED"
    if await tx.fetchrow(sql, tx.tenant_id) is not None:
        return True
    await tx.execute("INSERT INTO event_head (tenant_id) VALUES ($1) ON CONFLICT DO NOTHING", tx.tenant_id)
    return await tx.fetchrow(sql, tx.tenant_id) is not None
