"""Receivers that fail: what is tried again and when, who is told, and what goes on meanwhile."""

import asyncio
from datetime import timedelta

import pytest

from stoa.analytics.webhooks import actions, sending_again
from stoa.analytics.webhooks.rules import SCHEDULE
from stoa.outbound.http import HttpClient
from stoa.outbound.model import Timeouts
from tests.analytics.webhooks.conftest import OK, Ground, hang, ids_of, types_of
from tests.outbound.server import Answer, Seen, reply


async def test_a_failed_event_is_tried_by_the_schedule_and_holds_up_those_after_it(ground: Ground) -> None:
    served = await ground.receiver(reply(500), reply(500), OK)
    made = await ground.endpoint(served)
    await ground.happen("a.first", "a.second")
    await ground.dispatch()
    assert types_of(served) == ["a.first"]
    assert await ground.dispatch() == 0
    ground.clock.move(seconds=5)
    await ground.dispatch()
    ground.clock.move(minutes=4, seconds=59)
    assert await ground.dispatch() == 0
    ground.clock.move(seconds=1)
    await ground.dispatch()
    assert types_of(served) == ["a.first", "a.first", "a.first", "a.second"]
    assert len(set(ids_of(served)[:3])) == 1
    first, second = await ground.deliveries(made)
    assert (first.state, first.attempts, second.state, second.attempts) == ("delivered", 3, "delivered", 1)
    assert [one.status for one in await ground.attempts(first)] == [500, 500, 204]
    assert (await ground.state(made)).failing_since is None


async def test_an_event_is_given_up_after_about_three_days_and_the_next_one_is_tried(ground: Ground) -> None:
    poisoned = 0

    async def answer(seen: Seen, writer: asyncio.StreamWriter) -> None:
        nonlocal poisoned
        poison = b"a.poison" in seen.body
        poisoned += poison
        writer.write(reply(400 if poison else 204))
        await writer.drain()

    served = await ground.receiver(answer=answer)
    made = await ground.endpoint(served)
    await ground.happen("a.poison", "a.next")
    began = ground.clock.now
    await ground.dispatch()
    for wait in SCHEDULE:
        assert types_of(served)[-1] == "a.poison"
        ground.clock.move(seconds=wait.total_seconds())
        await ground.dispatch()
    assert timedelta(days=3) <= ground.clock.now - began <= timedelta(days=4)
    assert poisoned == len(SCHEDULE) + 1
    assert types_of(served)[-1] == "a.next"
    assert [one.state for one in await ground.deliveries(made)] == ["failed", "delivered"]
    assert (await ground.state(made)).state == "active"
    # The alert about the failing is over; that about the event stays for a while.
    assert await ground.alerts() == [
        ("webhook_failing", "warning", "resolved"),
        ("webhook_gave_up", "warning", "open"),
    ]


async def test_the_owner_is_told_within_the_hour_and_the_endpoint_disabled_after_three_days(ground: Ground) -> None:
    served = await ground.receiver(reply(503))
    made = await ground.endpoint(served)
    await ground.happen("a.first", "a.second")
    await ground.dispatch()
    for number, wait in enumerate(SCHEDULE):
        assert (("webhook_failing", "warning", "open") in await ground.alerts()) is (number >= 3)
        ground.clock.move(seconds=wait.total_seconds())
        await ground.dispatch()
    one = await ground.state(made)
    assert (one.state, one.disabled_reason) == ("disabled", "failing")
    assert ("webhook_failing", "critical", "open") in await ground.alerts()
    # Nothing is sent any more, and nothing is lost: enabled, it goes on with what did not arrive.
    ground.clock.move(days=2)
    assert await ground.dispatch() == 0
    seen = len(served.seen)
    served.seen.clear()
    assert seen == len(SCHEDULE) + 2
    await ground.act(lambda tx: actions.enable_endpoint(tx, one.endpoint_id))
    await ground.dispatch()
    assert types_of(served) == ["a.second"]


async def test_410_disables_at_once(ground: Ground) -> None:
    served = await ground.receiver(reply(410))
    made = await ground.endpoint(served)
    await ground.happen("a.first", "a.second")
    await ground.dispatch()
    one = await ground.state(made)
    assert (one.state, one.disabled_reason, len(served.seen)) == ("disabled", "gone", 1)
    assert await ground.alerts() == [("webhook_failing", "critical", "open")]


@pytest.mark.parametrize(("status", "wait"), [(429, 3600), (503, 3600), (500, 5)])
async def test_who_asks_for_patience_gets_it(ground: Ground, status: int, wait: int) -> None:
    served = await ground.receiver(reply(status, retry_after="3600"), OK)
    await ground.endpoint(served)
    await ground.happen("a.first")
    await ground.dispatch()
    ground.clock.move(seconds=wait - 1)
    assert await ground.dispatch() == 0
    ground.clock.move(seconds=1)
    await ground.dispatch()
    assert len(served.seen) == 2


async def test_waits_are_lengthened_at_random(ground: Ground) -> None:
    served = await ground.receiver(reply(500), OK)
    await ground.endpoint(served)
    await ground.happen("a.first")
    await ground.dispatch(chance=1.0)
    ground.clock.move(seconds=5)
    assert await ground.dispatch() == 0
    ground.clock.move(seconds=0.5)
    assert await ground.dispatch() == 1


