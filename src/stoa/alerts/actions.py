"""Raising, acknowledging and resolving alerts.

A cause has at most one alert that is not resolved. Seen again, it counts; resolved and seen again, it is a new alert,
and its owner is told anew.
"""

from typing import Final

from stoa.alerts import queries, rules
from stoa.alerts.model import Alert, AlertId, Severity
from stoa.db.transactions import TenantTx
from stoa.events.actions import emit
from stoa.events.model import Event
from stoa.jobs.actions import enqueue
from stoa.kernel.ids import RunId, new_id
from stoa.kernel.problems import Conflict, NotFound

MAIL_JOB: Final = "alerts.mail"

# One statement, so that of two who see the same cause at once, one opens the alert and the other counts.
_RAISE: Final = """
INSERT INTO alert AS a
  (tenant_id, alert_id, kind, key, severity, title, detail, hint, owner_email, run_id, first_at, last_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8,
  coalesce($9, (SELECT t.owner_email FROM tenant AS t WHERE t.tenant_id = $1)), $10, $11, $11)
ON CONFLICT (tenant_id, kind, key) WHERE state <> 'resolved' DO UPDATE SET
  severity = CASE WHEN array_position($12::text[], excluded.severity) > array_position($12::text[], a.severity)
                  THEN excluded.severity ELSE a.severity END,
  title = excluded.title,
  detail = excluded.detail,
  hint = excluded.hint,
  owner_email = coalesce($9, a.owner_email, excluded.owner_email),
  run_id = coalesce(excluded.run_id, a.run_id),
  occurrences = a.occurrences + 1,
  last_at = greatest(a.last_at, excluded.last_at)
RETURNING *"""

_RISING: Final = ["info", "warning", "critical"]


async def raise_alert(
    tx: TenantTx,
    kind: str,
    key: str,
    severity: Severity,
    title: str,
    detail: str,
    hint: str,
    owner_email: str | None = None,
    run_id: RunId | None = None,
) -> Alert:
    """Opens an alert for a cause, or counts another occurrence of the one that is there. An acknowledged one stays so.

    Opening it enqueues one mail to the owner. Long texts are shortened: an alert must not fail because of its wording.

    kind, key: the cause. No personal data: both go to the event log.
    hint: what to do about it, and who can.
    owner_email: who is told (default: the tenant's owner).
    """
    row = await tx.fetchrow(
        _RAISE,
        *(tx.tenant_id, new_id(), kind, key, severity),
        rules.shortened(title, rules.LONGEST_TITLE),
        rules.shortened(detail, rules.LONGEST_TEXT),
        rules.shortened(hint, rules.LONGEST_TEXT),
        *(owner_email, run_id, tx.now, _RISING),
    )
    if row is None:
        raise RuntimeError("an insert that returns its row returned none")
    alert = queries.alert_of(row)
    if alert.occurrences == 1:
        emit(tx, Event("alert.opened", f"alert:{alert.alert_id}", {"kind": kind, "key": key, "severity": severity}))
        await enqueue(tx, MAIL_JOB, str(alert.alert_id), {"alert_id": str(alert.alert_id)})
    return alert


async def acknowledge(tx: TenantTx, alert_id: AlertId) -> Alert:
    """Records that somebody has seen an alert and looks after it. Acknowledging it again changes nothing.

    Raises:
        NotFound: the tenant has no such alert.
        Conflict: it is resolved already.
    """
    changed = await tx.execute(
        "UPDATE alert SET state = 'acknowledged' WHERE tenant_id = $1 AND alert_id = $2 AND state = 'open'",
        *(tx.tenant_id, alert_id),
    )
    alert = await queries.alert(tx, alert_id)
    if alert is None:
        raise NotFound("There is no such alert.")
    if alert.state == "resolved":
        raise Conflict("The alert is resolved already.")
    if changed:
        emit(tx, Event("alert.acknowledged", f"alert:{alert_id}", {"kind": alert.kind, "key": alert.key}))
    return alert


async def resolve_alerts(tx: TenantTx, kind: str, key: str) -> int:
    """Closes the alert of a cause that is gone. Gives how many were closed: 1, or 0 if there was none."""
    closed = await tx.fetchval(
        """UPDATE alert SET state = 'resolved', resolved_at = $4
           WHERE tenant_id = $1 AND kind = $2 AND key = $3 AND state <> 'resolved' RETURNING alert_id""",
        *(tx.tenant_id, kind, key, tx.now),
    )
    if closed is None:
        return 0
    emit(tx, Event("alert.resolved", f"alert:{closed}", {"kind": kind, "key": key}))
    return 1
