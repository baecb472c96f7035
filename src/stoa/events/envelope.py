"""How an event looks to the outside: CloudEvents 1.0, JSON format, one structured document for each event."""

from datetime import UTC, datetime
from typing import Final

from stoa.events.catalogue import discover, schema_address
from stoa.events.model import StoredEvent
from stoa.kernel.ids import TenantId

CONTENT_TYPE: Final = "application/cloudevents+json"


def envelope(event: StoredEvent, *, tenant_id: TenantId, tenant_slug: str, base_url: str) -> dict[str, object]:
    """The event as a CloudEvents document: what `/v1/events` gives, and what webhooks send.

    `id` is unique everywhere and the same each time. `sequence` is the event's number as decimal text: within one
    tenant numbers have no gaps. `runid` and `subject` are left out where there is none.

    base_url: of this Stoa, without a slash at the end.
    """
    declared = discover().get(event.type)
    return {
        "specversion": "1.0",
        "id": f"{tenant_id}-{event.seq}",
        "source": f"{base_url}/tenants/{tenant_slug}",
        "type": event.type,
        # CloudEvents knows no empty attributes.
        **({"subject": event.subject} if event.subject else {}),
        "time": timestamp(event.at),
        "datacontenttype": "application/json",
        **({} if declared is None else {"dataschema": schema_address(base_url, declared)}),
        "tenantid": str(tenant_id),
        "sequence": str(event.seq),
        "actor": event.actor,
        "via": event.via,
        **({} if event.run_id is None else {"runid": str(event.run_id)}),
        "data": event.body,
    }


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds: `2026-03-01T09:30:00.000000Z`."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
