"""Reading the log for a line, in one statement where it can be done in one."""

from typing import Final

from stoa.db.transactions import Row, TenantTx
from stoa.events.model import Renderer, StoredEvent
from stoa.events.queries import read_events
from stoa.kernel.ids import RunId

# Entries that begin after the cursor, with their events (indexes entry_seq and event_pkey).
_PLAIN: Final = """
SELECT e.at, e.actor, e.via, e.run_id, e.ord_from, e.first_seq + v.ord AS seq, v.type, v.subject, v.body
FROM entry e LEFT JOIN event v ON v.tenant_id = $1 AND v.entry_no = e.entry_no
WHERE e.tenant_id = $1 AND e.first_seq > $2 AND e.first_seq <= $2::bigint + $3::bigint
ORDER BY e.first_seq, v.ord"""


async def read_page(tx: TenantTx, after: int, limit: int, render: Renderer | None) -> list[StoredEvent]:
    """What `read_events` gives. Most pages hold plain events alone, which are read at once; one on which something is a
    bulk entry, is gone, or began before the page, is read by `read_events`.
    """
    rows = await tx.fetch(_PLAIN, tx.tenant_id, after, limit)
    is_plain = all(row["seq"] == after + place and row["ord_from"] is None for place, row in enumerate(rows, 1))
    if not rows or not is_plain:
        return await read_events(tx, after, limit, render)
    return [_stored(row) for row in rows[:limit]]


def _stored(row: Row) -> StoredEvent:
    run_id = row["run_id"]
    return StoredEvent(
        seq=row["seq"],
        type=row["type"],
        subject=row["subject"],
        at=row["at"],
        actor=row["actor"],
        via=row["via"],
        run_id=None if run_id is None else RunId(run_id),
        body=row["body"],
    )
