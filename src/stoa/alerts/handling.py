"""What people do about an alert: take it on, hand it over, mute it, resolve it. Each is one transaction, one event and
one line of the alert's history.
"""

from datetime import datetime
from typing import Final

from stoa.alerts import queries, rules
from stoa.alerts.actions import UNMUTE_JOB, ask_mail, tell
from stoa.alerts.model import Alert, AlertId, AlertState
from stoa.alerts.notes import note
from stoa.db.transactions import TenantTx
from stoa.jobs.actions import enqueue
from stoa.kernel.fold import fold
from stoa.kernel.problems import Conflict, NotFound

_ACKNOWLEDGE: Final = """
UPDATE alert SET state = 'acknowledged', acknowledged_at = $3, acknowledged_by = $4,
  muted_until = NULL, muted_reason = NULL
WHERE tenant_id = $1 AND alert_id = $2"""

_ASSIGN: Final = """
UPDATE alert SET owner_email = $3, owner_key = $4, mails = mails + $5,
  mailed_at = CASE WHEN $5 > 0 THEN NULL ELSE mailed_at END, changed_at = $6
WHERE tenant_id = $1 AND alert_id = $2"""

_MUTE: Final = """
UPDATE alert SET state = 'muted', muted_reason = $3, muted_until = $4, changed_at = $5
WHERE tenant_id = $1 AND alert_id = $2"""

_UNMUTE: Final = """
UPDATE alert SET state = 'open', muted_until = NULL, muted_reason = NULL, mails = mails + $3,
  mailed_at = CASE WHEN $3 > 0 THEN NULL ELSE mailed_at END, changed_at = $4
WHERE tenant_id = $1 AND alert_id = $2"""

_RESOLVE: Final = """
UPDATE alert SET state = 'resolved', resolved_at = $3, muted_until = NULL, muted_reason = NULL
WHERE tenant_id = $1 AND alert_id = $2"""


async def acknowledge(tx: TenantTx, alert_id: AlertId) -> Alert:
    """Records that somebody has seen an alert and looks after it, which ends a mute. Acknowledging it again changes
    nothing.

    Raises:
        NotFound: the tenant has no such alert.
        Conflict: it is resolved already.
    """
    alert = await _unresolved(tx, alert_id)
    if alert.state == "acknowledged":
        return alert
    await tx.execute(_ACKNOWLEDGE, tx.tenant_id, alert_id, tx.now, tx.origin.actor)
    await note(tx, alert_id, "acknowledged")
    tell(tx, "alert.acknowledged", alert, **_step(alert, "acknowledged"))
    await _make_up_for_mail(tx, alert)
    return await _now(tx, alert_id)


async def assign(tx: TenantTx, alert_id: AlertId, email: str) -> Alert:
    """Makes somebody else its owner, and tells them by mail unless it is muted.

    Raises:
        BadInput: that is no address.
        NotFound, Conflict: as `acknowledge`.
    """
    email = rules.checked_owner(email)
    alert = await _unresolved(tx, alert_id)
    if alert.owner_email == email:
        return alert
    told = alert.state != "muted"
    await tx.execute(_ASSIGN, tx.tenant_id, alert_id, email, fold(email), int(told), tx.now)
    await note(tx, alert_id, "assigned", email)
    # The address is personal: it stays out of the event log.
    tell(tx, "alert.assigned", alert)
    if told:
        await ask_mail(tx, alert_id)
    return await _now(tx, alert_id)


async def mute(tx: TenantTx, alert_id: AlertId, reason: str, until: datetime) -> Alert:
    """Leaves an alert alone: no mail, and not counted as open, until the time passes, its severity rises or it is
    resolved. Muting a muted one changes reason and time.

    until: aware, on the tenant's clock, at most 90 days ahead.

    Raises:
        BadInput: the reason has fewer than 3 or more than 500 characters, or the time is not within 90 days.
        NotFound, Conflict: as `acknowledge`.
    """
    reason = rules.checked_reason(reason)
    until = rules.checked_until(until, tx.now)
    alert = await _unresolved(tx, alert_id)
    await tx.execute(_MUTE, tx.tenant_id, alert_id, reason, until, tx.now)
    await note(tx, alert_id, "muted", reason)
    tell(tx, "alert.muted", alert, until=until.isoformat(), **_step(alert, "muted"))
    await enqueue(tx, UNMUTE_JOB, str(alert_id), {"alert_id": str(alert_id)}, due_at=until)
    return await _now(tx, alert_id)


async def unmute(tx: TenantTx, alert_id: AlertId) -> Alert:
    """Ends a mute by hand. Where there is none, nothing changes.

    Raises:
        NotFound, Conflict: as `acknowledge`.
    """
    alert = await _unresolved(tx, alert_id)
    if alert.state != "muted":
        return alert
    await tx.execute(_UNMUTE, tx.tenant_id, alert_id, 0, tx.now)
    await note(tx, alert_id, "unmuted")
    tell(tx, "alert.unmuted", alert, **_step(alert, "open"))
    await _make_up_for_mail(tx, alert)
    return await _now(tx, alert_id)


async def end_mute(tx: TenantTx, alert_id: AlertId) -> datetime | None:
    """Ends a mute whose time has passed, and tells the owner that the cause is still there. Gives when to look again,
    or None if there is no mute any more.
    """
    alert = await queries.alert(tx, alert_id, lock=True)
    if alert is None or alert.state != "muted" or alert.muted_until is None:
        return None
    if alert.muted_until > tx.now:
        return alert.muted_until
    await tx.execute(_UNMUTE, tx.tenant_id, alert_id, 1, tx.now)
    await note(tx, alert_id, "mute_ended")
    tell(tx, "alert.unmuted", alert, **_step(alert, "open"))
    await ask_mail(tx, alert_id)
    return None


async def resolve(tx: TenantTx, alert_id: AlertId, reason: str) -> Alert:
    """Closes an alert by hand. Seen again, its cause opens a new one.

    Raises:
        BadInput: the reason has fewer than 3 or more than 500 characters.
        NotFound, Conflict: as `acknowledge`.
    """
    reason = rules.checked_reason(reason)
    alert = await _unresolved(tx, alert_id)
    await tx.execute(_RESOLVE, tx.tenant_id, alert_id, tx.now)
    await note(tx, alert_id, "resolved", reason)
    tell(tx, "alert.resolved", alert, **_step(alert, "resolved"))
    return await _now(tx, alert_id)


def _step(alert: Alert, state: AlertState) -> dict[str, dict[str, str]]:
    """The states that an alert goes between, for the event log. What people wrote beside it stands in its history."""
    return {"before": {"state": alert.state}, "after": {"state": state}}


async def _make_up_for_mail(tx: TenantTx, alert: Alert) -> None:
    """Has the owner told of an alert that was muted before its mail went out."""
    if alert.state == "muted" and alert.mailed_at is None:
        await ask_mail(tx, alert.alert_id)


async def _unresolved(tx: TenantTx, alert_id: AlertId) -> Alert:
    """The alert, locked to the end of the transaction, so that of two people the second sees what the first did."""
    alert = await _now(tx, alert_id, lock=True)
    if alert.state == "resolved":
        raise Conflict("The alert is resolved already.", hint="Seen again, its cause opens a new alert.")
    return alert


async def _now(tx: TenantTx, alert_id: AlertId, *, lock: bool = False) -> Alert:
    alert = await queries.alert(tx, alert_id, lock=lock)
    if alert is None:
        raise NotFound("There is no such alert.")
    return alert
