"""Reading endpoints, their secrets, deliveries and attempts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from stoa.analytics.webhooks.model import Attempt, Delivery, DeliveryId, Endpoint, Secret, SecretId, Standing
from stoa.db.transactions import Row, TenantTx
from stoa.events.queries import last_seq
from stoa.kernel.ids import EndpointId
from stoa.tenants.sealing import Sealer

SECRET_TABLE: Final = "webhook_secret"  # noqa: S105 - a table's name
_ENDPOINT: Final = """
SELECT endpoint_id, url, description, filter, owner_email, api_version, state, disabled_reason, disabled_at, version,
  created_at, updated_at, deleted_at, cursor, replayed_to, blocked_by, blocked_until, success_at, failing_since,
  given_up
FROM webhook_endpoint WHERE tenant_id = $1"""
DELIVERY_COLUMNS: Final = """
d.delivery_id, d.endpoint_id, d.kind, d.message_id, d.seq, d.event_type, d.state, d.attempts, d.status, d.error,
d.created_at, d.next_at, d.ended_at"""
_RECENT: Final = 1000

_WAITING: Final = f"""
SELECT {DELIVERY_COLUMNS} FROM webhook_delivery d
WHERE d.tenant_id = $1 AND d.endpoint_id = $2 AND d.state = 'waiting' AND d.next_at <= $3
  AND d.delivery_id IS DISTINCT FROM $4
ORDER BY d.next_at, d.delivery_id LIMIT $5"""  # noqa: S608 - names are code

_COUNTED: Final = """
SELECT count(*) AS ended, count(*) FILTER (WHERE r.state = 'delivered') AS delivered FROM (
  SELECT d.state FROM webhook_delivery d WHERE d.tenant_id = $1 AND d.endpoint_id = $2
  ORDER BY d.delivery_id DESC LIMIT $3) r
WHERE r.state IN ('delivered', 'failed')"""

# The entry that holds the event after the cursor: numbers have no gaps.
_BEHIND_SINCE: Final = """
SELECT at FROM entry WHERE tenant_id = $1 AND first_seq <= $2::bigint + 1 ORDER BY first_seq DESC LIMIT 1"""


async def endpoint(tx: TenantTx, endpoint_id: EndpointId, *, deleted: bool = False) -> Endpoint | None:
    """One endpoint, or None. deleted: one that is deleted counts too."""
    row = await tx.fetchrow(f"{_ENDPOINT} AND endpoint_id = $2", tx.tenant_id, endpoint_id)
    found = None if row is None else Endpoint(**dict(row))
    return None if found is not None and found.deleted_at is not None and not deleted else found


async def lock_endpoint(tx: TenantTx, endpoint_id: EndpointId) -> Endpoint | None:
    """The same, kept as it is until the transaction ends."""
    row = await tx.fetchrow(
        f"{_ENDPOINT} AND endpoint_id = $2 AND deleted_at IS NULL FOR UPDATE", tx.tenant_id, endpoint_id
    )
    return None if row is None else Endpoint(**dict(row))


async def endpoints(tx: TenantTx) -> list[Endpoint]:
    """Those there are, the oldest first. They are few."""
    rows = await tx.fetch(f"{_ENDPOINT} AND deleted_at IS NULL ORDER BY endpoint_id", tx.tenant_id)
    return [Endpoint(**dict(row)) for row in rows]


async def secrets(tx: TenantTx, endpoint_id: EndpointId) -> list[Secret]:
    """Those that sign at present, the newest first."""
    rows = await tx.fetch(
        """SELECT secret_id, created_at, expires_at FROM webhook_secret
        WHERE tenant_id = $1 AND endpoint_id = $2 AND (expires_at IS NULL OR expires_at > $3)
        ORDER BY secret_id DESC""",
        *(tx.tenant_id, endpoint_id, tx.now),
    )
    return [Secret(**dict(row)) for row in rows]


async def opened_secrets(tx: TenantTx, sealer: Sealer, endpoint_id: EndpointId) -> list[tuple[str, datetime | None]]:
    """The secrets themselves with their ends, the newest first; for signing alone. Raises SecretUnreadable."""
    rows = await tx.fetch(
        """SELECT secret_id, sealed, expires_at FROM webhook_secret
        WHERE tenant_id = $1 AND endpoint_id = $2 AND (expires_at IS NULL OR expires_at > $3)
        ORDER BY secret_id DESC""",
        *(tx.tenant_id, endpoint_id, tx.now),
    )
    return [(_opened(tx, sealer, row), row["expires_at"]) for row in rows]


def _opened(tx: TenantTx, sealer: Sealer, row: Row) -> str:
    return sealer.open(row["sealed"], tx.tenant_id, SECRET_TABLE, SecretId(row["secret_id"])).decode()


async def delivery(tx: TenantTx, delivery_id: DeliveryId) -> Delivery | None:
    """One delivery, or None."""
    row = await tx.fetchrow(
        f"SELECT {DELIVERY_COLUMNS} FROM webhook_delivery d WHERE d.tenant_id = $1 AND d.delivery_id = $2",  # noqa: S608 - names are code
        *(tx.tenant_id, delivery_id),
    )
    return None if row is None else delivery_of(row)


def delivery_of(row: Row) -> Delivery:
    """A row with DELIVERY_COLUMNS."""
    return Delivery(**{name: row[name] for name in Delivery.__dataclass_fields__})


async def waiting(tx: TenantTx, endpoint_id: EndpointId, but: DeliveryId | None, limit: int) -> Sequence[Delivery]:
    """Deliveries that were asked for by hand and are due, the first due first (index webhook_delivery_waiting).

    but: the one that blocks the line, which has its own turn.
    """
    rows = await tx.fetch(_WAITING, tx.tenant_id, endpoint_id, tx.now, but, limit)
    return [delivery_of(row) for row in rows]


async def attempts(tx: TenantTx, delivery_id: DeliveryId) -> list[Attempt]:
    """What was tried, the first first."""
    rows = await tx.fetch(
        """SELECT number, at, took_ms, status, error, detail, sent_timestamp, signature, answer_headers, answer
        FROM webhook_attempt WHERE tenant_id = $1 AND delivery_id = $2 ORDER BY number""",
        *(tx.tenant_id, delivery_id),
    )
    return [Attempt(**dict(row)) for row in rows]


async def standing(tx: TenantTx, one: Endpoint) -> Standing:
    """How an endpoint does."""
    head = await last_seq(tx)
    since: datetime | None = None
    if one.cursor < head:
        since = await tx.fetchval(_BEHIND_SINCE, tx.tenant_id, one.cursor)
    row = await tx.fetchrow(_COUNTED, tx.tenant_id, one.endpoint_id, _RECENT)
    assert row is not None
    return Standing(
        behind=max(0, head - one.cursor),
        behind_seconds=None if since is None else max(0.0, (tx.now - since).total_seconds()),
        recent=row["ended"],
        recent_delivered=row["delivered"],
    )
