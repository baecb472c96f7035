"""What waits for a person: list it, take it on, hand it over, mute it, resolve it."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from cyclopts import App, Parameter

from stoa.alerts import handling, queries
from stoa.alerts.model import Alert, AlertId
from stoa.cli.common import OPERATOR, Options, session, show, show_list

alert_app = App(name="alert", help="See what needs a person, and take it on.")


@alert_app.command(name="list")
async def list_alerts(slug: str, *, resolved: bool = False, options: Options = Options()) -> None:
    """List a tenant's alerts, the latest first.

    Args:
        slug: The tenant.
        resolved: Show the latest hundred in any state, the resolved ones too.
    """
    async with (
        session(options) as s,
        s.platform.database.tenant(await s.tenant_id(slug), OPERATOR, read_only=True) as tx,
    ):
        found = await (queries.recent_alerts(tx) if resolved else queries.current_alerts(tx))
    columns = ("id", "severity", "state", "last_at", "owner", "title", "detail")
    show_list(options, columns, [_told(alert) for alert in found], "Nothing needs attention.")


@alert_app.command(name="acknowledge")
async def acknowledge_alert(slug: str, alert: UUID, *, options: Options = Options()) -> None:
    """Say that somebody has seen an alert and looks after it. It is resolved by itself when its cause is gone.

    Args:
        slug: The tenant.
        alert: The alert's id.
    """
    async with session(options) as s, s.platform.database.tenant(await s.tenant_id(slug), OPERATOR) as tx:
        taken = await handling.acknowledge(tx, AlertId(alert))
    show(options, _told(taken))


@alert_app.command(name="assign")
async def assign_alert(slug: str, alert: UUID, email: str, *, options: Options = Options()) -> None:
    """Hand an alert over to somebody, who is told by mail.

    Args:
        slug: The tenant.
        alert: The alert's id.
        email: The new owner's address.
    """
    async with session(options) as s, s.platform.database.tenant(await s.tenant_id(slug), OPERATOR) as tx:
        handed = await handling.assign(tx, AlertId(alert), email)
    show(options, _told(handed))


@alert_app.command(name="mute")
async def mute_alert(
    slug: str,
    alert: UUID,
    *,
    reason: Annotated[str | None, Parameter(name="--reason")] = None,
    days: int = 7,
    off: bool = False,
    options: Options = Options(),
) -> None:
    """Leave an alert alone for some days: no mail, and not counted. It comes back when the time is over or it gets
    worse.

    Args:
        slug: The tenant.
        alert: The alert's id.
        reason: Why; 3 to 500 characters. Needed unless with --off.
        days: For how long, at most 90.
        off: End the mute now.
    """
    async with session(options) as s, s.platform.database.tenant(await s.tenant_id(slug), OPERATOR) as tx:
        if off:
            left = await handling.unmute(tx, AlertId(alert))
        else:
            left = await handling.mute(tx, AlertId(alert), reason or "", tx.now + timedelta(days=min(days, 10_000)))
    show(options, _told(left))


@alert_app.command(name="resolve")
async def resolve_alert(slug: str, alert: UUID, *, reason: str, options: Options = Options()) -> None:
    """Close an alert by hand. Seen again, its cause opens a new one.

    Args:
        slug: The tenant.
        alert: The alert's id.
        reason: Why; 3 to 500 characters.
    """
    async with session(options) as s, s.platform.database.tenant(await s.tenant_id(slug), OPERATOR) as tx:
        closed = await handling.resolve(tx, AlertId(alert), reason)
    show(options, _told(closed))


def _told(alert: Alert) -> dict[str, object]:
    return {
        "id": alert.alert_id,
        "kind": alert.kind,
        "severity": alert.severity,
        "state": alert.state,
        "owner": alert.owner_email,
        "title": alert.title,
        "detail": alert.detail,
        "hint": alert.hint,
        "run": alert.run_id,
        "occurrences": alert.occurrences,
        "first_at": alert.first_at,
        "last_at": alert.last_at,
        "muted_until": alert.muted_until,
        "muted_reason": alert.muted_reason,
        "resolved_at": alert.resolved_at,
    }
