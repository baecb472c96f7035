"""What waits for a person: list it, and say that somebody looks after it."""

from uuid import UUID

from cyclopts import App

from stoa.alerts import actions, queries
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
    columns = ("id", "severity", "state", "last_at", "title", "detail")
    show_list(options, columns, [_told(alert) for alert in found], "Nothing needs attention.")


@alert_app.command(name="acknowledge")
async def acknowledge_alert(slug: str, alert: UUID, *, options: Options = Options()) -> None:
    """Say that somebody has seen an alert and looks after it. It is resolved by itself when its cause is gone.

    Args:
        slug: The tenant.
        alert: The alert's id.
    """
    async with session(options) as s, s.platform.database.tenant(await s.tenant_id(slug), OPERATOR) as tx:
        taken = await actions.acknowledge(tx, AlertId(alert))
    show(options, _told(taken))


def _told(alert: Alert) -> dict[str, object]:
    return {
        "id": alert.alert_id,
        "kind": alert.kind,
        "severity": alert.severity,
        "state": alert.state,
        "title": alert.title,
        "detail": alert.detail,
        "hint": alert.hint,
        "run": alert.run_id,
        "occurrences": alert.occurrences,
        "first_at": alert.first_at,
        "last_at": alert.last_at,
        "resolved_at": alert.resolved_at,
    }
