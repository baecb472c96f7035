"""From where on effects wait, as a tenant has set it: for all its sources, and for single ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from stoa.db.transactions import TenantTx
from stoa.events.actions import emit
from stoa.events.model import Event
from stoa.kernel.ids import SourceId, new_id
from stoa.kernel.problems import NotFound
from stoa.people.guard_rules import DEFAULTS, Guard, GuardKind, checked_guard
from stoa.tenants.queries import source as source_of


@dataclass(frozen=True, slots=True)
class SetGuard:
    """A guard that somebody has set. source_id: None is the whole tenant."""

    kind: GuardKind
    source_id: SourceId | None
    guard: Guard
    made_by: str
    made_at: datetime


async def guards(tx: TenantTx) -> list[SetGuard]:
    """All that were set, those of the tenant first."""
    rows = await tx.fetch(
        """SELECT kind, source_id, enabled, absolute, percent, floor, window_minutes, made_by, made_at
        FROM guard_threshold WHERE tenant_id = $1 ORDER BY source_id NULLS FIRST, kind""",
        tx.tenant_id,
    )
    return [
        SetGuard(
            GuardKind(row["kind"]),
            row["source_id"],
            Guard(row["enabled"], row["absolute"], row["percent"], row["floor"], row["window_minutes"]),
            row["made_by"],
            row["made_at"],
        )
        for row in rows
    ]


def in_force(found: list[SetGuard], source_id: SourceId | None) -> Mapping[GuardKind, Guard]:
    """What holds for a source: its own, else the tenant's, else the default. None: for the tenant."""
    of_tenant = {one.kind: one.guard for one in found if one.source_id is None}
    own = {one.kind: one.guard for one in found if one.source_id == source_id}
    return {**DEFAULTS, **of_tenant, **own}


async def set_guard(tx: TenantTx, kind: GuardKind, source_id: SourceId | None, guard: Guard) -> None:
    """Sets from where on effects wait. source_id: of which source; None for all that have no guard of their own.

    Raises:
        BadInput: a figure makes no sense.
        NotFound: the tenant has no such source.
    """
    checked_guard(guard)
    await _check_source(tx, source_id)
    before = await _standing(tx, kind, source_id)
    if before == guard:
        return
    await tx.execute(
        """INSERT INTO guard_threshold
          (tenant_id, threshold_id, kind, source_id, enabled, absolute, percent, floor, window_minutes, made_by,
           made_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        ON CONFLICT (tenant_id, kind, source_id) DO UPDATE SET enabled = excluded.enabled, absolute = excluded.absolute,
          percent = excluded.percent, floor = excluded.floor, window_minutes = excluded.window_minutes,
          made_by = excluded.made_by, made_at = excluded.made_at""",
        *(tx.tenant_id, new_id(), kind, source_id, guard.enabled, guard.absolute, float(guard.percent), guard.floor),
        *(guard.window_minutes, tx.origin.actor, tx.now),
    )
    _tell(tx, kind, source_id, before, guard)


async def drop_guard(tx: TenantTx, kind: GuardKind, source_id: SourceId | None) -> None:
    """Has a source follow the tenant's guard again, or the tenant the default. Raises NotFound for no such source."""
    await _check_source(tx, source_id)
    before = await _standing(tx, kind, source_id)
    if before is None:
        return
    await tx.execute(
        """DELETE FROM guard_threshold
        WHERE tenant_id = $1 AND kind = $2 AND source_id IS NOT DISTINCT FROM $3""",
        *(tx.tenant_id, kind, source_id),
    )
    _tell(tx, kind, source_id, before, None)


async def _check_source(tx: TenantTx, source_id: SourceId | None) -> None:
    if source_id is not None and await source_of(tx, source_id) is None:
        raise NotFound("There is no such source in this tenant.", hint="The list of connections shows those there are.")


async def _standing(tx: TenantTx, kind: GuardKind, source_id: SourceId | None) -> Guard | None:
    found = [one for one in await guards(tx) if one.kind is kind and one.source_id == source_id]
    return found[0].guard if found else None


def _tell(tx: TenantTx, kind: GuardKind, source_id: SourceId | None, before: Guard | None, after: Guard | None) -> None:
    body = {
        "kind": str(kind),
        "source_id": None if source_id is None else str(source_id),
        "before": _told(before),
        "after": _told(after),
    }
    emit(tx, Event("guard.changed", f"guard:{kind}", body))


def _told(guard: Guard | None) -> dict[str, object] | None:
    if guard is None:
        return None
    return {
        "enabled": guard.enabled,
        "absolute": guard.absolute,
        "percent": float(guard.percent),
        "floor": guard.floor,
        "window_minutes": guard.window_minutes,
    }
