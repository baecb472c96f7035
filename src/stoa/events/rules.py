"""Numbers, digests and the chain. Pure.

The chain hashes salted digests, not contents: an entry whose content and salt are erased keeps its place in a chain
that still verifies.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any
from uuid import UUID

import msgspec

# (type, subject, body as `comparable` gives it)
Told = tuple[str, str, Any]


def _number(text: str) -> int | float:
    # jsonb prints 1.5e3 as 1500, so a float that is a whole number has to compare equal to that integer.
    exact = Decimal(text)
    return int(exact) if exact == exact.to_integral_value() else float(exact)


_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
_decode = msgspec.json.Decoder(float_hook=_number).decode


def comparable(text: str | bytes) -> Any:
    """The JSON `text` as a value that is the same before and after PostgreSQL's jsonb has stored it."""
    return _decode(text)


@dataclass(frozen=True, slots=True)
class Heading:
    """What an entry says about itself, apart from its events."""

    at: datetime
    actor: str
    via: str
    request_id: str | None
    run_id: UUID | None
    ord_from: int | None
    ord_to: int | None
    n: int
    address: str | None = None


def entry_digest(salt: bytes, heading: Heading, events: Sequence[Told]) -> bytes:
    """sha-256 over the salt and the canonical JSON (sorted keys, no spaces, UTF-8) of the heading and its events.

    An entry without an address says nothing of one: so did all entries before there were addresses.
    """
    said: Mapping[str, object] = {
        "actor": heading.actor,
        "at": heading.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "events": events,
        "n": heading.n,
        "ords": [heading.ord_from, heading.ord_to],
        "request": heading.request_id,
        "run": None if heading.run_id is None else str(heading.run_id),
        "via": heading.via,
    }
    if heading.address is not None:
        said = {**said, "address": heading.address}
    return sha256(salt + _canonical(said).encode()).digest()


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a tenant's log: the number that the next event gets, and the chain so far."""

    next_seq: int
    chain: bytes


@dataclass(frozen=True, slots=True)
class Unnumbered:
    """An entry that waits for its number."""

    entry_no: int
    n: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Numbered:
    """The place of an entry in the log."""

    entry_no: int
    first_seq: int
    chain: bytes


def link(previous: bytes, digest: bytes, entry_no: int, first_seq: int) -> bytes:
    """The chain after an entry: sha-256 over the chain before it, its digest, entry_no and first_seq (8 bytes each,
    big-endian)."""
    return sha256(previous + digest + entry_no.to_bytes(8, "big") + first_seq.to_bytes(8, "big")).digest()


def number(head: Head, entries: Iterable[Unnumbered]) -> tuple[Head, list[Numbered]]:
    """Gives the entries their first numbers, in the order in which they come, and the head after them."""
    next_seq, chain = head.next_seq, head.chain
    numbered: list[Numbered] = []
    for entry in entries:
        chain = link(chain, entry.digest, entry.entry_no, next_seq)
        numbered.append(Numbered(entry.entry_no, next_seq, chain))
        next_seq += entry.n
    return Head(next_seq, chain), numbered
