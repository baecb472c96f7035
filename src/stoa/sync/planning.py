"""A queued run becomes a plan: read, admit, compare, guard. Nothing of the target is changed here."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from stoa.alerts.actions import raise_alert, resolve_alerts
from stoa.changes import queries
from stoa.changes.actions import FAILED_ALERT, HELD_ALERT
from stoa.changes.apply import Working
from stoa.changes.counting import counted
from stoa.changes.holding import alert_key
from stoa.changes.model import Action, Reason, Run, RunState
from stoa.changes.rules import DEFAULT_THRESHOLDS, Threshold, tripped
from stoa.changes.target import Target
from stoa.db.transactions import TenantTx
from stoa.jobs.model import Fatal
from stoa.kernel.problems import Problem
from stoa.sync import freshness, quarantine
from stoa.sync.contract import admit
from stoa.sync.feeds import Feed, FeedRefused
from stoa.sync.model import Admitted, FeedMapping, Severity
from stoa.sync.opening import OpenConnection, Opener, threshold
from stoa.sync.rowhash import with_keys_and_hash
from stoa.sync.scratch import scratch_folder
from stoa.sync.target import Planned, SyncTarget
from stoa.tenants import queries as tenants
from stoa.tenants.model import Tenant


@dataclass(frozen=True, slots=True)
class Planner:
    """What planning needs.

    Attributes:
        target: what reports are about.
        opener: how to open a connection.
        hash_key: of the row hashes.
        others: targets that no report brings, whose runs are undone, or released, all the same.
    """

    target: SyncTarget
    opener: Opener
    hash_key: bytes
    others: tuple[Target, ...] = ()

    def target_of(self, run: Run) -> Target:
        """What a run changes. Raises Fatal for a target that this version does not know."""
        found = next((one for one in (self.target, *self.others) if one.name == run.target), None)
        if found is None:
            raise Fatal(f"A run changes {run.target}, which this version does not know.")
        return found

    async def plan_sync(self, work: Working, run: Run) -> Run:
        """Plans a sync run. It ends as planned, held, applied (nothing to do), or errored, with the reasons on it."""
        started = time.monotonic()
        run = await self._begin(work, run)
        try:
            with scratch_folder("stoa-feed-") as folder:
                return await self._plan(work, run, folder, started)
        except FeedRefused as refused:
            return await self._hold_unreadable(work, run, refused, started)
        except Problem as problem:
            return await self.fail(work, run, problem)

    async def plan_due(self, work: Working, run: Run) -> Run:
        """Plans what effective dates ask for today."""
        run = await self._begin(work, run)
        async with work.database.tenant(work.tenant_id, work.origin, role="sync") as tx:
            await work.fence(tx)
            await self.target.plan_due(tx, run)
            plan = await counted(tx, run.run_id)
            return await queries.enter(
                tx, run, RunState.PLANNED, counts=plan.counts, figures=plan.figures(), planned_at=tx.now
            )

    async def plan_rollback(self, work: Working, run: Run) -> Run:
        """Plans the run that undoes another, or what its source did from a moment on."""
        run = await self._begin(work, run)
        async with work.database.tenant(work.tenant_id, work.origin, role="sync") as tx:
            await work.fence(tx)
            target = self.target_of(run)
            if run.since is not None:
                await target.plan_undo_since(tx, run, run.since)
            else:
                assert run.of_run is not None
                await target.plan_rollback(tx, run, await queries.run_by_id(tx, run.of_run))
            plan = await counted(tx, run.run_id)
            figures = plan.figures() | ({"conflicts": plan.conflicts} if plan.conflicts else {})
            told: dict[str, object] = {"counts": plan.counts, "figures": figures, "planned_at": tx.now}
            if run.since is not None and not plan.changes:
                # One run for each target: nobody is asked about one that has nothing to do.
                return await queries.enter(tx, run, RunState.APPLIED, finished_at=tx.now, **told)
            source = await tenants.source(tx, run.source_id)
            assert source is not None
            who = f"Undoing what {source.name} did"
            reasons = await self.target.doubts(tx, run, who)
            if not reasons:
                return await queries.enter(tx, run, RunState.PLANNED, **told)
            held = await queries.enter(tx, run, RunState.HELD, reasons=[r.as_json() for r in reasons], **told)
            await _tell_held(tx, held, await tenants.tenant(tx), f"Undoing what {source.name} did is held", reasons)
            return held

    async def _begin(self, work: Working, run: Run) -> Run:
        async with work.database.tenant(work.tenant_id, work.origin, role="sync") as tx:
            await work.fence(tx)
            if run.state is RunState.PLANNING:
                # A worker died in the middle of this plan: what it left is forgotten, and the plan made anew.
                await queries.clear_plan(tx, run.run_id)
                await quarantine.clear(tx, run.run_id)
                await self.target.forget_staged(tx, run)
            return await queries.enter(tx, run, RunState.PLANNING, lease_epoch=work.lease_epoch)

    async def _plan(self, work: Working, run: Run, folder: Path, started: float) -> Run:
        async with work.database.tenant(work.tenant_id, work.origin, role="sync") as tx:
            assert run.connection_id is not None
            opened = await self.opener.open(tx, run.connection_id)
            last = await freshness.last(tx, run.connection_id)
            await freshness.note_attempt(tx, run)
        feed = await opened.connector.read(opened.config, self.opener.client, folder, allow=self.opener.allow)
        mapping = opened.connector.mapping(opened.config)
        async with work.database.tenant(work.tenant_id, work.origin, role="sync") as tx:
            versions = freshness.Versions(feed.digest, mapping.version, await self.target.authority_version(tx))
            same = last is not None and last.versions == versions and await self.target.untouched_since(tx, run)
        if same:
            return await self._plan_same(work, run, versions, started)
        admitted, frame = await asyncio.to_thread(self._admit, opened, feed, mapping, last)
        return await self._write(work, run, opened, admitted, frame, versions, started)

    def _admit(
        self, opened: OpenConnection, feed: Feed, mapping: FeedMapping, last: freshness.Last | None
    ) -> tuple[Admitted, pl.DataFrame]:
        rows = opened.connector.frame(feed, opened.config)
        admitted = admit(rows, mapping, self.target.fields, previous=None if last is None else last.profile)
        return admitted, with_keys_and_hash(admitted.frame, self.target.fields, self.hash_key)

    async def _plan_same(self, work: Working, run: Run, versions: freshness.Versions, started: float) -> Run:
        """The same bytes, mapping and authority as last time: only dates can have come."""
        async with work.database.tenant(work.tenant_id, work.origin, role="sync") as tx:
            await work.fence(tx)
            planned = await self.target.plan_due(tx, run)
            plan = await counted(tx, run.run_id)
            figures = {
                **plan.figures(),
                "same_input": True,
                "unchanged": planned.unchanged,
                "plan_seconds": round(time.monotonic() - started, 3),
            }
            planned_run = await queries.enter(
                tx, run, RunState.PLANNED, counts=plan.counts, figures=figures, planned_at=tx.now, **versions.columns()
            )
            await _overtake(tx, planned_run)
            return planned_run

    async def _write(
        self,
        work: Working,
        run: Run,
        opened: OpenConnection,
        admitted: Admitted,
        frame: pl.DataFrame,
        versions: freshness.Versions,
        started: float,
    ) -> Run:
        async with work.database.tenant(work.tenant_id, work.origin, role="sync") as tx:
            await work.fence(tx)
            await quarantine.write(tx, run.run_id, admitted.quarantined)
            reasons = [Reason(d.code, d.detail, _HINT_DRIFT) for d in admitted.drift if d.severity is Severity.HOLD]
            planned = Planned(0, 0, 0)
            if not admitted.blocked:
                planned = await self.target.plan_report(tx, run, frame, admitted.kept_ids)
            plan = await counted(tx, run.run_id)
            reasons += tripped(plan.counts, planned.population, _thresholds(opened))
            reasons += _redone(await self.target.redone(tx, run))
            reasons += await self.target.doubts(tx, run, opened.name)
            figures: dict[str, Any] = {
                **admitted.figures,
                **plan.figures(),
                "unchanged": planned.unchanged,
                "refused": planned.refused,
                "warnings": [
                    {"code": d.code, "detail": d.detail} for d in admitted.drift if d.severity is Severity.WARN
                ],
                "profile": freshness.profile_as_json(admitted.profile),
                "plan_seconds": round(time.monotonic() - started, 3),
            }
            if admitted.blocked:
                figures["blocked"] = True
            state = RunState.HELD if reasons else RunState.PLANNED
            planned_run = await queries.enter(
                tx,
                run,
                state,
                counts=plan.counts,
                figures=figures,
                reasons=[r.as_json() for r in reasons],
                planned_at=tx.now,
                **versions.columns(),
            )
            await _overtake(tx, planned_run)
            if state is RunState.HELD:
                await _tell_held(tx, planned_run, opened.tenant, f"A sync of {opened.name} is held", reasons)
            return planned_run

    async def _hold_unreadable(self, work: Working, run: Run, refused: FeedRefused, started: float) -> Run:
        """The report as a whole cannot be read: there is nothing to apply, and somebody has to look."""
        async with work.database.tenant(work.tenant_id, work.origin, role="sync") as tx:
            await work.fence(tx)
            reason = Reason(refused.code, refused.detail, refused.hint or _HINT_DRIFT)
            figures = {"blocked": True, "plan_seconds": round(time.monotonic() - started, 3)}
            held = await queries.enter(
                tx, run, RunState.HELD, reasons=[reason.as_json()], figures=figures, planned_at=tx.now
            )
            await _overtake(tx, held)
            assert run.connection_id is not None
            opened = await self.opener.open(tx, run.connection_id)
            await _tell_held(tx, held, opened.tenant, f"A sync of {opened.name} is held", [reason])
            return held

    async def fail(self, work: Working, run: Run, problem: Problem) -> Run:
        """Ends a run that cannot be planned, with the reason, and tells its owner."""
        async with work.database.tenant(work.tenant_id, work.origin, role="sync") as tx:
            await work.fence(tx)
            reason = Reason(problem.code, problem.detail, problem.hint or _HINT_FAILED)
            failed = await queries.enter(tx, run, RunState.ERRORED, reasons=[reason.as_json()], finished_at=tx.now)
            await raise_alert(
                tx, FAILED_ALERT, str(run.source_id), "critical", "A sync run failed", reason.detail,
                reason.hint, run_id=run.run_id,
            )  # fmt: skip
            return failed


_HINT_FAILED = (
    "Nothing was changed. Mend the cause, or wait until the other side is well again, then run the sync again."
)
_HINT_DRIFT = (
    "Compare the report with the mapping of the connection. Mend the report, or the mapping, and run the sync again."
)


def _redone(n: int) -> list[Reason]:
    if not n:
        return []
    detail = f"{n:,} of the planned changes would bring back what a rollback undid."
    hint = "Correct it in the source system, or approve the run if the rollback is no longer wanted."
    return [Reason("redoes_undone_run", detail, hint, {"count": n})]


def _thresholds(opened: OpenConnection) -> dict[Action, Threshold]:
    return {action: threshold(action, opened.guards) for action in DEFAULT_THRESHOLDS}


async def _overtake(tx: TenantTx, run: Run) -> None:
    """A newer plan from the same source makes the older ones that still wait pointless."""
    reason = {
        "code": "overtaken",
        "detail": f"The run {run.run_id} planned from a newer report.",
        "hint": "Decide on that one.",
        "figures": {"run_id": str(run.run_id)},
    }
    overtaken = await tx.execute(
        """UPDATE run SET state = 'stale', finished_at = $4, reasons = reasons || $5::jsonb
        WHERE tenant_id = $1 AND source_id = $2 AND run_id <> $3 AND kind = 'sync' AND state IN ('held', 'planned')""",
        tx.tenant_id, run.source_id, run.run_id, tx.now, [reason],
    )  # fmt: skip
    if overtaken and run.state is not RunState.HELD:
        await resolve_alerts(tx, HELD_ALERT, str(run.source_id))


async def _tell_held(tx: TenantTx, run: Run, tenant: Tenant, title: str, reasons: list[Reason]) -> None:
    detail = " ".join(r.detail for r in reasons)
    hint = f"Look at it with `stoa sync show {tenant.slug} {run.run_id}`, then approve or reject it."
    await raise_alert(tx, HELD_ALERT, alert_key(run), "warning", title, detail, hint, run_id=run.run_id)
