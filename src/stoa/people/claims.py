"""Claim rules: people who came by one source are recognised when another sends them. Off unless an admin says so."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from stoa.db.transactions import TenantTx
from stoa.events.actions import emit
from stoa.events.model import Event
from stoa.kernel.ids import SourceId
from stoa.kernel.problems import BadInput
from stoa.people.matching import ClaimBy

_RULES: Final = """
SELECT s.source_id, s.name, s.kind, c.matched_by FROM source s
LEFT JOIN claim_rule c ON c.tenant_id = $1 AND c.source_id = $2 AND c.of_source = s.source_id
WHERE s.tenant_id = $1 AND s.source_id <> $2 AND s.kind <> 'console' ORDER BY s.name_key"""


@dataclass(frozen=True, slots=True)
class Claimable:
    """Another source, and by what its people are recognised; None: not at all."""

    source_id: SourceId
    name: str
    kind: str
    matched_by: ClaimBy | None


async def claimable(tx: TenantTx, source_id: SourceId) -> list[Claimable]:
    """The other sources of the tenant, with the rules by which this one claims their people."""
    return [
        Claimable(
            SourceId(row["source_id"]),
            row["name"],
            row["kind"],
            None if row["matched_by"] is None else ClaimBy(row["matched_by"]),
        )
        for row in await tx.fetch(_RULES, tx.tenant_id, source_id)
    ]


async def set_claims(tx: TenantTx, source_id: SourceId, wanted: Mapping[SourceId, ClaimBy | None]) -> bool:
    """Sets the rules for the named sources and leaves the others. Whether any is another than before.

    It holds for who is sent from now on: nobody who is known already is linked or parted by it.

    Raises:
        BadInput: there is no such other source.
    """
    await tx.execute("SELECT 1 FROM tenant WHERE tenant_id = $1 FOR NO KEY UPDATE", tx.tenant_id)
    before = {one.source_id: one.matched_by for one in await claimable(tx, source_id)}
    if unknown := sorted(str(one) for one in wanted.keys() - before.keys()):
        raise BadInput(
            f"There is no other source {', '.join(unknown)} whose people could be recognised.",
            hint="Choose one of the sources that the page lists.",
        )
    changed = {one: by for one, by in wanted.items() if before[one] is not by}
    if not changed:
        return False
    await tx.execute(
        "DELETE FROM claim_rule WHERE tenant_id = $1 AND source_id = $2 AND of_source = ANY($3)",
        *(tx.tenant_id, source_id, list(changed)),
    )
    await tx.execute_many(
        """INSERT INTO claim_rule (tenant_id, source_id, of_source, matched_by, made_by, made_at)
        VALUES ($1, $2, $3, $4, $5, $6)""",
        [(tx.tenant_id, source_id, one, by, tx.origin.actor, tx.now) for one, by in changed.items() if by is not None],
    )
    body = {
        "source_id": str(source_id),
        "before": {str(one): before[one] for one in changed},
        "after": {str(one): by for one, by in changed.items()},
    }
    emit(tx, Event("source.claims_changed", f"source:{source_id}", body))
    return True
