"""What each tenant offers, remembered by a process for as long as it stays so."""

from dataclasses import dataclass, field
from typing import Final

from stoa.db.transactions import TenantTx
from stoa.identity.scim.answering.settings import answerings
from stoa.identity.scim.own.offer import offered_of
from stoa.identity.scim.own.offered import Offered
from stoa.identity.scim.own.queries import own_schemas, schemas_version
from stoa.kernel.ids import TenantId

_MOST: Final = 2_000


async def offered_in(tx: TenantTx) -> Offered:
    """What holds in the tenant now, read anew."""
    # The version first: what is made in between is then read again by the next request.
    version = await schemas_version(tx)
    return offered_of(version, await own_schemas(tx), await answerings(tx))


@dataclass(slots=True)
class Offers:
    """Whether a tenant's schemas, and the answering of its sources, are as they were is asked in the round trip that
    begins a request's transaction, so what is new holds for the next request of every process.
    """

    _known: dict[TenantId, Offered] = field(default_factory=dict[TenantId, Offered])

    def unchanged(self, tenant_id: TenantId, also: str) -> tuple[str, Offered | None]:
        """The query of `Database.tenant` (its `also`) with the question whether the schemas are as they are known here,
        and what is known: `of` is given it.

        also: a SELECT whose condition can be added to; empty if nothing is asked, and then this asks nothing either.
        """
        known = self._known.get(tenant_id)
        if not also or known is None:
            return also, None
        return f"{also} AND scim_schemas_unchanged('{tenant_id!s}'::uuid, {known.version:d})", known

    async def of(self, tx: TenantTx, asked: Offered | None) -> Offered:
        """What holds in the tenant; without a look at the database if the transaction's beginning said that it is as
        it was.

        asked: what that question was about, and not what another request has read since.
        """
        if asked is not None and tx.found:
            return asked
        known = self._known.get(tx.tenant_id)
        if known is not None and await schemas_version(tx) == known.version:
            return known
        fresh = await offered_in(tx)
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[tx.tenant_id] = fresh
        return fresh
