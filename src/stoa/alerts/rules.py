"""What an alert may be told to do, and the wording of its mail. Pure."""

from datetime import datetime, timedelta
from typing import Final

from stoa.alerts.model import Alert, Note, Severity
from stoa.kernel.problems import BadInput
from stoa.outbound.model import Mail
from stoa.tenants.model import Tenant
from stoa.tenants.rules import is_email

LONGEST_TITLE: Final = 200
LONGEST_TEXT: Final = 4000
SHORTEST_REASON: Final = 3
LONGEST_REASON: Final = 500
LONGEST_MUTE: Final = timedelta(days=90)
# How long before its end a secret's owner is told, and how gravely.
EXPIRY_STEPS: Final[tuple[tuple[timedelta, Severity], ...]] = (
    (timedelta(days=30), "info"),
    (timedelta(days=7), "warning"),
    (timedelta(days=1), "critical"),
)
# How long an expired secret that nobody revoked is still worth an alert.
EXPIRED_FOR: Final = timedelta(days=30)
_WORD: Final = {"info": "For your information", "warning": "Warning", "critical": "Critical"}


def shortened(text: str, most: int) -> str:
    """`text` in at most `most` characters, without NUL, which PostgreSQL's text cannot hold."""
    text = text.replace("\x00", "")
    return text if len(text) <= most else text[: most - 1] + "…"


def checked_reason(text: str) -> str:
    """`text` without white space around it. Raises BadInput."""
    reason = text.replace("\x00", "").strip()
    if not SHORTEST_REASON <= len(reason) <= LONGEST_REASON:
        raise BadInput(
            f"The reason has {len(reason)} characters; it must have {SHORTEST_REASON} to {LONGEST_REASON}.",
            hint="Say it for whoever looks at this alert next.",
        )
    return reason


def checked_until(until: datetime, now: datetime) -> datetime:
    """The end of a mute. Raises BadInput unless it lies ahead, by at most 90 days."""
    if until <= now:
        raise BadInput("The mute would be over already.", hint="Choose a time in the future.")
    if until > now + LONGEST_MUTE:
        raise BadInput(
            f"An alert can be muted for at most {LONGEST_MUTE.days} days.",
            hint="Choose an earlier end, or mend the cause.",
        )
    return until


def checked_owner(text: str) -> str:
    """An owner's address. Raises BadInput."""
    email = text.strip()
    if not is_email(email):
        # The address is personal: it is not told.
        raise BadInput("That is not one plain e-mail address.", hint="Write it as name@example.com.")
    return email


def expiry(created_at: datetime, expires_at: datetime, now: datetime) -> tuple[Severity | None, datetime | None]:
    """How grave it is that a secret expires then, if at all, and when to look again.

    A step counts only if it is at most half of the secret's life, so that one made for an hour or a week does not begin
    it with an alert.
    """
    if now >= expires_at + EXPIRED_FOR:
        return None, None
    if now >= expires_at:
        return "critical", expires_at + EXPIRED_FOR
    life = expires_at - created_at
    severity: Severity | None = None
    for lead, step in EXPIRY_STEPS:
        if lead * 2 > life:
            continue
        if now < expires_at - lead:
            return severity, expires_at - lead
        severity = step
    return severity, expires_at


def mail(alert: Alert, tenant: Tenant, to: str, *, because: Note | None = None, address: str | None = None) -> Mail:
    """The mail that tells `to` of an alert.

    because: why it is told again, for the second mail and later ones. address: of its page.
    """
    seen = f"{alert.first_at:%Y-%m-%d %H:%M} UTC"
    if alert.occurrences > 1:
        seen += f", {alert.occurrences} times by {alert.last_at:%Y-%m-%d %H:%M} UTC"
    about = [f"Tenant: {tenant.name} ({tenant.slug})", f"Seen: {seen}"]
    if alert.run_id is not None:
        about.append(f"Run: {alert.run_id}")
    if address is not None:
        about.append(f"Page: {address}")
    again = _again(because) if alert.mails > 1 else ""
    parts = [alert.title, again, alert.detail, f"What to do: {alert.hint}" if alert.hint else "", "\n".join(about)]
    return Mail(
        to=to,
        subject=f"{_WORD[alert.severity]}: {alert.title} ({tenant.name})",
        text="\n\n".join(part for part in parts if part) + "\n",
        # Another mail needs another Message-ID, or mail programs show the first alone.
        key=f"alert-{alert.alert_id}" + (f"-{alert.mails}" if alert.mails > 1 else ""),
    )


def _again(because: Note | None) -> str:
    match None if because is None else because.what:
        case "escalated":
            return "You were told of this before. It is graver now."
        case "assigned":
            return "This alert was handed over to you."
        case "mute_ended":
            return "This alert was muted. The time is over, and its cause is still there."
        case _:
            return "You were told of this before."
