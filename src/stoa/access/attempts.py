"""The throttle of signing in, for people and for API clients: after some failures each further attempt has to wait,
twice as long each time.

A person's attempt is counted before the password is looked at and forgiven when it was right, so a thousand at once are
counted as a thousand. Accounts that do not exist are counted too: the wait says nothing about whether one does.
"""

import hashlib
import ipaddress
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from stoa.db.transactions import PlatformTx, Row
from stoa.kernel.fold import fold

FREE_OF_ACCOUNT: Final = 5
FREE_OF_ADDRESS: Final = 20
LONGEST_WAIT: Final = timedelta(minutes=15)
# Failures older than this are forgotten when no other came after them.
FORGOTTEN_AFTER: Final = timedelta(days=1)
_MOST_FORGOTTEN: Final = 100

# Makes what is missing and locks both rows, always the account's first, so that two attempts cannot deadlock.
_LOCK: Final = """
INSERT INTO sign_in_attempt AS a (key, failures, last_at)
SELECT key, 0, $2 FROM unnest($1::text[]) WITH ORDINALITY AS k (key, place) ORDER BY place
ON CONFLICT (key) DO UPDATE SET failures = a.failures
RETURNING key, failures, last_at, locked_until"""

_COUNT: Final = """
UPDATE sign_in_attempt AS a SET failures = n.failures, last_at = $4, locked_until = n.locked_until
FROM unnest($1::text[], $2::integer[], $3::timestamptz[]) AS n (key, failures, locked_until) WHERE a.key = n.key"""

_FORGET: Final = """
DELETE FROM sign_in_attempt WHERE key IN (
  SELECT key FROM sign_in_attempt WHERE last_at < $1 ORDER BY last_at LIMIT $2 FOR UPDATE SKIP LOCKED)"""

# What others have counted since stays counted; only the wait that this attempt itself began is lifted.
_FORGIVE_ADDRESS: Final = """
UPDATE sign_in_attempt SET failures = greatest(failures - 1, 0),
  locked_until = CASE WHEN last_at = $2 THEN NULL ELSE locked_until END
WHERE key = $1"""


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that has been counted, or was refused for coming too soon.

    Attributes:
        allowed: whether the password may be looked at.
        wait: until when there is no next attempt, from `at` on; zero if one may follow at once.
    """

    account_key: str
    address_key: str
    at: datetime
    allowed: bool
    wait: timedelta

    @property
    def wait_seconds(self) -> int:
        """The wait in whole seconds, rounded up."""
        return -(-self.wait // timedelta(seconds=1))


@dataclass(frozen=True, slots=True)
class _Count:
    key: str
    failures: int
    locked_until: datetime | None


def wait_after(failures: int, free: int) -> timedelta:
    """How long after that many failures there is no next attempt: none below `free`, then 1 s, 2 s, 4 s ... 15 min."""
    if failures < free:
        return timedelta(0)
    # The exponent is bounded before it is used: 2 ** 10 s is more than the longest wait already.
    return min(timedelta(seconds=2 ** min(failures - free, 10)), LONGEST_WAIT)


async def count_attempt(tx: PlatformTx, email: str, address: str) -> Attempt:
    """Counts an attempt on an account from an address as failed, unless either has to wait: then it is not counted.

    The rows of both stay locked until the transaction ends; attempts on the same account queue up for that moment.
    """
    keys = (_account_key(email), _address_key(address))
    allowed, wait = await count_failure(tx, dict(zip(keys, (FREE_OF_ACCOUNT, FREE_OF_ADDRESS), strict=True)))
    return Attempt(*keys, tx.now, allowed=allowed, wait=wait)


async def count_failure(tx: PlatformTx, free: Mapping[str, int]) -> tuple[bool, timedelta]:
    """Counts a failure under each key, unless one of them has to wait: then none is counted. Gives whether it was, and
    the wait until the next attempt.

    free: by key, after how many failures one has to wait; keys in the same order everywhere, so that two attempts
        cannot deadlock.
    """
    keys = list(free)
    rows = {row["key"]: row for row in await tx.fetch(_LOCK, keys, tx.now)}
    wait = _longest(tx, rows.values())
    if wait > timedelta(0):
        await tx.execute("DELETE FROM sign_in_attempt WHERE key = any($1::text[]) AND failures = 0", keys)
        return False, wait
    counts: list[_Count] = []
    for key, allowance in free.items():
        old = rows[key]["last_at"] < tx.now - FORGOTTEN_AFTER
        failures = 1 if old else int(rows[key]["failures"]) + 1
        own_wait = wait_after(failures, allowance)
        wait = max(wait, own_wait)
        counts.append(_Count(key, failures, tx.now + own_wait if own_wait else None))
    await tx.execute(_COUNT, keys, [c.failures for c in counts], [c.locked_until for c in counts], tx.now)
    # Last, so that nothing is waited for while the rows of others are locked.
    await tx.execute(_FORGET, tx.now - FORGOTTEN_AFTER, _MOST_FORGOTTEN)
    return True, wait


async def wait_of(tx: PlatformTx, keys: Collection[str]) -> timedelta:
    """How long whoever is counted under these keys has to wait from now on; zero if an attempt may follow at once."""
    return _longest(tx, await tx.fetch("SELECT locked_until FROM sign_in_attempt WHERE key = any($1::text[])", keys))


def _longest(tx: PlatformTx, rows: Iterable[Row]) -> timedelta:
    waits = [row["locked_until"] - tx.now for row in rows if row["locked_until"] is not None]
    return max((timedelta(0), *waits))


async def forgive_attempt(tx: PlatformTx, attempt: Attempt) -> None:
    """Takes back an attempt whose password was right: the account starts anew, the address has one failure less."""
    await tx.execute("DELETE FROM sign_in_attempt WHERE key = $1", attempt.account_key)
    await tx.execute(_FORGIVE_ADDRESS, attempt.address_key, attempt.at)


def _account_key(email: str) -> str:
    return "account:" + digest(fold(email.strip()))


def _address_key(address: str) -> str:
    return "address:" + digest(network_of(address))


def network_of(address: str) -> str:
    """An IPv4 address as it is; of an IPv6 address the /64 that one subscriber has; any other text as it is."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    mapped = found.ipv4_mapped
    return str(mapped) if mapped else str(ipaddress.ip_network((int(found), 64), strict=False))


def digest(text: str) -> str:
    """Under which a name is counted: what is stored tells nobody whose account or address it was."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
