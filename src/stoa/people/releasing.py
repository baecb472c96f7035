"""What becomes of effects that were held, once an admin has decided: released by the worker in batches, or put back by
a rollback, which ends the holds.
"""

# ruff: noqa: S608 - constants of the code; every value is a bound parameter

from typing import Final

from stoa.changes.holding import close_if_empty
from stoa.changes.model import RunKind
from stoa.changes.target import Batch
from stoa.db.transactions import TenantTx
from stoa.kernel.ids import PersonId
from stoa.people.columns import BATCH, RECORD_OF_CHANGE
from stoa.people.recompute import recompute
from stoa.people.undo import HELD_SINCE

# Records before persons, as everywhere: their clients wait, and see what was decided.
_LOCK: Final = f"""
SELECT r.person_id FROM change c JOIN source_record r ON {RECORD_OF_CHANGE} WHERE {BATCH}
ORDER BY r.external_id FOR UPDATE OF r"""

_RELEASE: Final = f"""
WITH ended AS (
  UPDATE hold h SET state = 'released', decided_at = $5 FROM change c
  WHERE {BATCH} AND h.tenant_id = $1 AND h.run_id = $2 AND h.resource_id = c.resource_id AND h.state = 'held'
  RETURNING h.resource_id)
SELECT r.person_id FROM ended JOIN source_record r ON r.tenant_id = $1 AND r.resource_id = ended.resource_id"""


async def release(tx: TenantTx, batch: Batch) -> None:
    """Lets what was held in a batch of an approved run take effect. What its source took back meanwhile is left out.

    The changes of the records were told when they came, so only what becomes of the persons is told.
    """
    key = (tx.tenant_id, batch.run.run_id, batch.first, batch.last)
    await tx.fetch(_LOCK, *key)
    rows = await tx.fetch(_RELEASE, *key, tx.now)
    await recompute(tx, [PersonId(row["person_id"]) for row in rows], batch.run.run_id)


# Of a rollback that puts back what was rejected, every record's hold ends, even where the record must be left alone;
# of one since a moment ($7), each hold that has come since, where there was none at the moment; of any, that of a
# record which is active again.
_END: Final = f"""
WITH mine AS MATERIALIZED (
  SELECT c.source_id, c.subject, c.resource_id, c.state = 'planned' AS done FROM change c
  WHERE c.tenant_id = $1 AND c.run_id = $2 AND c.ord BETWEEN $3 AND $4
), ended AS (
  UPDATE hold h SET state = 'rejected', decided_at = $5 FROM mine
  WHERE h.tenant_id = $1 AND h.resource_id = mine.resource_id AND h.field = 'active' AND h.state = 'held'
    AND (h.run_id = $6
      OR mine.done AND {HELD_SINCE.format(since="$7::timestamptz")}
      OR EXISTS (SELECT FROM source_record r
        WHERE r.tenant_id = $1 AND r.source_id = mine.source_id AND r.external_id = mine.subject AND r.active))
  RETURNING h.resource_id, h.run_id, mine.source_id, mine.subject
), marked AS (
  UPDATE change c SET state = 'rejected', note = coalesce(c.note, '{{}}') || '{{"code": "put_back"}}' FROM ended
  WHERE c.tenant_id = $1 AND c.run_id = ended.run_id AND c.source_id = ended.source_id AND c.subject = ended.subject
    AND c.state = 'planned' AND ended.run_id IS DISTINCT FROM $6)
SELECT r.person_id, ended.run_id FROM ended
JOIN source_record r ON r.tenant_id = $1 AND r.resource_id = ended.resource_id"""


async def end_holds(tx: TenantTx, batch: Batch) -> None:
    """Ends the holds upon the records that a batch of a rollback has put back, after it was applied.

    Holds that are in no doubt any more leave the run that collects them; it ends with the last.
    """
    run = batch.run
    if run.kind is not RunKind.ROLLBACK:
        return
    key = (tx.tenant_id, run.run_id, batch.first, batch.last, tx.now, run.of_run, run.since)
    rows = await tx.fetch(_END, *key)
    await recompute(tx, [PersonId(row["person_id"]) for row in rows], run.run_id)
    for run_id in sorted({row["run_id"] for row in rows} - {run.of_run}):
        await close_if_empty(tx, run_id)
