"""Changing which source wins which field: another version, and the run that brings everybody up to date with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from stoa.changes import queries as runs
from stoa.changes.model import NewRun, Run, RunKind, RunState
from stoa.changes.rules import FINISHED
from stoa.db.transactions import TenantTx
from stoa.jobs.actions import enqueue
from stoa.jobs.run import Handler, JobRun
from stoa.kernel.ids import PersonId, RunId, SourceId
from stoa.people.authority import ranked_of, set_authority
from stoa.people.journal import TARGET
from stoa.people.recompute import recompute_everybody
from stoa.tenants.status import ask_recount

RECOMPUTE_JOB: Final = "people.recompute"
# People of one transaction: a second or two, so that whoever waits for one of them does not wait long.
_AT_ONCE: Final = 2_000
_CONSOLE: Final = "SELECT source_id FROM source WHERE tenant_id = $1 AND kind = 'console' ORDER BY created_at LIMIT 1"


@dataclass(frozen=True, slots=True)
class Version:
    """One version of the ranking. made_by: the actor."""

    version: int
    made_by: str
    made_at: datetime


async def versions(tx: TenantTx, *, limit: int = 50) -> list[Version]:
    """The versions of the ranking, newest first; without version 0, the default."""
    rows = await tx.fetch(
        """SELECT version, made_by, made_at FROM authority_version WHERE tenant_id = $1
        ORDER BY version DESC LIMIT $2""",
        *(tx.tenant_id, limit),
    )
    return [Version(row["version"], row["made_by"], row["made_at"]) for row in rows]


async def change_ranking(
    tx: TenantTx, ranking: Mapping[str, Sequence[SourceId]], *, expected: int | None = None
) -> Run:
    """Puts another ranking into force, of which the fields left out keep the default, and queues the run that
    recomputes everybody.

    expected: the version that the caller has seen; None for whichever is in force.

    Raises:
        BadInput: there is no such field or source, or a source is named twice for a field.
        AuthorityChanged: another version than the expected one is in force by now.
    """
    version = await set_authority(tx, ranking, expected=expected)
    source_id = SourceId(await tx.fetchval(_CONSOLE, tx.tenant_id))
    run = await runs.insert_run(tx, NewRun(RunKind.RECOMPUTE, TARGET, source_id))
    await tx.execute(
        "UPDATE run SET authority_version = $3 WHERE tenant_id = $1 AND run_id = $2", tx.tenant_id, run.run_id, version
    )
    await enqueue(tx, RECOMPUTE_JOB, str(run.run_id))
    return run


async def put_back(tx: TenantTx, version: int, *, expected: int | None = None) -> Run:
    """Puts what an earlier version ranked into force again, as a version of its own, with its run.

    Raises:
        NotFound: there is no such version.
        BadInput, AuthorityChanged: as `change_ranking`.
    """
    return await change_ranking(tx, await ranked_of(tx, version), expected=expected)


async def latest_run(tx: TenantTx) -> Run | None:
    """The latest run that recomputes everybody."""
    run_id = await tx.fetchval(
        """SELECT run_id FROM run WHERE tenant_id = $1 AND kind = 'recompute' AND authority_version IS NOT NULL
        ORDER BY created_at DESC, run_id DESC LIMIT 1""",
        tx.tenant_id,
    )
    return None if run_id is None else await runs.run_by_id(tx, run_id)


# ------------------------------------------------------------------ the worker


def recomputing_jobs(at_once: int = _AT_ONCE) -> dict[str, Handler]:
    """The handler by its kind. at_once: people of one transaction."""

    async def recompute(job: JobRun) -> None:
        await recompute_all(job, at_once)

    return {RECOMPUTE_JOB: recompute}


async def recompute_all(job: JobRun, at_once: int = _AT_ONCE) -> None:
    """Brings everybody up to date in batches, each fenced and a transaction of its own; a killed worker's successor
    goes on where it stopped.
    """
    run_id = RunId(UUID(job.key))
    async with job.database.tenant(job.tenant_id, job.origin) as tx:
        await job.fence(tx)
        run = await _begun(tx, await runs.run_by_id(tx, run_id, lock=True), job.lease_epoch)
    while run.state is RunState.APPLYING:
        async with job.database.tenant(job.tenant_id, job.origin, role="sync") as tx:
            await job.fence(tx)
            run = await _go_on(tx, await runs.run_by_id(tx, run_id, lock=True), at_once)


async def _begun(tx: TenantTx, run: Run, lease_epoch: int) -> Run:
    if run.state in FINISHED or run.state is RunState.APPLYING:
        return run
    run = await runs.enter(tx, run, RunState.PLANNING, lease_epoch=lease_epoch)
    population = await tx.fetchval(
        "SELECT count(*) FROM person WHERE tenant_id = $1 AND merged_into IS NULL", tx.tenant_id
    )
    figures = run.figures | {"people": population, "people_done": 0}
    run = await runs.enter(tx, run, RunState.PLANNED, figures=figures, planned_at=tx.now)
    return await runs.enter(tx, run, RunState.APPLYING, lease_epoch=lease_epoch, applying_at=tx.now)


async def _go_on(tx: TenantTx, run: Run, at_once: int) -> Run:
    through = run.figures.get("through")
    after = None if through is None else PersonId(UUID(through))
    last = await recompute_everybody(tx, run.run_id, after=after, limit=at_once)
    people = int(run.figures["people"])
    if last is None:
        figures = {name: value for name, value in run.figures.items() if name != "through"} | {"people_done": people}
        await ask_recount(tx)
        return await runs.enter(tx, run, RunState.APPLIED, figures=figures, finished_at=tx.now)
    done = min(people, int(run.figures["people_done"]) + at_once)
    figures = run.figures | {"through": str(last), "people_done": done}
    await tx.execute(
        "UPDATE run SET figures = $3 WHERE tenant_id = $1 AND run_id = $2", tx.tenant_id, run.run_id, figures
    )
    return await runs.run_by_id(tx, run.run_id)
