"""What a dispatcher writes: deliveries, attempts and the endpoint's place in the log, in one transaction.

Every transaction names the epoch of its lease, and writes nothing if the lease is lost or a person has changed the
endpoint meanwhile.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from stoa.analytics.webhooks.leasing import Claim
from stoa.analytics.webhooks.model import Attempt, Delivery, DisabledReason, EndpointState
from stoa.db.transactions import TenantTx
from stoa.kernel.ids import EndpointId
from stoa.kernel.problems import Problem

_MOVE: Final = """
UPDATE webhook_endpoint SET cursor = $4, blocked_by = $5, blocked_until = $6, success_at = $7, failing_since = $8,
  given_up = $9, state = $10, disabled_reason = $11, disabled_at = $12, lease_until = $13
WHERE tenant_id = $1 AND endpoint_id = $2 AND lease_epoch = $3 AND deleted_at IS NULL"""

# A statement of its own: its snapshot is taken with the endpoint's row locked, so no delivery that was just asked for
# is overlooked.
_WAKE: Final = """
UPDATE webhook_endpoint SET wake_at = (
  SELECT min(d.next_at) FROM webhook_delivery d
  WHERE d.tenant_id = $1 AND d.endpoint_id = $2 AND d.state = 'waiting'
    AND d.delivery_id IS DISTINCT FROM webhook_endpoint.blocked_by)
WHERE tenant_id = $1 AND endpoint_id = $2"""

_DELIVERIES: Final = """
INSERT INTO webhook_delivery (tenant_id, endpoint_id, delivery_id, kind, message_id, seq, event_type, state, attempts,
  status, error, created_at, next_at, ended_at)
SELECT $1, $2, d.* FROM unnest($3::uuid[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::text[], $9::int[],
  $10::int[], $11::text[], $12::timestamptz[], $13::timestamptz[], $14::timestamptz[]) AS d
ON CONFLICT (tenant_id, delivery_id) DO UPDATE SET state = excluded.state, attempts = excluded.attempts,
  status = excluded.status, error = excluded.error, next_at = excluded.next_at, ended_at = excluded.ended_at"""

_ATTEMPTS: Final = """
INSERT INTO webhook_attempt (tenant_id, delivery_id, number, at, took_ms, status, error, detail, sent_timestamp,
  signature, answer_headers, answer)
SELECT $1, a.* FROM unnest($2::uuid[], $3::int[], $4::timestamptz[], $5::int[], $6::int[], $7::text[], $8::text[],
  $9::bigint[], $10::text[], $11::jsonb[], $12::bytea[]) AS a
ON CONFLICT (tenant_id, delivery_id, number) DO NOTHING"""


class LineLost(Problem):
    """Another worker has taken over the deliveries of a webhook endpoint, or a person has changed it.

    Nothing is to be done: whoever has it now goes on from the last delivery that was recorded.
    """

    code = "line_lost"
    status = 409


@dataclass(slots=True)
class Place:
    """Where an endpoint stands, as the worker that holds its lease knows it. Attributes as those of `Endpoint`."""

    cursor: int
    blocked_by: Delivery | None
    blocked_until: datetime | None
    success_at: datetime | None
    failing_since: datetime | None
    given_up: int
    state: EndpointState
    disabled_reason: DisabledReason | None
    disabled_at: datetime | None


@dataclass(frozen=True, slots=True)
class Done:
    """A delivery as it is after an attempt, or after none if nothing was sent."""

    delivery: Delivery
    attempt: Attempt | None


async def record(tx: TenantTx, claim: Claim, place: Place, done: Sequence[Done], lease_until: datetime | None) -> None:
    """Writes what was done and where the endpoint stands now.

    lease_until: the lease from here on (real clock); None gives it back.

    Raises:
        LineLost: nothing was written.
    """
    blocked_by = None if place.blocked_by is None else place.blocked_by.delivery_id
    moved = await tx.execute(
        _MOVE,
        *(tx.tenant_id, claim.endpoint_id, claim.epoch, place.cursor, blocked_by, place.blocked_until),
        *(place.success_at, place.failing_since, place.given_up),
        *(place.state, place.disabled_reason, place.disabled_at, lease_until),
    )
    if not moved:
        raise LineLost("The endpoint is another worker's by now, or was changed.")
    if done:
        await _write_deliveries(tx, claim.endpoint_id, [one.delivery for one in done])
        await _write_attempts(tx, [(one.delivery, one.attempt) for one in done if one.attempt is not None])


async def recount_wake(tx: TenantTx, endpoint_id: EndpointId) -> None:
    """Notes when the next delivery that was asked for by hand is due. The endpoint's row is locked already."""
    await tx.execute(_WAKE, tx.tenant_id, endpoint_id)


async def _write_deliveries(tx: TenantTx, endpoint_id: EndpointId, rows: Sequence[Delivery]) -> None:
    await tx.execute(
        _DELIVERIES,
        *(tx.tenant_id, endpoint_id),
        [row.delivery_id for row in rows],
        [row.kind for row in rows],
        [row.message_id for row in rows],
        [row.seq for row in rows],
        [row.event_type for row in rows],
        [row.state for row in rows],
        [row.attempts for row in rows],
        [row.status for row in rows],
        [row.error for row in rows],
        [row.created_at for row in rows],
        [row.next_at for row in rows],
        [row.ended_at for row in rows],
    )


async def _write_attempts(tx: TenantTx, made: Sequence[tuple[Delivery, Attempt]]) -> None:
    if not made:
        return
    await tx.execute(
        _ATTEMPTS,
        tx.tenant_id,
        [delivery.delivery_id for delivery, _ in made],
        [attempt.number for _, attempt in made],
        [attempt.at for _, attempt in made],
        [attempt.took_ms for _, attempt in made],
        [attempt.status for _, attempt in made],
        [attempt.error for _, attempt in made],
        [attempt.detail for _, attempt in made],
        [attempt.sent_timestamp for _, attempt in made],
        [attempt.signature for _, attempt in made],
        [attempt.answer_headers for _, attempt in made],
        [attempt.answer for _, attempt in made],
    )
