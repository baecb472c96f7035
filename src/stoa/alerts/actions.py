"""Raising alerts, and resolving them when their cause is gone.

A cause has at most one alert that is not resolved. Seen again, it counts; graver than before, its owner is told once
more; resolved and seen again, it is a new alert.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from stoa.alerts import queries, rules
from stoa.alerts.model import SEVERITIES, Alert, AlertId, Severity
from stoa.alerts.notes import note
from stoa.db.transactions import Row, TenantTx
from stoa.events.actions import emit
from stoa.events.model import Event
from stoa.jobs.actions import enqueue
from stoa.kernel.fold import fold
from stoa.kernel.ids import RunId, new_id
from stoa.tenants.status import note_alerts, recount

MAIL_JOB: Final = "alerts.mail"
# Resolves an alert whose cause was not seen for some time. Key: the alert's id.
QUIET_JOB: Final = "alerts.quiet"
# Ends a mute. Key: the alert's id.
UNMUTE_JOB: Final = "alerts.unmute"
# Sees whether a job that gave up has come back to life. Key: the alert's id.
REVIVED_JOB: Final = "alerts.revived"
# An alert about one of these would only ask for more of them.
OWN_JOBS: Final = frozenset({MAIL_JOB, QUIET_JOB, UNMUTE_JOB, REVIVED_JOB})

_OPEN: Final = """
INSERT INTO alert
  (tenant_id, alert_id, kind, key, severity, title, detail, hint, owner_email, owner_key, run_id, search_key, first_at,
   last_at, occurrences)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13, $14)
ON CONFLICT (tenant_id, kind, key) WHERE state <> 'resolved' DO NOTHING RETURNING *"""

# $4 is the severity, $10 the severities as they rise. A mute ends when it gets worse, and when its time has passed.
_COUNT: Final = """
UPDATE alert AS a SET
  severity = CASE WHEN n.rises THEN $4 ELSE a.severity END,
  title = $5, detail = $6, hint = $7, search_key = $8,
  run_id = coalesce($9, a.run_id),
  occurrences = a.occurrences + $11,
  last_at = greatest(a.last_at, $12),
  state = CASE WHEN n.wakes THEN 'open' ELSE a.state END,
  muted_until = CASE WHEN n.wakes THEN NULL ELSE a.muted_until END,
  muted_reason = CASE WHEN n.wakes THEN NULL ELSE a.muted_reason END,
  mails = a.mails + CASE WHEN n.rises OR n.wakes THEN 1 ELSE 0 END,
  mailed_at = CASE WHEN n.rises OR n.wakes THEN NULL ELSE a.mailed_at END
FROM (
  SELECT b.alert_id, r.rises, b.state = 'muted' AND (r.rises OR b.muted_until <= $12) AS wakes
  FROM alert AS b
  CROSS JOIN LATERAL (
    SELECT array_position($10::text[], $4) > array_position($10::text[], b.severity) AS rises) AS r
  WHERE b.tenant_id = $1 AND b.kind = $2 AND b.key = $3 AND b.state <> 'resolved'
  FOR UPDATE OF b) AS n
