"""Work that a client asks for and does not wait for: its input in rows, its progress, and what came of each item.

Whoever does the work takes a stretch of the input in the transaction in which it does it and writes the results down.
So what a killed worker has begun and not committed is begun anew by its successor, and nothing is done twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from stoa.api.problems import problem_members
from stoa.db.transactions import Row, TenantTx
from stoa.events.actions import emit
from stoa.events.model import Event
from stoa.jobs.actions import enqueue
from stoa.jobs.model import DeadJob
from stoa.jobs.run import Handler, JobRun
from stoa.kernel.ids import SourceId, new_id, parse_id
from stoa.kernel.problems import Conflict, NotFound, Problem

# Forgets a job of the API once its time is over.
FORGET_JOB: Final = "api.forget_job"
KEPT: Final = timedelta(days=7)
# Of a tenant, waiting or at work.
MOST_OPEN: Final = 20
JobState = Literal["queued", "running", "done", "failed", "cancelled"]
_FINISHED: Final = frozenset({"done", "failed", "cancelled"})

COLUMNS: Final = (
    "j.api_job_id AS id, j.kind, j.state, j.actor, j.address, j.source_id, j.total, j.done, j.failed, j.problem, "
    "j.created_at, j.started_at, j.finished_at, j.updated_at"
)


class JobFinished(Conflict):
    """The job has ended, so it cannot be cancelled any more.

    What it did stays. Ask for the job: its results say what was done.
    """

    code = "job_finished"


class TooManyJobs(Conflict):
    """As many jobs of the tenant as may be are waiting or at work. Wait for one of them to end, or stop one."""

    code = "too_many_jobs"


class JobFailed(Problem):
    """The work failed on the server's side, again and again, and was given up.

    What was done before that stays. The results of the job say what; the rest can be sent again.
    """

    code = "job_failed_here"
    status = 500


@dataclass(frozen=True, slots=True)
class ApiJob:
    """A job of the API.

    Attributes:
        actor: on whose behalf, as the event log has it. address: from where it was asked for.
        source_id: in whose name it asserts, if it does.
        total: items. done: how many were worked on; failed: how many of these were refused.
        problem: why it could not go on, as the members of a problem document without an address.
    """

    id: UUID
    kind: str
    state: JobState
    actor: str
    address: str | None
    source_id: SourceId | None
    total: int
    done: int
    failed: int
    problem: dict[str, Any] | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    updated_at: datetime

    @property
    def ended(self) -> bool:
        """Whether nothing more will be done."""
        return self.state in _FINISHED


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some items, in their order. first: the place of the first among all."""

    first: int
    items: Sequence[msgspec.Raw]


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one item. result: as JSON shows it."""

    item: int
    status: int
    result: dict[str, Any]


_OPEN: Final = "SELECT count(*) FROM api_job WHERE tenant_id = $1 AND state IN ('queued', 'running')"
_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_INSERT: Final = """
INSERT INTO api_job (tenant_id, api_job_id, kind, state, actor, address, source_id, total, created_at, updated_at)
VALUES ($1, $2, $3, 'queued', $4, $5, $6, $7, $8, $8)"""
_INSERT_INPUT: Final = """
INSERT INTO api_job_input (tenant_id, api_job_id, first_item, items)
SELECT $1, $2, v.first_item, v.items FROM unnest($3::integer[], $4::bytea[]) AS v(first_item, items)"""


async def submit(
    tx: TenantTx, kind: str, items: Sequence[msgspec.Raw], *, source_id: SourceId | None, at_once: int
) -> ApiJob:
    """Makes a job of these items on behalf of who acts, and has it begun: the worker's job `kind` with the id as key.

    at_once: items of a stretch.

    Raises:
        TooManyJobs.
    """
    if await tx.fetchval(_OPEN, tx.tenant_id) >= MOST_OPEN:
        raise TooManyJobs(
            f"{MOST_OPEN} jobs of this tenant are waiting or at work.", hint="Wait for one of them to end, or stop one."
        )
    job_id = new_id()
    firsts = range(0, len(items), at_once)
    parts = [b"[" + b",".join(bytes(one) for one in items[first : first + at_once]) + b"]" for first in firsts]
    origin = tx.origin
    await tx.execute(_INSERT, tx.tenant_id, job_id, kind, origin.actor, origin.address, source_id, len(items), tx.now)
    await tx.execute(_INSERT_INPUT, tx.tenant_id, job_id, list(firsts), parts)
    await enqueue(tx, kind, str(job_id))
    emit(tx, Event("job.queued", f"job:{job_id}", {"kind": kind, "total": len(items)}))
    return await job(tx, job_id)


async def job(tx: TenantTx, job_id: UUID, *, lock: bool = False) -> ApiJob:
    """A job; locked to the end of the transaction if asked. Raises NotFound."""
    found = await find_job(tx, job_id, lock=lock)
    if found is None:
        raise NotFound("There is no such job in this tenant.", hint="Jobs are forgotten seven days after their end.")
    return found


async def find_job(tx: TenantTx, job_id: UUID, *, lock: bool = False) -> ApiJob | None:
    """As `job`; None where there is none."""
    text = f"SELECT {COLUMNS} FROM api_job j WHERE j.tenant_id = $1 AND j.api_job_id = $2"  # noqa: S608 - code
    row = await tx.fetchrow(f"{text} FOR UPDATE" if lock else text, tx.tenant_id, job_id)
    return None if row is None else job_of(row)


def job_of(row: Row) -> ApiJob:
    """A job from a row that begins with COLUMNS."""
    return ApiJob(**{name: row[name] for name in ApiJob.__dataclass_fields__})


# ------------------------------------------------------------------ working

_TAKE: Final = """
DELETE FROM api_job_input WHERE tenant_id = $1 AND api_job_id = $2 AND first_item = (
  SELECT min(first_item) FROM api_job_input WHERE tenant_id = $1 AND api_job_id = $2)
