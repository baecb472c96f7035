"""People as a target of runs: what `sync` and `changes` know of them."""

from datetime import datetime
from typing import Final

import polars as pl

from stoa.changes.model import Reason, Run, RunKind
from stoa.changes.target import Batch
from stoa.db.transactions import TenantTx
from stoa.people.authority import authority
from stoa.people.bulk import apply_batch
from stoa.people.dates import tenant_today
from stoa.people.fields import FIELDS
from stoa.people.groups_leaving import leave_groups
from stoa.people.guard_rules import last_admin_of_plan
from stoa.people.guarding import shuts_everybody_out
from stoa.people.journal import TARGET
from stoa.people.plan import clear_stage, plan_due, plan_report, redone
from stoa.people.releasing import end_holds, release
from stoa.people.splitting import apply_links, plan_links, turn_of
from stoa.people.undo import plan_rollback, plan_undo_since
from stoa.sync.model import Fields, FieldSpec
from stoa.sync.target import Planned

FIELD_SPECS: Final = {f.name: FieldSpec(type=f.type, max_length=f.max_length, keyed=f.keyed) for f in FIELDS}


class People:
    """The target `person`."""

    @property
    def name(self) -> str:
        """See `changes.target.Target`."""
        return TARGET

    @property
    def fields(self) -> Fields:
        """See `sync.target.SyncTarget`."""
        return FIELD_SPECS

    async def apply(self, tx: TenantTx, batch: Batch) -> int:
        """See `changes.target.Target`."""
        if batch.run.kind is RunKind.SCIM_HOLD:
            await leave_groups(tx, batch, gone=True)
            await release(tx, batch)
            return 0
        turn = await turn_of(tx, batch.run)
        taken = await apply_batch(tx, batch) if turn is None else await apply_links(tx, batch, turn)
        await end_holds(tx, batch)
        return taken

    async def plan_rollback(self, tx: TenantTx, run: Run, of_run: Run) -> None:
        """See `changes.target.Target`."""
        turn = await turn_of(tx, run)
        if turn is None:
            await plan_rollback(tx, run, of_run)
        else:
            await plan_links(tx, run, of_run, turn)

    async def plan_undo_since(self, tx: TenantTx, run: Run, since: datetime) -> None:
        """See `changes.target.Target`."""
        await plan_undo_since(tx, run, since)

    async def plan_report(self, tx: TenantTx, run: Run, frame: pl.DataFrame, kept_ids: frozenset[str]) -> Planned:
        """See `sync.target.SyncTarget`."""
        delta, refused = await plan_report(tx, run, frame, kept_ids)
        return Planned(population=delta.population, unchanged=delta.unchanged, refused=len(refused))

    async def plan_due(self, tx: TenantTx, run: Run) -> Planned:
        """See `sync.target.SyncTarget`."""
        today = await tenant_today(tx)
        await plan_due(tx, run, today)
        population = await tx.fetchval(
            "SELECT count(*) FROM source_record WHERE tenant_id = $1 AND source_id = $2 AND present",
            tx.tenant_id,
            run.source_id,
        )
        return Planned(population=population, unchanged=population, refused=0)

    async def authority_version(self, tx: TenantTx) -> int:
        """See `sync.target.SyncTarget`."""
        return (await authority(tx)).version

    async def redone(self, tx: TenantTx, run: Run) -> int:
        """See `sync.target.SyncTarget`."""
        return await redone(tx, run)

    async def doubts(self, tx: TenantTx, run: Run, who: str) -> list[Reason]:
        """See `sync.target.SyncTarget`."""
        return [last_admin_of_plan(who)] if await shuts_everybody_out(tx, run) else []

    async def untouched_since(self, tx: TenantTx, run: Run) -> bool:
        """See `sync.target.SyncTarget`."""
        touched = await tx.fetchval(
            """SELECT EXISTS (SELECT FROM source_record
            WHERE tenant_id = $1 AND source_id = $2 AND present AND row_hash = 0)""",
            *(tx.tenant_id, run.source_id),
        )
        return not touched

    async def forget_staged(self, tx: TenantTx, run: Run) -> None:
        """See `sync.target.SyncTarget`."""
        await clear_stage(tx, run)
