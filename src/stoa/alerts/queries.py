"""Reading alerts."""

from typing import Final

from stoa.alerts.model import Alert, AlertId
from stoa.db.transactions import Row, TenantTx

COLUMNS: Final = """alert_id, kind, key, severity, title, detail, hint, owner_email, state, occurrences, first_at,
  last_at, mailed_at, resolved_at, run_id, acknowledged_at, acknowledged_by, muted_until, muted_reason, mails"""
_ALERTS: Final = f"SELECT {COLUMNS} FROM alert WHERE tenant_id = $1"  # noqa: S608 - columns are code


async def alert(tx: TenantTx, alert_id: AlertId, *, lock: bool = False) -> Alert | None:
    """One alert, or None. lock: nobody else changes it until the transaction ends."""
    sql = _ALERTS + " AND alert_id = $2" + (" FOR UPDATE" if lock else "")
    row = await tx.fetchrow(sql, tx.tenant_id, alert_id)
    return None if row is None else alert_of(row)


async def current_alert(tx: TenantTx, kind: str, key: str) -> Alert | None:
    """The alert of this cause that is not resolved, or None."""
    row = await tx.fetchrow(_ALERTS + " AND kind = $2 AND key = $3 AND state <> 'resolved'", tx.tenant_id, kind, key)
    return None if row is None else alert_of(row)


async def current_alerts(tx: TenantTx) -> list[Alert]:
    """All alerts that are not resolved, the muted ones too, the latest first."""
    rows = await tx.fetch(_ALERTS + " AND state <> 'resolved' ORDER BY last_at DESC, alert_id DESC", tx.tenant_id)
    return [alert_of(row) for row in rows]


async def recent_alerts(tx: TenantTx, limit: int = 100) -> list[Alert]:
    """The latest alerts in any state."""
    rows = await tx.fetch(_ALERTS + " ORDER BY last_at DESC, alert_id DESC LIMIT $2", tx.tenant_id, limit)
    return [alert_of(row) for row in rows]


def alert_of(row: Row) -> Alert:
    """The alert in a row with all its columns."""
    return Alert(
        alert_id=row["alert_id"],
        kind=row["kind"],
        key=row["key"],
        severity=row["severity"],
        title=row["title"],
        detail=row["detail"],
        hint=row["hint"],
        owner_email=row["owner_email"],
        state=row["state"],
        occurrences=row["occurrences"],
        first_at=row["first_at"],
        last_at=row["last_at"],
        mailed_at=row["mailed_at"],
        resolved_at=row["resolved_at"],
        run_id=row["run_id"],
        acknowledged_at=row["acknowledged_at"],
        acknowledged_by=row["acknowledged_by"],
        muted_until=row["muted_until"],
        muted_reason=row["muted_reason"],
        mails=row["mails"],
    )
