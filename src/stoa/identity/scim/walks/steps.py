"""How far the connection of an identity provider is: which one it is, and what came of it by now."""

from dataclasses import dataclass
from typing import Final

from stoa.db.transactions import TenantTx
from stoa.identity.scim.walks import WALKS, walk_named, walk_of
from stoa.identity.scim.walks.model import Walk
from stoa.kernel.ids import SourceId
from stoa.kernel.problems import BadInput
from stoa.tenants.model import Source

_CHOSEN: Final = "SELECT walk FROM scim_walk WHERE tenant_id = $1 AND source_id = $2"
_CHOOSE: Final = """
INSERT INTO scim_walk (tenant_id, source_id, walk) VALUES ($1, $2, $3)
ON CONFLICT (tenant_id, source_id) DO UPDATE SET walk = excluded.walk"""
_ARRIVED: Final = """
SELECT r.*, g.*,
  (SELECT count(*) FROM decision d WHERE d.tenant_id = $1 AND d.source_id = $2 AND d.subject_key IS NOT NULL
    AND d.resolved_at IS NULL AND d.verdict IS NULL) AS refused,
  (SELECT count(*) FROM run h WHERE h.tenant_id = $1 AND h.source_id = $2 AND h.kind = 'scim_hold'
    AND h.state = 'held') AS held,
  (SELECT count(*) FROM domain m WHERE m.tenant_id = $1) AS domains,
  (SELECT t.owner_email IS NOT NULL FROM tenant t WHERE t.tenant_id = $1) AS has_owner
FROM (
  SELECT count(*) AS people, count(*) FILTER (WHERE s.active) AS active,
    count(*) FILTER (WHERE s.employee_id IS NULL) AS without_number,
    count(*) FILTER (WHERE s.email IS NULL) AS without_email
  FROM source_record s WHERE s.tenant_id = $1 AND s.source_id = $2 AND s.present) r,
(SELECT count(*) AS groups, count(*) FILTER (WHERE EXISTS (
    SELECT FROM role_rule o WHERE o.tenant_id = $1 AND o.group_id = p.group_id)) AS giving
  FROM person_group p WHERE p.tenant_id = $1 AND p.source_id = $2 AND p.present) g"""


@dataclass(frozen=True, slots=True)
class Arrived:
    """What came of a connection by now.

    Attributes:
        people, active: users it knows, and those of them who are active.
        without_number, without_email: users who were sent without an employee number, or an e-mail address.
        groups, giving: groups it sent, and those of them that give a role.
        refused: users who could not be told, and wait for somebody's word.
        held: runs of held effects that wait for approval.
        domains: proven domains of the tenant, at which an e-mail address tells who somebody is.
        has_owner: whether somebody is told of what goes wrong.
    """

    people: int
    active: int
    without_number: int
    without_email: int
    groups: int
    giving: int
    refused: int
    held: int
    domains: int
    has_owner: bool


async def walk_for(tx: TenantTx, source: Source) -> Walk:
    """The way through the screens of this source's provider: as was chosen, else as its name says."""
    chosen: str | None = await tx.fetchval(_CHOSEN, tx.tenant_id, source.source_id)
    return walk_named(source.name) if chosen is None else walk_of(chosen)


async def choose_walk(tx: TenantTx, source_id: SourceId, key: str) -> None:
    """Notes which provider a source is. Raises BadInput for one that is not known."""
    if key not in WALKS:
        raise BadInput("There is no such provider to choose.", hint="Choose one of the list.")
    await tx.execute(_CHOOSE, tx.tenant_id, source_id, key)


async def arrived(tx: TenantTx, source_id: SourceId) -> Arrived:
    """What came of the connection by now."""
    row = await tx.fetchrow(_ARRIVED, tx.tenant_id, source_id)
    assert row is not None
    return Arrived(**dict(row))
