"""The life of a lease: claimed, renewed, and ended in one of five ways. Every end names the epoch, so a lost lease
changes nothing.

Leases are counted on the real clock (`now`), due times on the tenant's, which a sandbox may have moved.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from stoa.db.transactions import PlatformTx, Row, TenantTx
from stoa.jobs.model import Claim, Outcome
from stoa.kernel.ids import TenantId

_FIRST: Final = UUID(int=0)
_LAST: Final = UUID(int=2**128 - 1)

# From tenant to tenant along the index job_due, in order, no further than the batch needs. `seen` follows `wanted`,
# unless a later moment was asked for while an attempt ran that did not end well: that wake-up is still owed.
_CLAIM: Final = """
WITH RECURSIVE tenants AS (
  (SELECT j.tenant_id FROM job j WHERE j.dead_at IS NULL AND j.tenant_id > $1 AND j.tenant_id <= $2
   ORDER BY j.tenant_id LIMIT 1)
  UNION ALL
  SELECT n.tenant_id FROM tenants t CROSS JOIN LATERAL (
    SELECT j.tenant_id FROM job j WHERE j.dead_at IS NULL AND j.tenant_id > t.tenant_id AND j.tenant_id <= $2
    ORDER BY j.tenant_id LIMIT 1) n
), picked AS (
  SELECT d.tenant_id, d.job_id, d.lease_until FROM tenants t CROSS JOIN LATERAL (
    SELECT j.tenant_id, j.job_id, j.lease_until FROM job j
    WHERE j.tenant_id = t.tenant_id AND j.dead_at IS NULL AND j.kind = ANY($3::text[])
      AND j.due_at <= $4::timestamptz + coalesce(
        (SELECT c.clock_offset FROM tenant c WHERE c.tenant_id = t.tenant_id), '0')
      AND (j.lease_until IS NULL OR j.lease_until <= $4)
    ORDER BY j.due_at
    LIMIT greatest(0, least($5::bigint, $6::bigint - coalesce((
      SELECT b.running FROM unnest($7::uuid[], $8::bigint[]) AS b(tenant_id, running)
      WHERE b.tenant_id = t.tenant_id), 0)))
    FOR UPDATE SKIP LOCKED) d
  LIMIT $9
)
UPDATE job SET lease_until = $10, lease_epoch = job.lease_epoch + 1, attempts = job.attempts + 1,
  seen = CASE WHEN job.again_at IS NULL THEN job.wanted ELSE job.seen END
FROM picked p WHERE job.tenant_id = p.tenant_id AND job.job_id = p.job_id
RETURNING job.tenant_id, job.job_id, job.kind, job.key, job.lease_epoch, job.attempts,
  p.lease_until IS NOT NULL AS abandoned"""

_CLAIM_ONE: Final = """
WITH picked AS (
  SELECT job_id, lease_until FROM job
  WHERE tenant_id = $1 AND kind = $2 AND key = $3 AND dead_at IS NULL AND (lease_until IS NULL OR lease_until <= $4)
  FOR UPDATE SKIP LOCKED
)
UPDATE job SET lease_until = $5, lease_epoch = job.lease_epoch + 1, attempts = job.attempts + 1,
  seen = CASE WHEN job.again_at IS NULL THEN job.wanted ELSE job.seen END
FROM picked p WHERE job.tenant_id = $1 AND job.job_id = p.job_id
RETURNING job.tenant_id, job.job_id, job.kind, job.key, job.lease_epoch, job.attempts,
  p.lease_until IS NOT NULL AS abandoned"""

# FOR KEY SHARE keeps a claim (FOR UPDATE) out until this transaction ends, and lets enqueues and renewals of the same
# row pass.
_FENCE: Final = """
SELECT 1 FROM job WHERE tenant_id = $1 AND job_id = $2 AND lease_epoch = $3 AND lease_until > $4 FOR KEY SHARE"""

_RENEW: Final = """
UPDATE job SET lease_until = $4
WHERE tenant_id = $1 AND job_id = $2 AND lease_epoch = $3 AND lease_until IS NOT NULL"""

_RELEASE: Final = """
UPDATE job SET lease_until = NULL, attempts = greatest(attempts - 1, 0)
WHERE tenant_id = $1 AND job_id = $2 AND lease_epoch = $3 AND lease_until IS NOT NULL"""

_DONE: Final = """
DELETE FROM job
WHERE tenant_id = $1 AND job_id = $2 AND lease_epoch = $3 AND lease_until IS NOT NULL AND wanted <= seen"""

_AGAIN: Final = """
UPDATE job SET lease_until = NULL, attempts = 0, last_error = NULL, due_at = coalesce(again_at, $4), again_at = NULL
WHERE tenant_id = $1 AND job_id = $2 AND lease_epoch = $3 AND lease_until IS NOT NULL"""

_RETRY: Final = """
UPDATE job SET lease_until = NULL, due_at = $4, last_error = $5, again_at = CASE WHEN again_at > $4 THEN again_at END
WHERE tenant_id = $1 AND job_id = $2 AND lease_epoch = $3 AND lease_until IS NOT NULL"""

_BURY: Final = """
UPDATE job SET lease_until = NULL, last_error = $5, again_at = NULL,
  dead_at = CASE WHEN wanted > seen THEN NULL ELSE $4::timestamptz END,
  attempts = CASE WHEN wanted > seen THEN 0 ELSE attempts END,
  due_at = CASE WHEN wanted > seen THEN coalesce(again_at, $4) ELSE due_at END
