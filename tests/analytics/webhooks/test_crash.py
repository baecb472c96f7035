"""A worker that is killed in the middle of its sending."""

import asyncio
import sys
from pathlib import Path

import pytest

from stoa.analytics.webhooks.line import LEASE
from tests.analytics.webhooks.conftest import OK, Ground, ids_of, types_of
from tests.outbound.server import Seen

_ROOT = Path(__file__).parents[3]
_EVENTS = 120


@pytest.mark.all
@pytest.mark.parametrize("killed_after", [1, 37, 101])
async def test_what_a_killed_worker_left_arrives_in_order_under_the_same_ids(
    ground: Ground, process_env: dict[str, str], killed_after: int
) -> None:
    enough, came = asyncio.Event(), 0

    async def answer(_: Seen, writer: asyncio.StreamWriter) -> None:
        nonlocal came
        came += 1
        await asyncio.sleep(0.005)
        if came == killed_after:
            enough.set()
        writer.write(OK)
        await writer.drain()

    served = await ground.receiver(answer=answer)
    made = await ground.endpoint(served, 'type sw "a."')
    types = [f"a.{number:03}" for number in range(_EVENTS)]
    await ground.happen(*types)
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.analytics.webhooks.doomed_dispatcher", served.pair), cwd=_ROOT, env=process_env
    )
    try:
        await asyncio.wait_for(enough.wait(), 30)
    finally:
        child.kill()
        await child.wait()
    assert len(served.seen) < _EVENTS
    # Until the lease has run out, the endpoint is the dead worker's.
    assert await ground.dispatch() == 0
    ground.clock.move(seconds=LEASE.total_seconds() + 5)
    await ground.dispatch()
    assert list(dict.fromkeys(types_of(served))) == types
    assert len(set(ids_of(served))) == _EVENTS
    assert [one.state for one in await ground.deliveries(made)] == ["delivered"] * _EVENTS
