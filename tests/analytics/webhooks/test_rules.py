"""What follows from an answer, and whose turn it is to send."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from stoa.analytics.webhooks.model import Attempt
from stoa.analytics.webhooks.rules import (
    SCHEDULE,
    Again,
    Disabled,
    GivenUp,
    Next,
    after_failure,
    is_alarming,
    kept_headers,
    message_id,
    origin_of,
)
from stoa.analytics.webhooks.sending import judged
from stoa.analytics.webhooks.slots import Slots
from stoa.kernel.ids import TenantId

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
A, B, C = (TenantId(UUID(int=number)) for number in (1, 2, 3))


def attempt(number: int, status: int | None = 500, retry_after: float | None = None) -> Attempt:
    return Attempt(number, NOW, 1, status, "broken", "It failed.", 0, "v1,x", retry_after=retry_after)


def test_the_schedule_takes_about_three_days() -> None:
    assert timedelta(hours=72) < sum(SCHEDULE, timedelta()) < timedelta(hours=80)
    assert list(SCHEDULE) == sorted(SCHEDULE)


@pytest.mark.parametrize(
    ("tried", "given_up", "expected"),
    [
        (attempt(1), 0, Again(NOW + timedelta(seconds=5))),
        (attempt(9), 0, Again(NOW + timedelta(hours=24))),
        (attempt(10), 0, GivenUp()),
        (attempt(1), 1, Disabled("failing")),
        (attempt(1, 410), 0, Disabled("gone")),
        (attempt(10, 410), 0, Disabled("gone")),
        (attempt(1, None), 0, Again(NOW + timedelta(seconds=5))),
        (attempt(1, 429, 60.0), 0, Again(NOW + timedelta(seconds=60))),
        (attempt(1, 503, 10.0**9), 0, Again(NOW + timedelta(hours=24))),
        (attempt(3, 429, 1.0), 0, Again(NOW + timedelta(minutes=30))),
        (attempt(1, 500, 60.0), 0, Again(NOW + timedelta(seconds=5))),
    ],
)
def test_what_follows_from_a_failure(tried: Attempt, given_up: int, expected: Next) -> None:
    assert after_failure(tried, NOW, 0.0, given_up=given_up) == expected


def test_chance_only_lengthens_a_wait() -> None:
    waits = [after_failure(attempt(2), NOW, chance / 10) for chance in range(11)]
    moments = [wait.at for wait in waits if isinstance(wait, Again)]
    assert moments == sorted(moments)
    assert moments[0] == NOW + timedelta(minutes=5)
    assert moments[-1] == NOW + timedelta(minutes=5, seconds=30)


def test_who_fails_for_an_hour_is_told_of() -> None:
    assert not is_alarming(NOW, Again(NOW + timedelta(minutes=59)))
    assert is_alarming(NOW, Again(NOW + timedelta(minutes=60)))
    assert is_alarming(NOW, GivenUp())
    assert is_alarming(NOW, Disabled("gone"))


@pytest.mark.parametrize(
    ("status", "code"),
    [
        *((200, None), (204, None), (299, None), (302, "redirect"), (400, "refused"), (410, "gone")),
        *((429, "slow_down"), (500, "broken"), (503, "slow_down"), (101, "refused")),
    ],
)
def test_a_status_has_one_meaning(status: int, code: str | None) -> None:
    assert judged(status)[0] == code


def test_of_headers_as_much_is_kept_as_may_be_stored() -> None:
    kept = kept_headers({f"x-{number}": "v" * 1000 + "\x00" for number in range(50)} | {"Set-Cookie": "a=b"})
    assert len(kept) == 20
    assert {len(value) for value in kept.values()} == {200}


def test_ids_and_origins_tell_no_more_than_they_should() -> None:
    assert message_id(A, 7) == f"evt_{A.hex}_7"
    assert origin_of("https://hooks.acme.example:8443/s3cret?key=1") == "https://hooks.acme.example:8443"


async def test_slots_are_bounded_in_all_and_for_each_tenant_and_go_round() -> None:
    slots, order, go_on = Slots(2, 1), list[str](), asyncio.Event()

    async def use(tenant_id: TenantId, name: str) -> None:
        async with slots.taken(tenant_id):
            order.append(name)
            await go_on.wait()

    names = [(A, "a1"), (A, "a2"), (A, "a3"), (B, "b1"), (B, "b2"), (C, "c1")]
    tasks = [asyncio.create_task(use(tenant_id, name)) for tenant_id, name in names]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    # One of each tenant, and two in all.
    assert order == ["a1", "b1"]
    go_on.set()
    await asyncio.gather(*tasks)
    assert sorted(order) == sorted(name for _, name in names)
    # A tenant that waits is not passed by one that has just been served.
    assert order.index("c1") < order.index("a3")


async def test_who_gives_up_waiting_leaves_its_turn_to_others() -> None:
    slots, held = Slots(1, 1), asyncio.Event()

    async def use(tenant_id: TenantId) -> None:
        async with slots.taken(tenant_id):
            await held.wait()

    first, second, third = (asyncio.create_task(use(one)) for one in (A, B, C))
    await asyncio.sleep(0)
    second.cancel()
    held.set()
    await asyncio.gather(first, second, third, return_exceptions=True)
    assert second.cancelled()
    assert third.exception() is None
    async with slots.taken(A):
        pass