@pytest.mark.parametrize(
    ("answer", "error", "status"),
    [
        (reply(302, location="http://127.0.0.1:1/"), "redirect", 302),
        (reply(404, b"\x00\xff no"), "refused", 404),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "no_answer", None),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello", "no_answer", None),
        (b"HTTP/1.1 500 X\r\nx-odd: a\xff\x80b\r\ncontent-length: 0\r\n\r\n", "broken", 500),
    ],
)
async def test_whatever_a_receiver_answers_is_recorded(
    ground: Ground, answer: bytes, error: str, status: int | None
) -> None:
    served = await ground.receiver(answer)
    made = await ground.endpoint(served)
    await ground.happen("a.first")
    await ground.dispatch()
    (delivery,) = await ground.deliveries(made)
    assert (delivery.state, delivery.error, delivery.status) == ("waiting", error, status)
    (attempt,) = await ground.attempts(delivery)
    assert attempt.detail
    assert "location" not in attempt.detail


async def test_of_an_answer_one_kibibyte_is_kept(ground: Ground) -> None:
    served = await ground.receiver(reply(200, b"x" * 100_000, set_cookie="a=b", x_kept="yes"))
    made = await ground.endpoint(served)
    await ground.happen("a.first")
    await ground.dispatch()
    (attempt,) = await ground.attempts((await ground.deliveries(made))[0])
    assert attempt.answer == b"x" * 1024
    assert attempt.answer_headers is not None
    assert attempt.answer_headers["x-kept"] == "yes"
    assert "set-cookie" not in attempt.answer_headers


@pytest.mark.all
async def test_a_receiver_that_hangs_or_drips_is_given_up_in_time_and_delays_no_other(ground: Ground) -> None:
    async def drip(_: Seen, writer: asyncio.StreamWriter) -> None:
        for byte in b"HTTP/1.1 200 OK\r\n" * 1000:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.05)

    hanging, dripping = await ground.receiver(answer=hang), await ground.receiver(answer=drip)
    ground.timeouts = Timeouts(connect=2, read=4, total=4)
    answer, arrived = _counting(2)
    well = await ground.receiver(answer=answer)
    bad = [await ground.endpoint(hanging), await ground.endpoint(dripping)]
    await ground.endpoint(well)
    await ground.happen("a.first", "a.second")
    served = asyncio.create_task(ground.dispatch())
    # The others' events arrive while the first request to each of the bad ones is still under way.
    await asyncio.wait_for(arrived.wait(), 3.5)
    assert not served.done()
    await asyncio.wait_for(served, 30)
    for made in bad:
        (delivery,) = await ground.deliveries(made)
        assert (delivery.state, delivery.error) == ("waiting", "no_answer")


async def test_hanging_receivers_of_one_tenant_leave_room_for_others(ground: Ground) -> None:
    ground.slots = (4, 2)
    ground.timeouts = Timeouts(connect=10, read=80, total=80)
    both, stuck = asyncio.Event(), 0

    async def hang_and_count(seen: Seen, writer: asyncio.StreamWriter) -> None:
        nonlocal stuck
        stuck += 1
        if stuck == 2:
            both.set()
        await hang(seen, writer)

    hanging = await ground.receiver(answer=hang_and_count)
    answer, arrived = _counting(1)
    well = await ground.receiver(answer=answer)
    for _ in range(6):
        await ground.endpoint(hanging)
    other = await ground.other_tenant()
    await ground.endpoint(well, tenant_id=other)
    await ground.happen("a.first")
    await ground.happen("b.first", tenant_id=other)
    served = asyncio.create_task(ground.dispatch())
    await asyncio.wait_for(arrived.wait(), 30)
    # What hangs may still be on its way when the other has come; it never takes more than its tenant's two places.
    await asyncio.wait_for(both.wait(), 30)
    assert hanging.connections == 2
    served.cancel()
    await asyncio.gather(served, return_exceptions=True)


def _counting(number: int) -> tuple[Answer, asyncio.Event]:
    """Takes everything; the event is set once so many came."""
    arrived, came = asyncio.Event(), 0

    async def answer(_: Seen, writer: asyncio.StreamWriter) -> None:
        nonlocal came
        came += 1
        if came == number:
            arrived.set()
        writer.write(OK)
        await writer.drain()

    return answer, arrived


async def test_a_name_that_turns_private_is_recorded_and_not_called(ground: Ground) -> None:
    inside = await ground.receiver()
    answers = iter([["127.0.0.1"]] * 10)

    async def rebound(_: str, __: int) -> list[str]:
        return next(answers)

    async with HttpClient(resolver=rebound) as client:
        ground.client = client
        made = await ground.endpoint(f"https://hooks.acme.example:{inside.port}/x")
        await ground.happen("a.first")
        await ground.dispatch()
    (delivery,) = await ground.deliveries(made)
    assert (delivery.state, delivery.error) == ("waiting", "address_refused")
    assert inside.connections == 0
    # The address is not told: it would map the network for whoever entered the name.
    assert "127" not in (await ground.attempts(delivery))[0].detail


async def test_the_event_in_the_way_can_be_passed_over(ground: Ground) -> None:
    served = await ground.receiver(reply(400), OK)
    made = await ground.endpoint(served)
    await ground.happen("a.first", "a.second")
    await ground.dispatch()
    await ground.act(lambda tx: sending_again.skip_blocking(tx, made.endpoint.endpoint_id))
    await ground.dispatch()
    assert types_of(served)[:2] == ["a.first", "a.second"]
    assert [one.state for one in await ground.deliveries(made)][:2] == ["skipped", "delivered"]


async def test_a_test_that_arrives_has_the_waiting_event_tried_at_once(ground: Ground) -> None:
    served = await ground.receiver(reply(500), OK)
    made = await ground.endpoint(served)
    await ground.happen("a.first")
    await ground.dispatch()
    await ground.act(lambda tx: sending_again.send_test(tx, made.endpoint.endpoint_id))
    await ground.dispatch()
    assert types_of(served) == ["a.first", "webhook.test", "a.first"]
