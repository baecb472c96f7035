"""The daily check of a tenant's audit log, and the alert of one that is not what was written."""

from collections.abc import Awaitable, Callable
from typing import Final

from stoa.alerts.actions import raise_alert, resolve_alerts
from stoa.db.database import Database
from stoa.db.transactions import Origin, TenantTx
from stoa.events.actions import number_entries
from stoa.events.verifying import ChainCheck, begin_walk, note_check, walk_on
from stoa.jobs.run import Handler, JobRun
from stoa.kernel.ids import TenantId

BROKEN_ALERT: Final = "audit_broken"
_REASONS: Final = {
    "gap": "an entry is missing, or has another length than was written",
    "chain": "an entry was moved or replaced",
    "digest": "the content of an entry was changed",
    "head": "the end of the log is missing",
}


def chain_job(also: Callable[[Database], Awaitable[None]]) -> Handler:
    """Handles CHAIN_JOB (`stoa.tenants.actions`): walks the tenant's log in short transactions, however long it is.

    also: what is checked besides, that is of no tenant.
    """

    async def check(run: JobRun) -> None:
        await check_chain(run.database, run.tenant_id, run.origin, run.fence)
        await also(run.database)

    return check


async def _at_once(_: TenantTx) -> None:
    """Nothing stands in the way of whoever asks by hand."""


async def check_chain(
    database: Database, tenant_id: TenantId, origin: Origin, fence: Callable[[TenantTx], Awaitable[None]] = _at_once
) -> ChainCheck:
    """Walks a tenant's whole log, notes what was found, and raises or resolves the alert.

    fence: is called in the transaction that writes, and may refuse.
    """
    async with database.tenant(tenant_id, origin) as tx:
        await number_entries(tx, wait=False)
        walk = await begin_walk(tx)
    while not walk.done:
        async with database.tenant(tenant_id, origin, read_only=True) as tx:
            walk = await walk_on(tx, walk)
    async with database.tenant(tenant_id, origin) as tx:
        await fence(tx)
        found = await note_check(tx, walk)
        await tell(tx, found)
    return found


async def tell(tx: TenantTx, found: ChainCheck) -> None:
    """Raises the alert of a log that is not what was written, or resolves it."""
    if found.broken is None:
        await resolve_alerts(tx, BROKEN_ALERT, "")
        return
    await raise_alert(
        tx, BROKEN_ALERT, "", "critical", "The audit log was changed",
        f"{in_words(found)} Up to event {found.up_to} it is as it was written.",
        "Nothing that Stoa does changes it. Keep the database as it is, compare it with a backup, and find out who can "
        "write to it. The operator of the server looks with: stoa audit verify",
    )  # fmt: skip


def in_words(found: ChainCheck) -> str:
    """What is wrong with a broken log, and where."""
    assert found.broken is not None
    entry = "" if found.broken.entry_no is None else f" (entry {found.broken.entry_no})"
    return f"At event {found.broken.seq}{entry} {_REASONS[found.broken.reason]}."