WHERE a.tenant_id = $1 AND a.alert_id = n.alert_id
RETURNING a.*, n.rises, n.wakes"""

# By the index alert_once.
_NEEDING: Final = """
SELECT count(*) AS open, count(*) FILTER (WHERE severity = 'critical') AS critical FROM alert
WHERE tenant_id = $1 AND state <> 'resolved' AND state <> 'muted'"""

_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class _Seen:
    """One sight of a cause, with texts of bearable length."""

    kind: str
    key: str
    severity: Severity
    title: str
    detail: str
    hint: str
    owner_email: str | None
    run_id: RunId | None
    times: int

    @property
    def search_key(self) -> str:
        return fold(f"{self.title} {self.detail}")


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
    *,
    times: int = 1,
    quiet_after: timedelta | None = None,
) -> Alert:
    """Opens an alert for a cause, or counts another occurrence of the one that is there. An acknowledged one stays so;
    a muted one stays so unless it gets worse.

    Opening it, and each rise of its severity, enqueue one mail to the owner. Long texts are shortened: an alert must
    not fail because of its wording.

    kind, key: the cause. No personal data: both go to the event log.
    hint: what to do about it, and who can.
    owner_email: who is told of a new alert (default: the tenant's owner). One that is there keeps its owner.
    times: how often the cause was seen.
    quiet_after: it resolves itself once the cause was not seen for this long.
    """
    seen = _Seen(
        *(kind, key, severity),
        rules.shortened(title, rules.LONGEST_TITLE),
        rules.shortened(detail, rules.LONGEST_TEXT),
        rules.shortened(hint, rules.LONGEST_TEXT),
        *(owner_email, run_id, times),
    )
    alert = await _opened_or_counted(tx, seen)
    if quiet_after is not None:
        args = {"alert_id": str(alert.alert_id), "seconds": int(quiet_after.total_seconds())}
        await enqueue(tx, QUIET_JOB, str(alert.alert_id), args, due_at=tx.now + quiet_after)
    return alert


async def _opened_or_counted(tx: TenantTx, seen: _Seen) -> Alert:
    # Of two who see the same cause at once, one opens the alert and the other counts; and what is counted may have
    # been resolved a moment before.
    for _ in range(_ATTEMPTS):
        row = await tx.fetchrow(
            _COUNT,
            *(tx.tenant_id, seen.kind, seen.key, seen.severity, seen.title, seen.detail, seen.hint, seen.search_key),
            *(seen.run_id, list(SEVERITIES), seen.times, tx.now),
        )
        if row is not None:
            return await _counted(tx, row)
        owner = seen.owner_email or await tx.fetchval(
            "SELECT owner_email FROM tenant WHERE tenant_id = $1", tx.tenant_id
        )
        row = await tx.fetchrow(
            _OPEN,
            *(tx.tenant_id, new_id(), seen.kind, seen.key, seen.severity, seen.title, seen.detail, seen.hint),
            *(owner, None if owner is None else fold(owner), seen.run_id, seen.search_key, tx.now, seen.times),
        )
        if row is not None:
            return await _opened(tx, row)
    raise RuntimeError("the alert of a cause was opened and resolved by others again and again")


async def _opened(tx: TenantTx, row: Row) -> Alert:
    alert = queries.alert_of(row)
    await note(tx, alert.alert_id, "opened", alert.severity)
    tell(tx, "alert.opened", alert, severity=alert.severity)
    await ask_mail(tx, alert.alert_id)
    return alert


async def _counted(tx: TenantTx, row: Row) -> Alert:
    alert = queries.alert_of(row)
    if row["rises"]:
        await note(tx, alert.alert_id, "escalated", alert.severity)
        tell(tx, "alert.escalated", alert, severity=alert.severity)
    elif row["wakes"]:
        await note(tx, alert.alert_id, "mute_ended")
        tell(tx, "alert.unmuted", alert)
    if row["rises"] or row["wakes"]:
        await ask_mail(tx, alert.alert_id)
    return alert


async def resolve_alerts(tx: TenantTx, kind: str, key: str) -> int:
    """Closes the alert of a cause that is gone. Gives how many were closed: 1, or 0 if there was none."""
    row = await tx.fetchrow(
        """UPDATE alert SET state = 'resolved', resolved_at = $4, muted_until = NULL, muted_reason = NULL
           WHERE tenant_id = $1 AND kind = $2 AND key = $3 AND state <> 'resolved' RETURNING *""",
        *(tx.tenant_id, kind, key, tx.now),
    )
    if row is None:
        return 0
    alert = queries.alert_of(row)
    await note(tx, alert.alert_id, "resolved")
    tell(tx, "alert.resolved", alert)
    return 1


async def resolve_quiet(tx: TenantTx, alert_id: AlertId, quiet_after: timedelta) -> datetime | None:
    """Closes an alert whose cause was not seen for `quiet_after`. Gives when to look again, or None if that is over."""
    alert = await queries.alert(tx, alert_id)
    if alert is None or alert.state == "resolved":
        return None
    if alert.last_at + quiet_after > tx.now:
        return alert.last_at + quiet_after
    await resolve_alerts(tx, alert.kind, alert.key)
    return None


async def ask_mail(tx: TenantTx, alert_id: AlertId) -> None:
    """Has the owner told, of what the alert says by then."""
    await enqueue(tx, MAIL_JOB, str(alert_id), {"alert_id": str(alert_id)})


def tell(tx: TenantTx, event: str, alert: Alert, **more: object) -> None:
    """Writes to the event log what became of an alert, and has the tenant's standing follow."""
    emit(tx, Event(event, f"alert:{alert.alert_id}", {"kind": alert.kind, "key": alert.key, **more}))
    recount(tx, "alerts", count_alerts)


async def count_alerts(tx: TenantTx) -> None:
    """Notes how many alerts need a person, neither resolved nor muted, and how many of these are critical. From a
    `recount`.
    """
    row = await tx.fetchrow(_NEEDING, tx.tenant_id)
    assert row is not None
    await note_alerts(tx, row["open"], row["critical"])
