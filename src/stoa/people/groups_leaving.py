"""Records that leave their source in a batch of a run leave its groups too, as over SCIM."""

# ruff: noqa: S608 - constants of the code; every value is a bound parameter

from typing import Final

from stoa.changes.target import Batch
from stoa.db.transactions import TenantTx
from stoa.kernel.ids import ResourceId
from stoa.people.columns import BATCH, RECORD_OF_CHANGE
from stoa.people.groups_actions import end_memberships

_HAS_GROUPS: Final = "SELECT EXISTS (SELECT FROM person_group WHERE tenant_id = $1 AND source_id = $2)"
_LEAVING: Final = f"""
SELECT r.resource_id FROM change c JOIN source_record r ON {RECORD_OF_CHANGE}
WHERE {BATCH} AND (c.after IS NULL OR c.after->'present' = 'false') AND (NOT $5 OR NOT r.present)
  AND EXISTS (SELECT FROM group_member m WHERE m.tenant_id = $1 AND m.resource_id = r.resource_id)"""


async def leave_groups(tx: TenantTx, batch: Batch, *, gone: bool = False) -> None:
    """Ends the memberships of the records that a batch takes out of their source, before they and their persons are
    changed.

    gone: the records have left already, and what follows was held until now; who came back meanwhile stays.
    """
    run = batch.run
    if not await tx.fetchval(_HAS_GROUPS, tx.tenant_id, run.source_id):
        return
    rows = await tx.fetch(_LEAVING, tx.tenant_id, run.run_id, batch.first, batch.last, gone)
    if rows:
        await end_memberships(tx, run.source_id, [ResourceId(row["resource_id"]) for row in rows])
