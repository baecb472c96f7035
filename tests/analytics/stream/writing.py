"""Writing to a tenant's log, and numbering what was written, as the worker does."""

from stoa.db.database import Database
from stoa.db.transactions import Origin
from stoa.events.actions import emit, number_entries
from stoa.events.model import Event
from stoa.kernel.ids import TenantId


async def write(database: Database, tenant_id: TenantId, *subjects: str, type_: str = "domain.proven") -> None:
    """One event for each subject, each in a transaction of its own, numbered."""
    for subject in subjects:
        async with database.tenant(tenant_id, Origin("console:ada", "console")) as tx:
            emit(tx, Event(type_, subject, {}))
    await number(database, tenant_id)


async def number(database: Database, tenant_id: TenantId) -> None:
    """Gives what was committed its numbers."""
    async with database.tenant(tenant_id) as tx:
        while await number_entries(tx):
            pass
