import asyncio
from datetime import timedelta

import pytest

from stoa.access.attempts import (
    FREE_OF_ACCOUNT,
    FREE_OF_ADDRESS,
    LONGEST_WAIT,
    Attempt,
    count_attempt,
    forgive_attempt,
    wait_after,
)
from stoa.db.database import Database
from tests.access.conftest import MovingClock


@pytest.fixture(autouse=True)
async def nothing_counted(database: Database) -> None:
    async with database.platform() as tx:
        await tx.execute("DELETE FROM sign_in_attempt")


async def attempt(database: Database, email: str = "a@example.com", address: str = "192.0.2.1") -> Attempt:
    async with database.platform() as tx:
        return await count_attempt(tx, email, address)


async def rows(database: Database) -> int:
    async with database.platform() as tx:
        return await tx.fetchval("SELECT count(*) FROM sign_in_attempt")


def test_the_wait_doubles_up_to_a_quarter_of_an_hour() -> None:
    seconds = [wait_after(n, 5) // timedelta(seconds=1) for n in range(18)]
    assert seconds == [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]
    assert wait_after(10**9, 5) == LONGEST_WAIT


async def test_an_account_waits_after_its_fifth_failure_and_longer_each_time(
    database: Database, clock: MovingClock
) -> None:
    for _ in range(FREE_OF_ACCOUNT - 1):
        found = await attempt(database)
        assert (found.allowed, found.wait_seconds) == (True, 0)
    for expected in (1, 2, 4, 8):
        found = await attempt(database)
        assert (found.allowed, found.wait_seconds) == (True, expected)
        early = await attempt(database)
        assert not early.allowed
        assert 0 < early.wait_seconds <= expected
        clock.move(seconds=expected)


async def test_an_attempt_that_came_too_soon_is_not_counted(database: Database, clock: MovingClock) -> None:
    for _ in range(FREE_OF_ACCOUNT):
        await attempt(database)
    for _ in range(50):
        assert not (await attempt(database)).allowed
    clock.move(seconds=1)
    assert (await attempt(database)).wait_seconds == 2


async def test_an_address_waits_after_twenty_failures_whatever_the_account(
    database: Database, clock: MovingClock
) -> None:
    for n in range(FREE_OF_ADDRESS):
        assert (await attempt(database, f"{n}@example.com")).allowed
    before = await rows(database)
    refused = await attempt(database, "other@example.com")
    assert not refused.allowed
    assert await rows(database) == before, "a refused attempt leaves nothing, or a locked sender could fill the table"
    assert (await attempt(database, "other@example.com", "192.0.2.2")).allowed
    clock.move(seconds=1)
    assert (await attempt(database, "other@example.com")).allowed


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8:0:0:ffff::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.7", "192.0.2.7", True),
        ("fe80::1%eth0", "fe80::1%eth1", True),
        ("192.0.2.7", "192.0.2.8", False),
        ("unix:", "unix:", True),
    ],
)
async def test_a_sender_is_an_ipv4_address_or_an_ipv6_subscriber(
    database: Database, one: str, other: str, same: bool
) -> None:
    assert (
        (await attempt(database, address=one)).address_key == (await attempt(database, address=other)).address_key
    ) is same


async def test_the_account_is_told_without_regard_to_case_and_stored_as_a_digest(database: Database) -> None:
    one, other = await attempt(database, "Ada@Example.com "), await attempt(database, "ada@example.COM")
    assert one.account_key == other.account_key
    assert "ada" not in one.account_key


@pytest.mark.parametrize("email", ["", "x\0y", "\ud800", "x" * 100_000])
async def test_any_text_may_be_sent_as_an_address(database: Database, email: str) -> None:
    assert (await attempt(database, email)).allowed


async def test_attempts_that_race_are_each_counted(database: Database) -> None:
    found = await asyncio.gather(*(attempt(database, address=f"192.0.2.{n}") for n in range(40)))
    assert sum(one.allowed for one in found) == FREE_OF_ACCOUNT


async def test_a_right_password_clears_the_account_and_takes_its_own_count_from_the_address(
    database: Database, clock: MovingClock
) -> None:
    for n in range(FREE_OF_ADDRESS - 1):
        await attempt(database, f"{n}@example.com")
    mine = await attempt(database, "mine@example.com")
    assert mine.wait_seconds == 1
    async with database.platform() as tx:
        await forgive_attempt(tx, mine)
        left = await tx.fetchrow("SELECT * FROM sign_in_attempt WHERE key = $1", mine.address_key)
        assert await tx.fetchval("SELECT count(*) FROM sign_in_attempt WHERE key = $1", mine.account_key) == 0
    assert left is not None
    assert (left["failures"], left["locked_until"]) == (FREE_OF_ADDRESS - 1, None)


async def test_forgiving_does_not_lift_the_wait_that_another_attempt_began(database: Database) -> None:
    for n in range(FREE_OF_ADDRESS - 2):
        await attempt(database, f"{n}@example.com")
    mine = await attempt(database, "mine@example.com")
    assert (await attempt(database, "theirs@example.com")).wait_seconds == 1
    async with database.platform() as tx:
        await forgive_attempt(tx, mine)
    assert not (await attempt(database, "mine@example.com")).allowed


async def test_failures_are_forgotten_after_a_day_and_their_rows_go(database: Database, clock: MovingClock) -> None:
    for _ in range(FREE_OF_ACCOUNT + 1):
        await attempt(database)
        clock.move(seconds=5)
    await attempt(database, "other@example.com", "192.0.2.9")
    clock.move(hours=24, seconds=1)
    found = await attempt(database)
    assert (found.allowed, found.wait_seconds) == (True, 0)
    assert await rows(database) == 2
