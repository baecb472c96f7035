"""How each source of a tenant is answered, as it is stored, and changed with its event."""

from typing import Final

from stoa.db.transactions import TenantTx
from stoa.events.actions import emit
from stoa.events.model import Event
from stoa.identity.scim.answering.model import USUAL, Answering, GroupPatch, Strangers
from stoa.identity.scim.own.queries import raise_version
from stoa.identity.scim.tokens import provider
from stoa.kernel.ids import SourceId

_ALL: Final = "SELECT source_id, group_patch, strangers FROM scim_answering WHERE tenant_id = $1"
_PUT: Final = """
INSERT INTO scim_answering (tenant_id, source_id, group_patch, strangers) VALUES ($1, $2, $3, $4)
ON CONFLICT (tenant_id, source_id) DO UPDATE SET group_patch = excluded.group_patch, strangers = excluded.strangers"""


async def answerings(tx: TenantTx) -> dict[SourceId, Answering]:
    """Of the sources for which somebody has chosen."""
    rows = await tx.fetch(_ALL, tx.tenant_id)
    return {row["source_id"]: Answering(GroupPatch(row["group_patch"]), Strangers(row["strangers"])) for row in rows}


async def answering_of(tx: TenantTx, source_id: SourceId) -> Answering:
    """How a source is answered."""
    return (await answerings(tx)).get(source_id, USUAL)


async def answer_so(tx: TenantTx, source_id: SourceId, wanted: Answering) -> None:
    """Has a source answered so, from the next request of every process on. Raises NotFound for no such provider."""
    await provider(tx, source_id)
    # What processes remember of the tenant's schemas, they remember together with this.
    await raise_version(tx)
    before = await answering_of(tx, source_id)
    if before == wanted:
        return
    await tx.execute(_PUT, tx.tenant_id, source_id, wanted.group_patch, wanted.strangers)
    body = {"before": _told(before), "after": _told(wanted)}
    emit(tx, Event("scim.answering_changed", f"source:{source_id}", body))


def _told(answering: Answering) -> dict[str, str]:
    return {"group_patch": str(answering.group_patch), "strangers": str(answering.strangers)}
