"""The clock."""

from datetime import UTC, datetime

from stoa.kernel.clock import Clock, system_clock


def test_the_systems_clock_tells_the_present_aware_and_in_utc() -> None:
    clock: Clock = system_clock
    before = datetime.now(UTC)
    told = clock()
    assert before <= told <= datetime.now(UTC)
    assert told.tzinfo is UTC
