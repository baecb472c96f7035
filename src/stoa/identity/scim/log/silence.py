"""Providers that have fallen silent (MO5): longer without a request than their own past lets expect.

There is no rule for each product. Entra ID asks about every 40 minutes, whether anything changed or not; Okta speaks
only when something changed. Each source's own hours tell which it is: who spoke often and evenly is missed after some
hours, who speaks now and then after 30 days, and who was never heard is not missed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from stoa.access.queries import credentials
from stoa.alerts.actions import raise_alert, resolve_alerts
from stoa.db.transactions import TenantTx
from stoa.jobs.actions import enqueue
from stoa.jobs.run import JobRun
from stoa.kernel.ids import SourceId
from stoa.tenants import queries as tenants

SILENT_ALERT: Final = "scim_silent"
# Looks at the moment from which a source's silence would be unusual. Key: the source's id.
SILENCE_JOB: Final = "scim.silence"
# Removes old lines of the log. One for each tenant.
RETENTION_JOB: Final = "scim.retention"
RETENTION_KEY: Final = "all"
SHORTEST: Final = timedelta(hours=4)
LONGEST: Final = timedelta(days=30)
# What the rhythm is learnt from.
LOOKED_BACK: Final = timedelta(days=28)
# Less than this tells of no rhythm.
_FEWEST_HOURS: Final = 20
_SHORTEST_PAST: Final = timedelta(days=7)
# The longest pauses of a month, an outage or two, tell of no rhythm either.
_LEFT_OUT: Final = 0.01
_TIMES: Final = 3
_SCIM: Final = "scim"

_PAST: Final = """
SELECT first_at, last_at FROM scim_hour WHERE tenant_id = $1 AND source_id = $2 AND hour >= $3 ORDER BY hour"""
_LAST: Final = "SELECT max(last_at) FROM scim_hour WHERE tenant_id = $1 AND source_id = $2"


@dataclass(frozen=True, slots=True)
class Rhythm:
    """What a source's past lets expect.

    Attributes:
        pause: the longest usual time between two requests; None where the past tells of no rhythm.
        patience: how long a silence has to last to be unusual.
    """

    pause: timedelta | None
    patience: timedelta


def rhythm(hours: Sequence[tuple[datetime, datetime]]) -> Rhythm:
    """The rhythm of a source.

    hours: the first and the last request of each hour in which it spoke, in order.
    """
    if len(hours) < _FEWEST_HOURS or hours[-1][1] - hours[0][0] < _SHORTEST_PAST:
        return Rhythm(None, LONGEST)
    pauses = sorted(later[0] - earlier[1] for earlier, later in pairwise(hours))
    usual = pauses[int((len(pauses) - 1) * (1 - _LEFT_OUT))]
    return Rhythm(usual, min(LONGEST, max(SHORTEST, usual * _TIMES)))


async def heard_again(tx: TenantTx, source_id: SourceId) -> None:
    """A source has spoken, for the first time in its hour: it is not silent, and is looked at again later."""
    await resolve_alerts(tx, SILENT_ALERT, str(source_id))
    await enqueue(tx, SILENCE_JOB, str(source_id), due_at=tx.now + SHORTEST)
    await enqueue(tx, RETENTION_JOB, RETENTION_KEY, due_at=tx.now + timedelta(days=1))


async def look_whether_silent(run: JobRun) -> None:
    """Raises the alert of a source that has been silent for longer than its past lets expect; the next request resolves
    it. Nobody waits for a source that has no token which opens: of those other alerts tell.
    """
    source_id = SourceId(UUID(run.key))
    async with run.database.tenant(run.tenant_id, run.origin) as tx:
        await run.fence(tx)
        last_at: datetime | None = await tx.fetchval(_LAST, tx.tenant_id, source_id)
        if last_at is None or not await _may_speak(tx, source_id):
            await resolve_alerts(tx, SILENT_ALERT, run.key)
            return
        # Its own past, not the silence that may have begun.
        rows = await tx.fetch(_PAST, tx.tenant_id, source_id, last_at - LOOKED_BACK)
        found = rhythm([(row["first_at"], row["last_at"]) for row in rows])
        if last_at + found.patience > tx.now:
            await enqueue(tx, SILENCE_JOB, run.key, due_at=last_at + found.patience)
            return
        await _raise(tx, source_id, last_at, found)


async def _may_speak(tx: TenantTx, source_id: SourceId) -> bool:
    found = await credentials(tx)
    return any(one.source_id == source_id and one.permits(_SCIM) and one.opens_at(tx.now) for one in found)


async def _raise(tx: TenantTx, source_id: SourceId, last_at: datetime, found: Rhythm) -> None:
    tenant = await tenants.tenant(tx)
    source = await tenants.source(tx, source_id)
    name = "An identity provider" if source is None else source.name
    zone = ZoneInfo(tenant.time_zone)
    told = f"{last_at.astimezone(zone):%Y-%m-%d %H:%M} ({zone.key})"
    if found.pause is None:
        usual = f"It speaks too seldom for a rhythm to be seen, so this is told after {_length(LONGEST)}."
    else:
        usual = f"In the four weeks before, it was hardly ever silent for longer than {_length(found.pause)}."
    await raise_alert(
        tx,
        SILENT_ALERT,
        str(source_id),
        "warning",
        f"{name} has fallen silent",
        f"Its last SCIM request came on {told}. {usual} Meanwhile nobody whom it adds, changes or takes away arrives "
        "here.",
        "The admin of the identity provider looks whether provisioning is switched on, whether its job is stopped or "
        "in quarantine, and tests the connection; an admin of the tenant sees on the provider's page, under "
        "“Requests”, what came last. If nothing has changed there and that is right, acknowledge this. The next "
        "request resolves it.",
    )


def _length(span: timedelta) -> str:
    """For people: `50 minutes`, `7 hours`, `3 days`."""
    minutes = int(span.total_seconds() // 60)
    if minutes < 120:
        return f"{max(minutes, 1)} minute{'s' if minutes > 1 else ''}"
    if minutes < 48 * 60:
        return f"{minutes // 60} hours"
    return f"{minutes // (24 * 60)} days"
