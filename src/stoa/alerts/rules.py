"""The wording of an alert's mail. Pure."""

from typing import Final

from stoa.alerts.model import Alert
from stoa.outbound.model import Mail
from stoa.tenants.model import Tenant

LONGEST_TITLE: Final = 200
LONGEST_TEXT: Final = 4000
_WORD: Final = {"info": "For your information", "warning": "Warning", "critical": "Critical"}


def shortened(text: str, most: int) -> str:
    """`text` in at most `most` characters, without NUL, which PostgreSQL's text cannot hold."""
    text = text.replace("\x00", "")
    return text if len(text) <= most else text[: most - 1] + "…"


def mail(alert: Alert, tenant: Tenant, to: str) -> Mail:
    """The mail that tells `to` of an alert."""
    seen = f"{alert.first_at:%Y-%m-%d %H:%M} UTC"
    if alert.occurrences > 1:
        seen += f", {alert.occurrences} times by {alert.last_at:%Y-%m-%d %H:%M} UTC"
    about = [f"Tenant: {tenant.name} ({tenant.slug})", f"Seen: {seen}"]
    if alert.run_id is not None:
        about.append(f"Run: {alert.run_id}")
    parts = [alert.title, alert.detail, f"What to do: {alert.hint}" if alert.hint else "", "\n".join(about)]
    return Mail(
        to=to,
        subject=f"{_WORD[alert.severity]}: {alert.title} ({tenant.name})",
        text="\n\n".join(part for part in parts if part) + "\n",
        key=f"alert-{alert.alert_id}",
    )
