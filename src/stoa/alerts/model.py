"""Alerts."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, NewType
from uuid import UUID

from stoa.kernel.ids import RunId

AlertId = NewType("AlertId", UUID)
Severity = Literal["info", "warning", "critical"]
AlertState = Literal["open", "acknowledged", "muted", "resolved"]
What = Literal["opened", "escalated", "acknowledged", "assigned", "muted", "unmuted", "mute_ended", "resolved"]

# In the order in which they rise.
SEVERITIES: Final[tuple[Severity, ...]] = ("info", "warning", "critical")
# What still needs a person. Muted ones are not resolved, but are to be left alone for a while.
OPEN_STATES: Final[tuple[AlertState, ...]] = ("open", "acknowledged")


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that a person should look at.

    Attributes:
        kind, key: the cause, for example `run_held` and a source's id. At most one alert of a cause is not resolved.
        severity: the highest that was raised for the cause.
        title, detail, hint: what it is, what happened, and what to do about it; as of the last occurrence.
        owner_email: who is told, or None if the tenant has no owner.
        occurrences: how often the cause was seen since the alert was opened.
        mailed_at: when its owner was told last; None if a mail is still to be sent, or if there is nobody to tell.
        run_id: the run it is about, as of the last occurrence that named one.
        acknowledged_at, acknowledged_by: since when somebody looks after it, and who, as in the event log.
        muted_until, muted_reason: until when it is to be left alone, and why. None unless it is muted.
        mails: how many mails were asked for since it was opened.
    """

    alert_id: AlertId
    kind: str
    key: str
    severity: Severity
    title: str
    detail: str
    hint: str
    owner_email: str | None = field(repr=False)
    state: AlertState
    occurrences: int
    first_at: datetime
    last_at: datetime
    mailed_at: datetime | None
    resolved_at: datetime | None
    run_id: RunId | None
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    muted_until: datetime | None = None
    muted_reason: str | None = None
    mails: int = 1


@dataclass(frozen=True, slots=True)
class Note:
    """One line of an alert's history.

    Attributes:
        actor: who did it, as in the event log: `operator:<id>`, `job:<kind>`, `system`.
        text: the reason that was given, the new owner's address, or the severity; empty where there is none.
    """

    at: datetime
    actor: str
    what: What
    text: str = field(repr=False)
