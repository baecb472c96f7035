"""The body of a message: the event's CloudEvents envelope, rendered from the log whenever it is wanted."""

from typing import Final

import msgspec

from stoa.analytics.webhooks.model import TEST_TYPE, Delivery
from stoa.db.transactions import TenantTx
from stoa.events.envelope import envelope, timestamp
from stoa.events.model import ERASED, Renderer, StoredEvent
from stoa.events.queries import read_events
from stoa.kernel.ids import TenantId

_encode: Final = msgspec.json.Encoder(decimal_format="number").encode


def event_body(event: StoredEvent, tenant_id: TenantId, slug: str, base_url: str) -> bytes:
    """The envelope of an event as JSON."""
    return _encode(envelope(event, tenant_id=tenant_id, tenant_slug=slug, base_url=base_url))


def trial_body(delivery: Delivery, tenant_id: TenantId, slug: str, base_url: str) -> bytes:
    """The envelope of a test, which is in no log and so has no number."""
    return _encode(
        {
            "specversion": "1.0",
            "id": f"{tenant_id}-test-{delivery.delivery_id}",
            "source": f"{base_url}/tenants/{slug}",
            "type": TEST_TYPE,
            "time": timestamp(delivery.created_at),
            "datacontenttype": "application/json",
            "tenantid": str(tenant_id),
            "subject": f"webhook_endpoint:{delivery.endpoint_id}",
            "data": {"endpoint_id": str(delivery.endpoint_id), "delivery_id": str(delivery.delivery_id)},
        }
    )


async def body_of(tx: TenantTx, delivery: Delivery, slug: str, base_url: str, render: Renderer | None) -> bytes | None:
    """The body of a delivery as it is or was sent; None if its event is gone from the log."""
    if delivery.seq is None:
        return trial_body(delivery, tx.tenant_id, slug, base_url)
    found = await read_events(tx, delivery.seq - 1, 1, render)
    if not found or found[0].type == ERASED:
        return None
    return event_body(found[0], tx.tenant_id, slug, base_url)
