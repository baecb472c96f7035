"""The events of a batch, rendered when they are read from its changes and from what became of people for them.

A batch writes one entry for each of the two, whatever its size.
"""

from typing import Final

from stoa.db.transactions import TenantTx
from stoa.events.changed import event_of
from stoa.events.changed import is_outside as is_outside
from stoa.events.changed import outside as outside
from stoa.events.model import Event
from stoa.kernel.ids import RunId

# Of one ord, the change comes before its effect. $5 and $6: offset and limit. A new person is what the first record of
# the run says that made them (`made`), and what the effect says besides. LATERAL: a join that does not know how long
# the run is would go through all of it for each row.
ROWS: Final = """
WITH told AS (
  SELECT ord, effect FROM (
    SELECT c.ord, false AS effect FROM change c
    WHERE c.tenant_id = $1 AND c.run_id = $2 AND c.ord BETWEEN $3 AND $4
      AND c.state NOT IN ('conflict', 'rejected')
    UNION ALL
    SELECT e.ord, true FROM effect e WHERE e.tenant_id = $1 AND e.run_id = $2 AND e.ord BETWEEN $3 AND $4) AS one
  ORDER BY ord, effect OFFSET $5 LIMIT $6)
SELECT t.ord, t.effect, c.person_id, c.action, c.reason, c.subject, c.source_id, c.resource_id, c.before, c.after,
  NULL::bigint AS version, NULL::jsonb AS made, r.target
FROM told t CROSS JOIN LATERAL (
  SELECT * FROM change o WHERE o.tenant_id = $1 AND o.run_id = $2 AND o.ord = t.ord LIMIT 1) AS c
JOIN run r ON r.tenant_id = $1 AND r.run_id = $2
WHERE NOT t.effect
UNION ALL
SELECT t.ord, t.effect, e.person_id, NULL, NULL, NULL, NULL, NULL, e.before, e.after, e.version,
  CASE WHEN e.before IS NULL THEN (SELECT c.after FROM change c WHERE c.tenant_id = $1 AND c.person_id = e.person_id
    AND c.ord <= e.ord AND c.run_id = $2 AND c.before IS NULL AND c.state <> 'conflict' ORDER BY c.ord LIMIT 1) END,
  'person'
FROM told t CROSS JOIN LATERAL (
  SELECT * FROM effect o WHERE o.tenant_id = $1 AND o.run_id = $2 AND o.ord = t.ord LIMIT 1) AS e
WHERE t.effect
ORDER BY ord, effect"""


async def render_changes(
    tx: TenantTx, run_id: RunId, ord_from: int, ord_to: int, offset: int, limit: int
) -> list[Event]:
    """The events of what took effect at the ords ord_from..ord_to of a run, in order: those from `offset` on, at most
    `limit`. An `events.Renderer`.
    """
    rows = await tx.fetch(ROWS, tx.tenant_id, run_id, ord_from, ord_to, offset, limit)
    return [event_of(row, run_id) for row in rows]
