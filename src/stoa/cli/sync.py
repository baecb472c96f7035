"""Runs: start, look at, decide on, undo."""

import asyncio
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

from cyclopts import App, Parameter, validators
from rich.text import Text

from stoa.changes import actions, queries
from stoa.changes.actions import SOURCE_JOB
from stoa.changes.counting import plan_of
from stoa.changes.holding import with_counts
from stoa.changes.model import Run, RunKind, RunState
from stoa.changes.undoing import TARGETS
from stoa.cli.common import OPERATOR, Options, Session, err, out, print_json, session, show_list
from stoa.cli.showing import as_json, change_as_json, in_words, named_subjects, print_run
from stoa.cli.tenants import find_connection
from stoa.db.transactions import TenantTx
from stoa.jobs.queries import job_state
from stoa.jobs.worker import Worker
from stoa.kernel.ids import RunId, TenantId
from stoa.kernel.problems import NotFound, Problem
from stoa.people.journal import TARGET
from stoa.sync import quarantine
from stoa.sync.actions import request_sync
from stoa.sync.model import QuarantinedRow
from stoa.tenants import queries as tenants
from stoa.tenants.model import Source

sync_app = App(name="sync", help="Run, inspect, approve and roll back syncs.")


class WorkFailed(Problem):
    """The worker gave up on a run.

    The alert about it, and the worker's log, say why. Mend that, then run the sync again.
    """

    code = "work_failed"


_WAITING = {RunState.QUEUED, RunState.PLANNING, RunState.APPROVED, RunState.APPLYING}
_POLL_SECONDS = 0.1
# A worker that is there claims a job within milliseconds; without one the command does the work itself.
_PATIENCE_SECONDS = 1.5
_SHOWN = 20
Limit = Annotated[int, Parameter(validator=validators.Number(gte=1, lte=1000))]


@sync_app.command(name="run")
async def run_sync(slug: str, connection: str, *, plan_only: bool = False, options: Options = Options()) -> None:
    """Read a connection's report, plan, and apply the plan unless it must be held.

    Args:
        slug: The tenant.
        connection: The connection's id or name.
        plan_only: Stop after the plan; `stoa sync approve` applies it.
    """
    async with session(options) as s:
        tenant_id = await s.tenant_id(slug)
        async with s.platform.database.tenant(tenant_id, OPERATOR) as tx:
            run = await request_sync(tx, await find_connection(tx, connection), TARGET, plan_only=plan_only)
        await _finish(s, options, slug, tenant_id, run)


@sync_app.command(name="list")
async def list_runs(slug: str, *, limit: Limit = 20, options: Options = Options()) -> None:
    """List a tenant's latest runs, newest first.

    Args:
        slug: The tenant.
        limit: The most runs to show.
    """
    async with (
        session(options) as s,
        s.platform.database.tenant(await s.tenant_id(slug), OPERATOR, read_only=True) as tx,
    ):
        found = [await with_counts(tx, run) for run in await queries.recent_runs(tx, limit=limit)]
    if options.as_json:
        print_json([as_json(run) for run in found])
        return
    rows = [
        {
            "id": r.run_id,
            "kind": str(r.kind),
            "state": str(r.state),
            "created_at": r.created_at,
            "counts": "as its requests came" if r.kind is RunKind.SCIM_WINDOW else in_words(r.counts),
        }
        for r in found
    ]
    show_list(
        options, ("id", "kind", "state", "created_at", "counts"), rows, f"No run yet: stoa sync run {slug} CONNECTION"
    )


@sync_app.command(name="show")
async def show_run(slug: str, run: UUID, *, limit: Limit = _SHOWN, options: Options = Options()) -> None:
    """Show a run: its state, the reasons for it, its changes, and what was set aside.

    Args:
        slug: The tenant.
        run: The run's id.
        limit: The most changes and set-aside rows to show.
    """
    async with session(options) as s:
        await _show(s, options, slug, await s.tenant_id(slug), RunId(run), limit)


