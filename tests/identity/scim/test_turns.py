"""What one tenant's slow requests leave to others, and what those are told that wait too long."""

import asyncio

import pytest

from stoa.db.database import Database
from stoa.db.transactions import TenantTx
from stoa.identity.scim import turns
from stoa.identity.scim.turns import WORKED_ON_AT_ONCE, Crowded, Turns
from stoa.kernel.ids import TenantId
from tests.identity.conftest import MakeScim, Scim, patch_body
from tests.identity.scim.test_entrance import assert_error

_WAITING = "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted"
_LOCK = "SELECT FROM source_record WHERE tenant_id = $1 FOR UPDATE"


async def _waiting(tx: TenantTx, least: int) -> int:
    """How many wait for a lock, as soon as so many do."""
    async with asyncio.timeout(10):
        while (found := await tx.fetchval(_WAITING)) < least:
            pass
        return found


async def test_one_tenants_slow_requests_leave_connections_to_others(
    scim: Scim, make_scim: MakeScim, database: Database
) -> None:
    ann, other = await scim.make("ann"), await make_scim()
    body = patch_body({"op": "replace", "path": "title", "value": "Dr"})
    async with database.tenant(scim.tenant_id) as tx:
        await tx.execute(_LOCK, tx.tenant_id)
        asked = [asyncio.create_task(scim("PATCH", f"/Users/{ann['id']}", body)) for _ in range(30)]
        await _waiting(tx, WORKED_ON_AT_ONCE)
        async with asyncio.timeout(3):
            assert (await other("GET", "/Users")).status_code == 200
        assert await _waiting(tx, 1) == WORKED_ON_AT_ONCE
        # Whoever shows a token that never opened the tenant has a way of their own.
        async with asyncio.timeout(3):
            assert_error(await scim("GET", "/Users", headers={"Authorization": "Bearer stoa_scim_guessed"}), 401)
    assert {answer.status_code for answer in await asyncio.gather(*asked)} == {200}


async def test_a_write_that_is_given_up_is_to_be_tried_again(scim: Scim, database: Database) -> None:
    ann = await scim.make("ann")
    async with database.tenant(scim.tenant_id) as tx:
        await tx.execute(_LOCK, tx.tenant_id)
        asked = asyncio.create_task(scim("DELETE", f"/Users/{ann['id']}"))
        await _waiting(tx, 1)
        # As the server does when the time for a statement is over.
        await tx.fetch("SELECT pg_cancel_backend(pid) FROM pg_locks WHERE NOT granted")
        answer = await asked
    assert_error(answer, 503)
    assert int(answer.headers["retry-after"]) > 0
    assert (await scim.get(ann["id"]))["userName"] == "ann"


async def test_no_more_waits_than_there_is_room_for(tenant_id: TenantId, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "MOST_WAITING_BYTES", 100_000)
    lanes, go_on = Turns(), asyncio.Event()
    done: list[str] = []

    async def one(size: int) -> None:
        async with lanes.taken(tenant_id, size, known=True):
            await go_on.wait()
        done.append("done")

    first = [asyncio.create_task(one(50_000)) for _ in range(WORKED_ON_AT_ONCE)]
    await asyncio.sleep(0)
    # Those at work do not count; of those that wait, one of this size has room.
    second = asyncio.create_task(one(50_000))
    await asyncio.sleep(0)
    with pytest.raises(Crowded):
        await one(50_000)
    go_on.set()
    await asyncio.gather(*first, second)
    await one(50_000)
    assert len(done) == WORKED_ON_AT_ONCE + 2
