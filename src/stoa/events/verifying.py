"""The check of the log's chain: that nothing of it was changed, taken out or cut off since it was written."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from stoa.db.transactions import Row, TenantTx
from stoa.events.model import Broken
from stoa.events.rules import Heading, Told, comparable, entry_digest, link

_READ_AT_ONCE: Final = 500

_CHAIN: Final = """
SELECT entry_no, at, actor, via, request_id, address, run_id, ord_from, ord_to, n, salt, digest, first_seq, chain
FROM entry
WHERE tenant_id = $1 AND first_seq >= $2 AND first_seq < $3 ORDER BY first_seq LIMIT $4"""

_CONTENTS: Final = """
SELECT entry_no, ord, type, subject, body::text AS body FROM event
WHERE tenant_id = $1 AND entry_no = ANY($2::bigint[]) ORDER BY entry_no, ord"""

_NOTE: Final = """
INSERT INTO chain_check (tenant_id, checked_at, up_to, broken_seq, broken_entry_no, broken_reason)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (tenant_id) DO UPDATE SET checked_at = excluded.checked_at, up_to = excluded.up_to,
  broken_seq = excluded.broken_seq, broken_entry_no = excluded.broken_entry_no,
  broken_reason = excluded.broken_reason"""


@dataclass(frozen=True, slots=True)
class Walk:
    """A walk through the log that is under way, from its beginning to what was its end when the walk began.

    Attributes:
        seq, chain: the number that the next entry must have, and the chain before it.
        end, end_chain: as the log's head had them.
        broken: the first place that is not as it was written. The walk ends there.
        done: whether it has come to its end.
    """

    seq: int
    chain: bytes
    end: int
    end_chain: bytes
    broken: Broken | None = None
    done: bool = False


@dataclass(frozen=True, slots=True)
class ChainCheck:
    """What a check found.

    Attributes:
        checked_at: when it ended, by the tenant's clock.
        up_to: the number of the last event that is as it was written.
        broken: the first place that is not; None if all of them are.
    """

    checked_at: datetime
    up_to: int
    broken: Broken | None


async def begin_walk(tx: TenantTx) -> Walk:
    """A walk through what the log holds now."""
    head = await tx.fetchrow("SELECT next_seq, chain FROM event_head WHERE tenant_id = $1", tx.tenant_id)
    return Walk(1, b"", 1, b"") if head is None else Walk(1, b"", head["next_seq"], head["chain"])


async def walk_on(tx: TenantTx, walk: Walk) -> Walk:
    """Goes on by up to 500 entries. The parts of a walk may be transactions of their own: what was numbered before it
    began does not change.

    An entry with an empty salt was erased: its content cannot be compared any more, its place still is. The rows of a
    bulk entry are compared by run, range and number alone; their content is the journal's.
    """
    seq, chain = walk.seq, walk.chain
    if seq >= walk.end:
        return await _end(tx, walk)
    entries = await tx.fetch(_CHAIN, tx.tenant_id, seq, walk.end, _READ_AT_ONCE)
    if not entries:
        return _stopped(walk, Broken(seq, None, "head"))
    contents = await _contents(tx, entries)
    for entry in entries:
        reason = _fault(entry, seq, chain, contents.get(entry["entry_no"], []))
        if reason is not None:
            return _stopped(walk, Broken(seq, entry["entry_no"], reason))
        seq, chain = seq + entry["n"], entry["chain"]
    return Walk(seq, chain, walk.end, walk.end_chain)


def _stopped(walk: Walk, broken: Broken | None) -> Walk:
    seq = walk.seq if broken is None else broken.seq
    return Walk(seq, walk.chain, walk.end, walk.end_chain, broken, done=True)


async def _end(tx: TenantTx, walk: Walk) -> Walk:
    beyond = await tx.fetchval("SELECT min(entry_no) FROM entry WHERE tenant_id = $1 AND first_seq < 1", tx.tenant_id)
    sound = walk.seq == walk.end and beyond is None and walk.chain == walk.end_chain
    return _stopped(walk, None if sound else Broken(walk.seq, beyond, "head"))


async def verify_chain(tx: TenantTx) -> Broken | None:
    """Walks the whole numbered log and gives the first place where it is not what was written, or None."""
    walk = await begin_walk(tx)
    while not walk.done:
        walk = await walk_on(tx, walk)
    return walk.broken


async def note_check(tx: TenantTx, walk: Walk) -> ChainCheck:
    """Keeps what a walk that is done has found, in place of what the one before it found."""
    broken = walk.broken
    place = (None, None, None) if broken is None else (broken.seq, broken.entry_no, broken.reason)
    await tx.execute(_NOTE, tx.tenant_id, tx.now, walk.seq - 1, *place)
    return ChainCheck(tx.now, walk.seq - 1, broken)


async def last_check(tx: TenantTx) -> ChainCheck | None:
    """What the last check found; None before the first."""
    row = await tx.fetchrow(
        """SELECT checked_at, up_to, broken_seq, broken_entry_no, broken_reason FROM chain_check
           WHERE tenant_id = $1""",
        tx.tenant_id,
    )
    if row is None:
        return None
    broken = None
    if row["broken_seq"] is not None:
        broken = Broken(row["broken_seq"], row["broken_entry_no"], row["broken_reason"])
    return ChainCheck(row["checked_at"], row["up_to"], broken)


async def _contents(tx: TenantTx, entries: Sequence[Row]) -> dict[int, list[Row]]:
    contents: dict[int, list[Row]] = {}
    for row in await tx.fetch(_CONTENTS, tx.tenant_id, [entry["entry_no"] for entry in entries]):
        contents.setdefault(row["entry_no"], []).append(row)
    return contents


def _fault(entry: Row, seq: int, chain: bytes, content: Sequence[Row]) -> str | None:
    if entry["first_seq"] != seq:
        return "gap"
    if entry["chain"] != link(chain, entry["digest"], entry["entry_no"], seq):
        return "chain"
    salt: bytes = entry["salt"]
    if not salt:
        return None
    run_id: UUID | None = entry["run_id"]
    ords: tuple[Any, Any] = (entry["ord_from"], entry["ord_to"])
    who = (entry["at"], entry["actor"], entry["via"], entry["request_id"])
    heading = Heading(*who, run_id, *ords, entry["n"], entry["address"])
    told: list[Told] = [(row["type"], row["subject"], comparable(row["body"])) for row in content]
    return None if entry["digest"] == entry_digest(salt, heading, told) else "digest"
