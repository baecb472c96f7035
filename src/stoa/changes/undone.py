"""Marking what a finished rollback has undone: the changes themselves, and the runs that they belong to."""

# ruff: noqa: S608 - constants of the code; every value is a bound parameter

from typing import Final

from stoa.changes.model import Run
from stoa.db.transactions import TenantTx

# What a source did by itself: neither what admins undid or merged, nor what was computed anew; and of effects that were
# held, the source's word stands in its hour.
OF_SOURCE: Final = "('sync', 'scim_window', 'due', 'import', 'bulk')"

# $1 tenant, $2 the rollback. A row `c` of the rollback, planned or done, names the last change that it inverts.
_ROWS: Final = """c.tenant_id = $1 AND c.run_id = $2 AND c.state = 'planned' AND u.tenant_id = $1
  AND u.source_id = c.source_id AND u.subject = c.subject"""

_OF_RUN: Final = f"""
UPDATE change u SET state = 'undone' FROM change c
WHERE {_ROWS} AND u.run_id = $3 AND u.state IN ('applied', 'planned') AND u.ord <= (c.note->>'inverts')::bigint"""

# An hour's window may be undone more than once, each time what came since. What was rejected stays so.
_THE_RUN: Final = """
UPDATE run SET state = CASE WHEN kind = 'scim_window' OR state = 'rejected' THEN state ELSE 'undone' END,
  figures = figures || jsonb_build_object('undone', coalesce((figures->>'undone')::bigint, 0) + $3)
WHERE tenant_id = $1 AND run_id = $2 AND state IN ('applied', 'rejected')
  AND (state = 'applied' OR kind = 'scim_hold')"""

# $3 the run that collected. What it holds was said in an hour of the source's, in the same transaction. So was what its
# rollback found there by itself, such as a group that was deleted.
_SAID: Final = f"""
UPDATE change u SET state = 'undone' FROM change c, run w, run o
WHERE {_ROWS} AND u.run_id = w.run_id AND w.tenant_id = $1 AND w.kind = 'scim_window' AND u.state = 'applied'
  AND o.tenant_id = $1 AND o.run_id = $3 AND o.kind = 'scim_hold'
  AND (u.ord = (c.note->>'inverts')::bigint OR EXISTS (SELECT FROM change h WHERE h.tenant_id = $1 AND h.run_id = $3
    AND h.ord = (c.note->>'inverts')::bigint AND h.action = u.action AND h.at = u.at))"""

# $3 since when.
_SINCE: Final = f"""
WITH marked AS (
  UPDATE change u SET state = 'undone' FROM change c, run w
  WHERE {_ROWS} AND w.tenant_id = $1 AND w.run_id = u.run_id AND w.kind IN {OF_SOURCE}
    AND u.ord <= (c.note->>'inverts')::bigint
    AND ((u.state = 'applied' AND u.at >= $3)
      OR (u.state = 'planned' AND u.ord <= w.applied_through AND w.applying_at >= $3))
  RETURNING u.run_id
), counted AS (SELECT run_id, count(*) AS n FROM marked GROUP BY run_id)
UPDATE run SET state = CASE WHEN kind = 'scim_window' THEN state ELSE 'undone' END,
  figures = figures || jsonb_build_object('undone', coalesce((figures->>'undone')::bigint, 0) + counted.n)
FROM counted WHERE run.tenant_id = $1 AND run.run_id = counted.run_id AND run.state = 'applied'"""


async def mark_undone(tx: TenantTx, rollback: Run) -> None:
    """Marks as undone the changes that a finished rollback inverted, and their runs, which count them."""
    if rollback.since is not None:
        await tx.execute(_SINCE, tx.tenant_id, rollback.run_id, rollback.since)
        return
    key = (tx.tenant_id, rollback.run_id, rollback.of_run)
    undone = await tx.execute(_OF_RUN, *key)
    await tx.execute(_SAID, *key)
    await tx.execute(_THE_RUN, tx.tenant_id, rollback.of_run, undone)
