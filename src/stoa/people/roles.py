"""The roles that follow from groups, written down: everybody's by one statement, with the events of those whose roles
changed.

Persons are locked first and their groups read in a later statement, so that of two writers of one person the second
sees what the first wrote.
"""

from collections.abc import Collection, Sequence
from typing import Final

from stoa.db.transactions import TenantTx
from stoa.events.actions import emit_all
from stoa.events.model import Event
from stoa.kernel.ids import PersonId, RunId

CHANGED: Final = "person.roles_changed"
_AT_ONCE: Final = 5_000
_LOCK: Final = "SELECT 1 FROM person WHERE tenant_id = $1 AND person_id = ANY($2) ORDER BY person_id FOR UPDATE"

# Roles of the person `p`: those that rules of groups in force give. $1 is the tenant. `roles_rules.roles_of` is the
# definition.
GIVEN: Final = """
      SELECT DISTINCT u.role FROM source_record r
      JOIN group_member m ON m.tenant_id = $1 AND m.resource_id = r.resource_id AND m.in_force
      JOIN person_group g ON g.tenant_id = $1 AND g.group_id = m.group_id AND g.present
      JOIN role_rule u ON u.tenant_id = $1 AND u.group_id = m.group_id
      WHERE r.tenant_id = $1 AND r.person_id = p.person_id AND r.present ORDER BY u.role"""

# The epoch rises with the roles, so that whoever is signed in is asked for again with those that they have now.
_SETTLE: Final = f"""
WITH state AS MATERIALIZED (
  SELECT p.person_id,
    ARRAY(SELECT h.role FROM person_role h WHERE h.tenant_id = $1 AND h.person_id = p.person_id ORDER BY h.role) AS had,
    ARRAY({GIVEN}) AS has
  FROM person p WHERE p.tenant_id = $1 AND p.person_id = ANY($2)
), changed AS MATERIALIZED (
  SELECT * FROM state WHERE had <> has
), lost AS (
  DELETE FROM person_role h USING changed c
  WHERE h.tenant_id = $1 AND h.person_id = c.person_id AND h.role <> ALL(c.has)
), won AS (
  INSERT INTO person_role (tenant_id, person_id, role, since)
  SELECT $1, c.person_id, n.role, $3 FROM changed c CROSS JOIN unnest(c.has) AS n (role) WHERE n.role <> ALL(c.had)
)
UPDATE person p SET access_epoch = p.access_epoch + 1 FROM changed c
WHERE p.tenant_id = $1 AND p.person_id = c.person_id
RETURNING p.person_id, p.version, c.had, c.has"""  # noqa: S608 - made of constants


async def settle_roles(tx: TenantTx, person_ids: Collection[PersonId], run_id: RunId | None) -> None:
    """Brings people's roles up to date with their groups and the rules, and tells of those whose roles changed. Twice
    is as once. Ids of nobody are passed over.

    run_id: the run that it follows from, if any; the events name it.
    """
    wanted = sorted(set(person_ids))
    for start in range(0, len(wanted), _AT_ONCE):
        await _settle(tx, wanted[start : start + _AT_ONCE], run_id)


async def _settle(tx: TenantTx, person_ids: Sequence[PersonId], run_id: RunId | None) -> None:
    await tx.execute(_LOCK, tx.tenant_id, list(person_ids))
    rows = await tx.fetch(_SETTLE, tx.tenant_id, list(person_ids), tx.now)
    rows.sort(key=lambda row: row["person_id"])
    emit_all(
        tx,
        [_event(row["person_id"], row["version"], row["had"], row["has"]) for row in rows],
        run_id=run_id,
    )


def _event(person_id: PersonId, version: int, had: Sequence[str], has: Sequence[str]) -> Event:
    body = {"before": {"roles": list(had)}, "after": {"roles": list(has)}, "version": version}
    return Event(CHANGED, subject=str(person_id), body=body)
