"""Asking for jobs.

One row stands for all wake-ups of a kind and key. Asked for while it waits, it runs once, at the earliest of the
moments asked for; asked for while it runs, it runs again. So a handler looks at what there is to do, and one that
works by date asks for the next date before it ends.
"""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from stoa.db.transactions import TenantTx
from stoa.jobs.model import CHANNEL, Wish
from stoa.kernel.ids import new_id

_WISHES: Final = "jobs"
_CLOSED: Final = "jobs.closed"

# In order of kind and key, so that two transactions that ask for the same jobs never wait for each other in a ring. A
# job that backs off keeps its due_at: somebody may have asked us to wait.
_ENQUEUE: Final = """
INSERT INTO job AS j (tenant_id, job_id, kind, key, args, due_at, created_at)
SELECT $1, w.job_id, w.kind, w.key, w.args, w.due_at, $2
FROM unnest($3::uuid[], $4::text[], $5::text[], $6::jsonb[], $7::timestamptz[]) AS w(job_id, kind, key, args, due_at)
ORDER BY w.kind COLLATE "C", w.key COLLATE "C"
ON CONFLICT (tenant_id, kind, key) DO UPDATE SET
  wanted = j.wanted + 1,
  args = excluded.args,
  due_at = CASE WHEN j.dead_at IS NOT NULL THEN excluded.due_at
                WHEN j.lease_until IS NOT NULL OR j.attempts > 0 THEN j.due_at
                ELSE least(j.due_at, excluded.due_at) END,
  again_at = CASE WHEN j.lease_until IS NOT NULL THEN least(j.again_at, excluded.due_at) ELSE j.again_at END,
  attempts = CASE WHEN j.dead_at IS NULL THEN j.attempts ELSE 0 END,
  dead_at = NULL"""

_REVIVE: Final = """
UPDATE job SET dead_at = NULL, attempts = 0, due_at = $3, wanted = wanted + 1
WHERE tenant_id = $1 AND job_id = $2 AND dead_at IS NOT NULL"""


async def enqueue(
    tx: TenantTx, kind: str, key: str, args: dict[str, Any] | None = None, *, due_at: datetime | None = None
) -> None:
    """Asks for the job of this kind and key; the last arguments win. It takes effect with the transaction, or not at
    all.

    due_at: the earliest moment, on the tenant's clock; None is at once. A dead job comes back to life.

    The rows are written at the end of the transaction, so that a job that many ask for is locked for the length of a
    commit alone.
    """
    wish = Wish(kind, key, args or {}, due_at)
    if tx.memo.get(_CLOSED):
        await _write_wishes(tx, [wish])
    else:
        # A tuple, replaced and never changed: whoever copies the memo can put it back.
        tx.memo[_WISHES] = (*tx.memo.get(_WISHES, ()), wish)
        tx.before_commit("jobs", _write)


async def revive(tx: TenantTx, job_id: UUID) -> bool:
    """Gives a dead job another life, due at once. False: there is no such dead job."""
    revived = await tx.execute(_REVIVE, tx.tenant_id, job_id, tx.now)
    wake_workers(tx)
    return revived == 1


def wake_workers(tx: TenantTx) -> None:
    """Wakes the workers after the commit."""
    tx.wake(CHANNEL)


async def _write(tx: TenantTx) -> None:
    tx.memo[_CLOSED] = True
    await _write_wishes(tx, tx.memo.get(_WISHES, ()))


async def _write_wishes(tx: TenantTx, wishes: list[Wish] | tuple[Wish, ...]) -> None:
    merged: dict[tuple[str, str], Wish] = {}
    for wish in wishes:
        due_at = wish.due_at or tx.now
        earlier = merged.get((wish.kind, wish.key))
        if earlier is not None and earlier.due_at is not None:
            due_at = min(due_at, earlier.due_at)
        merged[wish.kind, wish.key] = Wish(wish.kind, wish.key, wish.args, due_at)
    if not merged:
        return
    rows = list(merged.values())
    await tx.execute(
        _ENQUEUE,
        tx.tenant_id,
        tx.now,
        [new_id() for _ in rows],
        [wish.kind for wish in rows],
        [wish.key for wish in rows],
        [wish.args for wish in rows],
        [wish.due_at for wish in rows],
    )
    wake_workers(tx)
