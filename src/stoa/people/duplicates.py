"""The search for people who may be the same person: a job that looks at whoever changed, and on demand at everybody.

It follows the event log by a cursor of its own, so nobody who changes people waits for it. Of a person it keeps the
keys of `duplicates_rules`; two who share one are compared, each pair once, when the later of them is looked at. So its
work grows with the people who changed, and never with the square of a company.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from stoa.db.transactions import Row, TenantTx
from stoa.events.actions import NUMBERED_AT_ONCE, number_entries
from stoa.events.queries import last_seq
from stoa.jobs.actions import enqueue
from stoa.jobs.run import JobRun
from stoa.people.duplicates_comparing import compare

SEARCH_JOB: Final = "people.duplicates"
# People in one transaction, and entries of the log that are read at once.
BATCH: Final = 500
_ENTRIES: Final = 500
_FIRST: Final = UUID(int=0)

_STATE: Final = """
INSERT INTO duplicate_search AS s (tenant_id, cursor, pass_after, pass_began_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (tenant_id) DO UPDATE SET searched_at = s.searched_at RETURNING cursor, pass_after, pass_people"""
_BEGIN: Final = """
INSERT INTO duplicate_search AS s (tenant_id, cursor, pass_after, pass_began_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (tenant_id) DO UPDATE SET pass_after = $3, pass_began_at = $4, pass_people = 0"""
_PAGE: Final = "SELECT person_id FROM person WHERE tenant_id = $1 AND person_id > $2 ORDER BY person_id LIMIT $3"
_PASSED: Final = """
UPDATE duplicate_search SET pass_after = $2, pass_people = pass_people + $3, searched_at = $4,
  pass_ended_at = CASE WHEN $2::uuid IS NULL THEN $4 ELSE pass_ended_at END
WHERE tenant_id = $1"""
_READ: Final = "UPDATE duplicate_search SET cursor = $2, searched_at = $3 WHERE tenant_id = $1"
# Numbered entries that stand for changes of runs (index entry_seq).
_LATER: Final = """
SELECT run_id, ord_from, ord_to, first_seq + n - 1 AS last FROM entry
WHERE tenant_id = $1 AND first_seq > $2 ORDER BY first_seq LIMIT $3"""
# Who they are about: whose records changed, by the link of today, and who became something else. Span by span: to join
# them all to all rows of their runs would read an hour of a busy source once for each.
_TOUCHED: Final = """
WITH spans AS MATERIALIZED (
  SELECT * FROM unnest($2::uuid[], $3::bigint[], $4::bigint[]) AS s(run_id, first, last))
SELECT r.person_id FROM spans s CROSS JOIN LATERAL (
  SELECT o.source_id, o.subject FROM change o
  WHERE o.tenant_id = $1 AND o.run_id = s.run_id AND o.ord BETWEEN s.first AND s.last OFFSET 0) AS c
JOIN source_record r ON r.tenant_id = $1 AND r.source_id = c.source_id AND r.external_id = c.subject
UNION
SELECT e.person_id FROM spans s CROSS JOIN LATERAL (
  SELECT o.person_id FROM effect o
  WHERE o.tenant_id = $1 AND o.run_id = s.run_id AND o.ord BETWEEN s.first AND s.last OFFSET 0) AS e
ORDER BY person_id"""


async def ask_for_search(tx: TenantTx) -> None:
    """Has a worker look at whoever changed."""
    await enqueue(tx, SEARCH_JOB, "")


# A request that has begun by now ends before a job does that is due so much later, and is seen by it.
_WAITS: Final = """
SELECT EXISTS (SELECT FROM job WHERE tenant_id = $1 AND kind = $2 AND key = '' AND wanted > seen
  AND lease_until IS NULL AND dead_at IS NULL AND due_at > $3)"""
_REST: Final = timedelta(minutes=1)
_LONGEST_REQUEST: Final = timedelta(seconds=15)


async def ask_for_search_later(tx: TenantTx) -> None:
    """Has a worker look at whoever changed, once a minute at most: for single requests, which must not wait for each
    other.
    """
    if not await tx.fetchval(_WAITS, tx.tenant_id, SEARCH_JOB, tx.now + _LONGEST_REQUEST):
        await enqueue(tx, SEARCH_JOB, "", due_at=tx.now + _REST)


async def ask_for_everybody(tx: TenantTx) -> None:
    """Has a worker look at everybody anew, from the first person on."""
    await tx.execute(_BEGIN, tx.tenant_id, await last_seq(tx), _FIRST, tx.now)
    await ask_for_search(tx)


async def search_duplicates(job: JobRun, *, batch: int = BATCH) -> None:
    """Handles SEARCH_JOB in transactions of at most `batch` people. A killed worker's successor goes on where it
    stopped.
    """
    while True:
        async with job.database.tenant(job.tenant_id, job.origin) as tx:
            await job.fence(tx)
            people, cursor = await _due(tx, batch)
        for start in range(0, len(people), batch):
            async with job.database.tenant(job.tenant_id, job.origin) as tx:
                await job.fence(tx)
                await compare(tx, people[start : start + batch])
        if cursor is None and not people:
            return
        async with job.database.tenant(job.tenant_id, job.origin) as tx:
            await job.fence(tx)
            if cursor is not None:
                await tx.execute(_READ, tx.tenant_id, cursor, tx.now)
            else:
                last = people[-1] if len(people) == batch else None
                await tx.execute(_PASSED, tx.tenant_id, last, len(people), tx.now)


async def _due(tx: TenantTx, batch: int) -> tuple[Sequence[UUID], int | None]:
    """Whom to look at next, and how far the log is read with that; None during a pass over everybody.

    With nothing to do there is nobody and None.
    """
    state = await tx.fetchrow(_STATE, tx.tenant_id, await last_seq(tx), _FIRST, tx.now)
    assert state is not None
    if state["pass_after"] is not None:
        rows = await tx.fetch(_PAGE, tx.tenant_id, state["pass_after"], batch)
        if rows:
            return [row["person_id"] for row in rows], None
        await tx.execute(_PASSED, tx.tenant_id, None, 0, tx.now)
    # What was committed a moment ago is looked at too, whoever comes first to number it.
    await number_entries(tx, limit=NUMBERED_AT_ONCE, wait=False)
    entries = await tx.fetch(_LATER, tx.tenant_id, state["cursor"], _ENTRIES)
    if not entries:
        return [], None
    spans = _spans(entries)
    runs, firsts, lasts = list(spans), [first for first, _ in spans.values()], [last for _, last in spans.values()]
    rows = await tx.fetch(_TOUCHED, tx.tenant_id, runs, firsts, lasts) if spans else []
    return [row["person_id"] for row in rows], entries[-1]["last"]


def _spans(entries: Sequence[Row]) -> dict[UUID, tuple[int, int]]:
    """Of each run that entries stand for, from which row to which: each request of an hour has an entry of its own.
    What lies between and belongs to later ones is looked at twice.
    """
    spans: dict[UUID, tuple[int, int]] = {}
    for row in entries:
        if row["ord_from"] is not None:
            first, last = spans.get(row["run_id"], (row["ord_from"], row["ord_to"]))
            spans[row["run_id"]] = min(first, row["ord_from"]), max(last, row["ord_to"])
    return spans
