"""The job that counts anew what the board shows of a tenant: its people, and with them everything else, so that a
figure that ever went wrong is right again after the next run.
"""

from datetime import datetime
from typing import Final

from stoa.access.queries import USE_NOTED_EVERY
from stoa.access.standing import count_credentials
from stoa.alerts.actions import count_alerts
from stoa.changes.standing import count_waiting
from stoa.db.transactions import TenantTx
from stoa.jobs.run import JobRun
from stoa.people.duplicates import ask_for_search
from stoa.tenants.actions import renew_name_key
from stoa.tenants.status import ask_recount, note_connections, note_people, recount

_PEOPLE: Final = """
SELECT count(*) AS people, count(*) FILTER (WHERE active) AS active FROM person
WHERE tenant_id = $1 AND merged_into IS NULL"""


async def recount_all(job: JobRun) -> None:
    """Handles RECOUNT_JOB. For changes that are still going on it comes back when they have come to rest."""
    async with job.database.tenant(job.tenant_id, job.origin) as tx:
        await job.fence(tx)
        await renew_name_key(tx)
        await ask_for_search(tx)
        note_all(tx)
        until = job.args.get("until")
        if until is not None and datetime.fromisoformat(until) > tx.now:
            # Not until the same moment: a request that has just asked for a later one must not be forgotten for it.
            await ask_recount(tx, lasting=USE_NOTED_EVERY)


def note_all(tx: TenantTx) -> None:
    """Has everything counted at the end of the transaction."""
    note_connections(tx)
    recount(tx, "credentials", count_credentials)
    recount(tx, "waiting", count_waiting)
    recount(tx, "alerts", count_alerts)
    recount(tx, "people", count_people)


async def count_people(tx: TenantTx) -> None:
    """Notes how many people there are. From a `recount`."""
    row = await tx.fetchrow(_PEOPLE, tx.tenant_id)
    assert row is not None
    await note_people(tx, row["people"], row["active"])