WHERE tenant_id = $1 AND job_id = $2 AND lease_epoch = $3 AND lease_until IS NOT NULL"""


class Turns:
    """Whose turn it is: each claim goes on after the tenant that was served last, so none is served twice before all
    were once."""

    def __init__(self) -> None:
        self._after = _FIRST

    async def claim(
        self,
        tx: PlatformTx,
        kinds: Sequence[str],
        *,
        free: int,
        share: int,
        running: Mapping[TenantId, int],
        lease: timedelta,
    ) -> list[Claim]:
        """Leases up to `free` due jobs: one for each tenant in turn, then what is left over evenly.

        share: the most jobs of one tenant that may be under way here. running: how many are.
        """
        busy = (list(running), list(running.values()))
        claims: list[Claim] = []

        async def take(after: UUID, upto: UUID, each: int) -> list[Claim]:
            wanted = (tx.now, each, share, *busy, free - len(claims), tx.now + lease)
            rows = await tx.fetch(_CLAIM, after, upto, list(kinds), *wanted)
            taken = [_claim(row) for row in rows]
            claims.extend(taken)
            return taken

        served = await take(self._after, _LAST, 1)
        if len(claims) < free and self._after != _FIRST:
            served = await take(_FIRST, self._after, 1) or served
        if served:
            self._after = max(claim.tenant_id for claim in served)
        if claims and len(claims) < free:
            for claim in claims:
                _count(busy, claim.tenant_id)
            await take(_FIRST, _LAST, -(-(free - len(claims)) // len(claims)))
        return claims


def _count(busy: tuple[list[TenantId], list[int]], tenant_id: TenantId) -> None:
    tenants, counts = busy
    if tenant_id in tenants:
        counts[tenants.index(tenant_id)] += 1
    else:
        tenants.append(tenant_id)
        counts.append(1)


def _claim(row: Row) -> Claim:
    names = ("job_id", "kind", "key", "lease_epoch", "attempts", "abandoned")
    return Claim(TenantId(row["tenant_id"]), *(row[name] for name in names))


async def claim_one(tx: TenantTx, kind: str, key: str, now: datetime, lease: timedelta) -> Claim | None:
    """Leases this job whether it is due or not. None: it does not exist, is dead, or runs elsewhere."""
    row = await tx.fetchrow(_CLAIM_ONE, tx.tenant_id, kind, key, now, now + lease)
    return None if row is None else _claim(row)


async def holds(tx: TenantTx, job_id: UUID, lease_epoch: int, now: datetime) -> bool:
    """Whether the lease is still ours; if so, it stays ours until the end of this transaction."""
    return await tx.fetchval(_FENCE, tx.tenant_id, job_id, lease_epoch, now) is not None


async def renew(tx: PlatformTx, claim: Claim, lease: timedelta) -> bool:
    """Lengthens the lease. False: it is lost."""
    until = tx.now + lease
    return await tx.execute(_RENEW, claim.tenant_id, claim.job_id, claim.lease_epoch, until) == 1


async def release(tx: PlatformTx, claim: Claim) -> None:
    """Gives the job back as if this attempt had not been."""
    await tx.execute(_RELEASE, claim.tenant_id, claim.job_id, claim.lease_epoch)


async def finish(tx: TenantTx, claim: Claim) -> Outcome:
    """Ends a job that was done: it is gone, or comes back if it was asked for since the claim."""
    mine = (claim.tenant_id, claim.job_id, claim.lease_epoch)
    if await tx.execute(_DONE, *mine):
        return Outcome.DONE
    return Outcome.AGAIN if await tx.execute(_AGAIN, *mine, tx.now) else Outcome.LOST


async def retry(tx: TenantTx, claim: Claim, delay: timedelta, error: str) -> Outcome:
    """Puts the job back, due after `delay`."""
    mine = (claim.tenant_id, claim.job_id, claim.lease_epoch)
    return Outcome.RETRIED if await tx.execute(_RETRY, *mine, tx.now + delay, error) else Outcome.LOST


async def bury(tx: TenantTx, claim: Claim, error: str) -> Outcome:
    """Ends a job for good. If it was asked for since the claim, that wish begins a new life."""
    mine = (claim.tenant_id, claim.job_id, claim.lease_epoch)
    return Outcome.DEAD if await tx.execute(_BURY, *mine, tx.now, error) else Outcome.LOST
