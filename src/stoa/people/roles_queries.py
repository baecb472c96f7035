"""Reading rules and roles."""

from stoa.db.transactions import TenantTx
from stoa.kernel.ids import PersonId
from stoa.people.identity_locks import lock_admins

_OTHER_ADMINS = """
SELECT EXISTS (
  SELECT FROM person_role h JOIN person p ON p.tenant_id = $1 AND p.person_id = h.person_id
  WHERE h.tenant_id = $1 AND h.role = 'admin' AND p.active AND h.person_id <> $2)"""
_IS_ADMIN = """
SELECT EXISTS (
  SELECT FROM person_role h JOIN person p ON p.tenant_id = $1 AND p.person_id = h.person_id
  WHERE h.tenant_id = $1 AND h.role = 'admin' AND p.active AND h.person_id = $2)"""


async def other_admins(tx: TenantTx, person_id: PersonId) -> bool:
    """Whether there is another active person with the role admin.

    Waits for whoever else asks in this tenant, until the end of the transaction: of two admins who are taken away at
    the same moment, one stays. So ask only about somebody who is an admin (`is_admin`).
    """
    await lock_admins(tx)
    return await tx.fetchval(_OTHER_ADMINS, tx.tenant_id, person_id)


async def is_admin(tx: TenantTx, person_id: PersonId) -> bool:
    """Whether this is an active person with the role admin."""
    return await tx.fetchval(_IS_ADMIN, tx.tenant_id, person_id)


async def last_admin(tx: TenantTx, person_id: PersonId) -> bool:
    """Whether the tenant would have no active admin left without this person. Quick for all who are none."""
    return await is_admin(tx, person_id) and not await other_admins(tx, person_id)
