"""Several dispatchers: each endpoint has one at a time, and is taken over when its worker is gone."""

import asyncio
from datetime import timedelta

import pytest

from stoa.analytics.webhooks import actions, leasing
from stoa.analytics.webhooks.dispatcher import Dispatcher
from stoa.analytics.webhooks.line import LEASE, Line
from stoa.analytics.webhooks.model import Settings
from stoa.analytics.webhooks.recording import LineLost
from stoa.events.actions import emit
from stoa.events.model import Event
from stoa.kernel.ids import new_id
from tests.analytics.webhooks.conftest import OK, Ground, ids_of, types_of
from tests.outbound.server import Seen, reply


async def test_two_dispatchers_send_each_event_once(ground: Ground) -> None:
    served = await ground.receiver()
    made = [await ground.endpoint(served, f'type eq "a.{number}"') for number in range(8)]
    await ground.happen(*(f"a.{number}" for number in range(8) for _ in range(3)))
    both = [Dispatcher(ground.desk()), Dispatcher(ground.desk())]
    assert sum(await asyncio.gather(*(one.run_once() for one in both))) == len(made)
    assert sorted(types_of(served)) == sorted(f"a.{number}" for number in range(8) for _ in range(3))
    assert len(set(ids_of(served))) == 24


async def test_a_lease_that_nobody_gives_back_runs_out(ground: Ground) -> None:
    served = await ground.receiver()
    await ground.endpoint(served, 'type sw "a."')
    await ground.happen("a.1")
    gone = new_id()
    async with ground.database.platform() as tx:
        work = await leasing.find_work(tx, gone, 10)
        claims = await leasing.claim(tx, gone, work, tx.now + LEASE)
    assert len(claims) == 1
    assert await ground.dispatch() == 0
    ground.clock.move(seconds=LEASE.total_seconds() + 1)
    assert await ground.dispatch() == 1
    assert types_of(served) == ["a.1"]


async def test_who_has_lost_the_lease_writes_nothing(ground: Ground) -> None:
    taken = asyncio.Event()
    go_on = asyncio.Event()

    async def slow(_: Seen, writer: asyncio.StreamWriter) -> None:
        taken.set()
        await go_on.wait()
        writer.write(OK)
        await writer.drain()

    served = await ground.receiver(answer=slow)
    made = await ground.endpoint(served, 'type sw "a."')
    await ground.happen("a.1")
    worker = new_id()
    async with ground.database.platform() as tx:
        work = await leasing.find_work(tx, worker, 10)
        (claim,) = await leasing.claim(tx, worker, work, tx.now + LEASE)
    line = asyncio.create_task(Line(ground.desk(), claim, work[0].head, asked=False).run(asyncio.Event()))
    await taken.wait()
    before = await ground.state(made)
    # Another worker takes the endpoint over while the request is under way.
    ground.clock.move(seconds=LEASE.total_seconds() + 1)
    async with ground.database.platform() as tx:
        other = await leasing.claim(tx, new_id(), work, tx.now + LEASE)
    assert other[0].epoch > claim.epoch
    go_on.set()
    with pytest.raises(LineLost):
        await line
    assert (await ground.state(made)).cursor == before.cursor
    assert await ground.deliveries(made) == []


async def test_a_change_while_a_request_is_under_way_holds_for_what_follows(ground: Ground) -> None:
    taken, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_: Seen, writer: asyncio.StreamWriter) -> None:
        taken.set()
        await go_on.wait()
        writer.write(reply(500))
        await writer.drain()

    old, new = await ground.receiver(answer=slow), await ground.receiver()
    made = await ground.endpoint(old, 'type sw "a."')
    await ground.happen("a.1")
    running = asyncio.create_task(ground.dispatch())
    await taken.wait()
    settings = Settings(f"{new.url}/x", filter='type sw "a."')
    await ground.act(lambda tx: actions.change_endpoint(tx, made.endpoint.endpoint_id, settings, allow=ground.allow))
    go_on.set()
    await running
    await ground.number()
    await ground.dispatch()
    # What came of the request to the old address counts for nothing: the event goes to the new one at once.
    assert types_of(new) == ["a.1"]
    assert (await ground.state(made)).failing_since is None


async def test_it_runs_until_it_is_stopped_and_is_woken_by_numbers(ground: Ground) -> None:
    arrived = asyncio.Event()

    async def answer(_: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        await writer.drain()
        arrived.set()

    served = await ground.receiver(answer=answer)
    made = await ground.endpoint(served, 'type sw "a."')
    stop = asyncio.Event()
    running = asyncio.create_task(Dispatcher(ground.desk(linger=0.05)).run(stop))
    for number in range(3):
        arrived.clear()
        await ground.happen(f"a.{number}")
        await asyncio.wait_for(arrived.wait(), 5)
    stop.set()
    await asyncio.wait_for(running, 5)
    assert types_of(served) == ["a.0", "a.1", "a.2"]
    # What was done is written down when it stops, and the lease is given back.
    assert [one.state for one in await ground.deliveries(made)] == ["delivered"] * 3
    ground.clock.move(seconds=1)
    async with ground.database.platform() as tx:
        until = await tx.fetchval(
            "SELECT lease_until FROM webhook_endpoint WHERE endpoint_id = $1", made.endpoint.endpoint_id
        )
    assert until is None
    assert timedelta(seconds=15) < LEASE


async def test_a_long_way_past_what_nobody_asks_for_is_written_down_on_the_way(ground: Ground) -> None:
    # Whoever takes over must not begin it anew, and the lease must not run out while there is nothing to send.
    served = await ground.receiver()
    made = await ground.endpoint(served, 'type eq "nothing.such"')
    begin = (await ground.state(made)).cursor
    async with ground.database.tenant(ground.tenant_id) as tx:
        for number in range(12_000):
            emit(tx, Event("a.1", f"thing-{number}", {}))
    await ground.number()
    dispatching = asyncio.create_task(ground.dispatch())
    while (seen := (await ground.state(made)).cursor) == begin:
        assert not dispatching.done()
    assert seen < begin + 12_000
    await dispatching
    assert (await ground.state(made)).cursor == begin + 12_000
    assert served.seen == []