RETURNING first_item, items"""
_RESULTS: Final = """
INSERT INTO api_job_result (tenant_id, api_job_id, item, status, result)
SELECT $1, $2, v.* FROM unnest($3::integer[], $4::smallint[], $5::jsonb[]) AS v(item, status, result)"""
_PROGRESS: Final = """
UPDATE api_job SET state = 'running', done = done + $3, failed = failed + $4, updated_at = $5,
  started_at = coalesce(started_at, $5)
WHERE tenant_id = $1 AND api_job_id = $2"""
_END: Final = """
UPDATE api_job SET state = $3, problem = $4, finished_at = $5, updated_at = $5, started_at = coalesce(started_at, $6)
WHERE tenant_id = $1 AND api_job_id = $2"""


async def take(tx: TenantTx, job_id: UUID) -> Stretch | None:
    """The next items, which are taken out of the input; None when there are no more. Lock the job before."""
    row = await tx.fetchrow(_TAKE, tx.tenant_id, job_id)
    return None if row is None else Stretch(row["first_item"], _items(row["items"]))


async def note(tx: TenantTx, job_id: UUID, results: Sequence[Result]) -> None:
    """Writes down what came of some items."""
    await tx.execute(
        _RESULTS,
        *(tx.tenant_id, job_id, [one.item for one in results], [one.status for one in results]),
        [one.result for one in results],
    )
    failed = sum(one.status >= 400 for one in results)
    await tx.execute(_PROGRESS, tx.tenant_id, job_id, len(results), failed, tx.now)


async def end(tx: TenantTx, found: ApiJob, state: JobState, problem: dict[str, Any] | None = None) -> None:
    """Ends a job, which is forgotten some days later. What is left of its input is forgotten now."""
    began = tx.now if state == "done" else None
    await tx.execute(_END, tx.tenant_id, found.id, state, problem, tx.now, began)
    await tx.execute("DELETE FROM api_job_input WHERE tenant_id = $1 AND api_job_id = $2", tx.tenant_id, found.id)
    await enqueue(tx, FORGET_JOB, str(found.id), due_at=tx.now + KEPT)
    body = {"kind": found.kind, "state": state, "total": found.total, "done": found.done, "failed": found.failed}
    emit(tx, Event("job.cancelled" if state == "cancelled" else "job.finished", f"job:{found.id}", body))


async def cancel(tx: TenantTx, job_id: UUID) -> ApiJob:
    """Stops a job: what is being done now is done to its end, nothing is begun. One that was cancelled stays so.

    Raises:
        NotFound, JobFinished.
    """
    found = await job(tx, job_id, lock=True)
    if found.state == "cancelled":
        return found
    if found.ended:
        raise JobFinished(f"The job has ended: it is {found.state}.", hint="What it did stays. Undo its run instead.")
    await end(tx, found, "cancelled")
    return await job(tx, job_id)


async def note_dead(tx: TenantTx, dead: DeadJob) -> None:
    """Ends a job of the API whose worker's job is not tried any more: called in the transaction that buries it."""
    job_id = parse_id(dead.key)
    found = None if job_id is None else await find_job(tx, job_id, lock=True)
    if found is None or found.ended or found.kind != dead.kind:
        return
    problem = JobFailed(
        "The work failed on the server's side and was given up.",
        hint="The results tell what was done. The operator of the server was told; send what is left once more.",
    )
    await end(tx, found, "failed", problem_members(problem, base_url=""))


def forgetting_jobs() -> dict[str, Handler]:
    """The handler that forgets jobs."""
    return {FORGET_JOB: _forget}


async def _forget(run: JobRun) -> None:
    job_id = UUID(run.key)
    async with run.database.tenant(run.tenant_id, run.origin) as tx:
        await run.fence(tx)
        found = await find_job(tx, job_id, lock=True)
        if found is None or not found.ended:
            return
        for table in ("api_job_result", "api_job_input", "api_job"):
            await tx.execute(f"DELETE FROM {table} WHERE tenant_id = $1 AND api_job_id = $2", tx.tenant_id, job_id)  # noqa: S608 - code
