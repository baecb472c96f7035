"""What credentials say of their tenant's standing: identity is connected while there is a token for an identity
provider.
"""

from typing import Final

from stoa.db.transactions import TenantTx
from stoa.tenants.model import Phase
from stoa.tenants.status import note_phase, recount

_CONNECTED: Final = """
SELECT EXISTS (
  SELECT FROM credential c JOIN source s ON s.tenant_id = $1 AND s.source_id = c.source_id
  WHERE c.tenant_id = $1 AND c.revoked_at IS NULL AND s.kind = 'idp')"""


def note_credentials(tx: TenantTx) -> None:
    """Has the tenant's standing follow its credentials: one was issued or revoked."""
    recount(tx, "credentials", count_credentials)


async def count_credentials(tx: TenantTx) -> None:
    """Notes whether there is a token for an identity provider. From a `recount`."""
    await note_phase(tx, Phase.IDENTITY, connected=await tx.fetchval(_CONNECTED, tx.tenant_id))
