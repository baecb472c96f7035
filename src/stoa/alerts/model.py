"""Alerts."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NewType
from uuid import UUID

from stoa.kernel.ids import RunId

AlertId = NewType("AlertId", UUID)
Severity = Literal["info", "warning", "critical"]
AlertState = Literal["open", "acknowledged", "resolved"]


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that a person should look at.

    Attributes:
        kind, key: the cause, for example `sync.held` and a connection's id. At most one alert of a cause is not
            resolved.
        severity: the highest that was raised for the cause.
        title, detail, hint: what it is, what happened, and what to do about it; as of the last occurrence.
        owner_email: who is told, or None if the tenant has no owner.
        occurrences: how often the cause was seen since the alert was opened.
        mailed_at: when its owner was told; None if not yet, or if there is nobody to tell.
        run_id: the run it is about, as of the last occurrence that named one.
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
