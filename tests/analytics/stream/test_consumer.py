"""Consumers that crash at random rebuild the exact state of a tenant's people from /v1/events."""

import asyncio
import os
import random
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from stoa.db import embedded
from stoa.db.database import Database
from stoa.events.sequencer import Sequencer
from stoa.kernel.ids import SourceId, TenantId
from stoa.people import actions, queries
from stoa.people.model import Asserted, Provisioned
from stoa.tenants.actions import ensure_source, prove_domain

from ...api.calling import listening, serving, token_of
from ...people.making import report, rollback, sync, worker
from ...people.rebuilding import people_of
from .consumer import Consumer, read


@dataclass
class Life:
    """What happens to a tenant's people: reports, requests over SCIM, and what is taken back."""

    database: Database
    tenant_id: TenantId
    hr: SourceId
    idp: SourceId
    chance: random.Random

    @classmethod
    async def begin(cls, database: Database, tenant_id: TenantId, seed: int) -> "Life":
        """In a tenant without people."""
        async with database.tenant(tenant_id) as tx:
            await prove_domain(tx, "acme.example")
            hr = (await ensure_source(tx, "hris", "Workday")).source_id
            idp = (await ensure_source(tx, "idp", "Okta")).source_id
        return cls(database, tenant_id, hr, idp, random.Random(seed))

    async def go_on(self) -> None:
        """Something happens."""
        happenings: list[Callable[[], Awaitable[object]]] = [self._report, self._report, self._join, self._change]
        await self.chance.choice(happenings)()

    async def _report(self) -> None:
        rows = [
            worker(n, title=self.chance.choice(["Clerk", "Engineer"]), active=self.chance.random() < 0.8)
            for n in range(30)
            if self.chance.random() < 0.8
        ]
        run = await sync(self.database, self.tenant_id, self.hr, report(rows), batch_rows=11)
        if self.chance.random() < 0.3:
            await rollback(self.database, self.tenant_id, run.run_id, batch_rows=7)

    async def _join(self) -> None:
        number = self.chance.randrange(40)
        values = {"user_name": f"user{number}", "email": f"person{number}@acme.example", "department": "From Okta"}
        async with self.database.tenant(self.tenant_id) as tx:
            made = await actions.provision(tx, self.idp, Asserted(values, active=True, raw={}))
            assert isinstance(made, Provisioned) or made.rule

    async def _change(self) -> None:
        async with self.database.tenant(self.tenant_id) as tx:
            records = await queries.records_page(tx, self.idp, None, limit=10)
            for record in records[:3]:
                locked = await queries.record_by_resource(tx, self.idp, record.resource_id, lock=True)
                assert locked is not None
                if self.chance.random() < 0.3:
                    await actions.remove_record(tx, locked)
                else:
                    values = {**locked.values, "title": self.chance.choice(["Clerk", None]), "phone": "1"}
                    asserted = Asserted(values, active=self.chance.random() < 0.7, raw={})
                    await actions.assert_record(tx, locked, asserted)


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_consumer_that_forgets_what_it_had_not_kept_rebuilds_the_people(
    server: embedded.Server, database: Database, tenant_id: TenantId, tmp_path: Path, seed: int
) -> None:
    life = await Life.begin(database, tenant_id, seed)
    token = await token_of(database, tenant_id, ["events:read"])
    sequencer, file = Sequencer(database), tmp_path / "copy.json"
    async with serving(server, token) as client:
        for _ in range(12):
            await life.go_on()
            await sequencer.run_once()
            # A life of some pages; what it read last is lost with it.
            consumer = Consumer(client, file)
            for _ in range(life.chance.randrange(6)):
                await consumer.step()
            if life.chance.random() < 0.5:
                lost = file.read_bytes() if file.exists() else None
                await consumer.step()
                if lost is None:
                    file.unlink()
                else:
                    file.write_bytes(lost)
        while await Consumer(client, file).step():
            pass
    kept = read(file)
    assert kept.people == await people_of(database, tenant_id)
    assert len(kept.people) > 10


@asynccontextmanager
async def consuming(base_url: str, file: Path, token: str) -> AsyncGenerator[asyncio.subprocess.Process]:
    """The consumer as a process of its own, killed at the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.analytics.stream.consumer", base_url, str(file)),
        env={**os.environ, "STOA_TOKEN": token},
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@pytest.mark.all
@pytest.mark.timeout(300)
async def test_a_consumer_that_is_killed_at_random_rebuilds_the_people(
    server: embedded.Server, database: Database, tenant_id: TenantId, tmp_path: Path
) -> None:
    life = await Life.begin(database, tenant_id, 3)
    token = await token_of(database, tenant_id, ["events:read"])
    stop, file = asyncio.Event(), tmp_path / "copy.json"
    numbering = asyncio.create_task(Sequencer(database).run(stop))
    async with listening(server) as base_url:
        for _ in range(15):
            async with consuming(base_url, file, token) as process:
                for _ in range(3):
                    await life.go_on()
                with suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), life.chance.uniform(0.2, 1.5))
                assert process.returncode is None, "the consumer failed by itself"
        stop.set()
        await numbering
        await Sequencer(database).run_once()
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx2.AsyncClient(base_url=base_url, headers=headers, timeout=20) as client:
            while await Consumer(client, file).step():
                pass
    assert read(file).people == await people_of(database, tenant_id)
