"""Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): a repeated request gets the first answer.

The answer is stored in the transaction of the work. So there is no moment in which the work is done and the answer is
not kept: whoever lost the answer repeats the request and gets it, and whatever failed left nothing behind.

Answers are sealed at rest: some hold what is shown this once, such as a webhook's signing secret, and most hold people.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from stoa.api.errors import BadHeader, IdempotencyInFlight, IdempotencyKeyMissing, IdempotencyKeyReused
from stoa.api.operations import Operation
from stoa.db.transactions import TenantTx
from stoa.jobs.actions import enqueue
from stoa.jobs.run import Handler, JobRun
from stoa.tenants.sealing import Sealer

_TABLE: Final = "idempotency_key"
HEADER: Final = "idempotency-key"
KEPT: Final = timedelta(hours=24)
LONGEST: Final = 255
# Whoever stores an answer clears some that are past their time, so that the table stays small; the job clears what is
# left of a tenant whose clients have fallen silent.
_CLEARED_AT_ONCE: Final = 20
_FORGOTTEN_AT_ONCE: Final = 500
FORGET_JOB: Final = "api.forget_answers"
_DAY: Final = timedelta(days=1)

_STORED: Final = """
SELECT request_digest, status, headers, body FROM idempotency_key
WHERE tenant_id = $1 AND holder = $2 AND key = $3 AND made_at > $4"""

# Gives whether there were answers before: then the job has been asked for already.
_STORE: Final = """
WITH before AS (SELECT EXISTS (SELECT FROM idempotency_key WHERE tenant_id = $1) AS there)
INSERT INTO idempotency_key (tenant_id, holder, key, request_digest, status, headers, body, made_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (tenant_id, holder, key) DO UPDATE SET request_digest = excluded.request_digest,
  status = excluded.status, headers = excluded.headers, body = excluded.body, made_at = excluded.made_at
RETURNING (SELECT there FROM before)"""

_CLEAR: Final = """
DELETE FROM idempotency_key WHERE tenant_id = $1 AND (holder, key) IN (
  SELECT holder, key FROM idempotency_key WHERE tenant_id = $1 AND made_at <= $2
  ORDER BY made_at LIMIT $3 FOR UPDATE SKIP LOCKED)"""


@dataclass(frozen=True, slots=True)
class Key:
    """A client's key for one piece of work.

    Attributes:
        holder: whose key it is: two clients may use the same text.
        digest: of method, address and body; another one under the same key is another piece of work.
    """

    holder: str
    text: str
    digest: bytes

    @property
    def row_id(self) -> UUID:
        """What the stored answer is bound to."""
        return UUID(bytes=hashlib.sha256(f"{self.holder}\0{self.text}".encode()).digest()[:16])


@dataclass(frozen=True, slots=True)
class Stored:
    """An answer as it was sent."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def key_of(operation: Operation, holder: str, headers: Mapping[str, str], address: str, body: bytes) -> Key | None:
    """The request's key; None for an operation that knows none, or where none is given and none needed.

    Raises:
        IdempotencyKeyMissing, BadHeader.
    """
    if operation.idempotency == "none":
        return None
    text = headers.get(HEADER)
    if text is None:
        if operation.idempotency == "optional":
            return None
        raise IdempotencyKeyMissing(
            f"{operation.summary}: this needs an Idempotency-Key header.",
            hint="Send a fresh UUID with each piece of work, and the same one again with each repetition of it.",
            header="Idempotency-Key",
        )
    # The draft has a quoted string (a structured field); most clients send the bare text.
    bare = text[1:-1] if len(text) >= 2 and text[0] == text[-1] == '"' else text
    if not 1 <= len(bare) <= LONGEST or not bare.isascii() or not bare.isprintable():
        raise BadHeader(f"Idempotency-Key must have 1 to {LONGEST} printable characters.", header="Idempotency-Key")
    digest = hashlib.sha256(f"{operation.method} {address}\n".encode() + body).digest()
    return Key(holder, bare, digest)


async def begin(tx: TenantTx, key: Key, sealer: Sealer) -> Stored | None:
    """Claims the key for this transaction. Gives the answer that was stored under it, if the work was done before.

    Raises:
        IdempotencyInFlight: another request with this key is at work. IdempotencyKeyReused: it was for other work.
        SecretUnreadable: the key of the server that sealed the answer is gone.
    """
    # Held to the end of the transaction; nobody waits for it, so a second request is told at once.
    name = hashlib.sha256(f"{tx.tenant_id}\0{key.holder}\0{key.text}".encode()).digest()[:8]
    if not await tx.fetchval("SELECT pg_try_advisory_xact_lock($1)", int.from_bytes(name, "big", signed=True)):
        raise IdempotencyInFlight(
            "A request with this Idempotency-Key is being worked on.", hint="Repeat it in a second to get its answer."
        )
    row = await tx.fetchrow(_STORED, tx.tenant_id, key.holder, key.text, tx.now - KEPT)
    if row is None:
        return None
    if row["request_digest"] != key.digest:
        raise IdempotencyKeyReused(
            "This Idempotency-Key was used for another request.", hint="Take a new key for new work."
        )
    body = sealer.open(row["body"], tx.tenant_id, _TABLE, key.row_id)
    return Stored(row["status"], tuple((name, value) for name, value in row["headers"]), body)


async def store(tx: TenantTx, key: Key, answer: Stored, sealer: Sealer) -> None:
    """Keeps the answer for 24 hours, in the transaction of the work."""
    body = sealer.seal(answer.body, tx.tenant_id, _TABLE, key.row_id)
    is_asked_for = await tx.fetchval(
        _STORE,
        *(tx.tenant_id, key.holder, key.text, key.digest, answer.status, [list(one) for one in answer.headers]),
        *(body, tx.now),
    )
    if not is_asked_for:
        await enqueue(tx, FORGET_JOB, "", due_at=tx.now + _DAY)
    await tx.execute(_CLEAR, tx.tenant_id, tx.now - KEPT, _CLEARED_AT_ONCE)


def answer_jobs() -> dict[str, Handler]:
    """The handler that forgets answers."""
    return {FORGET_JOB: _forget}


async def _forget(run: JobRun) -> None:
    """Forgets what is past its time, and asks for itself until nothing was left to forget: whoever stores an
    answer where there are none asks for it too, so none is overlooked.
    """
    forgotten = 0
    while True:
        async with run.database.tenant(run.tenant_id, run.origin) as tx:
            await run.fence(tx)
            gone = await tx.execute(_CLEAR, tx.tenant_id, tx.now - KEPT, _FORGOTTEN_AT_ONCE)
            forgotten += gone
            if gone:
                continue
            left = await tx.fetchval("SELECT EXISTS (SELECT FROM idempotency_key WHERE tenant_id = $1)", tx.tenant_id)
            if left or forgotten:
                await enqueue(tx, FORGET_JOB, "", due_at=tx.now + _DAY)
            return
