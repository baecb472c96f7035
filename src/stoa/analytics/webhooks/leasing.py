"""Which endpoints have work, and who does it: found and leased across tenants, by columns without content.

Leases are counted on the real clock, due times on the tenant's, which a sandbox may have moved.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from stoa.db.transactions import PlatformTx
from stoa.kernel.ids import EndpointId, TenantId

# One endpoint of each tenant comes before the second of any. A tenant has few, and most have nothing to do.
_WORK: Final = """
SELECT e.tenant_id, e.endpoint_id, coalesce(h.next_seq, 1) - 1 AS head,
  e.lease_owner IS NOT DISTINCT FROM $2 AND e.lease_until > $1 AS ours,
  coalesce(e.wake_at <= $1 + t.clock_offset, false) AS asked
FROM webhook_endpoint e
JOIN tenant t ON t.tenant_id = e.tenant_id
LEFT JOIN event_head h ON h.tenant_id = e.tenant_id
WHERE e.deleted_at IS NULL
  AND (e.lease_until IS NULL OR e.lease_until <= $1 OR e.lease_owner = $2)
  AND (e.wake_at <= $1 + t.clock_offset
    OR (e.state = 'active' AND e.cursor < h.next_seq - 1
      AND (e.blocked_until IS NULL OR e.blocked_until <= $1 + t.clock_offset)))
ORDER BY row_number() OVER (PARTITION BY e.tenant_id ORDER BY e.endpoint_id), e.tenant_id
LIMIT $3"""

_CLAIM: Final = """
WITH picked AS (
  SELECT e.tenant_id, e.endpoint_id FROM unnest($1::uuid[], $2::uuid[]) AS w(tenant_id, endpoint_id)
  JOIN webhook_endpoint e ON e.tenant_id = w.tenant_id AND e.endpoint_id = w.endpoint_id
  WHERE e.deleted_at IS NULL AND (e.lease_until IS NULL OR e.lease_until <= $4 OR e.lease_owner = $3)
  FOR UPDATE OF e SKIP LOCKED
)
UPDATE webhook_endpoint SET lease_owner = $3, lease_until = $5, lease_epoch = webhook_endpoint.lease_epoch + 1
FROM picked p WHERE webhook_endpoint.tenant_id = p.tenant_id AND webhook_endpoint.endpoint_id = p.endpoint_id
RETURNING webhook_endpoint.tenant_id, webhook_endpoint.endpoint_id, webhook_endpoint.lease_epoch"""


@dataclass(frozen=True, slots=True)
class Work:
    """An endpoint that has something to do.

    Attributes:
        head: the number of the last event of the tenant's log.
        ours: whether the lease is this worker's already.
        asked: whether a delivery that was asked for by hand is due.
    """

    tenant_id: TenantId
    endpoint_id: EndpointId
    head: int
    ours: bool
    asked: bool


@dataclass(frozen=True, slots=True)
class Claim:
    """A leased endpoint. epoch: raised at each claim; whoever holds the highest may write."""

    tenant_id: TenantId
    endpoint_id: EndpointId
    epoch: int


async def find_work(tx: PlatformTx, worker: UUID, limit: int) -> list[Work]:
    """Endpoints with something to do that are free or this worker's own."""
    rows = await tx.fetch(_WORK, tx.now, worker, limit)
    return [Work(**dict(row)) for row in rows]


async def claim(tx: PlatformTx, worker: UUID, wanted: Sequence[Work], until: datetime) -> list[Claim]:
    """Leases those of `wanted` that are still free, until the moment given (real clock)."""
    rows = await tx.fetch(
        _CLAIM, [one.tenant_id for one in wanted], [one.endpoint_id for one in wanted], worker, tx.now, until
    )
    return [Claim(TenantId(row["tenant_id"]), EndpointId(row["endpoint_id"]), row["lease_epoch"]) for row in rows]
