"""Effective dating: what is in force today in the tenant's zone, and what will change by itself."""

from collections.abc import Mapping
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from stoa.db.transactions import TenantTx
from stoa.kernel.ids import SourceId
from stoa.people.rules import due_changes

_ZONE = "people.zone"


def is_dated(values: Mapping[str, Any]) -> bool:
    """Whether a record's state may change by itself on a day, or has."""
    return values.get("hire_date") is not None or values.get("termination_date") is not None


async def tenant_today(tx: TenantTx, values: Mapping[str, Any] | None = None) -> date:
    """The date in the tenant's time zone by the tenant's clock.

    values: what is to be compared with it. Without a date there, the zone does not matter and is not asked for.
    """
    if values is not None and not is_dated(values):
        return tx.now.date()
    zone = tx.memo.get(_ZONE)
    if not isinstance(zone, ZoneInfo):
        zone = ZoneInfo(await tx.fetchval("SELECT time_zone FROM tenant WHERE tenant_id = $1", tx.tenant_id))
        tx.memo[_ZONE] = zone
    return tx.now.astimezone(zone).date()


async def replace_due_changes(
    tx: TenantTx, source_id: SourceId, external_id: str, asserted_active: bool, values: Mapping[str, Any]
) -> None:
    """Writes down when the record's state will change by itself, in place of what stood there."""
    due = due_changes(asserted_active, values, await tenant_today(tx, values))
    await tx.execute(
        "DELETE FROM due_change WHERE tenant_id = $1 AND source_id = $2 AND external_id = $3",
        *(tx.tenant_id, source_id, external_id),
    )
    if due:
        await tx.execute_many(
            "INSERT INTO due_change (tenant_id, source_id, external_id, due_on, active) VALUES ($1, $2, $3, $4, $5)",
            [(tx.tenant_id, source_id, external_id, day, active) for day, active in due],
        )
