"""A SCIM client that deactivates too many, and the worker that works off what an admin has decided."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from stoa.changes import actions, queries
from stoa.changes.actions import SOURCE_JOB
from stoa.changes.model import Run
from stoa.db.database import Database
from stoa.jobs.model import Outcome
from stoa.jobs.worker import Worker
from stoa.kernel.ids import RunId, SourceId
from stoa.outbound.http import HttpClient
from stoa.people.groups_target import Groups
from stoa.people.guard_rules import Guard, GuardKind
from stoa.people.target import People
from stoa.people.thresholds import set_guard
from stoa.sync.jobs import SourceWorker
from stoa.sync.opening import Opener
from stoa.sync.planning import Planner
from stoa.tenants.sealing import Sealer
from tests.identity.conftest import Scim, patch_body

OFF = {"op": "replace", "value": {"active": False}}
ON = {"op": "replace", "value": {"active": True}}


@dataclass
class Hall:
    """A tenant with an identity provider and a worker. ids: of its users, in the order in which they came."""

    scim: Scim
    database: Database
    worker: Worker
    ids: list[str] = field(default_factory=list[str])

    @property
    def source_id(self) -> SourceId:
        return self.scim.issued.source_id

    async def fill(self, users: int) -> None:
        made = [self.scim.make(f"user{n}@acme.example", displayName=f"User {n}") for n in range(users)]
        self.ids += [user["id"] for user in await in_parts(made)]

    async def guard(self, **figures: Any) -> None:
        async with self.database.tenant(self.scim.tenant_id) as tx:
            await set_guard(tx, GuardKind.DEACTIVATE, None, Guard(**figures))

    async def deactivate(self, ids: Iterable[str], at_once: int = 1) -> None:
        """One request each; each gets the protocol's success, and reads back what it said."""
        asked = [self.scim("PATCH", f"/Users/{one}", patch_body(OFF)) for one in ids]
        for answer in await in_parts(asked, at_once):
            assert answer.status_code == 200, answer.text
            assert answer.json()["active"] is False

    async def work(self) -> Outcome | None:
        return await self.worker.claim_one(SOURCE_JOB, str(self.source_id), self.scim.tenant_id)

    async def fetch(self, sql: str, *params: object) -> list[dict[str, Any]]:
        async with self.database.tenant(self.scim.tenant_id, read_only=True) as tx:
            return [dict(row) for row in await tx.fetch(sql, self.scim.tenant_id, *params)]

    async def active(self) -> set[str]:
        """The ids of users whose persons have access."""
        rows = await self.fetch(
            """SELECT r.resource_id FROM person p JOIN source_record r USING (tenant_id, person_id)
            WHERE tenant_id = $1 AND p.active"""
        )
        return {str(row["resource_id"]) for row in rows}

    async def said(self) -> set[str]:
        """The ids of users whom the identity provider calls active."""
        rows = await self.fetch("SELECT resource_id FROM source_record WHERE tenant_id = $1 AND active")
        return {str(row["resource_id"]) for row in rows}

    async def runs(self, kind: str) -> list[Run]:
        rows = await self.fetch("SELECT run_id FROM run WHERE tenant_id = $1 AND kind = $2 ORDER BY created_at", kind)
        return [await self.run(row["run_id"]) for row in rows]

    async def run(self, run_id: RunId) -> Run:
        async with self.database.tenant(self.scim.tenant_id, read_only=True) as tx:
            return await queries.run_by_id(tx, run_id)

    async def held(self) -> Run:
        """The one run that collects."""
        (run,) = [one for one in await self.runs("scim_hold") if one.state == "held"]
        return run

    async def decide(self, run: Run, *, approve: bool) -> Run:
        async with self.database.tenant(self.scim.tenant_id) as tx:
            await (actions.approve if approve else actions.reject)(tx, run.run_id, note="Looked at it.")
        await self.work()
        return await self.run(run.run_id)

    async def roll_back(self, run: Run) -> Run:
        async with self.database.tenant(self.scim.tenant_id) as tx:
            asked = await actions.queue_rollback(tx, run.run_id)
        await self.work()
        return await self.run(asked.run_id)

    async def plan_undo(self, since: datetime) -> Run:
        """The plan that undoes everything since."""
        async with self.database.tenant(self.scim.tenant_id) as tx:
            (asked,) = await actions.queue_undo_since(tx, self.source_id, since, ["person"])
        await self.work()
        return await self.run(asked.run_id)

    async def undo_since(self, since: datetime) -> Run:
        """Planned, looked at, approved and applied."""
        asked = await self.plan_undo(since)
        async with self.database.tenant(self.scim.tenant_id) as tx:
            await actions.approve(tx, asked.run_id)
        await self.work()
        return await self.run(asked.run_id)

    async def holds(self) -> dict[str, int]:
        rows = await self.fetch("SELECT state, count(*) AS n FROM hold WHERE tenant_id = $1 GROUP BY state")
        return {row["state"]: row["n"] for row in rows}

    async def alerts(self) -> list[tuple[str, str, int]]:
        """Kind, state and number of mails of each alert."""
        rows = await self.fetch("SELECT kind, state, mails FROM alert WHERE tenant_id = $1 ORDER BY first_at, alert_id")
        return [(row["kind"], row["state"], row["mails"]) for row in rows]


async def in_parts(asked: list[Any], at_once: int = 8) -> list[Any]:
    """The results of coroutines, some at a time."""
    found: list[Any] = []
    for first in range(0, len(asked), at_once):
        found += await asyncio.gather(*asked[first : first + at_once])
    return found


def worker_of(
    database: Database, sealer: Sealer, client: HttpClient, batch_rows: int = 5_000, people: People | None = None
) -> Worker:
    """A worker of runs."""
    planner = Planner(
        people or People(), Opener({}, sealer, client, frozenset()), b"0123456789abcdef0123456789abcdef", (Groups(),)
    )
    return Worker(database, SourceWorker(planner, batch_rows).handlers())
