"""Changes that are done together, and somebody else who has the same people locked at that moment."""

import asyncio
from typing import Any

import pytest

from stoa.db.database import Database
from stoa.db.transactions import Origin, TenantTx
from stoa.kernel.ids import SourceId, TenantId
from stoa.people import actions, queries
from stoa.people.guard_rules import Guard, GuardKind
from stoa.people.joined_changes import Said, assert_together, lock_together
from stoa.people.model import Asserted, Changed, Provisioned, Record, Unchanged
from stoa.people.thresholds import set_guard

from .making import source

_WHO = Origin("scim:test", "scim")


@pytest.fixture
async def okta(database: Database, tenant_id: TenantId) -> SourceId:
    return await source(database, tenant_id, "idp", "Okta")


async def _made(database: Database, tenant_id: TenantId, okta: SourceId, name: str) -> Record:
    async with database.tenant(tenant_id) as tx:
        made = await actions.provision(tx, okta, Asserted({"user_name": name}, True, name, {"userName": name}))
    assert isinstance(made, Provisioned)
    return made.record


def _saying(record: Record, *, active: bool, **values: str) -> Asserted:
    return Asserted({**record.values, **values}, active, record.scim_external_id, record.raw)


async def _together(
    database: Database, record: Record, *, active: bool, tenant_id: TenantId, **values: str
) -> Changed | Unchanged | None:
    async with database.tenant(tenant_id, one_plan=True) as tx:
        standing = (await lock_together(tx, record.source_id, {record.resource_id}))[record.resource_id]
        said = Said(standing, _saying(standing.record, active=active, **values), _WHO)
        (done,) = await assert_together(tx, record.source_id, [said])
        return done


async def _somebody_waits(tx: TenantTx) -> None:
    async with asyncio.timeout(10):
        while not await tx.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):
            pass


async def test_what_another_writer_has_just_said_is_built_upon(
    database: Database, tenant_id: TenantId, okta: SourceId
) -> None:
    ann = await _made(database, tenant_id, okta, "ann")
    async with database.tenant(tenant_id) as tx:
        locked = await queries.record_by_resource(tx, okta, ann.resource_id, lock=True)
        assert locked is not None
        assert isinstance(await actions.assert_record(tx, locked, _saying(locked, active=True, title="Dr")), Changed)
        later = asyncio.create_task(_together(database, ann, active=True, tenant_id=tenant_id, department="Sales"))
        await _somebody_waits(tx)
    done = await later
    assert isinstance(done, Changed)
    async with database.tenant(tenant_id) as tx:
        found = await queries.record_by_resource(tx, okta, ann.resource_id)
        person = await queries.person_by_id(tx, ann.person_id)
        written = await tx.fetch(
            "SELECT c.after, e.after AS became, e.version FROM change c JOIN effect e USING (tenant_id, run_id, ord)"
            " WHERE c.action = 'update' ORDER BY c.ord"
        )
    assert found is not None and person is not None  # noqa: PT018 - both are there
    assert (found.values["title"], found.values["department"], found.version) == ("Dr", "Sales", 3)
    assert (person.values["title"], person.values["department"], person.version) == ("Dr", "Sales", 3)
    told: list[tuple[Any, ...]] = [tuple(row) for row in written]
    assert told == [({"title": "Dr"}, {"title": "Dr"}, 2), ({"department": "Sales"}, {"department": "Sales"}, 3)]


async def test_what_was_held_a_moment_ago_is_left_to_the_usual_way(
    database: Database, tenant_id: TenantId, okta: SourceId
) -> None:
    ann = await _made(database, tenant_id, okta, "ann")
    async with database.tenant(tenant_id) as tx:
        await set_guard(tx, GuardKind.DEACTIVATE, None, Guard(absolute=0, percent=100, floor=0))
    async with database.tenant(tenant_id) as tx:
        locked = await queries.record_by_resource(tx, okta, ann.resource_id, lock=True)
        assert locked is not None
        ended = await actions.assert_record(tx, locked, _saying(locked, active=False))
        assert isinstance(ended, Changed)
        assert ended.held is not None
        later = asyncio.create_task(_together(database, ann, active=True, tenant_id=tenant_id))
        await _somebody_waits(tx)
    assert await later is None
