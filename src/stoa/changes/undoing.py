"""What a source did from a moment on, counted, for whoever thinks of undoing it."""

# ruff: noqa: S608 - constants of the code; every value is a bound parameter

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from stoa.changes.counting import PlanCount, count_rows
from stoa.changes.model import Run
from stoa.changes.queries import RUN_COLUMNS, run_of
from stoa.changes.undone import OF_SOURCE
from stoa.db.transactions import TenantTx
from stoa.kernel.ids import SourceId
from stoa.tenants.model import Source
from stoa.tenants.queries import source as source_of

# What a source changes, each undone by a run of its own: `run.target`.
TARGETS: Final = ("person", "group")
# More than so many are not counted for a page; the plan counts them all.
MOST_COUNTED: Final = 20_000


@dataclass(frozen=True, slots=True)
class Done:
    """What a source did from a moment on.

    Attributes:
        plan: by action and reason, as far as MOST_COUNTED changes.
        runs: in which it did it, the newest first, some of them.
        waits: how many effects of its requests wait for a decision; undoing puts them back too.
        under_way: runs that undo it already, or wait for a decision.
    """

    source: Source
    plan: PlanCount
    runs: tuple[Run, ...]
    waits: int
    under_way: tuple[Run, ...]


_RUNS: Final = f"""
SELECT {RUN_COLUMNS} FROM run WHERE tenant_id = $1 AND source_id = $2 AND kind IN {OF_SOURCE}
  AND (kind = 'scim_window' AND created_at > $4 AND $3::timestamptz IS NOT NULL OR applying_at >= $3)
ORDER BY created_at DESC LIMIT 50"""
_COUNT: Final = f"""
SELECT action, reason, false AS conflict, count(*) AS n, 0 AS partial FROM (
  SELECT c.action, c.reason FROM run w JOIN change c ON c.tenant_id = $1 AND c.run_id = w.run_id
  WHERE w.tenant_id = $1 AND w.source_id = $2 AND w.kind IN {OF_SOURCE}
    AND (w.kind = 'scim_window' AND w.created_at > $4 OR w.kind <> 'scim_window' AND w.applying_at >= $3)
    AND (c.state = 'applied' AND (c.at >= $3 OR w.kind <> 'scim_window')
      OR c.state = 'planned' AND c.ord <= w.applied_through) LIMIT $5) AS did
GROUP BY 1, 2 ORDER BY 1, 4 DESC, 2"""
_UNDER_WAY: Final = f"""
SELECT {RUN_COLUMNS} FROM run WHERE tenant_id = $1 AND source_id = $2 AND since IS NOT NULL
  AND state NOT IN ('applied', 'rejected', 'errored', 'stale', 'undone') ORDER BY target"""


async def done_since(tx: TenantTx, source_id: SourceId, since: datetime) -> Done | None:
    """What a source did at or after a moment; None where the tenant has no such source."""
    source = await source_of(tx, source_id)
    if source is None:
        return None
    # An hour's run may have begun before the moment.
    key = (tx.tenant_id, source_id, since, since - timedelta(hours=1))
    waits = await tx.fetchval(
        """SELECT count(*) FROM run r JOIN change c ON c.tenant_id = $1 AND c.run_id = r.run_id AND c.state = 'planned'
        WHERE r.tenant_id = $1 AND r.source_id = $2 AND r.kind = 'scim_hold' AND r.state = 'held'""",
        *(tx.tenant_id, source_id),
    )
    return Done(
        source,
        count_rows(await tx.fetch(_COUNT, *key, MOST_COUNTED)),
        tuple(run_of(row) for row in await tx.fetch(_RUNS, *key)),
        waits,
        tuple(run_of(row) for row in await tx.fetch(_UNDER_WAY, tx.tenant_id, source_id)),
    )
