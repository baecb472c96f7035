"""Secrets that come to an end: an alert that gets graver as the day draws near, and ends with the secret.

Other rooms keep the secrets; the composition root hands over how they are read.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from stoa.alerts import rules
from stoa.alerts.actions import raise_alert, resolve_alerts
from stoa.alerts.model import Severity
from stoa.db.transactions import TenantTx
from stoa.jobs.actions import enqueue
from stoa.jobs.run import Handler, JobRun
from stoa.tenants import queries as tenants

EXPIRING_ALERT: Final = "secret_expiring"


@dataclass(frozen=True, slots=True)
class Expiring:
    """A secret with an end.

    Attributes:
        name: what people call it, for example `the token "Okta SCIM" (stoa_scim_ab12cd)`.
        what_ends: what no longer works then, as a sentence.
        remedy: what to do, and who can.
        ended: it was revoked or replaced, and needs nobody any more.
    """

    name: str
    what_ends: str
    remedy: str
    created_at: datetime
    expires_at: datetime | None
    ended: bool


ReadExpiring = Callable[[TenantTx, str], Awaitable[Expiring | None]]


def expiry_job(read: ReadExpiring) -> Handler:
    """The handler of jobs whose key names a secret.

    read: gives the secret of a key, or None if there is none.
    """

    async def look(run: JobRun) -> None:
        async with run.database.tenant(run.tenant_id, run.origin) as tx:
            await run.fence(tx)
            found = await read(tx, run.key)
            if found is None or found.ended or found.expires_at is None:
                await resolve_alerts(tx, EXPIRING_ALERT, run.key)
                return
            severity, again_at = rules.expiry(found.created_at, found.expires_at, tx.now)
            if severity is not None:
                await _raise(tx, run.key, found, found.expires_at, severity)
            elif again_at is None:
                await resolve_alerts(tx, EXPIRING_ALERT, run.key)
            if again_at is not None:
                await enqueue(tx, run.kind, run.key, run.args, due_at=again_at)

    return look


async def _raise(tx: TenantTx, key: str, found: Expiring, expires_at: datetime, severity: Severity) -> None:
    zone = ZoneInfo((await tenants.tenant(tx)).time_zone)
    when = f"{expires_at.astimezone(zone):%Y-%m-%d %H:%M} ({zone.key})"
    if tx.now >= expires_at:
        title, detail = f"{_begun(found.name)} has expired", f"It expired on {when}. {found.what_ends}"
    else:
        title, detail = f"{_begun(found.name)} expires soon", f"It expires on {when}. From then on: {found.what_ends}"
    await raise_alert(tx, EXPIRING_ALERT, key, severity, title, detail, found.remedy)


def _begun(name: str) -> str:
    return name[:1].upper() + name[1:]