@sync_app.command(name="approve")
async def approve_run(slug: str, run: UUID, *, options: Options = Options()) -> None:
    """Apply a held or planned run as it was planned.

    Args:
        slug: The tenant.
        run: The run's id.
    """
    async with session(options) as s:
        tenant_id = await s.tenant_id(slug)
        async with s.platform.database.tenant(tenant_id, OPERATOR) as tx:
            approved = await actions.approve(tx, RunId(run))
        await _finish(s, options, slug, tenant_id, approved)


@sync_app.command(name="reject")
async def reject_run(slug: str, run: UUID, *, options: Options = Options()) -> None:
    """End a held or planned run without applying it.

    Args:
        slug: The tenant.
        run: The run's id.
    """
    async with session(options) as s:
        tenant_id = await s.tenant_id(slug)
        async with s.platform.database.tenant(tenant_id, OPERATOR) as tx:
            await actions.reject(tx, RunId(run))
        await _show(s, options, slug, tenant_id, RunId(run), 0)


@sync_app.command(name="rollback")
async def rollback_run(slug: str, run: UUID, *, plan_only: bool = False, options: Options = Options()) -> None:
    """Undo an applied run: show what that changes, then do it. What others changed since is listed and left alone.

    Args:
        slug: The tenant.
        run: The run to undo.
        plan_only: Show what it would do, and stop; `stoa sync approve` does it.
    """
    async with session(options) as s:
        tenant_id = await s.tenant_id(slug)
        async with s.platform.database.tenant(tenant_id, OPERATOR) as tx:
            planned = await actions.queue_rollback(tx, RunId(run), plan_only=True)
        await _show_then_do(s, options, slug, tenant_id, planned, plan_only=plan_only)


@sync_app.command(name="undo-since")
async def undo_since(
    slug: str, source: str, since: datetime, *, plan_only: bool = False, options: Options = Options()
) -> None:
    """Undo everything that a source did from a moment on: show what that changes, then do it.

    What others changed since is listed and left alone. People and groups are undone by a run each.

    Args:
        slug: The tenant.
        source: The source's id or name, such as Okta.
        since: The moment, such as 2026-03-01T14:05; by the tenant's clock unless it names a zone.
        plan_only: Show what it would do, and stop; `stoa sync approve` does it.
    """
    async with session(options) as s:
        tenant_id = await s.tenant_id(slug)
        async with s.platform.database.tenant(tenant_id, OPERATOR) as tx:
            moment = since if since.tzinfo else since.replace(tzinfo=ZoneInfo((await tenants.tenant(tx)).time_zone))
            found = await _find_source(tx, source)
            planned = await actions.queue_undo_since(tx, found.source_id, moment, TARGETS)
        if options.as_json:
            print_json([as_json(await _do(s, tenant_id, run, plan_only=plan_only)) for run in planned])
            return
        for run in planned:
            await _show_then_do(s, options, slug, tenant_id, run, plan_only=plan_only)


async def _do(s: Session, tenant_id: TenantId, planned: Run, *, plan_only: bool) -> Run:
    """A plan carried out without a word, unless it is to stay one. Gives the run as it is then."""
    planned = await wait(s, tenant_id, planned)
    if plan_only or planned.state is not RunState.PLANNED:
        return planned
    async with s.platform.database.tenant(tenant_id, OPERATOR) as tx:
        approved = await actions.approve(tx, planned.run_id)
    return await wait(s, tenant_id, approved)


async def _find_source(tx: TenantTx, given: str) -> Source:
    """A source by its id or name. Raises NotFound."""
    found = await tenants.sources(tx)
    for source in found:
        if given.casefold() in {str(source.source_id), source.name.casefold()}:
            return source
    known = ", ".join(source.name for source in found) or "none"
    raise NotFound(f"There is no source {given!r}.", hint=f"Sources of this tenant: {known}.")


async def _show_then_do(
    s: Session, options: Options, slug: str, tenant_id: TenantId, planned: Run, *, plan_only: bool
) -> None:
    with _progress(options) as tell:
        planned = await wait(s, tenant_id, planned, tell)
    if plan_only or planned.state is not RunState.PLANNED:
        await _show(s, options, slug, tenant_id, planned.run_id, _SHOWN)
        return
    if not options.as_json:
        await _show(s, options, slug, tenant_id, planned.run_id, _SHOWN, decide=False)
    async with s.platform.database.tenant(tenant_id, OPERATOR) as tx:
        approved = await actions.approve(tx, planned.run_id)
    await _finish(s, options, slug, tenant_id, approved, limit=_SHOWN if options.as_json else 0)


