"""The platform's own log: what happens to the operators' accounts, which are of no tenant.

Few lines, so they are numbered and chained at once, under the lock of the log's head: their numbers have no gaps. The
chain is that of the tenants' logs (`stoa.events.rules`): a line whose content and salt are erased keeps its place.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
import structlog

from stoa.db.database import Database
from stoa.db.transactions import PlatformTx, Row
from stoa.events.model import Broken
from stoa.events.rules import Heading, Told, comparable, entry_digest, link

_SALT_BYTES: Final = 16
_LONGEST_ADDRESS: Final = 100
_CHECKED_AT_ONCE: Final = 500
_DAY: Final = timedelta(days=1)
_log = structlog.get_logger()
_encode = msgspec.json.Encoder(decimal_format="number").encode

_HEAD: Final = "SELECT next_no, chain FROM platform_head FOR UPDATE"
_WRITE: Final = """
INSERT INTO platform_entry (entry_no, at, actor, via, request_id, address, type, subject, body, salt, digest, chain)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"""
_COLUMNS: Final = "entry_no, at, actor, via, request_id, address, type, subject, body"
_PART: Final = """
SELECT entry_no, at, actor, via, request_id, address, type, subject, body::text AS body, salt, digest, chain
FROM platform_entry WHERE entry_no >= $1 AND entry_no < $2 ORDER BY entry_no LIMIT $3"""


@dataclass(frozen=True, slots=True)
class PlatformEntry:
    """One line.

    Attributes:
        actor, via, request_id, address: as of `Origin`.
        type: what happened: `operator.created`, `operator.signed_in`, ...
        subject: to whom: `operator:<id>`, or empty where the account is not known.
        body: JSON object; further facts, and `before` and `after` of a change.
    """

    entry_no: int
    at: datetime
    actor: str
    via: str
    request_id: str | None
    address: str | None
    type: str
    subject: str
    body: dict[str, Any]


def note(tx: PlatformTx, type_: str, subject: str, body: Mapping[str, object] | None = None) -> None:
    """Adds a line that is written at the end of the transaction, after all its other locks are held. What is undone has
    no line."""
    tx.told = (*tx.told, (type_, subject, dict(body or {})))
    tx.at_end = _write


async def _write(tx: PlatformTx) -> None:
    head = await tx.fetchrow(_HEAD)
    assert head is not None, "the migration made it"
    no, chain, origin = int(head["next_no"]), bytes(head["chain"]), tx.origin
    # The zone of an IPv6 address may be of any length (RFC 4007, section 11).
    address = (origin.address or "")[:_LONGEST_ADDRESS] or None
    rows: list[Sequence[object]] = []
    for type_, subject, body in tx.told:
        salt = secrets.token_bytes(_SALT_BYTES)
        heading = Heading(tx.now, origin.actor, origin.via, origin.request_id, None, None, None, 1, address)
        digest = entry_digest(salt, heading, [(type_, subject, comparable(_encode(body)))])
        chain = link(chain, digest, no, no)
        who = (origin.actor, origin.via, origin.request_id, address)
        rows.append((no, tx.now, *who, type_, subject, body, salt, digest, chain))
        no += 1
    await tx.execute_many(_WRITE, rows)
    await tx.execute("UPDATE platform_head SET next_no = $1, chain = $2", no, chain)


def entry_of_row(row: Row) -> PlatformEntry:
    """A line from a row that has its columns."""
    return PlatformEntry(**dict(row))


async def platform_entry(tx: PlatformTx, entry_no: int) -> PlatformEntry | None:
    """One line, or None."""
    row = await tx.fetchrow(f"SELECT {_COLUMNS} FROM platform_entry WHERE entry_no = $1", entry_no)  # noqa: S608 - code
    return None if row is None else entry_of_row(row)


# ------------------------------------------------------------------ the check of the chain


@dataclass(frozen=True, slots=True)
class PlatformCheck:
    """What the last check found.

    Attributes:
        up_to: the last line that was found as it was written.
        broken: the first that was not; None if all were.
    """

    checked_at: datetime
    up_to: int
    broken: Broken | None


async def last_platform_check(tx: PlatformTx) -> PlatformCheck | None:
    """What the last check found; None before the first."""
    row = await tx.fetchrow("SELECT checked_at, up_to, broken_no, broken_reason FROM platform_head")
    if row is None or row["checked_at"] is None:
        return None
    broken = None if row["broken_no"] is None else Broken(row["broken_no"], row["broken_no"], row["broken_reason"])
    return PlatformCheck(row["checked_at"], row["up_to"], broken)


async def check_platform_log(tx: PlatformTx) -> PlatformCheck:
    """Walks the whole log, and notes what was found."""
    up_to, broken = await _walk(tx)
    await tx.execute(
        "UPDATE platform_head SET checked_at = $1, up_to = $2, broken_no = $3, broken_reason = $4",
        *(tx.now, up_to, None if broken is None else broken.seq, None if broken is None else broken.reason),
    )
    return PlatformCheck(tx.now, up_to, None if broken is None else Broken(broken.seq, broken.seq, broken.reason))


async def check_platform_daily(database: Database) -> None:
    """Checks it unless that was done within a day. Asked for with each tenant's own check."""
    async with database.platform() as tx:
        last = await last_platform_check(tx)
        if last is not None and last.checked_at > tx.now - _DAY:
            return
        found = await check_platform_log(tx)
    if found.broken is not None:
        _log.error("platform_log_broken", entry_no=found.broken.seq, reason=found.broken.reason)


async def _walk(tx: PlatformTx) -> tuple[int, Broken | None]:
    head = await tx.fetchrow("SELECT next_no, chain FROM platform_head")
    assert head is not None, "the migration made it"
    no, chain = 1, b""
    while no < head["next_no"]:
        rows = await tx.fetch(_PART, no, head["next_no"], _CHECKED_AT_ONCE)
        if not rows:
            return no - 1, Broken(no, None, "head")
        for row in rows:
            reason = _fault(row, no, chain)
            if reason is not None:
                return no - 1, Broken(no, row["entry_no"], reason)
            no, chain = no + 1, row["chain"]
    return no - 1, None if chain == head["chain"] else Broken(no, None, "head")


def _fault(row: Row, no: int, chain: bytes) -> str | None:
    if row["entry_no"] != no:
        return "gap"
    if row["chain"] != link(chain, row["digest"], no, no):
        return "chain"
    if not row["salt"]:
        return None
    who = (row["at"], row["actor"], row["via"], row["request_id"])
    told: list[Told] = [(row["type"], row["subject"], comparable(row["body"]))]
    digest = entry_digest(row["salt"], Heading(*who, None, None, None, 1, row["address"]), told)
    return None if row["digest"] == digest else "digest"