# ------------------------------------------------------------------ waiting


async def wait(s: Session, tenant_id: TenantId, run: Run, tell: Callable[[Run], None] = lambda _: None) -> Run:
    """Waits until a run needs no worker any more. When none comes, does the work here. Raises WorkFailed."""
    asked = time.monotonic()
    while True:
        async with s.platform.database.tenant(tenant_id, OPERATOR, read_only=True) as tx:
            run = await queries.run_by_id(tx, run.run_id)
            job = await job_state(tx, SOURCE_JOB, str(run.source_id))
        tell(run)
        if run.state not in _WAITING and (run.state is not RunState.PLANNED or run.plan_only):
            return run
        if job is not None and job.dead_at is not None:
            raise WorkFailed(
                f"The run {run.run_id} is {run.state} and no worker goes on with it: {job.last_error}.",
                hint="Mend the cause (the worker's log has more), then start any run of the connection.",
            )
        leased = job is not None and job.lease_until is not None and job.lease_until > s.platform.database.clock()
        if time.monotonic() - asked > _PATIENCE_SECONDS and not leased:
            asked = time.monotonic()
            lease = timedelta(seconds=s.platform.settings.job_lease_seconds)
            here = Worker(s.platform.database, s.platform.handlers(), lease=lease)
            await here.claim_one(SOURCE_JOB, str(run.source_id), tenant_id)
        await asyncio.sleep(_POLL_SECONDS)


async def _finish(
    s: Session, options: Options, slug: str, tenant_id: TenantId, run: Run, *, limit: int = _SHOWN
) -> None:
    try:
        with _progress(options) as tell:
            ended = await wait(s, tenant_id, run, tell)
    except asyncio.CancelledError:
        err.print(f"The run goes on in the worker: stoa sync show {slug} {run.run_id}")
        raise
    await _show(s, options, slug, tenant_id, ended.run_id, limit)
    if ended.state in {RunState.ERRORED, RunState.STALE}:
        raise SystemExit(1)


@contextmanager
def _progress(options: Options) -> Generator[Callable[[Run], None]]:
    """Tells at a terminal how far a run is; in a pipe it is quiet."""
    if options.as_json or not err.is_terminal:
        yield lambda _: None
        return
    with err.status("Waiting for the worker") as status:
        yield lambda run: status.update(_now(run))


def _now(run: Run) -> str:
    match run.state:
        case RunState.PLANNING:
            return "Planning" if run.kind is RunKind.ROLLBACK else "Reading the report and planning"
        case RunState.APPLYING:
            return f"Applying: {run.changes_done:,} of {plan_of(run.figures, run.counts).changes:,}"
        case _:
            return "Waiting for the worker"


# ------------------------------------------------------------------ showing


async def _show(
    s: Session, options: Options, slug: str, tenant_id: TenantId, run_id: RunId, limit: int, *, decide: bool = True
) -> None:
    async with s.platform.database.tenant(tenant_id, OPERATOR, read_only=True) as tx:
        run = await with_counts(tx, await queries.run_by_id(tx, run_id))
        changes = await queries.changes_page(tx, run_id, limit=limit) if limit else []
        names = await named_subjects(tx, changes)
        aside = await quarantine.rows_of_run(tx, run_id, limit=limit) if limit else []
    if options.as_json:
        print_json(
            as_json(run) | {"changes": [change_as_json(c) for c in changes], "quarantine": [_row(q) for q in aside]}
        )
        return
    print_run(run, changes, slug, decide=decide, names=names)
    for row in aside:
        for reason in row.reasons:
            out.print(Text(f"  set aside: row {row.row_no} ({row.external_id or 'no id'}): {reason.detail}"))


def _row(row: QuarantinedRow) -> dict[str, object]:
    return {"row": row.row_no, "external_id": row.external_id, "reasons": [asdict(reason) for reason in row.reasons]}
